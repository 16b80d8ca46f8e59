"""A server that goes down or comes back is told when it happens."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from tests.agent import directors
from tests.agent.daemon.drift.test_looks import Machine
from tests.agent.daemon.stand_in import until
from tests.agent.test_generations import a_bundle, use

from holdfast.agent.daemon.health import Health, HealthWatch
from holdfast.agent.daemon.state import State
from holdfast.agent.generations import Generations
from holdfast.agent.prober.status_file import ProberStatus, status_path
from holdfast.protocol import PoolFacts, ServerFacts

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="files of a generation belong to root")
BOTH = {"rs01-80": 100, "rs02-80": 100}


@pytest.fixture
def director(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    machine.host.ipvs_table = directors.table(directors.pair(), BOTH)
    use(Generations(machine.node.places), directors.bundle(directors.pair()))
    return machine


def test_a_server_that_leaves_the_table_or_weighs_otherwise_makes_a_difference(director: Machine) -> None:
    health = Health(director.node)
    well = health.look()
    assert health.look() == well
    seen = {well}
    for weights in ({"rs01-80": 100}, {**BOTH, "rs02-80": 0}):
        director.host.ipvs_table = directors.table(directors.pair(), weights)
        seen.add(health.look())
    director.host.ipvs_table = None
    seen.add(health.look())
    assert len(seen) == 4
    director.host.ipvs_table = directors.table(directors.pair(), BOTH)
    assert health.look() == well


def test_what_the_prober_says_makes_a_difference(director: Machine) -> None:
    health = Health(director.node)
    health.look()
    health._probes = True  # what a bundle with nginx and a check brings
    path = status_path(director.node.places)
    path.parent.mkdir(parents=True)
    seen = set()
    for up in (True, False):
        server = ServerFacts(name="app01-80", endpoint="10.0.0.1:80", up=up, in_use=up, last="200")
        pools = (PoolFacts(pool="app", min_servers=1, servers=(server,)),)
        said = ProberStatus(pid=1, digest="", generation="", pools=pools)
        path.write_text(said.model_dump_json())
        seen.add(health.look())
    assert len(seen) == 2


def test_the_change_is_told_at_once_and_only_once(director: Machine) -> None:
    async def story() -> None:
        state = State("shop", "lb01", director.work)
        told = 0

        async def changed() -> None:
            nonlocal told
            told += 1

        watching = asyncio.create_task(HealthWatch(state, changed, every_s=0.02).keep())
        try:
            await asyncio.sleep(0.3)
            assert told == 0
            director.host.ipvs_table = directors.table(directors.pair(), {"rs01-80": 100})
            await until(lambda: told == 1, "told")
            await asyncio.sleep(0.3)
            assert told == 1
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            state.end()

    asyncio.run(story())


def test_a_node_without_servers_is_looked_at_again_when_it_has_been_changed(director: Machine) -> None:
    async def story() -> None:
        generations = Generations(director.node.places)
        use(generations, a_bundle())
        state = State("shop", "lb01", director.work)
        looks = 0
        look = Health.look

        def counted(health: Health) -> int:
            nonlocal looks
            looks += 1
            return look(health)

        async def changed() -> None:
            """Nobody is told here."""

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Health, "look", counted)
            watching = asyncio.create_task(HealthWatch(state, changed, every_s=0.02).keep())
            try:
                await until(lambda: looks == 1, "looked at")
                await asyncio.sleep(0.3)
                assert looks == 1
                await state.change(lambda: use(generations, directors.bundle(directors.pair())))
                await until(lambda: looks > 3, "looked at again, and again")
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
                state.end()

    asyncio.run(story())
