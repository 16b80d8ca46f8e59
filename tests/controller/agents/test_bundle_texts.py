"""Bundles for agents: read once, compiled again where the store has lost them, and never replaced by another one."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from tests.controller.operations.world import MORE_WEIGHT, SPEC, end_rollout, new_desk, request, run

from holdfast.bundle import Bundle
from holdfast.controller.agents.bundle_texts import BundleTexts
from holdfast.controller.operations import compiling, revisions
from holdfast.controller.operations.desk import Desk
from holdfast.rollout.bundles import Bundles
from holdfast.rollout.records import Assignment, RolloutStore
from holdfast.store.port import Put


async def lose(desk: Desk, *digests: str) -> None:
    """As if what keeps the store small had been wrong."""
    kept = Bundles(desk.store, "shop")
    for digest in digests:
        head = await kept._heads.get(digest)
        assert head is not None
        assert await kept._drop(digest, head)


async def rolled_out(desk: Desk, spec: str, base: int) -> dict[str, Assignment]:
    await end_rollout(desk, await revisions.apply(desk, "shop", request(spec, base)))
    return {one.name: one.record for one in await RolloutStore(desk.store, "shop").assignments.all()}


def test_what_the_store_has_lost_is_compiled_again_once_for_all_that_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        desk = await new_desk()
        before = await rolled_out(desk, SPEC, 0)
        kept = Bundles(desk.store, "shop")
        bundles = {node: await kept.get(one.digest) for node, one in before.items()}
        await lose(desk, *(one.digest for one in before.values()))
        compiled: list[int] = []
        again = compiling.again

        def counted(*asked: Any) -> compiling.Compiled:
            compiled.append(asked[1])
            return again(*asked)

        monkeypatch.setattr(compiling, "again", counted)
        texts = BundleTexts(desk.store, lambda cluster: compiling.restored(desk, cluster))
        found = await asyncio.gather(*(texts.get("shop", one.digest) for one in before.values()))
        assert compiled == [1]
        assert [Bundle.model_validate_json(line or b"") for line in found] == list(bundles.values())
        assert all(b"\n" not in line for line in found if line)
        assert await kept.get(before["lb01"].digest) == bundles["lb01"]  # the next one reads it from the store

    run(scenario())


def test_a_bundle_that_would_be_another_one_today_is_not_put_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        desk = await new_desk()
        await rolled_out(desk, SPEC, 0)
        assignment = (await rolled_out(desk, MORE_WEIGHT, 1))["lb01"]
        await lose(desk, assignment.digest)
        asked: list[str] = []

        async def another(cluster: str) -> int:
            asked.append(cluster)
            return await compiling.restored(desk, cluster)

        texts = BundleTexts(desk.store, another)
        again = compiling.again

        def newer(*asked: Any) -> compiling.Compiled:
            made = again(*asked)
            lb01 = made.bundles["lb01"].model_copy(update={"services": (), "files": ()})
            return replace(made, bundles={**made.bundles, "lb01": lb01})

        with monkeypatch.context() as patched:
            patched.setattr(compiling, "again", newer)
            assert await texts.get("shop", assignment.digest) is None
        assert await texts.get("shop", assignment.digest) is None
        assert asked == ["shop"]  # not for each of a thousand agents that ask
        assert await BundleTexts(desk.store, another).get("shop", assignment.digest)

    run(scenario())


def test_a_damaged_bundle_keeps_no_other_from_being_compiled_again(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        desk = await new_desk()
        told = await rolled_out(desk, SPEC, 0)
        kept = Bundles(desk.store, "shop")
        lost = await kept.get(told["lb01"].digest)
        await lose(desk, told["lb01"].digest)
        damaged = kept._heads.key(told["lb02"].digest)
        assert await desk.store.engine.get(damaged) is not None
        await desk.store.engine.commit([], [Put(damaged, b"{}")])
        assert await compiling.restored(desk, "shop") == 1
        assert await kept.get(told["lb01"].digest) == lost
        assert f"{damaged} in the store is not understood" in caplog.text

    run(scenario())
