"""A small disk of one's own, for tests that fill it. Needs root."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A tmpfs of that size at `folder`, which is made."""
    folder.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "holdfast", str(folder)]
    subprocess.run(argv, check=True, timeout=60)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=60)


def fill(disk: Path) -> Path:
    """Leave no room; returns the file to be removed."""
    ballast = disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(b"x" * 4096):  # ends: there is no room
            pass
    return ballast
