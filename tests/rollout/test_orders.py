"""Orders by way of the store, and a switchover that is made of them."""

from __future__ import annotations

import asyncio

import pytest
from tests.rollout.agents import PAIR, Agents, revision_of
from tests.rollout.test_lead import cluster
from tests.rollout.virtual import run
from tests.store.kinds import run as really

from holdfast.errors import RolloutFailed
from holdfast.protocol import Answer, Failure, Verb
from holdfast.rollout.orders import Orders, StoreTransport
from holdfast.rollout.records import AnswerRecord
from holdfast.rollout.switchover import Switch, Switchover


def test_a_switchover_over_the_store_with_its_thread_beside_the_loop() -> None:
    async def scenario(agents: Agents) -> Switchover:
        async with agents.there():
            transport = StoreTransport(Orders(agents.kept, "ann"), asyncio.get_running_loop())
            switch = Switch(transport, revision_of("one", PAIR), "www")
            return await asyncio.to_thread(switch.away)

    async def whole() -> None:
        agents = await cluster()
        moved = await scenario(agents)
        assert (moved.before, moved.after) == ("lb01", "lb02")
        assert agents.log == ["release www on lb02", "move www on lb01"]
        assert await agents.kept.orders.all() == ()  # they are gone once they are answered

    really(whole(), 60)


def test_nobody_answers() -> None:
    async def scenario() -> None:
        agents = await cluster(silent={"lb01"})
        async with agents.there():
            with pytest.raises(RolloutFailed, match="lb01: its agent did not answer within 20 s"):
                await Orders(agents.kept, "ann").status("lb01")
        assert await agents.kept.orders.all() == ()

    run(scenario())


def test_an_order_that_was_not_done_says_why() -> None:
    async def scenario() -> None:
        agents = await cluster()

        async def refuse() -> None:
            async with agents.kept.orders.watch() as updates:
                async for update in updates:
                    for _, found in update.items:
                        if found:
                            failure = Failure(message="it has no group 'www'", hint="look")
                            answer = Answer(order=found.record.order.id, node="lb01", failure=failure)
                            record = AnswerRecord(node="lb01", answer=answer, time=agents.store.clock.now())
                            await agents.kept.answers.create(answer.order, record)
                            return

        refusing = asyncio.create_task(refuse())
        with pytest.raises(RolloutFailed, match="lb01: it has no group 'www'"):
            await Orders(agents.kept, "ann").moved("lb01", Verb.MOVE, "www", within_s=5, work_s=5)
        await refusing

    run(scenario())
