"""A process that writes to an SQLite store until it is killed, and says what was acknowledged: PATH revisions|count."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

from holdfast.errors import Conflict
from holdfast.store.models import RevisionContent
from holdfast.store.port import Check, Put
from holdfast.store.revisions import Draft
from holdfast.store.sqlite import SqliteEngine
from holdfast.store.store import Store

NOW = datetime(2026, 3, 1, tzinfo=UTC)


async def revisions(engine: SqliteEngine) -> None:
    """Revision after revision, until killed."""
    made = (await Store.open(engine)).cluster("shop").revisions
    while True:
        base = await made.newest_number()
        try:
            added = await made.add(Draft(base, "writer", "m", NOW, RevisionContent(spec=f"# {base + 1}\n" * 2000)))
        except Conflict:
            continue
        sys.stdout.write(f"{added.number}\n")
        sys.stdout.flush()


async def count(engine: SqliteEngine) -> None:
    """Two hundred additions to one counter."""
    done = 0
    while done < 200:
        entry = await engine.get("n")
        value = int(entry.value) if entry else 0
        try:
            await engine.commit([Check("n", entry.version if entry else 0)], [Put("n", str(value + 1).encode())])
        except Conflict:
            continue
        done += 1
        sys.stdout.write(f"{value + 1}\n")
        sys.stdout.flush()


async def lease(engine: SqliteEngine) -> None:
    """An entry under a lease of 2 s, which nobody keeps."""
    await engine.commit([], [Put("w/leased", b"x", await engine.grant(2))])
    sys.stdout.write("leased\n")
    sys.stdout.flush()


async def main(path: str, what: str) -> None:
    """Run one of them."""
    engine = await SqliteEngine.open(Path(path))
    try:
        await {"revisions": revisions, "count": count, "lease": lease}[what](engine)
    finally:
        await engine.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
