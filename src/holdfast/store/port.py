"""The port that memory, SQLite and etcd implement: versioned entries, commits that compare, leases, watches.

A store has one counter, its *revision* (not to be mixed up with a revision of a spec, which is an entry). Every commit
that changes something raises it by one at least, and what it writes carries that number as its version.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from holdfast.errors import StoreError, StoreFull
from holdfast.sentences import Sentence

LONGEST_KEY = 600  # characters
LARGEST_VALUE = 1_000_000  # bytes; etcd takes 1.5 MiB a request unless told otherwise
LARGEST_COMMIT = 1_200_000  # bytes of all values
MOST_OPERATIONS = 100  # checks, and as many writes; etcd takes 128 of each
MOST_ENTRIES = 1000  # of one answer
LONGEST_TTL = 30 * 86_400  # seconds

_KEY = re.compile(rf"[!-~]{{1,{LONGEST_KEY}}}")


class Entry(NamedTuple):
    """What is stored under a key. `version` is the revision of its last write, `created` that of its first.

    `lease` is 0 for what stays until it is deleted.
    """

    key: str
    value: bytes
    version: int
    created: int
    lease: int = 0


@dataclass(frozen=True, slots=True)
class Check:
    """What a commit relies on: `key` has this version; 0: it is not there."""

    key: str
    version: int


@dataclass(frozen=True, slots=True)
class Put:
    """Write `value`; under a lease it goes when the lease goes."""

    key: str
    value: bytes
    lease: int = 0


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a key; to remove what is not there is no mistake."""

    key: str


Write = Put | Delete


@dataclass(frozen=True, slots=True)
class Page:
    """Entries in the order of their keys, as of `revision`. `more`: there are further ones behind them."""

    entries: tuple[Entry, ...]
    revision: int
    more: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """`entry` is None when the key was deleted, or its lease ended."""

    key: str
    entry: Entry | None


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed until `revision`, oldest first. Of several changes of one key, perhaps only the last is told."""

    revision: int
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Resync:
    """All that there is at `revision`: what the watcher knows and is not in here has gone."""

    revision: int
    entries: tuple[Entry, ...]


Told = Changes | Resync
Watch = AbstractAsyncContextManager[AsyncIterator[Told]]


LEFT_ALONE = (
    "this etcd has other users, too, or may have: its past is theirs, and is not compacted from here. "
    "Have etcd do it: --auto-compaction-mode=periodic --auto-compaction-retention=1h"
)


@dataclass(frozen=True, slots=True)
class Health:
    """`writable` is False with the reason in `detail`; reads may work all the same. `size` is in bytes.

    `remark` is what an operator should look after although it works.
    """

    kind: str
    where: str
    writable: bool
    detail: str
    revision: int
    size: int
    remark: str = ""


class Engine(Protocol):
    """One store. Every method may raise StoreUnavailable (nothing was written) or StoreDamaged."""

    async def get(self, key: str) -> Entry | None:
        """The entry, or None."""

    async def scan(self, first: str, end: str, limit: int = MOST_ENTRIES) -> Page:
        """Entries whose keys are not below `first` and below `end`, in the order of their keys."""

    def snapshot(self, prefix: str) -> AsyncIterator[Page]:
        """Everything below `prefix`, or all there is if that is empty; all pages as of one revision."""

    async def commit(self, checks: Sequence[Check], writes: Sequence[Write]) -> int:
        """All writes, or Conflict if a check does not hold; returns the version of what was written.

        Durable when it returns. StoreUnsure: it may have happened; StoreFull: it did not; LeaseLost: a lease is gone.
        """

    async def grant(self, ttl: int) -> int:
        """A new lease that ends `ttl` seconds after it was last kept."""

    async def keep(self, lease: int) -> int:
        """Let a lease last its whole time again, which is returned in seconds; LeaseLost if it has ended."""

    async def revoke(self, lease: int) -> None:
        """End a lease now, with everything under it; an ended one is no mistake."""

    async def time_to_live(self, lease: int) -> int:
        """For how many seconds a lease was granted; 0 if it has ended."""

    def watch(self, prefix: str, after: int | None = None) -> Watch:
        """What changes below `prefix`, from the revision after `after` on; None: begin with a Resync.

        A Resync comes, too, when what happened since is not known any more, because it was compacted or the watcher
        was too slow. Broken connections are resumed. Nothing piles up for a slow watcher.
        """

    async def compact(self, revision: int) -> bool:
        """Forget what was before `revision`; watchers that are further behind are resynced.

        False, and nothing is forgotten, where that would be others' past, too: then it is theirs to decide.
        """

    async def health(self) -> Health:
        """How the store is doing; never raises StoreUnavailable."""

    async def close(self) -> None:
        """Let go of files and connections; watches end."""


def end_of(prefix: str) -> str:
    """The first key behind all that begin with `prefix`."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1) if prefix else "\x7f"


def check_key(key: str) -> None:
    """Raise StoreError for what cannot be a key: anything but 1 to LONGEST_KEY printable ASCII characters."""
    if not _KEY.fullmatch(key):
        raise StoreError(
            Sentence("%(key)s cannot be a key of the store", key=repr(key[:80])),
            Sentence("take 1 to %(most)s printable characters", most=LONGEST_KEY),
        )


def check_prefix(prefix: str) -> None:
    """As check_key; an empty one stands for everything."""
    if prefix:
        check_key(prefix)


def check_commit(checks: Sequence[Check], writes: Sequence[Write]) -> None:
    """What every engine refuses alike, before it touches anything: StoreError, or StoreFull for what is too large."""
    if not writes:
        raise StoreError("a commit without a write does nothing", "leave it out")
    if max(len(checks), len(writes)) > MOST_OPERATIONS:
        raise StoreError(
            Sentence("a commit of %(n)s writes is too large", n=len(writes)),
            Sentence("write at most %(most)s at once", most=MOST_OPERATIONS),
        )
    for named in ([check.key for check in checks], [write.key for write in writes]):
        for key in named:
            check_key(key)
        if len(set(named)) != len(named):
            raise StoreError("a commit names the same key twice", "write each key once")
    sizes = {write.key: len(write.value) for write in writes if isinstance(write, Put)}
    for key, size in sizes.items():
        if size > LARGEST_VALUE:
            raise StoreFull(
                Sentence("%(key)s would take %(size)s bytes", key=key, size=size),
                Sentence("one record takes %(most)s bytes at most", most=LARGEST_VALUE),
            )
    if sum(sizes.values()) > LARGEST_COMMIT:
        raise StoreFull(
            Sentence("a commit of %(n)s bytes is too large", n=sum(sizes.values())),
            Sentence("%(most)s is the most", most=LARGEST_COMMIT),
        )


def check_ttl(ttl: int) -> None:
    """Raise StoreError for a lease that is shorter than a second or longer than LONGEST_TTL."""
    if not 1 <= ttl <= LONGEST_TTL:
        raise StoreError(
            Sentence("a lease cannot last %(ttl)s seconds", ttl=ttl), Sentence("take 1 to %(most)s", most=LONGEST_TTL)
        )


def check_scan(first: str, end: str, limit: int) -> None:
    """Raise StoreError for bounds that are no keys, or a limit out of 1 to MOST_ENTRIES."""
    check_key(first)
    check_key(end)
    if not 1 <= limit <= MOST_ENTRIES:
        raise StoreError(
            Sentence("%(limit)s entries cannot be asked for at once", limit=limit),
            Sentence("take 1 to %(most)s", most=MOST_ENTRIES),
        )
