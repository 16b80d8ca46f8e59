"""Running the machine's own programs (ip, nft, nsenter …): with a timeout, and with errors that say what to do."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from holdfast.errors import LabError, MissingProgram

# ip, unshare and nsenter are used as programs, not through pyroute2: namespaces are entered in a child either way, one
# `ip -batch` builds everything in milliseconds, and importing pyroute2 alone would take longer than the whole network.
PACKAGES = {
    "ip": "iproute2",
    "nft": "nftables",
    "setsid": "util-linux",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "mount": "mount",
    "umount": "mount",
    "pivot_root": "util-linux",
}
_SBIN = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TIMEOUT = 10.0


def tool(name: str) -> str:
    """The absolute path of a program that the lab needs; MissingProgram says which package has it."""
    found = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), _SBIN)))
    if found is None:
        raise MissingProgram(
            f"The lab needs the program {name}, which is not installed",
            hint=f"apt-get install {PACKAGES.get(name, name)}",
        )
    return found


def check_tools() -> None:
    """Raise MissingProgram unless everything that the lab needs is installed, LabError unless this is root."""
    if os.geteuid() != 0:
        raise LabError(
            "A lab is made of network namespaces and mounts, which only root may make",
            hint="run the same command as root (sudo)",
        )
    for name in PACKAGES:
        tool(name)


def run(argv: Sequence[str], *, text: str = "", timeout: float = TIMEOUT) -> str:
    """Run a program with `text` as its input, and return its output; LabError carries what it said."""
    try:
        done = subprocess.run(
            [tool(argv[0]), *argv[1:]],
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise LabError(f"`{' '.join(argv)}` did not end within {timeout:g} s") from None
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise LabError(f"`{' '.join(argv)}` failed: {said[0] if said else f'status {done.returncode}'}")
    return done.stdout


def communicate(argv: Sequence[str], *, text: str | None, timeout: float) -> subprocess.CompletedProcess[str]:
    """Run `argv` in a session of its own, and kill all of that session's group when the time (seconds) is over.

    Killing the child alone would not do: nsenter forks, and what it started would live on inside the node.
    """
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL if text is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as child:
        try:
            out, err = child.communicate(text, timeout=timeout)
        except BaseException:
            kill_group(child)
            raise
    return subprocess.CompletedProcess(list(argv), child.returncode, out, err)


def kill_group(child: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    """SIGKILL to the whole process group that `child` leads; nothing happens once it has been waited for."""
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)


class Armed:
    """A program that has been started and waits for its input: what it does then takes a millisecond, not its start.

    Used for faults, whose moment has to be known. `strike` feeds the input and waits for the end.
    """

    def __init__(self, argv: Sequence[str]) -> None:
        self._argv = tuple(argv)
        self._child = subprocess.Popen(
            [tool(argv[0]), *argv[1:]],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def strike(self, text: str) -> None:
        """Give the input; LabError carries what the program said if it failed."""
        try:
            _, err = self._child.communicate(text, timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            kill_group(self._child)
            self._child.wait()
            raise LabError(f"`{' '.join(self._argv)}` did not end within {TIMEOUT:g} s") from None
        if self._child.returncode != 0:
            said = err.strip().splitlines() or [f"status {self._child.returncode}"]
            raise LabError(f"`{' '.join(self._argv)}` failed: {said[0]}")


def mounts_below(folder: Path) -> tuple[Path, ...]:
    """Mount points at or below `folder` in this mount namespace, the deepest and latest first."""
    found = [Path(point) for point in mount_points()]
    return tuple(p for p in reversed(found) if p == folder or folder in p.parents)


def mount_points() -> tuple[str, ...]:
    """Every mount point of this mount namespace, in the order in which they were mounted."""
    lines = Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
    return tuple(_unescape(line.split(" ")[4]) for line in lines)


def _unescape(field: str) -> str:
    for code, sign in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, sign)
    return field
