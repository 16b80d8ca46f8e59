"""What an SQLite store is asked, in SQL: every method runs in a thread that has the connection for itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from holdfast.errors import Conflict, LeaseLost, StoreError

from .clock import Clock
from .port import MOST_OPERATIONS, Changes, Check, Entry, Page, Put, Write, end_of
from .refusals import conflict, lease_lost
from .tail import MOST_CHANGES, MOST_TOMBSTONES, cut

_ENTRY = "SELECT key, value, version, created, lease FROM entry"


class Statements:
    """A connection and what it is asked; raises sqlite3.Error as it comes."""

    def __init__(self, connection: sqlite3.Connection, clock: Clock) -> None:
        self._db = connection
        self._clock = clock
        self._boot = clock.boot()

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    # ---- reading

    def get(self, key: str) -> Entry | None:
        """The entry, or None."""
        row = self._db.execute(f"{_ENTRY} WHERE key = ?", (key,)).fetchone()
        return Entry(*row) if row else None

    def scan(self, first: str, end: str, limit: int) -> Page:
        """As of the port."""
        with self._one_moment():
            rows = self._db.execute(
                f"{_ENTRY} WHERE key >= ? AND key < ? ORDER BY key LIMIT ?", (first, end, limit + 1)
            ).fetchall()
            return Page(tuple(Entry(*row) for row in rows[:limit]), self.revision(), len(rows) > limit)

    def newer(self, prefix: str, after: int) -> Changes | None:
        """At most MOST_CHANGES changes behind a revision; None if they are not known any more."""
        with self._one_moment():
            revision, compacted = self._db.execute("SELECT revision, compacted FROM state").fetchone()
            if after < compacted or after > revision:
                return None
            told: list[tuple[int, str, Entry | None]] = []
            if after == revision:
                return Changes(revision, ())
            bounds = (after, prefix, end_of(prefix), MOST_CHANGES)
            # The plus keeps SQLite from walking all keys below the prefix: what is new is little.
            where = "WHERE version > ? AND +key >= ? AND +key < ? ORDER BY version LIMIT ?"
            for row in self._db.execute(f"{_ENTRY} {where}", bounds):
                told.append((row[2], row[0], Entry(*row)))
            for key, version in self._db.execute(f"SELECT key, version FROM tombstone {where}", bounds):
                told.append((version, key, None))
            return cut(told, revision)

    def revision(self) -> int:
        """The store's revision."""
        return int(self._db.execute("SELECT revision FROM state").fetchone()[0])

    def data_version(self) -> int:
        """Changes when another connection has written."""
        return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    def size(self) -> int:
        """Bytes of the file, without its log."""
        pages = self._db.execute("PRAGMA page_count").fetchone()[0]
        return int(pages * self._db.execute("PRAGMA page_size").fetchone()[0])

    def begin_reading(self) -> None:
        """From here on this connection sees one moment, until it is closed."""
        self._db.execute("BEGIN")
        self.revision()

    def any_lease_ended(self) -> bool:
        """Whether a lease has run out that is still in the file."""
        found = self._db.execute("SELECT 1 FROM lease WHERE ends <= ? LIMIT 1", (self._clock.steady(),))
        return found.fetchone() is not None

    def time_to_live(self, lease: int) -> int:
        """For how many seconds a lease was granted; 0 if it has ended."""
        row = self._db.execute("SELECT ttl FROM lease WHERE id = ?", (lease,)).fetchone()
        return int(row[0]) if row else 0

    # ---- writing

    def commit(self, checks: Sequence[Check], writes: Sequence[Write]) -> int:
        """As of the port."""
        with self._writing():
            self._end_leases()
            return self._commit(checks, writes)

    def commit_all(self, commits: Sequence[tuple[Sequence[Check], Sequence[Write]]]) -> list[int | StoreError]:
        """Several in one transaction, as if one after the other: what became of each. sqlite3.Error: of none."""
        told: list[int | StoreError] = []
        with self._writing():
            self._end_leases()
            for checks, writes in commits:
                try:
                    told.append(self._commit(checks, writes))
                except (Conflict, LeaseLost) as error:  # before it wrote anything: the others are not concerned
                    told.append(error)
        return told

    def _commit(self, checks: Sequence[Check], writes: Sequence[Write]) -> int:
        for check in checks:
            row = self._db.execute("SELECT version FROM entry WHERE key = ?", (check.key,)).fetchone()
            present = row[0] if row else 0
            if present != check.version:
                raise conflict(check, present)
        for lease in {write.lease for write in writes if isinstance(write, Put) and write.lease}:
            if not self.time_to_live(lease):
                raise lease_lost()
        return self._apply(writes)

    def grant(self, ttl: int) -> int:
        """A new lease."""
        with self._writing():
            found = self._db.execute(
                "INSERT INTO lease (ttl, ends, boot) VALUES (?, ?, ?)", (ttl, self._clock.steady() + ttl, self._boot)
            )
            return int(found.lastrowid or 0)

    def keep(self, lease: int) -> int:
        """Let a lease last its whole time again. Not synced: after a power cut all leases begin anew, anyway."""
        self._db.execute("PRAGMA synchronous = NORMAL")
        try:
            with self._writing():
                self._end_leases()
                ttl = self.time_to_live(lease)
                if not ttl:
                    raise lease_lost()
                self._db.execute("UPDATE lease SET ends = ? WHERE id = ?", (self._clock.steady() + ttl, lease))
                return ttl
        finally:
            self._db.execute("PRAGMA synchronous = FULL")

    def revoke(self, lease: int) -> int:
        """End a lease; the revision then."""
        with self._writing():
            self._drop([lease])
            return self.revision()

    def end_leases(self) -> int:
        """End what has run out; the revision then."""
        with self._writing():
            self._end_leases()
            return self.revision()

    def compact(self, revision: int) -> None:
        """Forget deletions until `revision`."""
        with self._writing():
            self._db.execute("UPDATE state SET compacted = max(compacted, min(?, revision))", (revision,))
            self._db.execute("DELETE FROM tombstone WHERE version <= (SELECT compacted FROM state)")

    def after_a_boot(self) -> None:
        """The steady clock began anew, so every lease that is left does, too: nobody could keep one meanwhile."""
        with self._writing():
            now = self._clock.steady()
            self._db.execute("UPDATE lease SET ends = ? + ttl, boot = ? WHERE boot <> ?", (now, self._boot, self._boot))

    def try_to_write(self) -> None:
        """Write what is there already, which needs the lock and room on the disk."""
        with self._writing():
            self._db.execute("UPDATE state SET revision = revision")

    def _apply(self, writes: Sequence[Write]) -> int:
        revision = self.revision() + 1
        changed = 0
        for write in writes:
            if isinstance(write, Put):
                changed += 1
                self._db.execute("DELETE FROM tombstone WHERE key = ?", (write.key,))
                self._db.execute(
                    "INSERT INTO entry (key, value, version, created, lease) VALUES (?1, ?2, ?3, ?3, ?4) "
                    "ON CONFLICT (key) DO UPDATE SET value = ?2, version = ?3, lease = ?4",
                    (write.key, write.value, revision, write.lease),
                )
            elif self._db.execute("DELETE FROM entry WHERE key = ?", (write.key,)).rowcount:
                changed += 1
                self._db.execute("INSERT INTO tombstone VALUES (?, ?)", (write.key, revision))
        if not changed:
            return revision - 1
        self._db.execute("UPDATE state SET revision = ?", (revision,))
        self._forget()
        return revision

    def _forget(self) -> None:
        """Deletions beyond the bound, oldest first."""
        row = self._db.execute(
            "SELECT version FROM tombstone ORDER BY version DESC LIMIT 1 OFFSET ?", (MOST_TOMBSTONES,)
        ).fetchone()
        if row:
            self._db.execute("UPDATE state SET compacted = ?", row)
            self._db.execute("DELETE FROM tombstone WHERE version <= ?", row)

    def _end_leases(self) -> None:
        rows = self._db.execute("SELECT id FROM lease WHERE ends <= ?", (self._clock.steady(),)).fetchall()
        self._drop([row[0] for row in rows])

    def _drop(self, leases: Sequence[int]) -> None:
        for lease in leases:
            self._db.execute("DELETE FROM lease WHERE id = ?", (lease,))
            while True:  # no more under one revision than a commit has: watchers rely on it
                keys = self._db.execute(
                    "SELECT key FROM entry WHERE lease = ? AND lease <> 0 LIMIT ?", (lease, MOST_OPERATIONS)
                ).fetchall()
                if not keys:
                    break
                revision = self.revision() + 1
                for (key,) in keys:
                    self._db.execute("DELETE FROM entry WHERE key = ?", (key,))
                    self._db.execute("INSERT INTO tombstone VALUES (?, ?)", (key, revision))
                self._db.execute("UPDATE state SET revision = ?", (revision,))
                self._forget()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def _one_moment(self) -> Iterator[None]:
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            if self._db.in_transaction:
                self._db.execute("COMMIT")
