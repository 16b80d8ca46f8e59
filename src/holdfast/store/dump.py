"""A store as one file: lines of JSON, a version in front, a checksum behind; written and read as a stream.

What belongs to a lease is dumped with the lease's time and begins a new one when it is loaded: an instance that lives
keeps it, one that does not goes. Named leases are left out: who led then does not lead now.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, BinaryIO, Literal

from pydantic import AwareDatetime, Field, ValidationError

from holdfast.errors import StoreDamaged, StoreError

from .clock import Clock
from .holding import HOLDINGS
from .models import Count, Digest, Record
from .port import LARGEST_VALUE, LONGEST_TTL, Engine, Entry, check_key
from .store import IDENTITY, read_identity

_LONGEST_LINE = 8 * LARGEST_VALUE  # every character of a value may have to be escaped


class Header(Record):
    """The first line: the form of the file, and which store in which epoch it was written from."""

    holdfast_dump: Literal[1] = 1
    store_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    epoch: Annotated[int, Field(ge=1)]
    created: AwareDatetime
    written: AwareDatetime
    kind: Annotated[str, Field(max_length=50)]


class _Line(Record):
    k: str
    v: str | None = None  # UTF-8
    b: str | None = None  # base64, of what is none
    ttl: Annotated[int, Field(ge=0, le=LONGEST_TTL)] = 0


class _End(Record):
    end: Count
    sha256: Digest


@dataclass(frozen=True, slots=True)
class Dumped:
    """An entry of a dump; `ttl` is in seconds, 0 for what belongs to no lease."""

    key: str
    value: bytes
    ttl: int


async def dump(
    engine: Engine, clock: Clock, leave_out: Callable[[str], bool] = lambda key: False
) -> AsyncGenerator[bytes, None]:
    """The lines of a dump, all as of one moment, without some keys; StoreError if the store was never used."""
    identity, _ = await read_identity(engine)
    if identity is None:
        raise StoreError("this store has never been used: there is nothing to dump", "check the address")
    if identity.loading:
        raise StoreDamaged("a load into this store was cut off: what is in it is not whole", "load the dump again")
    header = Header(
        store_id=identity.store_id,
        epoch=identity.epoch,
        created=identity.created,
        written=clock.now(),
        kind=(await engine.health()).kind,
    )
    digest = hashlib.sha256()
    entries = 0
    line = _encoded(header)
    digest.update(line)
    yield line
    async for page in engine.snapshot(""):
        for entry in page.entries:
            if entry.key == IDENTITY or entry.key.startswith(HOLDINGS) or leave_out(entry.key):
                continue
            ttl = await engine.time_to_live(entry.lease) if entry.lease else 0
            if entry.lease and not ttl:
                continue  # it has ended meanwhile
            line = _encoded(_line(entry, ttl))
            digest.update(line)
            entries += 1
            yield line
    yield _encoded(_End(end=entries, sha256=digest.hexdigest()))


def _line(entry: Entry, ttl: int) -> _Line:
    try:
        return _Line(k=entry.key, v=entry.value.decode(), ttl=ttl)
    except UnicodeDecodeError:
        return _Line(k=entry.key, b=base64.b64encode(entry.value).decode("ascii"), ttl=ttl)


def _encoded(record: Record) -> bytes:
    return record.model_dump_json(exclude_none=True).encode() + b"\n"


def check(file: BinaryIO) -> tuple[Header, int]:
    """Read a dump to its end before anything is made of it: its header, and how many entries it has.

    StoreDamaged for anything that is not a whole dump as it was written.
    """
    found = header(file)
    return found, sum(1 for _ in entries(file))


def header(file: BinaryIO) -> Header:
    """The first line, from the beginning of the file; StoreDamaged if it is none that this release knows."""
    file.seek(0)
    line = _read_line(file, 1)
    try:
        return Header.model_validate_json(line)
    except ValidationError:
        raise StoreDamaged(
            "this file is no dump of a store, or one of a newer release", "check the path, or update this program"
        ) from None


def entries(file: BinaryIO) -> Iterator[Dumped]:
    """All entries, from the beginning of the file, in the order of their keys; StoreDamaged at the first mistake."""
    file.seek(0)
    digest = hashlib.sha256(_read_line(file, 1))
    last, number = "", 1
    while True:
        number += 1
        line = _read_line(file, number)
        if line.startswith(b'{"end"'):
            break
        one = _parsed(line, number)
        if one.key <= last:
            raise _broken(number, "a key that is not in order")
        last = one.key
        digest.update(line)
        yield one
    try:
        end = _End.model_validate_json(line)
    except ValidationError:
        raise _broken(number, "no end of a dump") from None
    if end.end != number - 2 or end.sha256 != digest.hexdigest():
        raise _broken(number, "the checksum is another one")
    if file.read(1):
        raise _broken(number + 1, "something behind the end")


def _parsed(line: bytes, number: int) -> Dumped:
    try:
        found = _Line.model_validate_json(line)
        check_key(found.k)
        if found.v is not None and found.b is None:
            value = found.v.encode()
        elif found.b is not None and found.v is None:
            value = base64.b64decode(found.b, validate=True)
        else:
            raise _broken(number, "no value, or two")
    except (ValidationError, binascii.Error):
        raise _broken(number, "no entry of a dump") from None
    except StoreDamaged:
        raise
    except StoreError as error:
        raise _broken(number, error.message) from None
    if len(value) > LARGEST_VALUE or found.k == IDENTITY or found.k.startswith(HOLDINGS):
        raise _broken(number, "what no dump holds")
    return Dumped(found.k, value, found.ttl)


def _read_line(file: BinaryIO, number: int) -> bytes:
    line = file.readline(_LONGEST_LINE + 1)
    if not line.endswith(b"\n"):
        raise _broken(number, "the file ends here, before its end" if len(line) <= _LONGEST_LINE else "too long a line")
    return line


def _broken(number: int, what: str) -> StoreDamaged:
    return StoreDamaged(
        f"the dump is damaged: line {number}: {what}", "nothing was loaded; take another copy of the dump"
    )
