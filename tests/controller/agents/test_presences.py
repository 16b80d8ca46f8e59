"""Who is connected is known to every controller of the store, and goes with the controller that said so."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from holdfast.controller import leased
from holdfast.controller.agents.presences import Presences
from holdfast.store.memory import MemoryEngine
from holdfast.store.store import Store


async def known(store: Store) -> dict[str, str]:
    """The controller that each node is connected to."""
    return {one.name: one.record.controller for one in await store.cluster("shop").presences.all()}


async def until(store: Store, wanted: dict[str, str]) -> None:
    async with asyncio.timeout(60):
        while await known(store) != wanted:
            await asyncio.sleep(0.01)


def run(scenario: Callable[[Store, Presences, Presences], Awaitable[None]]) -> None:
    async def whole() -> None:
        store = await Store.open(MemoryEngine())
        one, two = Presences(store, "one"), Presences(store, "two")
        await scenario(store, one, two)
        await one.close()
        await two.close()
        assert await known(store) == {}

    asyncio.run(whole())


def test_it_is_known_while_it_is_so() -> None:
    async def scenario(store: Store, one: Presences, two: Presences) -> None:
        one.entered("shop", "lb01")
        two.entered("shop", "lb02")
        await until(store, {"lb01": "one", "lb02": "two"})
        one.left("shop", "lb01")
        await until(store, {"lb02": "two"})

    run(scenario)


def test_an_agent_that_went_elsewhere_is_not_taken_away_by_the_one_it_left() -> None:
    async def scenario(store: Store, one: Presences, two: Presences) -> None:
        one.entered("shop", "lb01")
        await until(store, {"lb01": "one"})
        two.entered("shop", "lb01")
        await until(store, {"lb01": "two"})
        one.left("shop", "lb01")
        one.entered("shop", "lb03")
        await until(store, {"lb01": "two", "lb03": "one"})

    run(scenario)


def test_a_controller_that_ends_takes_its_agents_along() -> None:
    async def scenario(store: Store, one: Presences, two: Presences) -> None:
        one.entered("shop", "lb01")
        await until(store, {"lb01": "one"})
        await one.close()
        assert await known(store) == {}

    run(scenario)


def test_a_lost_lease_is_made_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leased, "TTL_S", 1)

    async def scenario(store: Store, one: Presences, two: Presences) -> None:
        one.entered("shop", "lb01")
        await until(store, {"lb01": "one"})
        found = await store.cluster("shop").presences.get("lb01")
        assert found is not None
        await store.engine.revoke(found.lease)
        assert await known(store) == {}
        await until(store, {"lb01": "one"})

    run(scenario)
