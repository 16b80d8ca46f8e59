"""Files that are there whole or not at all, also after a power cut."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make names in `folder` survive a power cut; raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def create_folder(folder: Path, mode: int = 0o755) -> None:
    """Create it and what is missing above; an existing one keeps its mode; raises OSError."""
    if not folder.is_dir():
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
        folder.chmod(mode)  # whatever the umask says


def sync_file(path: Path) -> None:
    """Make the content of `path` survive a power cut; raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(path: Path) -> None:
    """The same for a file, or for a folder with all that is in it; links are their folder's. Raises OSError."""
    if path.is_symlink() or not path.exists():
        return
    if path.is_dir():
        for inner in path.iterdir():
            sync_tree(inner)
        sync_folder(path)
    elif path.is_file():
        sync_file(path)


def write_new(path: Path, data: bytes, mode: int, uid: int = 0, gid: int = 0, *, sync: bool = True) -> None:
    """Create a file that does not exist yet, synced unless the caller does that later; raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        rest = memoryview(data)
        while rest:  # ends: each write takes at least a byte or raises
            rest = rest[os.write(descriptor, rest) :]
        os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, mode)
        if sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def beside(path: Path) -> Path:
    """Where `replace` writes before it renames; a kill may leave it there."""
    return path.with_name(f".{path.name}.new")


def replace(path: Path, data: bytes, mode: int = 0o644, uid: int = 0, gid: int = 0) -> None:
    """Replace `path` in one step: readers see the old text or the new one; raises OSError."""
    create_folder(path.parent)
    waiting = beside(path)
    with suppress(FileNotFoundError):
        waiting.unlink()
    try:
        write_new(waiting, data, mode, uid, gid)
        os.replace(waiting, path)
    except OSError:
        with suppress(FileNotFoundError):
            waiting.unlink()
        raise
    sync_folder(path.parent)


def prepare_link(beside: Path, target: str) -> None:
    """Make (anew) a symbolic link that waits to be renamed into place; raises OSError.

    Not synced: the rename is, and without it the link is nothing.
    """
    with suppress(FileNotFoundError):
        beside.unlink()
    beside.symlink_to(target)
