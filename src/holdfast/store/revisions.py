"""The revisions of a cluster's spec: numbered without a gap, each made from one that was the newest then."""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from holdfast.errors import Conflict, StoreDamaged, StoreFull
from holdfast.findings import Severity
from holdfast.sentences import Sentence

from .collection import Collection, Step, do
from .log import Appended, Following, Log, Numbered, Unread
from .models import LONGEST_SPEC, Record, Revision, RevisionContent
from .port import LARGEST_VALUE, Check, Engine, Put


@dataclass(frozen=True, slots=True)
class Draft:
    """A revision before it has a number. `base` is the one that its author saw as the newest; 0: there was none."""

    base: int
    author: str
    message: str
    time: datetime
    content: RevisionContent
    rollback_of: int | None = None


class _Packed(Record):
    """Specs are text that repeats itself; packed they take a tenth, and fit into one record of etcd."""

    zlib: str  # base64


class Headings(Collection[Revision]):
    """What lists show of revisions, by their numbers: to mend one."""

    def key(self, name: str) -> str:
        """The key of a number."""
        return super().key(name.zfill(12))

    def name(self, key: str) -> str:
        """The number of a key."""
        return super().name(key).lstrip("0")


class Revisions:
    """The revisions of one cluster."""

    def __init__(self, engine: Engine, prefix: str) -> None:
        self.engine = engine
        self._log = Log(engine, f"{prefix}revision/", Revision)
        self._content = f"{prefix}revision-content/"
        self.headings = Headings(engine, f"{prefix}revision/n/", Revision)

    async def newest_number(self) -> int:
        """The number of the newest revision, 0 if there is none."""
        return (await self._log.numbers()).last

    async def get(self, number: int) -> Revision | None:
        """What lists show of a revision, or None."""
        return await self._log.get(number)

    async def understood(self, number: int) -> Revision | None:
        """The same; None, too, for one that is not understood."""
        try:
            return await self.get(number)
        except StoreDamaged:
            return None

    async def content(self, number: int) -> RevisionContent | None:
        """The spec, lock and findings of a revision, or None."""
        entry = await self.engine.get(self._content_key(number)) if number > 0 else None
        return _unpack(entry.key, entry.value) if entry else None

    async def list(self, before: int | None = None, limit: int = 100) -> tuple[Revision, ...]:
        """At most `limit` revisions below the number `before`, newest first; StoreDamaged if one is not understood."""
        return tuple(one.record for one in await self._log.newest(before, limit))

    async def told(self, before: int | None = None, limit: int = 100) -> tuple[Numbered[Revision] | Unread, ...]:
        """The same for lists, which one damaged record must not keep from showing the others."""
        return await self._log.newest_told(before, limit)

    def follow(self, after: int | None = None) -> Following[Revision]:
        """Revisions behind the number `after` as they come; None: only new ones."""
        return self._log.follow(after)

    async def adding(self, draft: Draft) -> tuple[Revision, tuple[Step, ...]]:
        """The revision that a draft becomes, and the steps that write it; Conflict if `base` is not the newest."""
        present = await self._log.numbers()
        if present.last != draft.base:
            raise outdated(draft.base, present.last)
        revision = heading_of(draft, present.last + 1)
        appended: Appended = self._log.appending([revision], present)
        key, packed = self._content_key(revision.number), _pack(draft.content)
        if len(packed) > LARGEST_VALUE:
            raise _too_large(len(draft.content.spec), len(packed))
        return revision, (*appended.steps, Step(Check(key, 0), Put(key, packed)))

    async def add(self, draft: Draft) -> Revision:
        """Write a draft as the newest revision; Conflict if `base` is not the newest any more."""
        revision, steps = await self.adding(draft)
        try:
            await do(self.engine, steps)
        except Conflict as conflict:
            raise await self.explained(conflict, draft.base) from None
        return revision

    async def explained(self, conflict: Conflict, base: int) -> Conflict:
        """A conflict as it comes out of a commit, with the revision that came first, if it is about that."""
        if not conflict.key.startswith((self._log.prefix, self._content)):
            return conflict
        return outdated(base, await self.newest_number())

    async def numbered(self, after: int = 0, limit: int = 100) -> tuple[Numbered[Revision], ...]:
        """At most `limit` revisions behind the number `after`, oldest first."""
        return await self._log.oldest(after, limit)

    def _content_key(self, number: int) -> str:
        return f"{self._content}{number:012d}"


def outdated(base: int, present: int) -> Conflict:
    """The error of a change that was made on a revision which is not the newest."""
    return Conflict(
        Sentence(
            "this was made from revision %(base)s, but revision %(present)s is the newest", base=base, present=present
        ),
        Sentence(
            "look at what changed since (holdfast diff %(base)s %(present)s), "
            "and make your change on revision %(present)s",
            base=base,
            present=present,
        ),
        key="revision",
        expected=base,
        present=present,
    )


def _too_large(characters: int, packed: int) -> StoreFull:
    """The error of a spec that does not fit into one record, however well it is packed."""
    return StoreFull(
        Sentence(
            "this spec of %(characters)s characters takes %(packed)s bytes packed with its findings, "
            "and %(most)s is the most",
            characters=f"{characters:,}",
            packed=f"{packed:,}",
            most=f"{LARGEST_VALUE:,}",
        ),
        Sentence("shorten it (comments count, too), or make two clusters of it"),
    )


def digest_of(spec: str) -> str:
    """Hex SHA-256 of a spec's text."""
    return hashlib.sha256(spec.encode()).hexdigest()


def heading_of(draft: Draft, number: int) -> Revision:
    """What lists show of the revision that a draft becomes."""
    severities = [finding.severity for finding in draft.content.findings]
    return Revision(
        number=number,
        base=draft.base,
        author=draft.author,
        message=draft.message,
        time=draft.time,
        digest=digest_of(draft.content.spec),
        rollback_of=draft.rollback_of,
        errors=severities.count(Severity.ERROR),
        warnings=severities.count(Severity.WARNING),
    )


def _pack(content: RevisionContent) -> bytes:
    packed = zlib.compress(content.model_dump_json().encode(), 6)
    return _Packed(zlib=base64.b64encode(packed).decode("ascii")).model_dump_json().encode()


def _unpack(key: str, value: bytes) -> RevisionContent:
    try:
        packed = base64.b64decode(_Packed.model_validate_json(value).zlib, validate=True)
        unpacking = zlib.decompressobj()
        text = unpacking.decompress(packed, 16 * LONGEST_SPEC)  # bounded: what another wrote may unfold without end
        if not unpacking.eof:
            raise zlib.error("incomplete")
        return RevisionContent.model_validate_json(text)
    except (ValidationError, binascii.Error, zlib.error) as error:
        raise StoreDamaged(
            Sentence("%(key)s in the store is not understood (%(name)s)", key=key, name=type(error).__name__),
            "restore a dump of this store",
        ) from None
