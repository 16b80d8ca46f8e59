"""Servers drained and resumed by way of the store: refused, written in one commit, waited for, audited."""

from __future__ import annotations

import asyncio

import pytest
from tests.controller.operations.agents import enrol, once_overridden, report, row, table
from tests.controller.operations.world import new_desk, request, run
from tests.directors_spec import SPEC

from holdfast.controller.agents.overriding import overrides_of
from holdfast.controller.operations import overrides, revisions
from holdfast.controller.operations.desk import Desk
from holdfast.errors import NotFound, PlanRefused, UsageError
from holdfast.protocol import OverrideKind
from holdfast.protocol.api.overrides import OverrideRequest, OverrideWord


async def _desk() -> Desk:
    desk = await new_desk()
    await revisions.apply(desk, "shop", request(SPEC, 0))
    await enrol(desk, "lb01", "lb02", "rs01", "rs02")
    return desk


def _asked(**fields: object) -> OverrideRequest:
    return OverrideRequest.model_validate({"wait_s": 0, **fields})


async def _kept(desk: Desk) -> dict[tuple[str, str | None], str]:
    found = await desk.store.cluster("shop").overrides.all()
    return {(one.record.target, one.record.virtual_server): one.record.kind.value for one in found}


def test_a_drained_server_is_kept_told_and_audited_and_directors_that_say_nothing_are_named() -> None:
    async def story() -> None:
        desk = await _desk()
        found = await overrides.set_override(desk, "shop", OverrideWord.DRAINED, "rs01:80", _asked(why="new disk"))
        assert await _kept(desk) == {("rs01:80", None): "drained"}
        assert (found.ok, found.servers) == (False, ("rs01:80",))
        assert set(found.failed) == {"lb01", "lb02"}
        audit = (await desk.store.audit.newest())[0].record
        assert (audit.action, audit.target, audit.before) == ("override.set", "rs01:80", "")
        assert "new disk" in audit.after
        event = (await desk.store.events.newest())[0].record
        assert event.message == "rs01:80 is drained, says ada: new disk"
        records = [one.record for one in await desk.store.cluster("shop").overrides.all()]
        told = overrides_of(records, desk.now()).servers
        assert [(one.server, one.kind, one.who) for one in told] == [("rs01:80", OverrideKind.DRAINED, "ada")]

    run(story())


def test_it_returns_once_every_directors_kernel_shows_it() -> None:
    async def story() -> None:
        desk = await _desk()

        async def agents() -> None:
            await once_overridden(desk)
            for node, holds in (("lb01", True), ("lb02", False)):
                shown = table(node, row("rs01-80", OverrideKind.DRAINED, 0), row("rs02-80"), holds=holds)
                await report(desk, node, overrides=shown)

        told = asyncio.create_task(agents())
        asked = OverrideRequest(wait_s=30)
        found = await overrides.set_override(desk, "shop", OverrideWord.DRAINED, "rs01:80", asked)
        await told
        assert (found.ok, found.failed) == (True, {})
        assert found.open == 3  # as the holder counts, not both
        listed = await overrides.overrides(desk.store, "shop")
        assert (set(listed.directors), listed.silent) == ({"lb01", "lb02"}, ())

    run(story())


def test_another_decision_takes_the_place_of_the_first_in_one_commit() -> None:
    async def story() -> None:
        desk = await _desk()
        for kind, more in ((OverrideWord.DRAINED, {}), (OverrideWord.WEIGHT, {"weight": 7})):
            await overrides.set_override(desk, "shop", kind, "rs01", _asked(**more))
        assert await _kept(desk) == {("rs01:80", None): "weight", ("rs01:443", None): "weight"}
        audit = (await desk.store.audit.newest())[0].record
        assert "drained" in audit.before
        with pytest.raises(UsageError, match="in all its virtual servers"):
            await overrides.clear_override(desk, "shop", OverrideWord.ANY, "rs01:80", "shop", wait_s=0)
        await overrides.clear_override(desk, "shop", OverrideWord.ANY, "rs01", wait_s=0)
        assert await _kept(desk) == {}

    run(story())


