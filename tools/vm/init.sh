#!/bin/busybox sh
# The first process of a virtual machine: mounts what Linux has to say, loads modules, runs /run, powers off.
/bin/busybox --install -s /bin
[ -x /usr/bin/sh ] && ln -sf /usr/bin/sh /bin/sh
export PATH=/usr/bin:/bin HOME=/root TMPDIR=/tmp NO_COLOR=1
# Tests may change this machine as they like.
export SKEP_VM=1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracefs /sys/kernel/tracing
mount -t securityfs security /sys/kernel/security
ln -s /proc/self/fd /dev/fd
stty -F /dev/ttyS0 -onlcr
stty -F /dev/ttyS1 raw
for module in $(cat /modules/order); do insmod "/modules/$module.ko"; done
ip link set lo up
sh /run || echo "init: ended with code $?"
sync
poweroff -f
