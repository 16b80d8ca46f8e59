"""Records that are not understood: named, what they hold up, cleared or said anew; nothing else waits for them."""

from __future__ import annotations

import pytest
from tests.controller.operations.agents import report, row, table
from tests.controller.operations.test_overrides import _desk
from tests.controller.operations.world import run

from holdfast.controller.operations import damaged, overrides, status
from holdfast.controller.operations.desk import Desk
from holdfast.controller.operations.leaving import would_move
from holdfast.errors import Conflict, NotFound, PlanRefused
from holdfast.protocol.api.damaged import ClearRequest
from holdfast.protocol.api.overrides import OverrideRequest, OverrideWord
from holdfast.store.port import Put

NAME = "drained/rs01:80"


async def damage(desk: Desk, name: str = NAME, value: bytes = b'{"later": 1}') -> None:
    key = desk.store.cluster("shop").overrides.key(name)
    await desk.store.engine.commit([], [Put(key, value)])


def test_a_damaged_override_is_named_with_whom_it_concerns_and_nothing_else_fails() -> None:
    async def story() -> None:
        desk = await _desk()
        await report(desk, "lb01", overrides=table("lb01", row("rs01-80")))
        await report(desk, "lb02", overrides=table("lb02", row("rs02-80")))
        await damage(desk)
        (listed,) = (await damaged.damaged(desk.store, "shop")).records
        assert (listed.kind, listed.name, listed.clearable) == ("override", NAME, True)
        told = await status.status(desk.store, "shop")
        (said,) = [one for one in told.trouble if NAME in one]
        assert "lb01 get" in said
        assert "lb02" not in said
        assert (await overrides.overrides(desk.store, "shop")).damaged == (NAME,)
        assert await would_move(desk, "shop", "lb01")

    run(story())


def test_it_is_cleared_once_and_the_audit_keeps_what_it_was() -> None:
    async def story() -> None:
        desk = await _desk()
        await damage(desk)
        (listed,) = (await damaged.damaged(desk.store, "shop")).records
        with pytest.raises(Conflict):
            await damaged.clear(desk, "shop", ClearRequest(kind="override", name=NAME, version=listed.version + 1))
        await damaged.clear(desk, "shop", ClearRequest(kind="override", name=NAME, version=listed.version))
        assert (await damaged.damaged(desk.store, "shop")).records == ()
        last = (await desk.store.audit.newest())[0].record
        assert (last.action, last.actor) == ("damaged.clear", "user:ada")
        assert "later" in last.before
        with pytest.raises(NotFound):
            await damaged.clear(desk, "shop", ClearRequest(kind="override", name=NAME))

    run(story())


def test_what_is_sound_and_what_nothing_can_do_without_is_not_cleared() -> None:
    async def story() -> None:
        desk = await _desk()
        asked = OverrideRequest(wait_s=0)
        await overrides.set_override(desk, "shop", OverrideWord.DRAINED, "rs01:80", asked)
        with pytest.raises(PlanRefused, match="is understood"):
            await damaged.clear(desk, "shop", ClearRequest(kind="override", name=NAME))
        key = desk.store.cluster("shop").nodes.key("lb01")
        await desk.store.engine.commit([], [Put(key, b"[]")])
        with pytest.raises(PlanRefused, match="nothing goes on without"):
            await damaged.clear(desk, "shop", ClearRequest(kind="node", name="lb01"))
        with pytest.raises(NotFound, match="no records of the kind"):
            await damaged.clear(desk, "shop", ClearRequest(kind="user", name="ada"))

    run(story())


@pytest.mark.parametrize("anew", ["drain", "resume"])
def test_who_says_anew_what_is_so_of_its_server_has_mended_it(anew: str) -> None:
    async def story() -> None:
        desk = await _desk()
        await damage(desk)
        if anew == "drain":
            asked = OverrideRequest(wait_s=0)
            await overrides.set_override(desk, "shop", OverrideWord.DRAINED, "rs01:80", asked)
        else:
            await overrides.clear_override(desk, "shop", OverrideWord.ANY, "rs01:80", wait_s=0)
        found = await overrides.overrides(desk.store, "shop")
        assert found.damaged == ()
        assert [one.target for one in found.overrides] == (["rs01:80"] if anew == "drain" else [])

    run(story())


def test_of_another_server_it_counts_as_out_when_somebody_asks_who_is_left() -> None:
    async def story() -> None:
        desk = await _desk()
        await damage(desk)
        asked = OverrideRequest(wait_s=0)
        with pytest.raises(PlanRefused, match="only server left"):
            await overrides.set_override(desk, "shop", OverrideWord.DRAINED, "rs02:80", asked)

    run(story())
