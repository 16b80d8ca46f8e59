"""Groups moved on purpose and nodes taken out: refused for the last that could hold, undone where it fails."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import pytest
from tests.controller.operations.agents import Members, enrol
from tests.controller.operations.world import SPEC, end_rollout, new_desk, request, run

from holdfast.controller.operations import moving, revisions
from holdfast.errors import NotFound, PlanRefused
from holdfast.protocol.api.nodes import MaintenanceRequest, MoveRequest

THREE = SPEC.replace("nodes: {lb01", "nodes: {lb03: 10.0.0.9, lb01").replace(
    "nodes: [lb01, lb02]", "nodes: [lb01, lb02, lb03]"
)


def _story(spec: str, nodes: list[str], told: Callable[[Members], Awaitable[None]]) -> None:
    async def story() -> None:
        desk = await new_desk()
        await enrol(desk, *nodes)
        await end_rollout(desk, await revisions.apply(desk, "shop", request(spec, 0)))
        members = Members(desk, "www", nodes)
        async with members.listening():
            await told(members)

    run(story())


def test_a_group_is_moved_by_its_name_or_its_address_and_comes_back() -> None:
    async def told(members: Members) -> None:
        moved = await moving.move(members.desk, "shop", "10.0.0.3", MoveRequest(node="lb02"))
        assert (moved.group, moved.before, moved.after) == ("www", "lb01", "lb02")
        assert members.holder == "lb02"
        again = await moving.move(members.desk, "shop", "www", MoveRequest(node="lb02"))
        assert (again.before, again.after, again.report) == ("lb02", "lb02", None)
        back = await moving.move(members.desk, "shop", "www", MoveRequest(node="lb01"))
        assert (back.after, members.holder, members.held_back) == ("lb01", "lb01", set())
        audit = [one.record for one in await members.desk.store.audit.newest()]
        assert [one.action for one in audit[:3]] == ["group.move"] * 3
        assert [(json.loads(one.before)["holder"], json.loads(one.after)["holder"]) for one in audit[:3]] == [
            ("lb02", "lb01"), ("lb02", "lb02"), ("lb01", "lb02"),
        ]  # fmt: skip
        assert {one.record.kind for one in await members.desk.store.events.newest()} >= {"vip.moved"}

    _story(SPEC, ["lb01", "lb02"], told)


def test_of_three_the_one_that_is_named_gets_it() -> None:
    async def told(members: Members) -> None:
        moved = await moving.move(members.desk, "shop", "www", MoveRequest(node="lb03"))
        assert (moved.before, moved.after, members.holder) == ("lb01", "lb03", "lb03")
        back = await moving.move(members.desk, "shop", "www", MoveRequest(back=True))
        assert (back.after, members.held_back) == ("lb01", set())

    _story(THREE, ["lb01", "lb02", "lb03"], told)


def test_what_cannot_be_moved() -> None:
    async def told(members: Members) -> None:
        with pytest.raises(NotFound, match="no VRRP group 'mail'"):
            await moving.move(members.desk, "shop", "mail", MoveRequest())
        with pytest.raises(PlanRefused, match="web01 is no member"):
            await moving.move(members.desk, "shop", "www", MoveRequest(node="web01"))
        members.held_back.add("lb02")
        with pytest.raises(PlanRefused, match="no other node could hold 'www' now"):
            await moving.move(members.desk, "shop", "www", MoveRequest())
        assert members.holder == "lb01"
        refused = (await members.desk.store.audit.newest())[0].record
        assert (refused.action, refused.outcome) == ("group.move", "refused")

    _story(SPEC, ["lb01", "lb02"], told)


IMPORTED = """
origin:
  nodes: [lb01, lb02]
  vrrp_instance:
    VI_1:
      interface: eth0
      virtual_router_id: 77
      virtual_ipaddress: [10.0.0.9/24]
      nodes: {lb01: {priority: 150}, lb02: {priority: 100}}
