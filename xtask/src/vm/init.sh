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

# Jobs, from the command line to their leaf and back.
may_stay=
export HOME=/tmp TMPDIR=/tmp
ip link set lo up

# $1 is the group to be in, $2 the exit code to expect, $3 what the answer must hold; the rest is the job.
job() {
    group=$1
    code=$2
    holds=$3
    shift 3
    echo "== stint run $* in $group"
    sh -c 'echo $$ > "$0/cgroup.procs" && exec stint run --json "$@"' $group "$@" > /tmp/answer 2> /tmp/said
    was=$?
    if [ $was != $code ] || ! grep -q "$holds" /tmp/answer || ! grep -q '"cgroup v2"' /tmp/answer; then
        failed "stint run $* (exit code $was)"
        cat /tmp/answer /tmp/said
    fi
    nothing_left "stint run $*" $groups/box $groups/box/supervisor $may_stay
}

job $groups 0 '"succeeded"' /guests/steady.wasm 1
job $groups 125 '"guest-memory-limit"' --memory 64Mi /guests/hog.wasm
job $groups 124 '"deadline"' --timeout 2s /guests/spin.wasm
# A group that has handed nothing down yet.
mkdir $groups/den
echo 500M > $groups/den/memory.max
may_stay="$groups/den $groups/den/supervisor"
job $groups/den 0 '"succeeded"' /guests/steady.wasm 1

[ $good = yes ] && echo V2-OK
reboot -f
