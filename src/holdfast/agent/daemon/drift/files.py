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
from holdfast.sentences import Sentence

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
        return (Seen(DriftKind.FILE, str(generations.folder(name)), Sentence("its manifest is gone or damaged")),)
    seen = [
        Seen(DriftKind.FILE, str(path), Sentence("it is not the link to the generation in use any more"))
        for path in generations.foreign(manifest.bundle)
    ]
    by_path = {relative_path(file, manifest.bundle): file for file in manifest.bundle.files}
    for relative in generations.drift(name):
        path = generations.folder(name) / relative
        file = by_path.get(relative)
        shown = f"{CONFIG_DIR}/{relative}"
        if file is None:
            seen.append(Seen(DriftKind.FILE, shown, Sentence("it was added by hand")))
        elif path.is_symlink() or not path.is_file():
            gone = not os.path.lexists(path)
            said = Sentence("it was removed") if gone else Sentence("it is no plain file now")
            seen.append(Seen(DriftKind.FILE, shown, said))
        else:
            text = _text(path)
            same = (unmarked(text, file.content) if file.state else text) == file.content
            detail = _said(same, _access(path, manifest.files[relative]))
            seen.append(Seen(DriftKind.FILE, shown, detail, "" if same else unified(shown, file.content, text)))
    return tuple(seen)


def _said(same: bool, access: str) -> str:
    changed = Sentence("it was changed by hand")
    if same:
        return access
    return Sentence("%(first)s; %(next)s", first=changed, next=access) if access else changed


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_LARGEST).decode("utf-8", "replace")


def _access(path: Path, record: FileRecord) -> str:
    status = path.stat()
    now, then = (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid), (record.mode, record.uid, record.gid)
    if now == then:
        return ""
    return Sentence(
        "it has mode %(mode)s and owner %(owner)s, and should have %(wanted_mode)s and %(wanted_owner)s",
        mode=f"{now[0]:04o}",
        owner=f"{now[1]}:{now[2]}",
        wanted_mode=f"{then[0]:04o}",
        wanted_owner=f"{then[1]}:{then[2]}",
    )
