"""The shipped sketch shows the whole language; like every example it is clean, and its lock is complete."""

from __future__ import annotations

import pytest
from tests.golden.cases import Case, all_examples

from holdfast.bundle import Service
from holdfast.compile.lock import complete_lock
from holdfast.spec import ClusterSpec
from holdfast.spec.checks import TRACKED
from holdfast.spec.resolve_lvs import all_directors, directed_groups, real_server_nodes

each_example = pytest.mark.parametrize("case", all_examples(), ids=lambda case: case.name)


def sketch() -> Case:
    (case,) = (case for case in all_examples() if case.name == "sketch")
    return case


@each_example
def test_an_example_is_without_any_finding(case: Case) -> None:
    """Not even a hint: an example is what people copy."""
    assert case.source().loaded.findings == ()


@each_example
def test_an_example_compiles_for_every_node_with_a_role(case: Case) -> None:
    spec = case.source().loaded.spec
    holders = {member for group in spec.vrrp.values() for member in group.members}
    proxies = {node for proxy in spec.proxies.values() for node in proxy.nodes}
    servers = real_server_nodes(spec).keys()
    bundles = case.bundles()
    assert bundles.keys() == holders | proxies | servers
    for name in holders:
        assert {Service.KEEPALIVED, Service.NFTABLES, Service.SYSCTL} <= set(bundles[name].services)
    for name in servers:
        assert Service.NETWORK in bundles[name].services


@each_example
def test_nothing_is_left_to_choose_for_an_example(case: Case) -> None:
    source = case.source()
    assert complete_lock(source.loaded.spec, source.lock) == source.lock


def test_the_sketch_shows_every_section_of_the_language() -> None:
    spec = sketch().source().loaded.spec
    assert spec.model_fields_set == set(ClusterSpec.model_fields) - {"origin"}  # what was imported, never typed


def test_the_sketch_shows_what_an_operator_looks_for() -> None:
    spec = sketch().source().loaded.spec
    trackers = [tracker for group in spec.vrrp.values() for tracker in group.keeps_while]
    assert {tracker.kind for tracker in trackers} >= set(TRACKED) - {"file", "interface"}
    assert {tracker.on_loss for tracker in trackers} == {"release", "yield"}
    routes = [route for site in spec.sites.values() for route in site.routes]
    assert any(len(route.split) > 1 and route.sticky for route in routes)
    assert any(pool.check for pool in spec.pools.values())
    assert any(virtual.check and virtual.sorry and virtual.persistence for virtual in spec.virtual_servers.values())


@each_example
def test_every_line_of_an_example_fits_a_terminal(case: Case) -> None:
    text = (case.folder / "cluster.yaml").read_text(encoding="utf-8")
    assert max(map(len, text.splitlines())) <= 120


LVS = ("lvs-dr-pair", "lvs-nat-floating-gateway", "lvs-tun", "lvs-dual-master", "lvs-nginx-two-tier")


def test_the_examples_show_all_ways_to_forward_and_both_tiers() -> None:
    found = {case.name: case.source().loaded.spec for case in all_examples() if case.name in LVS}
    assert found.keys() == set(LVS)
    ways = {virtual.forward for spec in found.values() for virtual in spec.virtual_servers.values()}
    assert ways == {"nat", "dr", "tun"}
    two_tier = found["lvs-nginx-two-tier"]
    assert {node for proxy in two_tier.proxies.values() for node in proxy.nodes} == set(real_server_nodes(two_tier))
    dual = found["lvs-dual-master"]
    assert {dual.vrrp[group].members[0] for group in directed_groups(dual)} == set(all_directors(dual))
