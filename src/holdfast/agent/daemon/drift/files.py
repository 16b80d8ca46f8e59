"""Files of the generation in use: whether somebody touched one, at the price of a stat each."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from holdfast.agent.daemon.drift.diff import unified
from holdfast.agent.daemon.drift.ledger import Seen
from holdfast.agent.generations import FileRecord, Generations, relative_path
from holdfast.agent.host.port import Places
from holdfast.agent.server_lists import unmarked
from holdfast.bundle import CONFIG_DIR, Bundle
from holdfast.protocol import DriftKind

Signature = tuple[tuple[str, int, int, int, int, int], ...]
_LARGEST = 4_000_000  # bytes of a file that is compared
_ENTRIES_AT_MOST = 50_000


def signature(places: Places, folder: Path, bundle: Bundle) -> Signature:
    """Another one whenever a file of `folder`, or a link that leads to it, was changed, added or removed."""
    found = sorted(_entries(folder))
    for service in bundle.services:
        path = places.config / service
        try:
            found.append((f"{path} {os.readlink(path)}", 0, 0, 0, 0, 0))
        except OSError:
            found.append((str(path), 0, 0, 0, 0, 0))
    return tuple(found)


def _entries(folder: Path) -> Iterator[tuple[str, int, int, int, int, int]]:
    waiting, count = [str(folder)], 0
    while waiting and count < _ENTRIES_AT_MOST:  # ends: it is a tree, and not followed through links
        try:
            with os.scandir(waiting.pop()) as inner:
                for entry in inner:
                    count += 1
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(status.st_mode):
                        waiting.append(entry.path)
                    else:
                        yield (
                            entry.path,
                            status.st_mode,
                            status.st_uid * 2**32 + status.st_gid,
                            status.st_size,
                            status.st_ino,
                            status.st_ctime_ns,  # nobody can set it back
                        )
        except OSError:  # removed while we looked: the next look sees what became of it
            continue


def differing(generations: Generations, name: str) -> tuple[Seen, ...]:
    """Every file that is not as it was staged, with a diff; raises OSError."""
    manifest = generations.manifest(name)
    if manifest is None:
        return (Seen(DriftKind.FILE, str(generations.folder(name)), "its manifest is gone or damaged"),)
    seen = [
        Seen(DriftKind.FILE, str(path), "it is not the link to the generation in use any more")
        for path in generations.foreign(manifest.bundle)
    ]
    by_path = {relative_path(file, manifest.bundle): file for file in manifest.bundle.files}
    for relative in generations.drift(name):
        path = generations.folder(name) / relative
        file = by_path.get(relative)
        shown = f"{CONFIG_DIR}/{relative}"
        if file is None:
            seen.append(Seen(DriftKind.FILE, shown, "it was added by hand"))
        elif path.is_symlink() or not path.is_file():
            seen.append(
                Seen(
                    DriftKind.FILE, shown, "it was removed" if not os.path.lexists(path) else "it is no plain file now"
                )
            )
        else:
            text = _text(path)
            same = (unmarked(text, file.content) if file.state else text) == file.content
            access = _access(path, manifest.files[relative])
            detail = "; ".join(part for part in ("" if same else "it was changed by hand", access) if part)
            seen.append(Seen(DriftKind.FILE, shown, detail, "" if same else unified(shown, file.content, text)))
    return tuple(seen)


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_LARGEST).decode("utf-8", "replace")


def _access(path: Path, record: FileRecord) -> str:
    status = path.stat()
    now, then = (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid), (record.mode, record.uid, record.gid)
    if now == then:
        return ""
    return (
        f"it has mode {now[0]:04o} and owner {now[1]}:{now[2]}, and should have {then[0]:04o} and {then[1]}:{then[2]}"
    )