"""


def test_a_group_of_an_imported_shape_is_refused_with_what_to_do_first() -> None:
    async def told(members: Members) -> None:
        for name in ("VI_1", "10.0.0.9"):
            with pytest.raises(PlanRefused, match="'VI_1' keeps the shape of its import") as refused:
                await moving.move(members.desk, "shop", name, MoveRequest(node="lb02"))
            assert "holdfast import steps SPEC --write" in (refused.value.hint or "")
        with pytest.raises(PlanRefused, match="'VI_1' keeps the shape"):
            await moving.begin_maintenance(members.desk, "shop", "lb01", MaintenanceRequest(why="a disk"))
        assert (members.holder, members.held_back) == ("lb01", set())
        moved = await moving.move(members.desk, "shop", "www", MoveRequest(node="lb02"))
        assert moved.after == "lb02", "a group of Holdfast's own shape beside it moves as ever"

    _story(SPEC + IMPORTED, ["lb01", "lb02"], told)


def test_one_move_at_a_time() -> None:
    async def told(members: Members) -> None:
        holdings = members.desk.store.holdings
        held = await holdings.acquire("moving-shop", "user:eve", 60)
        assert held is not None
        with pytest.raises(PlanRefused, match="at this moment by user:eve"):
            await moving.move(members.desk, "shop", "www", MoveRequest())
        await holdings.release(held)
        assert (await moving.move(members.desk, "shop", "www", MoveRequest())).after == "lb02"

    _story(SPEC, ["lb01", "lb02"], told)


def test_maintenance_gives_everything_up_first_and_ends_with_everything_back() -> None:
    async def told(members: Members) -> None:
        asked = MaintenanceRequest(why="reboot")
        found = await moving.begin_maintenance(members.desk, "shop", "lb01", asked)
        assert (found.on, [(one.group, one.before, one.after) for one in found.moved]) == (
            True,
            [("www", "lb01", "lb02")],
        )
        assert members.held_back == {"lb01"}
        with pytest.raises(PlanRefused, match="lb01 is in maintenance"):
            await moving.move(members.desk, "shop", "www", MoveRequest(node="lb01"))
        with pytest.raises(PlanRefused, match="no other node could hold") as refused:
            await moving.begin_maintenance(members.desk, "shop", "lb02", MaintenanceRequest())
        assert "holdfast move www --back" in refused.value.hint  # it may as well have been moved by hand
        assert members.held_back == {"lb01"}  # and nothing of what was before is undone
        ended = await moving.end_maintenance(members.desk, "shop", "lb01")
        assert [(one.before, one.after) for one in ended.moved] == [("lb02", "lb01")]
        assert members.held_back == set()
        assert not await members.desk.store.cluster("shop").overrides.all()
        told = [one.record for one in await members.desk.store.audit.newest()]
        off, end, _, _, on, begun, *_ = told
        assert [(one.action, one.outcome) for one in (off, end, on, begun)] == [
            ("maintenance.off", "done"), ("override.end", "done"), ("maintenance.on", "done"), ("override.set", "done"),
        ]  # fmt: skip
        assert json.loads(end.before)["why"] == json.loads(begun.after)["why"] == "reboot"
        assert (json.loads(on.before), json.loads(on.after)["holders"]) == (
            {"holders": {"www": "lb01"}},
            {"www": "lb02"},
        )

    _story(SPEC, ["lb01", "lb02"], told)


def test_a_standby_node_in_maintenance_moves_nothing_but_is_kept_from_holding() -> None:
    async def told(members: Members) -> None:
        found = await moving.begin_maintenance(members.desk, "shop", "lb02", MaintenanceRequest())
        assert (found.moved, members.holder, members.held_back) == ((), "lb01", {"lb02"})
        again = await moving.begin_maintenance(members.desk, "shop", "lb02", MaintenanceRequest())
        assert again.on

    _story(SPEC, ["lb01", "lb02"], told)


def test_maintenance_that_fails_leaves_the_node_as_it_was() -> None:
    async def told(members: Members) -> None:
        members.down.add("lb02")
        with pytest.raises(PlanRefused):
            await moving.begin_maintenance(members.desk, "shop", "lb01", MaintenanceRequest())
        assert members.holder == "lb01"
        assert not await members.desk.store.cluster("shop").overrides.all()
        with pytest.raises(NotFound, match="no node 'lb09'"):
            await moving.begin_maintenance(members.desk, "shop", "lb09", MaintenanceRequest())

    _story(SPEC, ["lb01", "lb02"], told)
