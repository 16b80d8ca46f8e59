"""Bringing a node's pid 1 up: in fresh namespaces, with a file system of its own over this machine's root."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from holdfast.errors import LabError
from holdfast.lab import state
from holdfast.lab.commands import mount_points, run, tool
from holdfast.lab.network import NETNS_DIR, node_name
from holdfast.lab.processes import Process
from holdfast.lab.topology import LabNode, Role

DISK_MEGABYTES = 64
BOOT_TIMEOUT = 90.0  # under emulation on a busy machine; elsewhere a second
_SCRIPT = Path(__file__).with_name("boot_inside.py")
_INIT = Path(__file__).with_name("init.py")
# Folders that belong to the machine's system: where one is a file system of its own, it gets an overlay of its own.
_SYSTEM = ("/usr", "/etc", "/var", "/opt", "/bin", "/sbin", "/lib", "/lib64", "/root")
_NOT_OURS = ("/proc", "/sys", "/dev", "/run")  # made afresh in each node
_REASONS = {
    "overlay": (
        "an overlay over {place} was refused (is this itself a container, whose root is an overlay?)",
        "run the lab on a machine or virtual machine whose root is an ordinary file system (ext4, xfs, btrfs)",
    ),
    "bind": ("{place} could not be made visible in it", "put the interpreter and Holdfast below /usr, /opt or /home"),
}


def clean_environment() -> dict[str, str]:
    """What every process of a node starts with: this interpreter first on the path, and nothing of the caller's."""
    path = f"{Path(sys.executable).parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    environment = {"PATH": path, "HOME": "/root", "LANG": "C.UTF-8", "TERM": os.environ.get("TERM", "dumb")}
    if "PYTHONPATH" in os.environ:
        environment["PYTHONPATH"] = os.environ["PYTHONPATH"]  # else a checkout that is not installed is not found
    return environment


def separate_layers(mounted: Sequence[str]) -> tuple[str, ...]:
    """Which of the mount points in `mounted` are parts of the system that the overlay over / would not show."""
    return tuple(sorted({m for m in mounted if any(m == s or m.startswith(f"{s}/") for s in _SYSTEM) and _plain(m)}))


def separate_binds(mounted: Sequence[str], needed: Sequence[str]) -> tuple[str, ...]:
    """Which of the `needed` folders lie on other file systems than / and those that `separate_layers` names."""
    others = [m for m in set(mounted) - {"/"} - set(separate_layers(mounted)) if _plain(m)]
    hidden = {n for n in needed if any(n == m or n.startswith(f"{m}/") for m in others) and _plain(n)}
    return tuple(sorted(n for n in hidden if not any(n.startswith(f"{m}/") for m in hidden)))


def python_folders() -> tuple[str, ...]:
    """Every folder that this interpreter, Holdfast and its dependencies are loaded from."""
    folders = {sys.prefix, sys.base_prefix, sys.exec_prefix, str(Path(__file__).resolve().parents[2])}
    folders |= {str(Path(sys.executable).parent), str(Path(sys.executable).resolve().parent)}
    folders |= {str(Path(p).absolute()) for p in sys.path if p and Path(p).is_dir()}
    return tuple(sorted(folders))


def _plain(path: str) -> bool:
    # Lists go to the node with one path a line.
    return "\n" not in path and not any(path == n or path.startswith(f"{n}/") for n in _NOT_OURS)


def make_disk(lab: str, node: str) -> None:
    """Mount the disk of `node`: limited in size, so that it can be full, and in memory, so that nothing stays."""
    place = state.disk(lab, node)
    place.mkdir(mode=0o755)
    run(["mount", "-t", "tmpfs", "-o", f"mode=755,size={DISK_MEGABYTES}m", f"holdfast-lab-{lab}", str(place)])


PID1 = (sys.executable, "-I", "-S", str(_INIT))  # the smallest init there can be; supervisors run below it


class Boot:
    """A node on its way up. Call `process`, then `go`, then `wait`; several can be on their way at once."""

    def __init__(self, lab: str, node: LabNode) -> None:
        self.node = node
        self._log = state.log_file(lab, node.name)
        self._deadline = time.monotonic() + BOOT_TIMEOUT
        mounted = mount_points()
        environment = clean_environment() | {
            "HF_NODE": node.name,
            "HF_DISK": str(state.disk(lab, node.name)),
            "HF_LAYERS": "\n".join(separate_layers(mounted)),
            "HF_BINDS": "\n".join(separate_binds(mounted, python_folders())),
            "HF_FORWARD": "1" if node.role is Role.CLIENT else "0",
        }
        enter = [tool("nsenter"), f"--net={NETNS_DIR / node_name(lab, node.name)}"]
        unshare = [tool("unshare"), "--mount", "--pid", "--fork", "--uts", "--ipc"]
        with self._log.open("ab") as log:
            # setsid --fork lets go of it: a node outlives the command that made it, and is nobody's child to wait for.
            self._child = subprocess.Popen(
                [tool("setsid"), "--fork", *enter, *unshare, sys.executable, "-I", "-S", str(_SCRIPT), *PID1],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                cwd="/",
            )

    def process(self) -> Process:
        """Pid 1 of the node, once it is there. It waits for `go`, and ends by itself if this process dies before."""
        word, value = self._say()
        found = Process.of(int(value)) if word == "pid" and value.isdigit() else None
        if found is None:
            raise self._error(value)
        return found

    def go(self) -> None:
        """Let it go on: it has been written down."""
        stdin = self._child.stdin
        assert stdin is not None  # asked for above
        try:
            stdin.write(b"go\n")
            stdin.close()
        except BrokenPipeError:
            raise self._error("") from None

    def wait(self) -> None:
        """Wait until its file system is in place and its pid 1 has been started; LabError says why not."""
        word, value = self._say()
        if word != "ready":
            raise self._error(value)
        self.close()

    def close(self) -> None:
        """Let go of the pipes; a node that was not told to `go` ends."""
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None and not pipe.closed:
                pipe.close()
        self._child.wait(timeout=BOOT_TIMEOUT)

    def _say(self) -> tuple[str, str]:
        stdout = self._child.stdout
        assert stdout is not None  # asked for above
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            if not selector.select(max(0.0, self._deadline - time.monotonic())):
                return "timeout", f"it did not come up within {BOOT_TIMEOUT:g} s"
        # Each line is written at once, and the next one only after `go`.
        line = os.read(stdout.fileno(), 4096).decode(errors="replace").strip()
        word, _, value = line.partition(" ")
        return word, value

    def _error(self, value: str) -> LabError:
        self.close()
        step, _, place = value.partition(" ")
        lines = self._log.read_text(errors="replace").splitlines()
        said = [line for line in lines if line and not line[0].isspace()]  # mount indents its afterthoughts
        if step in _REASONS:
            what, hint = _REASONS[step]
            return LabError(f"Node {self.node.name} could not be started: {what.format(place=place)}", hint=hint)
        reason = said[-1] if said else value or "it ended at once"
        return LabError(f"Node {self.node.name} could not be started: {reason}")
