"""Becomes pid 1 of a lab node: a file system over the machine's own root, then the program in its arguments.

Runs as a file, without site-packages, in fresh mount, pid, uts and ipc namespaces and in the node's network namespace.
System calls instead of mount(8) thirty times over: under emulation each program that is started costs 0.1 s.
The builder gives, in the environment:

    HF_NODE    the host name
    HF_DISK    the node's disk: a tmpfs that lives in the root mount namespace, so that it survives a crash
    HF_LAYERS  file systems besides / that belong to the machine's system (a separate /usr, /var): overlaid as well
    HF_BINDS   folders outside of those that the interpreter and its packages live in: bound, read-only
    HF_FORWARD 1 if the node forwards packets

It says its pid (as the machine numbers it) on standard output, and goes on once it reads a line: by then the builder
has written it down. If the builder dies before, the input ends, and so does this.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

_RDONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT, _BIND = 1, 2, 4, 8, 32, 4096  # mount(2)
_DETACH = 2  # umount2(2)
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {
    "ptmx": "pts/ptmx", "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
}  # fmt: skip
_LIBC = ctypes.CDLL(None, use_errno=True)


def main() -> NoReturn:
    """Entry point; the arguments are the program that becomes pid 1."""
    pid = Path("/proc/self/stat").read_text().split(" ", 1)[0]
    _say(f"pid {pid}")
    if not sys.stdin.readline():
        sys.exit(0)
    os.umask(0o022)
    try:
        build(os.environ)
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}")
    _say(f"ready {pid}")
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    os.execvpe(sys.argv[1], sys.argv[1:], environment)


def build(given: Mapping[str, str]) -> None:
    """Make the node's file system, and go into it. OSError names the place where the kernel refused."""
    disk = given["HF_DISK"]
    root = f"{disk}/root"
    os.makedirs(root, exist_ok=True)
    _layer("/", disk, root, "system")
    for place in given["HF_LAYERS"].splitlines():
        os.makedirs(root + place, exist_ok=True)
        _layer(place, disk, root + place, "layer" + place.replace("/", "_"))
    for place in given["HF_BINDS"].splitlines():
        _bind_read_only(place, root + place)
    _system_folders(root)
    _pivot(root)
    socket.sethostname(given["HF_NODE"])
    if given["HF_FORWARD"] == "1":
        _forward()


def _say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def _fail(why: str) -> NoReturn:
    _say(f"failed {why}")
    sys.exit(1)


def _mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    done = _LIBC.mount(
        os.fsencode(source), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), os.fsencode(options)
    )
    if done != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), f"mount {kind or source} at {target}")


def _layer(place: str, disk: str, target: str, name: str) -> None:
    """An overlay of `place` at `target`."""
    upper, work = f"{disk}/{name}/upper", f"{disk}/{name}/work"
    os.makedirs(upper, exist_ok=True)
    os.makedirs(work, exist_ok=True)
    try:
        _mount("overlay", target, "overlay", 0, f"lowerdir={place},upperdir={upper},workdir={work}")
    except OSError as error:
        sys.stderr.write(f"{error.filename}: {error.strerror}\n")
        _fail(f"overlay {place}")


def _bind_read_only(place: str, target: str) -> None:
    try:
        os.makedirs(target, exist_ok=True)
        _mount(place, target, "", _BIND)
        _mount("", target, "", _REMOUNT | _BIND | _RDONLY)
    except OSError as error:
        sys.stderr.write(f"{error.filename}: {error.strerror}\n")
        _fail(f"bind {place}")


def _system_folders(root: str) -> None:
    _mount("run", f"{root}/run", "tmpfs", _NOSUID, "mode=755,size=16m")
    _mount("dev", f"{root}/dev", "tmpfs", _NOSUID, "mode=755,size=64k")
    for device in _DEVICES:
        Path(f"{root}/dev/{device}").touch()
        _mount(f"/dev/{device}", f"{root}/dev/{device}", "", _BIND)
    for folder in ("dev/pts", "dev/shm", "run/lock"):
        os.mkdir(f"{root}/{folder}")
    _mount("devpts", f"{root}/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666,mode=620")
    _mount("shm", f"{root}/dev/shm", "tmpfs", _NOSUID | _NODEV, "mode=1777,size=16m")
    for name, target in _LINKS.items():
        os.symlink(target, f"{root}/dev/{name}")
    _mount("sysfs", f"{root}/sys", "sysfs", _NOSUID | _NODEV | _NOEXEC | _RDONLY)
    _mount("proc", f"{root}/proc", "proc", _NOSUID | _NODEV | _NOEXEC)
    # Only the network's sysctls are the node's own; the others are the whole machine's, and must not be set from here.
    settings = f"{root}/proc/sys"
    _mount(settings, settings, "", _BIND)
    _mount(f"{settings}/net", f"{settings}/net", "", _BIND)
    _mount("", settings, "", _REMOUNT | _BIND | _RDONLY | _NOSUID | _NODEV | _NOEXEC)
    if os.path.exists(f"{root}/proc/sysrq-trigger"):
        _mount("/dev/null", f"{root}/proc/sysrq-trigger", "", _BIND)


def _pivot(root: str) -> None:
    os.chdir(root)
    if _LIBC.pivot_root(b".", b".") != 0 or _LIBC.umount2(b".", _DETACH) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), f"pivot_root to {root}")
    os.chdir("/")


def _forward() -> None:
    """Forward packets, and tell no node of a "better" way: that would only hide what its own routes do."""
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    for switch in Path("/proc/sys/net/ipv4/conf").glob("*/send_redirects"):
        switch.write_text("0")
    inet6 = Path("/proc/sys/net/ipv6/conf/all/forwarding")
    if inet6.exists():
        inet6.write_text("1")


if __name__ == "__main__":
    main()
