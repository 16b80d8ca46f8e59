"""What one person lets a controller work out holds up nobody else, and everything comes to its turn."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from tests.controller.operations.world import SPEC
from tests.controller.world import PASSWORD, WITHIN_S, World, login, running

from holdfast.controller.labour import MOST_WAITING, Labour
from holdfast.controller.operations import proposals
from holdfast.errors import SpecError, TooManyAttempts

PLANS = 36  # more than the threads that everybody shares, on however many processors: those are 32 at most


async def viewer(world: World) -> Any:
    """Ada, who may look and plan, and the administrator."""
    admin = await world.admin()
    assert (await admin.post("/api/v1/clusters", json={"name": "shop"})).status_code == 201
    made = await admin.post("/api/v1/users", json={"name": "ada", "role": "viewer"})
    ada = world.client()
    await login(ada, "ada", made.json()["password"])
    body = {"old": made.json()["password"], "new": PASSWORD}
    assert (await ada.put("/api/v1/session/password", json=body)).status_code == 204
    await login(ada, "ada", PASSWORD)
    return ada


def test_who_asks_for_many_plans_keeps_nobody_from_logging_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them takes until somebody has logged in: a viewer must not be able to stop a controller."""
    go_on = threading.Event()
    compiled: Callable[..., Any] = proposals.compiled

    def slow(*given: Any, **named: Any) -> Any:
        assert go_on.wait(WITHIN_S)
        return compiled(*given, **named)

    async def story() -> None:
        async with running() as world:
            ada = await viewer(world)
            monkeypatch.setattr(proposals, "compiled", slow)
            try:
                asked = [
                    asyncio.ensure_future(ada.post("/api/v1/clusters/shop/plans", json={"spec": SPEC}))
                    for _ in range(PLANS)
                ]
                refused, _ = await asyncio.wait(asked, timeout=WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
                async with asyncio.timeout(WITHIN_S / 2):
                    await login(world.client(), "admin", PASSWORD)
            finally:
                go_on.set()
            answers = [answer.status_code for answer in await asyncio.gather(*asked)]
            assert {one.result().status_code for one in refused} == {429}
            assert sorted(set(answers)) == [200, 429]
            assert answers.count(200) == 1 + MOST_WAITING

    asyncio.run(story())


def test_each_person_has_one_thing_done_at_once_and_all_take_turns() -> None:
    async def story() -> None:
        labour, go_on = Labour(at_once=1), threading.Event()
        done: list[str] = []

        def first() -> None:
            assert go_on.wait(WITHIN_S)

        async def ask(who: str, name: str) -> None:
            done.append(await labour.do(who, lambda: name))

        async with asyncio.TaskGroup() as group:
            group.create_task(labour.do("ada", first))
            await asyncio.sleep(0)
            for who, name in (("ada", "a1"), ("ada", "a2"), ("ada", "a3"), ("bob", "b1"), ("bob", "b2")):
                group.create_task(ask(who, name))
            await asyncio.sleep(0)
            go_on.set()
        assert done == ["a1", "b1", "a2", "b2", "a3"]

    asyncio.run(story())


def test_who_leaves_gives_up_a_turn_and_what_goes_wrong_is_told_to_who_asked() -> None:
    async def story() -> None:
        labour, go_on = Labour(at_once=1, most_waiting=1), threading.Event()

        def wrong() -> None:
            assert go_on.wait(WITHIN_S)
            raise SpecError("wrong", [])

        running = asyncio.ensure_future(labour.do("ada", wrong))
        await asyncio.sleep(0)
        waiting = asyncio.ensure_future(labour.do("ada", lambda: "never"))
        await asyncio.sleep(0)
        with pytest.raises(TooManyAttempts):
            await labour.do("ada", lambda: "too much")
        waiting.cancel()
        await asyncio.wait({waiting})
        left = asyncio.ensure_future(labour.do("bob", lambda: "bob"))
        await asyncio.sleep(0)
        go_on.set()
        with pytest.raises(SpecError):
            await running
        assert await left == "bob"
        assert await labour.do("ada", lambda: "again") == "again"

    asyncio.run(story())


def test_a_thread_that_nobody_waits_for_any_more_still_counts() -> None:
    async def story() -> None:
        labour, go_on = Labour(at_once=1), threading.Event()
        left = asyncio.ensure_future(labour.do("ada", lambda: go_on.wait(WITHIN_S)))
        for _ in range(3):
            await asyncio.sleep(0)
        left.cancel()
        await asyncio.wait({left})
        other = asyncio.ensure_future(labour.do("bob", go_on.is_set))
        for _ in range(3):
            await asyncio.sleep(0)
        assert not other.done()
        go_on.set()
        assert await other is True

    asyncio.run(story())
