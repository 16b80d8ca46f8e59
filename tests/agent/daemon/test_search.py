"""A dead controller costs whoever searches a moment, and a hundred dead ones no hundred connections."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import pytest

from holdfast.agent.daemon.search import MOST_AT_ONCE, first_found

STAGGER_S = 0.1
DEAD_S = 240.0  # until a connection to nobody is given up


@dataclass
class Places:
    """What happens at each: a number of seconds until it says that it is the one, or that it is not (below 0)."""

    after_s: dict[str, float]
    asked: list[str] = field(default_factory=list)
    let_go: list[str] = field(default_factory=list)
    at_once: int = 0
    most: int = 0

    async def ask(self, place: str) -> str | None:
        self.asked.append(place)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            await asyncio.sleep(abs(self.after_s[place]))
            return place if self.after_s[place] > 0 else None
        finally:
            self.at_once -= 1

    async def leave(self, found: str) -> None:
        self.let_go.append(found)

    def search(self, stagger_s: float = STAGGER_S) -> tuple[str | None, float]:
        """What is found, and how long it took."""
        began = time.monotonic()
        found = asyncio.run(first_found(self.after_s, self.ask, self.leave, stagger_s))
        return found, time.monotonic() - began


def test_a_dead_first_one_costs_a_moment() -> None:
    places = Places({"dead": -DEAD_S, "right": 0.01})
    found, took_s = places.search()
    assert (found, places.at_once) == ("right", 0)
    assert STAGGER_S <= took_s < DEAD_S / 2


def test_one_that_refuses_at_once_costs_nothing() -> None:
    places = Places({**{f"other{n}": -0.001 for n in range(20)}, "right": 0.001})
    found, took_s = places.search(stagger_s=100.0)
    assert found == "right"
    assert took_s < 100.0  # it waits for none of them


def test_one_that_is_slow_is_waited_for() -> None:
    assert Places({"slow": 4 * STAGGER_S, "other": -0.001}).search()[0] == "slow"


def test_nobody_is_found_where_nobody_is() -> None:
    assert Places({"one": -0.001, "two": -0.3}).search()[0] is None
    assert Places({}).search()[0] is None


def test_only_so_many_are_asked_at_once() -> None:
    places = Places({f"dead{n}": -(0.3 + n / 100) for n in range(12)})
    assert places.search()[0] is None
    assert (places.most, len(places.asked)) == (MOST_AT_ONCE, 12)


def test_who_gives_up_the_search_leaves_nothing_behind() -> None:
    places = Places({"dead": -DEAD_S, "too": -DEAD_S})

    async def story() -> None:
        search = asyncio.create_task(first_found(places.after_s, places.ask, places.leave, STAGGER_S))
        async with asyncio.timeout(DEAD_S):
            while len(places.asked) < 2:
                await asyncio.sleep(STAGGER_S / 10)
        search.cancel()
        with pytest.raises(asyncio.CancelledError):
            await search
        assert (places.asked, places.at_once) == (["dead", "too"], 0)

    asyncio.run(story())


def test_what_a_second_one_found_at_the_same_moment_is_let_go() -> None:
    async def story() -> None:
        both = asyncio.Event()

        async def ask(place: str) -> str | None:
            if place == "two":
                both.set()
            await both.wait()
            return place

        let_go: list[str] = []

        async def leave(found: str) -> None:
            let_go.append(found)

        found = await first_found(("one", "two"), ask, leave, 0.01)
        assert sorted([found or "", *let_go]) == ["one", "two"]

    asyncio.run(story())
