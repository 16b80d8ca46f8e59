"""Maintenance that cannot begin as it is asked for, or cannot end: told, audited, and nothing forgotten."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.controller.operations.agents import Members, enrol
from tests.controller.operations.world import SPEC, end_rollout, new_desk, request, run

from holdfast.controller.operations import moving, revisions
from holdfast.errors import RolloutFailed, UsageError
from holdfast.protocol.api.nodes import MaintenanceRequest
from holdfast.rollout.switchover import Switch


def test_it_ends_in_the_future_and_a_failure_to_end_it_is_audited_and_leaves_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story() -> None:
        desk = await new_desk()
        await enrol(desk, "lb01", "lb02")
        await end_rollout(desk, await revisions.apply(desk, "shop", request(SPEC, 0)))
        members = Members(desk, "www", ["lb01", "lb02"])
        async with members.listening():
            over = MaintenanceRequest(until=desk.now() - timedelta(seconds=1))
            with pytest.raises(UsageError, match="is over already"):
                await moving.begin_maintenance(desk, "shop", "lb01", over)
            assert members.orders == []
            await moving.begin_maintenance(desk, "shop", "lb01", MaintenanceRequest(why="a disk"))

            def lost(self: Switch) -> None:
                raise RolloutFailed("lb01: its agent did not answer", "is the node up?")

            monkeypatch.setattr(Switch, "back", lost)
            with pytest.raises(RolloutFailed):
                await moving.end_maintenance(desk, "shop", "lb01")
            told = (await desk.store.audit.newest())[0].record
            assert (told.action, told.target, told.outcome) == ("maintenance.off", "lb01", "failed")
            assert [one.record.why for one in await desk.store.cluster("shop").overrides.all()] == ["a disk"]
            monkeypatch.undo()
            assert not (await moving.end_maintenance(desk, "shop", "lb01")).on
            assert not await desk.store.cluster("shop").overrides.all()

    run(story())
