"""The shipped sketch shows the whole language; like every example it is clean, and its lock is complete."""

from __future__ import annotations

import pytest
from tests.golden.cases import Case, all_examples

from holdfast.bundle import Service
from holdfast.compile.lock import complete_lock
from holdfast.spec import ClusterSpec
from holdfast.spec.checks import TRACKED

each_example = pytest.mark.parametrize("case", all_examples(), ids=lambda case: case.name)


def sketch() -> Case:
    (case,) = (case for case in all_examples() if case.name == "sketch")
    return case


@each_example
def test_an_example_is_without_any_finding(case: Case) -> None:
    """Not even a hint: an example is what people copy."""
    assert case.source().loaded.findings == ()


@each_example
def test_an_example_compiles_for_every_member_and_proxy(case: Case) -> None:
    spec = case.source().loaded.spec
    wanted = {member for group in spec.vrrp.values() for member in group.members}
    wanted |= {node for proxy in spec.proxies.values() for node in proxy.nodes}
    bundles = case.bundles()
    assert bundles.keys() == wanted
    for bundle in bundles.values():
        assert {Service.KEEPALIVED, Service.NFTABLES, Service.SYSCTL} <= set(bundle.services)


@each_example
def test_nothing_is_left_to_choose_for_an_example(case: Case) -> None:
    source = case.source()
    assert complete_lock(source.loaded.spec, source.lock) == source.lock


def test_the_sketch_shows_every_section_of_the_language() -> None:
    spec = sketch().source().loaded.spec
    assert spec.model_fields_set == set(ClusterSpec.model_fields)


def test_the_sketch_shows_what_an_operator_looks_for() -> None:
    spec = sketch().source().loaded.spec
    trackers = [tracker for group in spec.vrrp.values() for tracker in group.keeps_while]
    assert {tracker.kind for tracker in trackers} >= set(TRACKED) - {"file", "interface"}
    assert {tracker.on_loss for tracker in trackers} == {"release", "yield"}
    routes = [route for site in spec.sites.values() for route in site.routes]
    assert any(len(route.split) > 1 and route.sticky for route in routes)
    assert any(pool.check for pool in spec.pools.values())


def test_every_line_of_the_sketch_fits_a_terminal() -> None:
    text = (sketch().folder / "cluster.yaml").read_text(encoding="utf-8")
    assert max(map(len, text.splitlines())) <= 120
