"""A controller newer than some of its agents: who is too old is named before any node is touched."""

from __future__ import annotations

import pytest
from tests.rollout.agents import PAIR
from tests.rollout.bundles import bundle
from tests.rollout.test_lead import cluster, leader, roll
from tests.rollout.virtual import run

from holdfast.bundle import CONFIG_DIR, HAPROXY_STATE, NGINX_SERVERS_DIR, Bundle, BundleFile
from holdfast.rollout.records import RolloutPhase

LISTS = {
    "nginx": BundleFile(path=f"{NGINX_SERVERS_DIR}/app.conf", content="server 10.0.0.7:80;\n", state=True),
    "haproxy": BundleFile(path=f"{CONFIG_DIR}/haproxy/haproxy.cfg", content=f"server-state-file {HAPROXY_STATE}\n"),
}


def _with_lists(node: str, engine: str) -> Bundle:
    plain = bundle(node, "two", PAIR[node])
    files = sorted((*plain.files, LISTS[engine]), key=lambda one: one.path)
    return plain.model_copy(update={"files": tuple(files)})


@pytest.mark.parametrize("engine", LISTS)
@pytest.mark.parametrize("old", [{"lb01"}, {"lb01", "lb02"}])
def test_agents_too_old_for_pools_as_lists_are_all_named_before_anything_is_touched(old: set[str], engine: str) -> None:
    async def scenario() -> None:
        agents = await cluster(older=old)
        bundles = {node: _with_lists(node, engine) for node in PAIR}
        held = await leader(agents.store)
        async with agents.there():
            record = await roll(agents, held, 2, bundles)
            assert record.phase is RolloutPhase.REFUSED
            assert f"the agent of {', '.join(sorted(old))} is too old" in record.reason
            assert "no node was touched" in record.reason
            assert agents.log == []
            agents.older = set()  # … and once it was installed there:
            again = await roll(agents, held, 3, bundles)
        assert again.phase is RolloutPhase.SUCCEEDED, again.reason

    run(scenario())


def test_an_agent_that_is_away_is_not_asked_for() -> None:
    async def scenario() -> None:
        agents = await cluster(older={"lb02"})
        held = await leader(agents.store)
        async with agents.there():
            record = await roll(agents, held, 2, {node: _with_lists(node, "nginx") for node in PAIR}, without=("lb02",))
        assert record.phase is RolloutPhase.SUCCEEDED, record.reason

    run(scenario())
