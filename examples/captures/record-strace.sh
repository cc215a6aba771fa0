#!/bin/sh
# Records ls.strace: the system calls of a shell, `ls -l /usr` and `wc -l`, three processes in a pipe.
set -eu
out=$(cd "$(dirname "$0")" && pwd)/ls.strace
cd /
env -i PATH=/usr/bin:/bin LC_ALL=C strace -f -ttt -o "$out" sh -c 'ls -l /usr | wc -l'
