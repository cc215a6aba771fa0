#!/bin/sh
# Compiles every *.bpf.c here to the *.bpf.o beside it. The objects are committed, so only a change of a
# source needs this. Needs Debian's clang-19, libbpf-dev and linux-libc-dev; CLANG=… takes another compiler.
# Paths in the debug information are relative, so that the same sources give the same bytes anywhere.
set -eu
cd "$(dirname "$0")"
clang=${CLANG:-clang-19}
headers=/usr/include/$(uname -m)-linux-gnu
for source in ${*:-*.bpf.c}; do
	"$clang" -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Wno-unused-parameter \
		-fdebug-compilation-dir=. -idirafter "$headers" \
		-c "$source" -o "${source%.c}.o"
	echo "${source%.c}.o"
done
