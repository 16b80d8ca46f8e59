"""A dump into a store: checked to its end first, only into an empty store or one that is named, in a new epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from holdfast.errors import Conflict, PlanRefused

from .clock import Clock
from .collection import Collection
from .dump import Dumped, Header, check, entries
from .models import StoreIdentity
from .port import LARGEST_COMMIT, Check, Delete, Engine, Put
from .store import IDENTITY, read_identity

_BATCH = 90  # entries of a commit
SHORTEST_NAME = 8  # characters of a store's id, to name it


@dataclass(frozen=True, slots=True)
class Restored:
    """What was loaded: so many entries; the store's new epoch."""

    store_id: str
    epoch: int
    entries: int


async def load(engine: Engine, file: BinaryIO, clock: Clock, replace: str = "") -> Restored:
    """Make the store what the dump says, in a new epoch, so that agents take what it says for newer than all before.

    A store that holds something is left alone unless `replace` names its id (8 characters or more): PlanRefused.
    StoreDamaged for a dump that is not whole, before anything is touched. While it goes on, and if it is cut off, the
    store can be opened by nobody; the same load again mends that.
    """
    found, count = check(file)
    present, version = await read_identity(engine)
    await _must_be_allowed(engine, present, replace)
    identities = Collection(engine, "", StoreIdentity)
    marked = present or StoreIdentity(store_id=found.store_id, epoch=1, created=found.created)
    version = await identities.replace(IDENTITY, marked.model_copy(update={"loading": True}), version)
    await _empty(engine)
    await _fill(engine, file)
    identity = StoreIdentity(
        store_id=found.store_id, epoch=next_epoch(found, present, clock), created=found.created, loading=False
    )
    await identities.replace(IDENTITY, identity, version)
    return Restored(identity.store_id, identity.epoch, count)


def next_epoch(dumped: Header, present: StoreIdentity | None, clock: Clock) -> int:
    """Greater than the epoch of the dump and of what is there, and than that of any load before this one.

    The same dump may be loaded twice, here and elsewhere, and the second load knows nothing of the first: so an epoch
    is the time, in seconds since 1970, if that is more.
    """
    return max(dumped.epoch + 1, present.epoch + 1 if present else 1, int(clock.now().timestamp()))


async def _must_be_allowed(engine: Engine, present: StoreIdentity | None, replace: str) -> None:
    if present and len(replace) >= SHORTEST_NAME and present.store_id.startswith(replace):
        return
    if replace:
        there = f"the store there is {present.store_id[:SHORTEST_NAME]}" if present else "the store there is new"
        raise PlanRefused(f"{replace} is to be replaced, but {there}", "check the address (holdfast store info)")
    page = await engine.scan("!", "~~", 2)
    if present and (present.loading or [entry for entry in page.entries if entry.key != IDENTITY]):
        raise PlanRefused(
            f"the store is not empty (it is {present.store_id[:SHORTEST_NAME]}); what it holds would be lost",
            f"dump it first, then name it: --replace {present.store_id[:SHORTEST_NAME]}",
        )


async def _empty(engine: Engine) -> None:
    async for page in engine.snapshot(""):
        keys = [entry.key for entry in page.entries if entry.key != IDENTITY]
        for start in range(0, len(keys), _BATCH):
            await engine.commit([], [Delete(key) for key in keys[start : start + _BATCH]])


async def _fill(engine: Engine, file: BinaryIO) -> None:
    batch: list[Dumped] = []
    size = 0
    for one in entries(file):
        if len(batch) == _BATCH or (batch and size + len(one.value) > LARGEST_COMMIT):
            await _write(engine, batch)
            batch, size = [], 0
        batch.append(one)
        size += len(one.value)
    if batch:
        await _write(engine, batch)


async def _write(engine: Engine, batch: list[Dumped]) -> None:
    puts = [Put(one.key, one.value, await engine.grant(one.ttl) if one.ttl else 0) for one in batch]
    try:
        await engine.commit([Check(put.key, 0) for put in puts], puts)
    except Conflict as conflict:
        raise Conflict(
            f"{conflict.key} was written by somebody else while the dump was being loaded",
            "stop all controllers that use this store, then load again",
            key=conflict.key,
            present=conflict.present,
        ) from None
