#!/bin/sh
# Compiles every *.bpf.c here to the *.bpf.o beside it. The objects are committed: only a change of a source
# needs this, with Debian's clang-19, libbpf-dev and linux-libc-dev.
set -eu
cd "$(dirname "$0")"
headers=/usr/include/$(uname -m)-linux-gnu
for source in ${*:-*.bpf.c}; do
	"${CLANG:-clang-19}" -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Wno-unused-parameter \
		-fdebug-compilation-dir=. -idirafter "$headers" -c "$source" -o "${source%.c}.o"
done
