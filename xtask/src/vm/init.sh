#!/bin/busybox sh
# The first process of the machine in which cgroups v2 are tested.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup

groups=/sys/fs/cgroup
# A test that finds no cgroup here has found an error.
export STINT_REQUIRE_CGROUP=1
good=yes

failed() {
    good=no
    echo "V2-FAILED $1"
}

# Whatever was made is gone again; $1 says after what, the rest are groups that may stay.
nothing_left() {
    after=$1
    shift
    left=$(find $groups -mindepth 1 -type d | sort | tr '\n' ' ')
    [ "$left" = "$*${1:+ }" ] || failed "$after left groups: $left"
}

echo
uname -sr

for test in /tests/*; do
    echo "== ${test##*/}, in the root group"
    $test || failed "${test##*/} in the root group"
    nothing_left "${test##*/}"
done

# As in a container or a service: in a limited group of its own, whose processes
# have to make way before it can hand controllers down.
echo "+cpu +memory +pids" > $groups/cgroup.subtree_control
mkdir $groups/box
echo 500M > $groups/box/memory.max
echo "== kernel, in a limited group"
sh -c "echo \$\$ > $groups/box/cgroup.procs; exec /tests/kernel" || failed "kernel in a limited group"
nothing_left "kernel in a limited group" $groups/box $groups/box/supervisor

[ $good = yes ] && echo V2-OK
reboot -f
