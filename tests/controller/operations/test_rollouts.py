"""What people say to a rollout is never done without being told in the audit."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tests.controller.operations.world import MORE_WEIGHT, SPEC, new_desk, request, run
from tests.rollout.test_interrupted import Died, Mortal

from holdfast.controller.operations import revisions, rollouts
from holdfast.protocol.api.rollouts import StopRequest
from holdfast.rollout.propose import find_rollout
from holdfast.rollout.records import RolloutPhase, RolloutStore, Wish
from holdfast.store.memory import MemoryEngine
from holdfast.store.store import Store


@pytest.mark.parametrize("after", [False, True], ids=["before the commit", "after the commit"])
def test_a_controller_that_dies_when_somebody_stops_a_rollout_has_done_both_or_nothing(after: bool) -> None:
    async def story() -> None:
        desk = await new_desk()
        await revisions.apply(desk, "shop", request(SPEC, 0))
        engine = desk.store.engine
        assert isinstance(engine, MemoryEngine)
        mortal = Mortal(engine, 1, after, Died())
        store = Store(mortal, desk.store.clock, desk.store.identity)  # type: ignore[arg-type]  # passes everything on
        with pytest.raises(Died):
            await rollouts.stop(replace(desk, store=store), "shop", 1, StopRequest(put_back=True, why="too early"))
        wished = (await find_rollout(desk.store, "shop", 1)).record.wish
        told = [one.record.action for one in await desk.store.audit.newest()]
        events = [one.record.kind for one in await desk.store.events.newest()]
        assert wished is (Wish.PUT_BACK if after else Wish.GO_ON)
        assert ("rollout.stop" in told, "rollout.stop" in events) == (after, after)

    run(story())


@pytest.mark.parametrize("stopped", [False, True], ids=["go on", "stop"])
def test_a_rollout_that_was_answered_is_not_told_as_waiting(stopped: bool) -> None:
    """Before whoever leads has read the answer: people would give it again, and who follows would give up."""

    async def story() -> None:
        desk = await new_desk()
        await revisions.apply(desk, "shop", request(SPEC, 0))
        found = await find_rollout(desk.store, "shop", 1)
        paused = found.record.model_copy(update={"phase": RolloutPhase.PAUSED})
        await RolloutStore(desk.store, "shop").rollouts.replace(found.name, paused, found.version)
        assert (await rollouts.rollout(desk.store, "shop", 1)).phase == "paused"
        if stopped:
            answered = await rollouts.stop(desk, "shop", 1, StopRequest(put_back=True))
        else:
            answered = await rollouts.go_on(desk, "shop", 1)
        assert answered.phase == (await rollouts.rollout(desk.store, "shop", 1)).phase == "running"

    run(story())


def test_the_audit_says_what_was_before_a_word_and_before_a_revision() -> None:
    async def story() -> None:
        desk = await new_desk()
        await revisions.apply(desk, "shop", request(SPEC, 0))
        await rollouts.stop(desk, "shop", 1, StopRequest(put_back=False, why="too early"))
        more = request(MORE_WEIGHT, 1).model_copy(update={"rollout": False})
        await revisions.apply(desk, "shop", more)
        applied, stopped, first = (one.record for one in await desk.store.audit.newest(limit=3))
        assert (applied.action, stopped.action, first.action) == ("revision.apply", "rollout.stop", "revision.apply")
        digest = (await desk.store.cluster("shop").revisions.list())[-1].digest
        assert json.loads(applied.before) == {"revision": 1, "digest": digest}
        assert json.loads(stopped.before)["wish"] == Wish.GO_ON
        assert json.loads(stopped.after)["wish"] == Wish.STOP
        assert first.before == ""

    run(story())
