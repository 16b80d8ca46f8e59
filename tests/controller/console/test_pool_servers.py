"""Servers of pools that are overridden, as pages and the status show them."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.cli.test_pool_overrides import SPEC
from tests.controller.operations.agents import enrol, report
from tests.controller.operations.world import new_desk, request

from holdfast.agent.pool_servers import name_of
from holdfast.controller.console.pictures.proxies import PoolRow, pools_of
from holdfast.controller.console.pictures.servers import override_of
from holdfast.controller.operations import overrides, revisions
from holdfast.controller.operations.situation import Situation, situation
from holdfast.protocol import OverrideKind, OverrideReport, PooledServer
from holdfast.protocol.api.overrides import OverrideRequest, OverrideWord

SERVER = "rs01:8080"


def _said(node: str, kind: OverrideKind | None, **fields: Any) -> OverrideReport:
    row = {"pool": "web", "engine": "nginx", "server": name_of(SERVER), "kind": kind, **fields}
    rows = (PooledServer.model_validate(row),)
    return OverrideReport(node=node, done=True, knows_pools=True, pool_names=("api", "web"), pools=rows)


async def _seen(word: OverrideWord, *reports: OverrideReport, **asked: Any) -> Situation:
    desk = await new_desk()
    await revisions.apply(desk, "shop", request(SPEC, 0))
    await enrol(desk, "lb01", "lb02", "lb03")
    await overrides.set_override(
        desk, "shop", word, f"web/{SERVER}", OverrideRequest.model_validate({"wait_s": 0, **asked})
    )
    for each in reports:
        await report(desk, each.node, overrides=each)
    return await situation(desk.store, "shop")


def _web(seen: Situation) -> PoolRow:
    return next(one for one in pools_of(seen) if one.name == "web")


def test_it_is_drained_once_every_proxy_that_is_heard_has_it_so_and_counts_are_summed() -> None:
    both = (_said("lb01", OverrideKind.DRAINED, open=3), _said("lb02", OverrideKind.DRAINED, open=2))
    for reports, word, count in (((), "being drained", None), (both, "drained", 5)):
        seen = asyncio.run(_seen(OverrideWord.DRAINED, *reports, why="disk"))
        server = next(one for one in _web(seen).servers if one.written == SERVER)
        assert (server.word, server.open, server.override and server.override.why) == (word, count, "disk")
    (web,) = [one for one in seen.told.services if (one.kind, one.name) == ("pool", "web")]
    assert [(one.override, one.open) for one in web.servers] == [("drained", 5)]


def test_another_weight_is_shown_beside_the_specs() -> None:
    seen = asyncio.run(_seen(OverrideWord.WEIGHT, _said("lb01", OverrideKind.WEIGHT, weight=9), weight=9))
    server = next(one for one in _web(seen).servers if one.written == SERVER)
    assert (server.weight, server.weight_now) == (1, 9)


def test_it_is_none_of_a_real_server_of_the_same_name() -> None:
    seen = asyncio.run(_seen(OverrideWord.DRAINED))
    assert override_of(seen.told.overrides, SERVER, "shop") is None
