"""`holdfast drain|suspend|weight|resume POOL/SERVER`: named, refused, written, told to the proxies, counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.cli.overrides_run import runner, spec_file, written
from typer.testing import Result

from holdfast.agent.pool_servers import name_of
from holdfast.cli.overrides_place import Place, _directors
from holdfast.errors import PlanRefused, UsageError
from holdfast.protocol import OverrideReport, Overrides, PooledServer
from holdfast.spec import load_spec

SPEC = """
holdfast: 1
cluster: shop
networks: {front: {cidr: 10.9.0.0/24}}
nodes: {lb01: 10.9.0.5, lb02: 10.9.0.6, lb03: 10.9.0.7, rs01: 10.9.0.21, rs02: 10.9.0.22}
vrrp: {www: {addresses: [10.9.0.3/24], nodes: [lb01, lb02]}}
pools:
  web: {servers: ['rs01:8080', 'rs02:8080', 'rs01:8081'], min_servers: 2}
  api: {servers: ['rs02:8080', 'rs02:9000']}
sites: {all: {routes: [{path: /api, to: api}, {to: web}]}}
proxies:
  edge: {engine: nginx, nodes: [lb01, lb02], listeners: [{on: 'www:80', sites: [all]}]}
virtual_servers:
  shop: {on: 'www:9000', forward: dr, servers: ['rs01:9000', 'rs02:9000']}
"""


@dataclass
class Nodes:
    """Agents in memory that carry out what they are told at once."""

    told: dict[str, Overrides] = field(default_factory=dict)
    older: set[str] = field(default_factory=set)
    down: set[str] = field(default_factory=set)
    counts: list[int] = field(default_factory=list)

    def override(self, node: str, wanted: Overrides | None) -> OverrideReport:
        if node in self.older:
            return OverrideReport(node=node, done=True)
        if wanted is not None:
            self.told[node] = wanted
        count = self.counts.pop(0) if self.counts else 0
        rows = [
            PooledServer(pool=one.pool, engine="nginx", server=name_of(one.server), kind=one.kind, open=count)
            for one in self.told.get(node, Overrides()).pools
        ]
        rows += [PooledServer(pool="web", engine="nginx", server=name_of(each), up=False) for each in self.down]
        pools = ("api", "web") if node in ("lb01", "lb02") else ()
        return OverrideReport(node=node, done=True, knows_pools=True, pool_names=pools, pools=tuple(rows))


@pytest.fixture
def nodes() -> Nodes:
    return Nodes()


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    return spec_file(tmp_path, SPEC)


@pytest.fixture
def run(spec: Path, nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    def place() -> Place:
        loaded = load_spec(spec)
        return Place(loaded, spec, nodes, _directors(loaded))  # type: ignore[arg-type]

    return runner(monkeypatch, spec, place)


def test_it_is_written_and_told_to_the_proxies_and_ends_again(
    run: Callable[..., Result], spec: Path, nodes: Nodes
) -> None:
    done = run("drain", "web/rs01:8080", "--why", "new disk", "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["ok"], said["pool"], said["servers"]) == (True, "web", ["rs01:8080"])
    assert set(nodes.told) == {"lb01", "lb02"}
    (told,) = nodes.told["lb01"].pools
    assert (told.pool, told.server, told.kind, told.why) == ("web", "rs01:8080", "drained", "new disk")
    assert nodes.told["lb01"].servers == ()
    assert [(each["server"], each["pool"]) for each in written(spec)] == [("rs01:8080", "web")]
    assert run("weight", "web/rs01:8080", "7").exit_code == 0
    assert [(each["kind"], each["weight"]) for each in written(spec)] == [("weight", 7)]
    assert run("resume", "web/rs01:8080").exit_code == 0
    assert written(spec) == []
    assert nodes.told["lb01"].pools == ()


def test_a_server_in_one_place_needs_no_pool_and_a_node_means_all_its_ports(
    run: Callable[..., Result], spec: Path
) -> None:
    assert run("suspend", "rs01:8080").exit_code == 0
    assert run("drain", "web/rs01", "--force").exit_code == 0
    assert {(each["server"], each["kind"]) for each in written(spec)} == {
        ("rs01:8080", "drained"),
        ("rs01:8081", "drained"),
    }


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (("drain", "rs02:8080"), "several places", "web/rs02:8080, or api/rs02:8080"),
        (("drain", "rs02:9000"), "several places", "api/rs02:9000, or rs02:9000 --from shop"),
        (("drain", "web/rs02:9000"), "pool 'web' has no server", "web/rs02:8080"),
        (("drain", "app/rs02:9000"), "no pool 'app'", "known: api, web"),
        (("drain", "api/rs02:9000", "--from", "shop"), "server of a pool", "leave --from out"),
        (("drain", "rs02:9000", "--from", "api"), "no virtual server 'api'", "api/rs02:9000"),
        (("weight", "web/rs01:8080", "257"), "too large", "HAProxy"),
    ],
)
def test_what_is_not_clear_is_refused_with_what_there_is(
    run: Callable[..., Result], nodes: Nodes, words: tuple[str, ...], message: str, hint: str
) -> None:
    done = run(*words)
    assert isinstance(done.exception, UsageError), done.output
    assert message in done.exception.message
    assert hint in done.exception.hint
    assert nodes.told == {}


def test_a_virtual_servers_own_is_meant_as_ever(run: Callable[..., Result], nodes: Nodes) -> None:
    run("weight", "rs01:9000", "9")
    assert [(one.server, one.weight) for one in nodes.told["lb01"].servers] == [("rs01:9000", 9)]


def test_never_fewer_than_min_servers_unless_it_is_meant(run: Callable[..., Result], nodes: Nodes, spec: Path) -> None:
    nodes.down = {"rs02:8080"}
    done = run("drain", "web/rs01:8080")
    assert isinstance(done.exception, PlanRefused)
    assert "left with 1 server (rs01:8081), below its min_servers of 2" in done.exception.message
    assert nodes.told == {}
    assert run("drain", "web/rs01:8080", "--force").exit_code == 0
    assert len(written(spec)) == 1


def test_an_older_agent_is_named_and_nothing_is_done(run: Callable[..., Result], nodes: Nodes, spec: Path) -> None:
    nodes.older = {"lb02"}
    for words in (("drain", "web/rs01:8080", "--force"), ("weight", "web/rs01:8080", "3")):
        done = run(*words)
        assert isinstance(done.exception, PlanRefused)
        assert "the agent of lb02 knows no overrides of pools" in done.exception.message
    assert nodes.told == {}
    assert not (spec.parent / "shop.overrides.yaml").exists()


def test_drain_waits_for_what_is_left_on_every_proxy(run: Callable[..., Result], nodes: Nodes) -> None:
    nodes.counts = [0, 0, 3, 2, 1, 0, 0, 0]  # lb01 and lb02 in turn: before, as they are told, and twice more
    done = run("drain", "web/rs01:8080", "--wait", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["left"] == 0
    assert nodes.counts == []
