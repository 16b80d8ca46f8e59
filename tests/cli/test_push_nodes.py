"""What a push keeps of what is overridden, and who has to know it first: pure."""

from __future__ import annotations

from tests.agent.test_pool_overrides_live import SPEC, bundle

from holdfast.cli.push_nodes import NodeSeen, due, left_without, overridden
from holdfast.protocol import NodeStatus, OverrideKind, Overrides, PoolOverride
from holdfast.spec import parse_spec

DRAINED = PoolOverride(pool="web", server="10.9.0.5:9001", kind=OverrideKind.DRAINED, who="ada")
GONE = PoolOverride(pool="web", server="10.9.0.5:9009", kind=OverrideKind.DRAINED)
LOADED = parse_spec(SPEC.format(engine="haproxy", path="fair", check="min_servers: 3", weight=1))


def test_servers_of_pools_stay_overridden_where_the_spec_still_has_them() -> None:
    seen = {"lb01": NodeSeen(bundle("nginx"), NodeStatus(pool_overrides=(DRAINED, GONE)))}
    kept = overridden(seen, LOADED.spec)
    assert kept == Overrides(pools=(DRAINED,))
    (said,) = left_without(LOADED.spec, kept)
    assert "pool 'web' is left with 2 servers" in said


def test_a_node_that_begins_to_have_pools_is_told_first_and_others_are_not() -> None:
    seen = {
        "lb01": NodeSeen(bundle("nginx"), NodeStatus(pool_overrides=(DRAINED,))),
        "lb02": NodeSeen(None, NodeStatus()),
    }
    kept = overridden(seen, LOADED.spec)
    told = dict(due(seen, {"lb01": bundle("haproxy"), "lb02": bundle("haproxy")}, kept))
    assert told == {"lb02": kept}
    assert dict(due({"lb02": seen["lb02"]}, {"lb02": bundle("haproxy")}, Overrides())) == {}
