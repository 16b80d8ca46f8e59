"""A small machine with a real systemd as its process 1: own cgroups, network, mounts, pids and files; it can reboot."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from tests.agent.machine import PYTHON, Machine
from tests.waiting import wait_until

SYSTEMD = "/lib/systemd/systemd"
_UP_WITHIN_S = 180.0  # a busy machine boots slowly

# Outer: keeps the disk over reboots. It is process 1 of a pid namespace, so that with it everything ends, also when its
# input ends because the test was killed.
_OUTER = """
set -eu
mount --make-rprivate /
mount -t tmpfs -o size=128m,mode=755 disk {folder}
mkdir {folder}/upper {folder}/work {folder}/root {folder}/cgroup
mount -t cgroup2 cgroup2 {folder}/cgroup || {{ echo "refused cgroup2"; exit 0; }}
here={folder}/cgroup/{name}
mkdir $here || {{ echo "refused cgroup2"; exit 0; }}
node=
echo ready
off() {{
    if [ -n "$node" ]; then
        kill -KILL $node
        wait $node || true
        node=
    fi 2>/dev/null
    for again in 1 2 3 4 5 6 7 8 9 10; do
        find $here -mindepth 1 -depth -type d -exec rmdir {{}} + 2>/dev/null && break
        sleep 0.1
    done
}}
while read -r order; do
    off
    [ "$order" = boot ] || {{ echo off; continue; }}
    sh -c 'echo 0 >'$here'/cgroup.procs && exec unshare -n -m -p -f -u -i -C --kill-child sh {script}' &
    node=$!
    echo booting
done
off
echo 0 >{folder}/cgroup/cgroup.procs
rmdir $here
"""

_BOOT = """
set -eu
root={folder}/root
mount -t overlay overlay -o lowerdir=/,upperdir={folder}/upper,workdir={folder}/work $root
for place in {binds}; do mkdir -p $root$place; mount --bind $place $root$place; done
mount -t tmpfs -o nosuid,nodev,mode=755,size=32m run $root/run
mount -t tmpfs -o nosuid,mode=755,size=64k dev $root/dev
for device in null zero full random urandom tty; do
    : >$root/dev/$device
    mount --bind /dev/$device $root/dev/$device
