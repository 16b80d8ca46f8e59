"""The file of an SQLite store: opened, laid out, and its errors in words that say what to do."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from holdfast.errors import StoreDamaged, StoreError, StoreFull, StoreUnavailable
from holdfast.sentences import Sentence

APPLICATION = 0x484F4C44  # "HOLD": tells our files from other programs' databases
FORMAT = 1
PATIENCE = 5.0  # seconds that another process may keep the file locked
_ALMOST_FULL = 1024 * 1024  # bytes
_WAL_KEPT = 64 * 1024 * 1024  # bytes that the log's file keeps after a checkpoint

_LAYOUT = """
CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), revision INTEGER NOT NULL, compacted INTEGER NOT NULL);
INSERT INTO state VALUES (1, 0, 0);
CREATE TABLE entry (
    key TEXT NOT NULL UNIQUE, value BLOB NOT NULL, version INTEGER NOT NULL, created INTEGER NOT NULL,
    lease INTEGER NOT NULL
);
CREATE INDEX entry_version ON entry (version);
CREATE INDEX entry_lease ON entry (lease) WHERE lease <> 0;
CREATE TABLE tombstone (key TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX tombstone_version ON tombstone (version);
CREATE TABLE lease (id INTEGER PRIMARY KEY AUTOINCREMENT, ttl INTEGER NOT NULL, ends REAL NOT NULL, boot TEXT NOT NULL);
CREATE INDEX lease_ends ON lease (ends);
"""


def connect(path: Path) -> sqlite3.Connection:
    """A connection to the store at `path`, which is made if there is none; used by one thread at a time."""
    with translated(path):
        _make_private(path)
        connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
        return connection


def _make_private(path: Path) -> None:
    """Hashes of passwords are in it, so that nobody else may read it; SQLite's other files take its mode.

    A file that is there is never opened here: to close it would give up every lock that this process has on it, those
    of other connections, too. Another process would take itself for the last one then, and clear the log away that we
    write to (https://sqlite.org/howtocorrupt.html, 2.2).
    """
    there = os.path.realpath(path)  # a link would count as a file that is there, and SQLite would make what it names
    try:
        os.close(os.open(there, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        if path.is_dir():
            raise StoreUnavailable(Sentence("%(path)s is a folder", path=path), "name a file in it") from None
    except FileNotFoundError:
        raise StoreUnavailable(
            Sentence("%(path)s: there is no folder %(parent)s", path=path, parent=path.parent),
            "make it, or check the path",
        ) from None
    except OSError as error:
        raise StoreUnavailable(
            Sentence("%(path)s cannot be opened: %(error)s", path=path, error=error.strerror),
            "check the path, and who may read and write there",
        ) from None


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    _journal(connection)
    connection.execute("PRAGMA synchronous = FULL")  # what a commit returned from survives a power cut
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_KEPT}")
    if _known(connection, path):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not _known(connection, path):  # another process may have been first
            for statement in _LAYOUT.split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {FORMAT}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _journal(connection: sqlite3.Connection) -> None:
    """Readers and a writer at once. SQLite does not wait when two processes switch a new file at the same moment."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.02)


def _known(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the file is laid out already; StoreDamaged if it is another program's, or of a newer release."""
    with closing(connection.execute("SELECT count(*) FROM sqlite_master")) as tables:
        empty = tables.fetchone()[0] == 0
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if empty and application == 0:
        return False
    if application != APPLICATION:
        raise StoreDamaged(Sentence("%(path)s is an SQLite file of another program", path=path), "name another path")
    if version > FORMAT:
        raise StoreDamaged(
            Sentence(
                "%(path)s was written by a newer release (format %(version)s; this one knows %(format)s)",
                path=path,
                version=version,
                format=FORMAT,
            ),
            "update this program, or dump the store with the newer one",
        )
    return True


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error, path) from error


def translate(error: sqlite3.Error, path: Path) -> StoreError:
    """What an error of SQLite means for whoever runs the store at `path`."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and is_full(path)):
        return full(path)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreUnavailable(
            Sentence(
                "%(path)s has been locked by another process for %(s)s seconds; nothing was written",
                path=path,
                s=f"{PATIENCE:g}",
            ),
            "try again; if it stays locked, find out who has it open (fuser, lsof)",
        )
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_SCHEMA):
        return StoreDamaged(
            Sentence("%(path)s is damaged, or is no SQLite file (%(error)s)", path=path, error=error),
            "keep a copy of it, with its -wal and -shm, then load your last dump into a new file: "
            "holdfast store load FILE",
        )
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_AUTH):
        return StoreUnavailable(
            Sentence("%(path)s cannot be opened for writing (%(error)s); nothing was written", path=path, error=error),
            "check who may write the file and its folder, and that the file system is not read-only",
        )
    return StoreUnavailable(
        Sentence("%(path)s: %(error)s; nothing was written", path=path, error=error),
        "check the disk (dmesg) and its file system",
    )


def full(path: Path) -> StoreFull:
    """The error of a disk without room."""
    return StoreFull(
        Sentence("%(path)s: the disk is full; nothing was written, what was there is unharmed", path=path),
        Sentence("make room on the file system of %(parent)s; reading goes on meanwhile", parent=path.parent),
    )


def is_full(path: Path) -> bool:
    """Whether there is no room left that is worth speaking of."""
    try:
        found = os.statvfs(path.parent)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize < _ALMOST_FULL
