"""The same rollout on the engines that outlive a process: leases, watches and commits as they really are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.rollout.agents import PAIR, Agents, revision_of
from tests.rollout.test_lead import leader, roll
from tests.store.etcd_cluster import EtcdCluster
from tests.store.kinds import Kind, run

from holdfast.errors import LeaseLost
from holdfast.rollout.lead import run_rollout
from holdfast.rollout.propose import propose_rollout
from holdfast.rollout.records import RolloutPhase
from holdfast.store.store import Store


@pytest.fixture(params=["sqlite", pytest.param("etcd", marks=pytest.mark.lab)])
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kind]:
    if request.param == "sqlite":
        yield Kind("sqlite", tmp_path)
        return
    cluster = EtcdCluster()
    try:
        cluster.start()
        yield Kind("etcd", Path("rollouts"), cluster.endpoints)
    finally:
        cluster.stop()


def test_two_revisions_one_refused_and_a_lead_that_was_lost(kind: Kind) -> None:
    async def scenario() -> None:
        async with kind.open() as engine:
            store = await Store.open(engine)
            agents = Agents(store, {"www": "lb01"}, refuses={("lb01", 2)})
            await agents.enrol(*PAIR)
            held = await leader(store)
            async with agents.there():
                first = await roll(agents, held, 1, revision_of("one", PAIR))
                assert first.phase is RolloutPhase.SUCCEEDED, first.reason
                second = await roll(agents, held, 2, revision_of("two", PAIR))
                assert second.phase is RolloutPhase.PUT_BACK
                third = await propose_rollout(
                    store, "shop", revision=3, bundles=revision_of("three", PAIR), author="ann"
                )
                await store.holdings.release(held)
                with pytest.raises(LeaseLost):
                    await run_rollout(store, "shop", third.id, held)
                done = await run_rollout(store, "shop", third.id, await leader(store, "two"))
                assert done.phase is RolloutPhase.SUCCEEDED
        assert agents.log == ["lb01 1", "lb02 1", "lb02 2", "lb02 1", "lb02 3", "lb01 3"]

    run(scenario(), 120)
