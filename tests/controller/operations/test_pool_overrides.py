"""Servers of pools, overridden by way of the store: named, refused, told to the proxies, waited for, audited."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest
from tests.cli.test_pool_overrides import SPEC
from tests.controller.operations.agents import enrol, once_overridden, report
from tests.controller.operations.world import Clock, new_desk, request, run

from holdfast.agent.pool_servers import name_of
from holdfast.controller.agents.overriding import overrides_of
from holdfast.controller.duties import _said
from holdfast.controller.operations import overrides, revisions
from holdfast.controller.operations.desk import Desk
from holdfast.errors import NotFound, PlanRefused, UsageError
from holdfast.protocol import OverrideKind, OverrideReport, PooledServer
from holdfast.protocol.api.overrides import OverrideRequest, OverrideWord
from holdfast.store.models import Override


async def _desk() -> Desk:
    desk = await new_desk()
    await revisions.apply(desk, "shop", request(SPEC, 0))
    await enrol(desk, "lb01", "lb02", "lb03")
    return desk


def _asked(**fields: object) -> OverrideRequest:
    return OverrideRequest.model_validate({"wait_s": 0, **fields})


def _shown(node: str, *rows: PooledServer, knows: bool = True) -> OverrideReport:
    return OverrideReport(node=node, done=True, knows_pools=knows, pool_names=("api", "web"), pools=rows)


def _row(server: str, kind: OverrideKind | None = None, **fields: object) -> PooledServer:
    said = {"pool": "web", "engine": "nginx", "server": name_of(server), "kind": kind, **fields}
    return PooledServer.model_validate(said)


async def _kept(desk: Desk) -> list[Override]:
    return [one.record for one in await desk.store.cluster("shop").overrides.all()]


def test_it_is_kept_told_apart_from_real_servers_and_audited() -> None:
    async def story() -> None:
        desk = await _desk()
        found = await overrides.set_override(desk, "shop", OverrideWord.DRAINED, "web/rs01:8080", _asked(why="disk"))
        assert (found.ok, found.servers, found.pool) == (False, ("rs01:8080",), "web")
        assert set(found.failed) == {"lb01", "lb02"}
        told = overrides_of(await _kept(desk), desk.now())
        assert told.servers == ()
        assert [(one.pool, one.server, one.kind, one.who) for one in told.pools] == [
            ("web", "rs01:8080", OverrideKind.DRAINED, "ada")
        ]
        audit = (await desk.store.audit.newest())[0].record
        assert (audit.action, audit.target) == ("override.set", "web/rs01:8080")
        event = (await desk.store.events.newest())[0].record
        assert event.message == "web/rs01:8080 is drained, says ada: disk"
        (kept,) = await _kept(desk)
        assert _said(kept) == "web/rs01:8080 is not drained any more: its time, set by ada, is over"

    run(story())


def test_the_same_server_in_two_pools_is_overridden_in_each_by_itself() -> None:
    async def story() -> None:
        desk = await _desk()
        for pool, weight in (("web", 3), ("api", 4)):
            await overrides.set_override(
                desk, "shop", OverrideWord.WEIGHT, "rs02:8080", _asked(pool=pool, weight=weight)
            )
        assert {(one.pool, one.weight) for one in await _kept(desk)} == {("web", 3), ("api", 4)}
        await overrides.clear_override(desk, "shop", OverrideWord.ANY, "rs02:8080", pool="web", wait_s=0)
        assert [one.pool for one in await _kept(desk)] == ["api"]

    run(story())


def test_it_returns_once_every_proxy_shows_it_and_sums_what_is_left() -> None:
    async def story() -> None:
        desk = await _desk()

        async def agents() -> None:
            await once_overridden(desk)
            for node, count in (("lb01", 3), ("lb02", 2)):
                await report(desk, node, overrides=_shown(node, _row("rs01:8080", OverrideKind.DRAINED, open=count)))

        telling = asyncio.create_task(agents())
        found = await overrides.set_override(
            desk, "shop", OverrideWord.DRAINED, "web/rs01:8080", OverrideRequest(wait_s=30)
        )
        await telling
        assert (found.ok, found.failed, found.open) == (True, {}, 5)
        for node in ("lb01", "lb02"):
            await report(desk, node, overrides=_shown(node))
        done = await overrides.clear_override(desk, "shop", OverrideWord.ANY, "web/rs01:8080", wait_s=5)
        assert (done.ok, done.open) == (True, 0)

    run(story())


def test_what_cannot_be() -> None:
    async def story() -> None:
        desk = await _desk()
        for target, fields, why in (
            ("rs02:8080", {}, "several places"),
            ("web/rs09:80", {}, "pool 'web' has no server"),
            ("web/rs01:8080", {"virtual_server": "shop"}, "server of a pool"),
        ):
            with pytest.raises(UsageError, match=why):
                await overrides.set_override(desk, "shop", OverrideWord.DRAINED, target, _asked(**fields))
        with pytest.raises(UsageError, match="too large"):
            await overrides.set_override(desk, "shop", OverrideWord.WEIGHT, "web/rs01:8080", _asked(weight=257))
        with pytest.raises(NotFound):
            await overrides.clear_override(desk, "shop", OverrideWord.ANY, "web/rs09:80", wait_s=0)
        assert await _kept(desk) == []

    run(story())


def test_min_servers_stay_unless_it_is_forced() -> None:
    async def story() -> None:
        desk = await _desk()
        await report(desk, "lb01", overrides=_shown("lb01", _row("rs02:8080", up=False)))
        with pytest.raises(PlanRefused, match="below its min_servers of 2"):
            await overrides.set_override(desk, "shop", OverrideWord.SUSPENDED, "web/rs01:8080", _asked())
        found = await overrides.set_override(desk, "shop", OverrideWord.SUSPENDED, "web/rs01:8080", _asked(force=True))
        assert len(found.warnings) == 1

    run(story())


def test_an_agent_that_knows_nothing_of_pools_is_named_and_nothing_is_kept() -> None:
    async def story() -> None:
        desk = await _desk()
        await report(desk, "lb01", overrides=_shown("lb01"))
        await report(desk, "lb02", agent_version="0.9")  # from before: it says nothing of overrides without directing
        with pytest.raises(PlanRefused, match="lb02 has not said that it knows overrides of pools"):
            await overrides.set_override(desk, "shop", OverrideWord.DRAINED, "web/rs01:8080", _asked(force=True))
        assert await _kept(desk) == []

    run(story())


def test_one_that_the_spec_has_forgotten_can_be_resumed() -> None:
    async def story() -> None:
        desk = await _desk()
        await overrides.set_override(desk, "shop", OverrideWord.DRAINED, "web/rs01:8081", _asked())
        without = SPEC.replace(", 'rs01:8081'", "")
        await revisions.apply(desk, "shop", request(without, 1).model_copy(update={"rollout": False}))
        await overrides.clear_override(desk, "shop", OverrideWord.ANY, "web/rs01:8081", wait_s=0)
        assert await _kept(desk) == []

    run(story())


def test_what_is_kept_of_real_servers_is_as_it_was_before_there_were_pools() -> None:
    async def story() -> None:
        desk = await _desk()
        await overrides.set_override(desk, "shop", OverrideWord.DRAINED, "rs01:9000", _asked())
        (kept,) = await _kept(desk)
        assert "pool" not in json.loads(kept.model_dump_json())
        assert Override.model_validate_json(kept.model_dump_json()) == kept

    run(story())


def test_of_an_agent_that_has_become_silent_it_is_said_since_when() -> None:
    """It may have been told nothing of what was overridden since."""

    async def story() -> None:
        desk = await _desk()
        await report(desk, "lb01", overrides=_shown("lb01", _row("rs01:8080")))
        began = desk.now()
        assert (await overrides.overrides(desk.store, "shop")).old == {}
        clock = desk.store.clock
        assert isinstance(clock, Clock)
        clock.wall += timedelta(seconds=60)
        await report(desk, "lb02", overrides=_shown("lb02", _row("rs01:8080")))
        found = await overrides.overrides(desk.store, "shop")
        assert found.old == {"lb01": began}
        assert found.directors.keys() == {"lb01", "lb02"}

    run(story())
