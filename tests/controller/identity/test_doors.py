"""A controller's first start, its second, that of another one, and those with the wrong key."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.controller.identity.test_people import CHEAP, HERE, run
from tests.controller.identity.world import WallClock

from holdfast.controller.identity import Doors, open_doors
from holdfast.errors import SealBroken
from holdfast.store.memory import MemoryEngine
from holdfast.store.sqlite import SqliteEngine
from holdfast.store.store import Store


async def start(store: Store, key: Path, passphrase: Path | None = None) -> Doors:
    return await open_doors(store, key, passphrase, cost=CHEAP)


def test_the_first_start_makes_everything_and_the_second_finds_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        clock = WallClock()
        engine = await SqliteEngine.open(tmp_path / "store.db", clock)
        first = await start(await Store.open(engine, clock), tmp_path / "key")
        assert first.first_password is not None
        assert (await first.logins.login("admin", first.first_password, HERE)).person.must_change
        fingerprint = first.authorities.current.fingerprint
        await engine.close()
        for name in ("store.db", "store.db-wal"):
            kept = (tmp_path / name).read_bytes() if (tmp_path / name).exists() else b""
            assert b"PRIVATE KEY" not in kept
            assert first.first_password.get_secret_value().encode() not in kept
            assert (tmp_path / "key").read_bytes().strip().split(b":")[1] not in kept

        engine = await SqliteEngine.open(tmp_path / "store.db", clock)
        again = await start(await Store.open(engine, clock), tmp_path / "key")
        assert again.first_password is None
        assert again.authorities.current.fingerprint == fingerprint
        await engine.close()

    run(scenario())


def test_controllers_that_start_together_with_one_key_agree(tmp_path: Path) -> None:
    async def scenario() -> None:
        engine, clock = MemoryEngine(), WallClock()
        stores = [await Store.open(engine, clock) for _ in range(4)]
        doors = await asyncio.gather(*(start(store, tmp_path / "key") for store in stores))
        assert len({one.authorities.current.fingerprint for one in doors}) == 1
        assert sum(one.first_password is not None for one in doors) == 1

    run(scenario())


def test_a_start_without_the_key_says_so_and_makes_no_other(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = await Store.open(MemoryEngine(), WallClock())
        await start(store, tmp_path / "key")
        with pytest.raises(SealBroken, match="there is no") as told:
            await start(store, tmp_path / "elsewhere")
        assert "copy it" in told.value.hint
        assert not (tmp_path / "elsewhere").exists()
        phrase = tmp_path / "phrase"
        phrase.write_text("correct horse battery")
        phrase.chmod(0o600)
        with pytest.raises(SealBroken, match="key file"):
            await start(store, tmp_path / "key", phrase)
        empty = await Store.open(MemoryEngine(), WallClock())
        await start(empty, tmp_path / "unused", phrase)
        assert not (tmp_path / "unused").exists()
        await start(empty, tmp_path / "unused", phrase)

    run(scenario())


def test_what_is_opened_shows_no_key(tmp_path: Path) -> None:
    async def scenario() -> None:
        doors = await start(await Store.open(MemoryEngine(), WallClock()), tmp_path / "key")
        assert doors.first_password is not None
        assert doors.first_password.get_secret_value() not in repr(doors)
        assert "EllipticCurvePrivateKey" not in repr(doors)

    run(scenario())
