"""Puts the probe where keepalived looks for it."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

from holdfast.bundle import OWNERSHIP_LINE, PROBE_DIR
from holdfast.errors import ApplyError, NotOurs
from holdfast.sentences import Sentence

PROBE_NAME = "probe"
PROBE = f"{PROBE_DIR}/{PROBE_NAME}"
_LARGEST = 1 << 20  # bytes


def probe_text() -> bytes:
    """The program itself."""
    return files("holdfast.agent.probes").joinpath("probe.py").read_bytes()


def install_probes(host_root: str = "/") -> bool:
    """Install or renew the probe, root's and executable by all; False where it was right already.

    Raises NotOurs where another program has its name, ApplyError where it cannot be written.
    """
    target = Path(host_root) / PROBE.lstrip("/")
    text = probe_text()
    try:
        if _is_right(target, text):
            return False
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        os.chmod(target.parent, 0o755)
        _write(target, text)
    except OSError as error:
        raise ApplyError(
            Sentence("the probe cannot be installed as %(target)s: %(error)s", target=target, error=error.strerror),
            "run the agent as root, on a file system that can be written to",
        ) from error
    return True


def _is_right(target: Path, text: bytes) -> bool:
    if target.is_symlink() or not target.exists():
        return False
    with target.open("rb") as stream:
        found = stream.read(_LARGEST)
    if OWNERSHIP_LINE.encode() not in b"".join(found.splitlines()[:3]):
        raise NotOurs(
            Sentence("%(target)s was not written by Holdfast", target=target), "move it away, then apply again"
        )
    status = target.stat()
    return found == text and status.st_mode & 0o7777 == 0o755 and status.st_uid == os.geteuid()


def _write(target: Path, text: bytes) -> None:
    """By renaming: keepalived may start it at any moment."""
    beside = target.with_name(f".{target.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o755)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(text)
        stream.flush()
        os.fchmod(stream.fileno(), 0o755)
        os.fsync(stream.fileno())
    os.replace(beside, target)
