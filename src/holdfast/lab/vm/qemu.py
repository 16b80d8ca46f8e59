"""The virtual machine's hardware: QEMU's command line, and the process behind it."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import MissingProgram
from holdfast.lab.commands import tool
from holdfast.lab.vm.image import QEMU, Image
from holdfast.lab.vm.wire import PORT_NAME

ADDRESS = "10.0.2.15"  # the guest's in QEMU's own network, which it shares with nobody
SHARE = "/run/holdfast-vm"  # where the guest sees `Hardware.folder`/share
_BOOT_LINE = (
    "console=ttyS0 panic=-1 quiet loglevel=4 mitigations=off nokaslr tsc=reliable no_timer_check audit=0 apparmor=0"
    " cryptomgr.notests rcupdate.rcu_expedited=1 8250.nr_uarts=1 random.trust_cpu=on net.ifnames=0"
)
# After switch_root: what the owner's root file system cannot have ready for another kernel.
_START = """\
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
mkdir -p /dev/pts /dev/shm /run/lock /run/netns
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
ln -sf /proc/self/fd /dev/fd
mount -t cgroup2 cgroup /sys/fs/cgroup
if ! [ -d /lib/modules/{version} ]; then
    mkdir -p /lib/modules
    ln -s {modules} /lib/modules/{version}
fi
hostname holdfast-vm
ip link set lo up
{network}{metronome}exec {python} -I -S -c {program}
"""
_NETWORK = f"modprobe virtio_net && ip address add {ADDRESS}/24 dev eth0 && ip link set eth0 up\n"
_PROGRAM = "import sys; sys.path.insert(0, {path!r}); from holdfast.lab.vm.{module} import main; main()"


@dataclass(frozen=True)
class Hardware:
    """What a machine is made of. `folder` is its own: console, QEMU's messages, and `share`, where results come out.

    With `own_clock` its time passes with the instructions that it executes, a nanosecond each, and hurries where it
    waits: it never notices how busy the owner's machine is. What connects to `port` of this machine's 127.0.0.1 reaches
    the same port of ADDRESS in the guest, which reaches nothing out here; 0: it has no network at all.
    """

    folder: Path
    image: Image
    memory_mb: int
    processors: int
    own_clock: bool = False
    port: int = 0

    @property
    def share(self) -> Path:
        """The one folder of this machine's that the guest can write to."""
        return self.folder / "share"

    @property
    def console(self) -> Path:
        """What the guest's kernel says."""
        return self.folder / "console"

    @property
    def messages(self) -> Path:
        """What QEMU itself says."""
        return self.folder / "qemu"


def arguments(hardware: Hardware, channel: int) -> list[str]:
    """QEMU's arguments; `channel` is the descriptor of its end of the socket pair that the guest talks through."""

    def share(name: str, place: Path | str, more: str = "") -> list[str]:
        path = str(place).replace(",", ",,")
        device = ["-device", f"virtio-9p-pci,fsdev={name},mount_tag={name}"]
        return ["-fsdev", f"local,id={name},path={path},security_model=none,multidevs=remap{more}", *device]

    return [
        "-M", "q35,usb=off,vmport=off,smbus=off,hpet=off",
        # Emulation, not KVM: a machine that lacks modules is most often a guest or a container itself.
        "-accel", f"tcg,thread={'single' if hardware.own_clock else 'multi'},tb-size=512",
        # Not `sleep=on`: waits would take as long as they say, and begin only once everything before them is done.
        *(("-icount", "shift=0,sleep=off") if hardware.own_clock else ()),
        "-cpu", "Nehalem",
        "-smp", str(hardware.processors),
        "-m", str(hardware.memory_mb),
        "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-serial", f"file:{str(hardware.console).replace(',', ',,')}",
        "-device", "virtio-rng-pci",
        "-kernel", str(hardware.image.kernel),
        "-initrd", str(hardware.image.initramfs),
        "-append", _BOOT_LINE,
        *share("host", "/", ",readonly=on"),
        *share("out", hardware.share),
        *(_network(hardware.port) if hardware.port else ()),
        "-device", "virtio-serial-pci",
        "-chardev", f"socket,id=owner,fd={channel}",
        "-device", f"virtserialport,chardev=owner,name={PORT_NAME}",
    ]  # fmt: skip


def _network(port: int) -> list[str]:
    forward = f"hostfwd=tcp:127.0.0.1:{port}-{ADDRESS}:{port}"
    return [
        "-netdev",
        f"user,id=people,restrict=on,ipv6=off,{forward}",
        "-device",
        "virtio-net-pci,netdev=people,romfile=",
    ]


def start_script(image: Image, *, own_clock: bool = False, port: int = 0) -> str:
    """What the guest runs once it is on the owner's file system; its end is the guest program as pid 1."""
    # The interpreter behind an environment: the guest program needs nothing that is installed there.
    python = shlex.quote(os.path.realpath(sys.executable))
    path = str(Path(__file__).resolve().parents[3])
    program, metronome = (shlex.quote(_PROGRAM.format(path=path, module=name)) for name in ("guest", "metronome"))
    return _START.format(
        version=shlex.quote(image.version),
        modules=shlex.quote(str(image.modules)),
        network=_NETWORK if port else "",
        metronome=f"{python} -I -S -c {metronome} &\n" if own_clock else "",
        python=python,
        program=program,
    )


def spawn(hardware: Hardware) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start QEMU; it is killed when the thread that calls this ends, however it ends. MissingProgram without QEMU.

    Returns the process and the owner's end of the channel.
    """
    if shutil.which(QEMU) is None:
        raise MissingProgram(
            f"The lab's virtual machine needs {QEMU}, which is not installed",
            "run `make setup` as root, or: apt-get install --no-install-recommends qemu-system-x86",
        )
    hardware.share.mkdir(mode=0o700)
    (hardware.share / "start").write_text(
        start_script(hardware.image, own_clock=hardware.own_clock, port=hardware.port), encoding="utf-8"
    )
    hardware.console.touch(mode=0o600)
    ours, theirs = socket.socketpair()
    with theirs, hardware.messages.open("wb") as messages:
        # setpriv arms the kernel's own dead man's switch, then becomes QEMU: no code runs between fork and exec here.
        argv = [tool("setpriv"), "--pdeathsig", "KILL", "--", QEMU, *arguments(hardware, theirs.fileno())]
        try:
            child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=messages,
                stderr=messages,
                cwd="/",
                pass_fds=(theirs.fileno(),),
                # Ctrl-C is for the owner to handle. Not a session of its own: the kernel's autogroups (man sched) give
                # each session an equal share, whatever its niceness, and a niced owner means its machine, too.
                process_group=0,
            )
        except BaseException:
            ours.close()
            raise
    return child, ours
