"""What the applier did and was about to do, written before it does it: one checksummed JSON line an entry.

A kill loses nothing that was written. A power cut loses what was not synced, and with it everything that the kernel and
running programs had: so only entries about what a disk keeps are waited for, and they take all before them along.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from holdfast.agent.files import create_folder, sync_folder
from holdfast.agent.network_picture import Picture
from holdfast.bundle import Service


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    synced: ClassVar[bool] = False  # whether it has to be on the disk before what it announces is done


class Begin(_Entry):
    """An attempt starts. `old` and `new` are names of generations; `old` is None on a new node."""

    kind: Literal["begin"] = "begin"
    attempt: str
    node: str
    digest: str
    old: str | None
    new: str
    fresh: bool  # the new generation is made by this attempt, and removed if it fails


class SysctlsBefore(_Entry):
    """The values that are about to be replaced."""

    kind: Literal["sysctls_before"] = "sysctls_before"
    values: dict[str, str]


class NetworkBefore(_Entry):
    """How everything was that the network service is about to change."""

    kind: Literal["network_before"] = "network_before"
    before: Picture


class Validated(_Entry):
    """Every program accepts its staged configuration."""

    kind: Literal["validated"] = "validated"


class UnitsBefore(_Entry):
    """systemd's units are about to be written; `adopted` maps one that is not ours to its copy."""

    synced: ClassVar[bool] = True
    kind: Literal["units_before"] = "units_before"
    adopted: dict[str, str] = {}


class Swapping(_Entry):
    """`current` is about to point to the new generation.

    `aside` maps what is not ours to where it waits meanwhile.
    """

    synced: ClassVar[bool] = True
    kind: Literal["swapping"] = "swapping"
    aside: dict[str, str] = {}


class NftablesBefore(_Entry):
    """The tables that are about to be replaced, and how the old ones read (empty: there were none).

    Written before `Swapping`, which takes it to the disk: after a power cut the new tables may be loaded at boot.
    """

    kind: Literal["nftables_before"] = "nftables_before"
    tables: tuple[str, ...]
    listing: str


class Touching(_Entry):
    """A running service is about to be started, reloaded or stopped. After a power cut each has started anew anyway."""

    kind: Literal["touching"] = "touching"
    service: Service
    was_running: bool


class Verified(_Entry):
    """Everything that the new bundle expects has been seen."""

    synced: ClassVar[bool] = True  # who was told of it must not find the old state after a power cut
    kind: Literal["verified"] = "verified"


class RollingBack(_Entry):
    """The attempt failed, and the old state is being put back."""

    synced: ClassVar[bool] = True
    kind: Literal["rolling_back"] = "rolling_back"
    reason: str


class Ended(_Entry):
    """The node is in exactly one state again. Lost in a power cut, the same end is come to once more."""

    kind: Literal["ended"] = "ended"
    outcome: Literal["committed", "rolled_back"]


Entry = Annotated[
    Begin
    | SysctlsBefore
    | NetworkBefore
    | Validated
    | UnitsBefore
    | Swapping
    | NftablesBefore
    | Touching
    | Verified
    | RollingBack
    | Ended,
    Field(discriminator="kind"),
]
_ENTRY: TypeAdapter[Entry] = TypeAdapter(Entry)


def encode(entry: Entry) -> bytes:
    """One line: eight hex digits of CRC-32, a blank, the JSON."""
    text = entry.model_dump_json().encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def decode(data: bytes) -> tuple[tuple[Entry, ...], int]:
    """The entries up to the first line that is torn or damaged, and how many bytes they take.

    Lines are written one after the other, and syncing one syncs all before it: what follows a torn line is not ours.
    """
    entries: list[Entry] = []
    used = 0
    while (end := data.find(b"\n", used)) >= 0:
        entry = _decode_line(data[used:end])
        if entry is None:
            break
        entries.append(entry)
        used = end + 1
    return tuple(entries), used


def _decode_line(line: bytes) -> Entry | None:
    digits, blank, text = line[:8], line[8:9], line[9:]
    if blank != b" " or digits != b"%08x" % zlib.crc32(text):
        return None
    try:
        return _ENTRY.validate_json(text)
    except ValidationError:  # a checksum that fits by chance, or another version's entry
        return None


class Journal:
    """The entries of the attempt that is under way; empty between attempts."""

    def __init__(self, path: Path) -> None:
        """Read what is there; raises OSError."""
        self._path = path
        data = path.read_bytes() if path.exists() else b""
        self._entries, self._length = decode(data)
        self._named = False  # whether the file's name is known to be on the disk

    @property
    def entries(self) -> tuple[Entry, ...]:
        """In the order in which they were written."""
        return self._entries

    def append(self, entry: Entry) -> None:
        """Write, and sync what has to be; raises OSError, after which the entry counts as not written."""
        create_folder(self._path.parent)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(descriptor, self._length)  # a torn tail must not come before a good line
            line = encode(entry)
            written = os.pwrite(descriptor, line, self._length)
            if written != len(line):
                raise OSError(28, os.strerror(28), str(self._path))
            if entry.synced:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if entry.synced and not self._named:
            sync_folder(self._path.parent)
            self._named = True
        self._entries += (entry,)
        self._length += len(line)

    def rotate(self) -> None:
        """Set an attempt that has ended aside (the last one is kept, to be read by people); raises OSError.

        The next attempt's first synced entry syncs the folder: until then the same end may be come to once more.
        """
        if self._path.exists():
            os.replace(self._path, self._path.with_name("journal.last.jsonl"))
        self._entries, self._length, self._named = (), 0, False