def test_one_virtual_server_alone() -> None:
    async def story() -> None:
        desk = await _desk()
        await overrides.set_override(desk, "shop", OverrideWord.DRAINED, "rs01:80", _asked(virtual_server="shop"))
        assert await _kept(desk) == {("rs01:80", "shop"): "drained"}
        await overrides.set_override(desk, "shop", OverrideWord.SUSPENDED, "rs01:80", _asked())
        assert await _kept(desk) == {("rs01:80", None): "suspended"}

    run(story())


def test_the_last_server_needs_force() -> None:
    async def story() -> None:
        desk = await _desk()
        await overrides.set_override(desk, "shop", OverrideWord.DRAINED, "rs01:80", _asked())
        with pytest.raises(PlanRefused, match="only server left of 'shop': nobody would answer"):
            await overrides.set_override(desk, "shop", OverrideWord.DRAINED, "rs02:80", _asked())
        assert await _kept(desk) == {("rs01:80", None): "drained"}
        found = await overrides.set_override(desk, "shop", OverrideWord.DRAINED, "rs02:80", _asked(force=True))
        assert found.warnings
        assert len(await _kept(desk)) == 2

    run(story())


def test_what_the_kernels_show_counts_before_the_specs_weights() -> None:
    async def story() -> None:
        desk = await _desk()
        for node in ("lb01", "lb02"):
            await report(desk, node, overrides=table(node, row("rs01-80"), row("rs02-80", weight=None)))
        with pytest.raises(PlanRefused, match="the last server that is up"):
            await overrides.set_override(desk, "shop", OverrideWord.DRAINED, "rs01:80", _asked())

    run(story())


@pytest.mark.parametrize(
    ("kind", "target", "fields", "said"),
    [
        ("drained", "rs09:80", {}, "no virtual server and no pool has a server 'rs09:80'"),
        ("drained", "rs01:80", {"virtual_server": "api"}, "'api' has no server 'rs01:80'"),
        ("weight", "rs01:80", {}, "a weight belongs"),
        ("drained", "rs01:80", {"weight": 3}, "a weight belongs"),
        ("maintenance", "lb01", {}, "cannot be 'maintenance'"),
        ("drained", "rs01:80", {"until": "2020-01-01T00:00:00Z"}, "over already"),
    ],
)
def test_what_cannot_be(kind: str, target: str, fields: dict[str, object], said: str) -> None:
    async def story() -> None:
        desk = await _desk()
        with pytest.raises(UsageError, match=said):
            await overrides.set_override(desk, "shop", OverrideWord(kind), target, _asked(**fields))
        assert await _kept(desk) == {}

    run(story())


def test_a_server_that_the_spec_has_forgotten_can_be_resumed_and_an_unknown_one_cannot() -> None:
    async def story() -> None:
        desk = await _desk()
        await overrides.set_override(desk, "shop", OverrideWord.DRAINED, "rs01:80", _asked())
        without = SPEC.replace("['rs01:80', 'rs02:80']", "['rs02:80']")
        await revisions.apply(desk, "shop", request(without, 1).model_copy(update={"rollout": False}))
        await overrides.clear_override(desk, "shop", OverrideWord.ANY, "rs01:80", wait_s=0)
        assert await _kept(desk) == {}
        with pytest.raises(NotFound):
            await overrides.clear_override(desk, "shop", OverrideWord.ANY, "rs77:80", wait_s=0)

    run(story())


def test_of_many_at_once_none_is_lost() -> None:
    async def story() -> None:
        desk = await _desk()
        targets = ("rs01:80", "rs02:443")
        await asyncio.gather(
            *(overrides.set_override(desk, "shop", OverrideWord.WEIGHT, one, _asked(weight=5)) for one in targets * 4)
        )
        assert set(await _kept(desk)) == {(one, None) for one in targets}

    run(story())
