#!/bin/sh
# Becomes pid 1 of a lab node: a file system over the machine's own root, then the program in "$@".
#
# Runs in fresh mount, pid, uts and ipc namespaces and in the node's network namespace. The builder gives:
#   HF_NODE    the host name
#   HF_DISK    the node's disk: a tmpfs that lives in the root mount namespace, so that it survives a crash
#   HF_LAYERS  file systems besides / that belong to the machine's system (a separate /usr, /var): overlaid as well
#   HF_BINDS   folders outside of those that the interpreter and its packages live in: bound, read-only
#   HF_FORWARD 1 if the node forwards packets
# It says its pid (as the machine numbers it) on standard output, and goes on once it reads a line: by then the builder
# has written it down. If the builder dies before, the input ends, and so does this.
set -eu
umask 022

read -r pid rest </proc/self/stat
echo "pid $pid"
read -r go || exit 0

fail() {
    echo "failed $1"
    exit 1
}

layer() { # SOURCE NAME: an overlay of SOURCE at the same place below $root
    mkdir -p "$HF_DISK/$2/upper" "$HF_DISK/$2/work"
    mount -t overlay overlay -o "lowerdir=$1,upperdir=$HF_DISK/$2/upper,workdir=$HF_DISK/$2/work" "$root$1" ||
        fail "overlay $1"
}

root=$HF_DISK/root
mkdir -p "$root"
layer / system
root=${root%/}

IFS='
'
for place in $HF_LAYERS; do
    mkdir -p "$root$place"
    layer "$place" "layer$(echo "$place" | tr / _)"
done
for place in $HF_BINDS; do
    mkdir -p "$root$place" || fail "bind $place"
    mount --bind "$place" "$root$place" || fail "bind $place"
    mount -o remount,bind,ro "$root$place" || fail "bind $place"
done
unset IFS

mount -t tmpfs -o nosuid,mode=755,size=16m run "$root/run"
mount -t tmpfs -o nosuid,mode=755,size=64k dev "$root/dev"
for device in null zero full random urandom tty; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm" "$root/run/lock"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
mount -t tmpfs -o nosuid,nodev,mode=1777,size=16m shm "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s /proc/self/fd/0 "$root/dev/stdin"
ln -s /proc/self/fd/1 "$root/dev/stdout"
ln -s /proc/self/fd/2 "$root/dev/stderr"
mount -t sysfs -o nosuid,nodev,noexec,ro sysfs "$root/sys"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"

# Only the network's sysctls are the node's own; the others are the whole machine's, and must not be set from here.
mount --bind "$root/proc/sys" "$root/proc/sys"
mount --bind "$root/proc/sys/net" "$root/proc/sys/net"
mount -o remount,bind,ro "$root/proc/sys"
if [ -e "$root/proc/sysrq-trigger" ]; then
    mount --bind /dev/null "$root/proc/sysrq-trigger"
fi

cd "$root"
pivot_root . .
umount -l .
cd /
hostname "$HF_NODE" 2>/dev/null || echo "$HF_NODE" >/proc/sys/kernel/hostname

if [ "$HF_FORWARD" = 1 ]; then
    echo 1 >/proc/sys/net/ipv4/ip_forward
    # The client is on every network: telling a node of a "better" way would only hide what its own routes do.
    for switch in /proc/sys/net/ipv4/conf/*/send_redirects; do
        echo 0 >"$switch"
    done
    if [ -e /proc/sys/net/ipv6/conf/all/forwarding ]; then
        echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
    fi
fi

echo "ready $pid"
unset HF_NODE HF_DISK HF_LAYERS HF_BINDS HF_FORWARD
exec "$@" </dev/null >&2
