#!/bin/sh
# The kernel's first process: loads modules, puts a writable layer in memory over the owner's file system, goes there.
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys

fail() {
    echo "holdfast: $1" >/dev/console
    poweroff -f
}

for name in $(cat /early); do
    insmod "/m/$name.ko" 2>/dev/null
done
p9="trans=virtio,version=9p2000.L,msize=512000"
mount -t 9p -o "ro,cache=loose,$p9" host /ro || fail "the owner's file system cannot be mounted"
mount -t tmpfs -o size=75% writable /rw
mkdir -p /rw/upper /rw/work
mount -t overlay -o lowerdir=/ro,upperdir=/rw/upper,workdir=/rw/work root /root || fail "no overlay over the owner's files"
for name in $(cat /late); do
    insmod "/m/$name.ko" 2>/dev/null
done

mount -t tmpfs -o mode=755 run /root/run
mkdir -p /root/run/holdfast-vm
# Not cached: what is written here must be there for the owner at once.
mount -t 9p -o "rw,cache=none,$p9" out /root/run/holdfast-vm || fail "the folder for results cannot be mounted"
mount --move /dev /root/dev
mount --move /proc /root/proc
mount --move /sys /root/sys
exec switch_root /root /bin/sh /run/holdfast-vm/start
