"""A group that is tied to a program: its holder gives it up when a change stops that program."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.bundle import Bundle
from holdfast.compile.compiler import CompileInput, compile_cluster
from holdfast.compile.lock import Lock, Secrets
from holdfast.plan import Plan, make_plan
from holdfast.spec import load_spec

SPEC = """
holdfast: 1
cluster: shop
networks: {front: {cidr: 10.9.0.0/24}}
nodes: {lb01: 10.9.0.5, lb02: 10.9.0.6, web01: 10.9.0.21}
vrrp:
  www: {addresses: [10.9.0.3/24], nodes: [lb01, lb02], vrid: 51, keeps_while: [TRACKER]}
pools: {web: {servers: ['web01:80']}}
sites: {all: {routes: [{to: web}]}}
proxies:
  edge: {engine: ENGINE, nodes: [lb01, lb02], listeners: [{on: 'www:80', sites: [all]}]}
"""


def compiled(folder: Path, engine: str, tracker: str, events: bool) -> dict[str, Bundle]:
    path = folder / f"{engine}.yaml"
    path.write_text(SPEC.replace("ENGINE", engine).replace("TRACKER", tracker.replace("ENGINE", engine)))
    return compile_cluster(
        CompileInput(load_spec(path), Lock(cluster="shop"), Secrets(cluster="shop"), process_events=events)
    )


def torn(plan: Plan) -> list[tuple[str, str]]:
    return [(node.node, change.what) for node in plan.nodes for change in node.changes if change.row == "group-tied"]


@pytest.mark.parametrize("events", [True, False])
@pytest.mark.parametrize("tracker", ["{process: ENGINE}", "{http: '127.0.0.1:8080/healthz'}"])
def test_another_engine_moves_the_groups_of_who_holds_them_and_no_others(
    tmp_path: Path, tracker: str, events: bool
) -> None:
    old, new = (compiled(tmp_path, engine, tracker, events) for engine in ("nginx", "haproxy"))
    assert torn(make_plan(old, new)) == [("lb01", "it is tied to nginx, which stops on this node")]
    assert torn(make_plan(new, old)) == [("lb01", "it is tied to haproxy, which stops on this node")]


@pytest.mark.parametrize("events", [True, False])
def test_a_group_that_is_tied_to_nothing_of_it_stays(tmp_path: Path, events: bool) -> None:
    old, new = (compiled(tmp_path, engine, "{file: by-hand}", events) for engine in ("nginx", "haproxy"))
    assert torn(make_plan(old, new)) == []


@pytest.mark.parametrize("events", [True, False])
@pytest.mark.parametrize(
    ("asked", "tied"),
    [
        ("127.0.0.1:9100/metrics", False),  # a program of its own, which no change of proxies stops
        ("10.9.0.1:9100/", False),
        ("127.0.0.1:80/", True),  # a port that the engine listens on, wherever: in doubt it is tied
    ],
)
def test_a_tracker_that_asks_elsewhere_is_tied_to_no_engine(
    tmp_path: Path, asked: str, tied: bool, events: bool
) -> None:
    old, new = (compiled(tmp_path, engine, f"{{http: '{asked}'}}", events) for engine in ("nginx", "haproxy"))
    assert bool(torn(make_plan(old, new))) == tied
