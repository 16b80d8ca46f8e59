"""`drain`, `suspend`, `weight`, `resume` and `overrides` by way of a controller: the same words, the same output."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.controlled import Controlled, controlled
from tests.controller.operations.agents import report, row, table
from tests.controller.operations.test_overrides import SPEC

from holdfast.controller.identity.sealing import KeyFileSealer
from holdfast.controller.operations.desk import Desk
from holdfast.errors import PlanRefused, UsageError
from holdfast.protocol import OverrideKind, WeighedServer

pytestmark = pytest.mark.whole

KINDS = {kind.value: kind for kind in OverrideKind}


async def directors(world: Controlled) -> None:
    """Two directors whose tables show at once what they are told."""
    desk = Desk(world.world.store, KeyFileSealer(b"k" * 32), "user:nobody")
    async with world.world.store.cluster("shop").overrides.watch() as updates:
        known: dict[str, WeighedServer] = {}
        async for update in updates:
            if update.items:
                records = [one.record for one in await world.world.store.cluster("shop").overrides.all()]
                kinds = {one.target: (KINDS[one.kind.value], one.weight) for one in records}
                for source, server in (("shop", "rs01:80"), ("shop", "rs02:80"), ("api", "rs01:443")):
                    kind, weight = kinds.get(server, (None, 1))
                    known[server] = row(server.replace(":", "-"), kind, weight or 0, source)
            for node in ("lb01", "lb02") if known else ():
                await report(desk, node, overrides=table(node, *known.values(), holds=node == "lb01"))


@pytest.fixture(scope="module")
def balanced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controlled]:
    """A controller with a cluster that has virtual servers."""
    folder: Path = tmp_path_factory.mktemp("balanced")
    with controlled(folder) as world:
        world.log_in()
        (folder / "cluster.yaml").write_text(SPEC)
        world.well("apply", str(folder / "cluster.yaml"), "--yes", "--no-wait")
        task = asyncio.run_coroutine_threadsafe(directors(world), world.loop)
        yield world
        task.cancel()


def test_drained_weighed_and_resumed_without_a_spec_in_sight(balanced: Controlled) -> None:
    said = balanced.well("drain", "rs01:80", "--why", "new disk")
    assert "✓ rs01:80: drained" in said
    assert "lb02" in said
    told = json.loads(balanced.well("overrides", "--json"))
    assert [(one["target"], one["kind"], one["who"], one["why"]) for one in told["overrides"]] == [
        ("rs01:80", "drained", "admin", "new disk")
    ]
    assert "rs01:80" in balanced.well("overrides")
    found = json.loads(balanced.well("weight", "rs01:80", "7", "--json"))
    assert (found["ok"], found["servers"], found["file"]) == (True, ["rs01:80"], "cluster shop")
    assert set(found["directors"]) == {"lb01", "lb02"}
    assert "in service" in balanced.well("resume", "rs01:80")
    assert "nothing is overridden" in balanced.well("overrides")


def test_the_last_one_needs_force_here_too(balanced: Controlled) -> None:
    balanced.well("suspend", "rs01:80")
    refused = balanced.run("drain", "rs02:80")
    assert isinstance(refused.exception, PlanRefused)
    assert "--force" in refused.exception.hint
    balanced.well("resume", "rs01:80")
    unknown = balanced.run("drain", "rs09:80")
    assert isinstance(unknown.exception, UsageError)