done
mkdir -p $root/dev/pts $root/dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts $root/dev/pts
mount -t tmpfs -o mode=1777,size=16m shm $root/dev/shm
ln -s pts/ptmx $root/dev/ptmx
ln -s /proc/self/fd $root/dev/fd
mount -t sysfs -o nosuid,nodev,noexec,ro sysfs $root/sys
mount -t proc proc $root/proc
mount -t cgroup2 cgroup2 $root/sys/fs/cgroup
mount --bind $root/proc/sys $root/proc/sys
mount --bind $root/proc/sys/net $root/proc/sys/net
mount -o remount,bind,ro $root/proc/sys
cd $root
pivot_root . .
umount -l .
cd /
if [ ! -e /etc/first-boot-is-over ]; then
    rm -rf /etc/holdfast /var/lib/holdfast /var/log/holdfast /var/log/journal /etc/systemd/system
    mkdir -p /etc/systemd/system /etc/systemd/system-generators /var/lib/holdfast
    for generator in /lib/systemd/system-generators/*; do
        ln -s /dev/null /etc/systemd/system-generators/$(basename $generator)
    done
    for unit in dbus.service dbus.socket getty.target console-getty.service systemd-logind.service \
        systemd-modules-load.service sys-kernel-debug.mount sys-kernel-tracing.mount dev-hugepages.mount \
        sys-fs-fuse-connections.mount dev-mqueue.mount systemd-udevd.service systemd-udev-trigger.service \
        systemd-tmpfiles-setup.service systemd-tmpfiles-clean.timer \
        systemd-timesyncd.service systemd-resolved.service systemd-networkd.service; do
        ln -s /dev/null /etc/systemd/system/$unit
    done
    : >/etc/first-boot-is-over
fi
hostname lb01
ip link set lo up
ip link add eth0 type veth peer name outside
ip address add 10.9.0.5/24 dev eth0
ip link set eth0 up
ip link set outside up
exec env -i container=lxc PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C {systemd} --system --show-status=no \
    --log-target=journal --unit=multi-user.target </dev/null >/dev/null 2>&1
"""


class SystemdMachine(Machine):
    """As Machine; `reboot` cuts the power and boots from the same disk."""

    def __init__(self, outer: subprocess.Popen[str]) -> None:
        self._outer = outer
        self.boot()

    def boot(self) -> None:
        assert self._ask("boot") == "booting"
        started = time.monotonic()
        while not (found := _descendant(self._outer.pid, SYSTEMD)):  # ends: at _UP_WITHIN_S
            assert time.monotonic() < started + _UP_WITHIN_S, "systemd was not started"
            time.sleep(0.02)
        super().__init__(found)
        wait_until(self._is_up, _UP_WITHIN_S)

    def reboot(self) -> None:
        """The power is cut: nothing gets the chance to end well."""
        assert self._ask("off") == "off"
        self.boot()

    def enter(self, argv: object) -> list[str]:
        words = super().enter(argv)  # type: ignore[arg-type]
        return [*words[: words.index("--")], "--cgroup", *words[words.index("--") :]]

    def run_agent(self, words: Sequence[str], text: str) -> subprocess.CompletedProcess[str]:
        """Started in its own control group: systemd is asked about those."""
        return self.run(PYTHON, "-m", "holdfast.agent", *words, text=text, check=False)

    def systemctl(self, *arguments: str, check: bool = True) -> str:
        return self.run("systemctl", *arguments, check=check).stdout.strip()

    def property(self, unit: str, name: str) -> str:
        return self.systemctl("show", "--value", f"--property={name}", unit)

    def journal(self) -> str:
        return self.run("journalctl", "-b", "--no-pager", "-o", "short-monotonic", check=False).stdout

    def _is_up(self) -> bool:
        return self.systemctl("is-system-running", check=False) in ("running", "degraded")

    def _ask(self, order: str) -> str:
        stdin, stdout = self._outer.stdin, self._outer.stdout
        assert stdin is not None
        assert stdout is not None
        return _say(stdin, stdout, order)


def _say(stdin: IO[str], stdout: IO[str], order: str) -> str:
    stdin.write(f"{order}\n")
    stdin.flush()
    return stdout.readline().strip()


def _descendant(pid: int, program: str) -> int:
    """The first below `pid` that runs `program`, 0 where there is none yet."""
    try:
        for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if Path(f"/proc/{word}/cmdline").read_bytes().startswith(program.encode() + b"\0"):
                return int(word)
            if found := _descendant(int(word), program):
                return found
    except (FileNotFoundError, ProcessLookupError):  # it ended while we looked, before or after it was opened
        return 0
    return 0


@contextmanager
def systemd_machine(folder: Path) -> Iterator[SystemdMachine]:
    """Up, with an empty Holdfast; gone with everything in it afterwards. Skips where that cannot be."""
    if os.geteuid() != 0:
        pytest.skip("namespaces need root")
    if not Path(SYSTEMD).exists() or shutil.which("systemctl") is None:
        pytest.skip("this machine has no systemd that could be started")
    scripts = folder.with_name(f"{folder.name}-scripts")
    scripts.mkdir()
    places = {Path(PYTHON).parent, Path(__file__).resolve().parents[2], Path(sys.prefix), Path(sys.base_prefix)}
    device = os.stat("/").st_dev
    binds = " ".join(sorted(str(place) for place in places if os.stat(place).st_dev != device))
    boot = scripts / "boot.sh"
    boot.write_text(_BOOT.format(folder=folder, binds=binds, systemd=SYSTEMD))
    outer = _OUTER.format(folder=folder, name=f"holdfast-test-{os.getpid()}-{time.monotonic_ns()}", script=boot)
    with (scripts / "console").open("w") as console:
        child = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", outer],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=console,
            text=True,
        )
    try:
        assert child.stdout is not None
        said = child.stdout.readline().strip()
        if said.startswith("refused"):
            pytest.skip(f"the kernel refuses what systemd needs: {said.removeprefix('refused ')}")
        assert said == "ready", (scripts / "console").read_text()
        yield SystemdMachine(child)
    finally:
        try:
            child.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.communicate(timeout=60)
