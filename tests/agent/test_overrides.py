"""Overrides on a node in memory: kept, written, seen in the table, said where they are not."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.agent import directors
from tests.agent.services.fakes import MASTER, FakeManager, node_in

from holdfast.agent import ipvs_view, overrides
from holdfast.agent.host.fake import FakeHost
from holdfast.agent.services.base import Node
from holdfast.agent.weights import DRAINED, SUSPENDED
from holdfast.bundle import Service
from holdfast.errors import ApplyError, UsageError
from holdfast.ipvs.connections import Connection
from holdfast.ipvs.model import Checksum, Destination, ForwardingMethod, Table, Tunnel, TunnelKind
from holdfast.protocol import OverrideKind, Overrides, ServerOverride

PAIR = directors.pair()
BUNDLE = directors.bundle(PAIR)
DRAIN = Overrides(servers=(ServerOverride(server="rs01:80", kind=OverrideKind.DRAINED),))
SUSPEND = Overrides(servers=(ServerOverride(server="rs01:80", kind=OverrideKind.SUSPENDED),))


class Following(FakeHost):
    """keepalived follows the weight files each time somebody waits; `stuck` servers keep weight 0."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root
        self.stuck: set[str] = set()
        self.down: set[str] = set()
        self.deaf = False
        self.sysctls["net.ipv4.vs.expire_quiescent_template"] = "1"
        self.on_sleep = lambda now: self.follow()
        self.follow()

    def follow(self) -> None:
        if self.deaf:
            return
        weights = {}
        for each in PAIR.servers:
            path = self.root / each.weight_file.lstrip("/")
            value = int(path.read_text()) if path.exists() else 0
            if value > SUSPENDED and each.name not in self.down:
                weights[each.name] = 0 if each.name in self.stuck else max(0, each.weight + value)
        self.ipvs_table = directors.table(PAIR, weights)


class Manager(FakeManager):
    """A reload of keepalived heals what is stuck."""

    host: Following

    def reload(self, service: Service) -> None:
        super().reload(service)
        self.host.stuck.clear()
        self.host.follow()


@pytest.fixture
def node(tmp_path: Path) -> Node:
    plain, _ = node_in(tmp_path)
    host = Following(tmp_path)
    manager = Manager({Service.KEEPALIVED: MASTER})
    manager.host = host
    return Node(host, plain.places, manager)


def value(node: Node, name: str) -> int:
    return int(node.places.at(f"/var/lib/holdfast/weight/shop/{name}").read_text())


def host(node: Node) -> Following:
    assert isinstance(node.host, Following)
    return node.host


def test_a_drained_server_weighs_nothing_and_comes_back(node: Node) -> None:
    report = overrides.replace_all(node, BUNDLE, DRAIN)
    assert report.done, report.detail
    assert value(node, "rs01-80") == DRAINED
    drained, other = report.servers
    assert (drained.kind, drained.wanted, drained.weight) == (OverrideKind.DRAINED, 0, 0)
    assert 0 < drained.seconds < 0.1
    assert (other.kind, other.weight, other.open) == (None, 100, None)
    assert overrides.read(node.places) == DRAIN
    report = overrides.replace_all(node, BUNDLE, Overrides())
    assert report.done
    assert [row.weight for row in report.servers] == [100, 100]
    assert not report.reloaded


def test_a_suspended_server_is_in_no_table(node: Node) -> None:
    report = overrides.replace_all(node, BUNDLE, SUSPEND)
    assert report.done
    assert report.servers[0].weight is None
    assert value(node, "rs01-80") == SUSPENDED


def test_what_the_kernel_counts_is_told_of_every_server_that_is_in_its_table(node: Node) -> None:
    suspended, other = overrides.replace_all(node, BUNDLE, SUSPEND).servers
    assert (suspended.active, suspended.inactive, suspended.per_s) == (None, None, None)
    assert (other.active, other.inactive, other.per_s) == (0, 0, 0)
    table = host(node).ipvs_table
    busy = [one._replace(active=7, inactive=2, connections_per_s=3) for one in table.services[0].destinations]
    host(node).ipvs_table = table._replace(services=(table.services[0]._replace(destinations=tuple(busy)),))
    _, other = overrides.report(node, BUNDLE).servers
    assert (other.active, other.inactive, other.per_s) == (7, 2, 3)


def test_a_server_that_comes_back_without_weight_costs_a_reload(node: Node) -> None:
    overrides.replace_all(node, BUNDLE, SUSPEND)
    host(node).stuck = {"rs01-80"}
    report = overrides.replace_all(node, BUNDLE, Overrides())
    assert report.reloaded
    assert report.done
    assert report.servers[0].weight == 100


def test_a_table_that_does_not_follow_is_said(node: Node) -> None:
    host(node).deaf = True
    report = overrides.replace_all(node, BUNDLE, DRAIN)
    assert not report.done
    assert report.detail == "rs01:80 of shop weighs 100 in the kernel's table, not 0"
    assert host(node).monotonic() < overrides.SEEN_WITHIN_S + 1


def test_a_server_that_is_down_is_no_fault_of_its_override(node: Node) -> None:
    host(node).down = {"rs01-80"}
    host(node).follow()
    assert overrides.replace_all(node, BUNDLE, DRAIN).done
    assert overrides.replace_all(node, BUNDLE, Overrides()).done


def test_a_virtual_server_that_is_not_in_the_table_is_said(node: Node) -> None:
    host(node).deaf = True
    host(node).ipvs_table = directors.table(directors.virtual_server(port=443), {})
    assert "has no virtual server shop" in overrides.report(node, BUNDLE).detail


def test_what_is_written_follows_the_base_weight_and_goes_with_the_server(node: Node) -> None:
    weigh = ServerOverride(server="rs01:80", kind=OverrideKind.WEIGHT, weight=40)
    overrides.replace_all(node, BUNDLE, Overrides(servers=(weigh,)))
    assert value(node, "rs01-80") == -60
    other = directors.bundle(directors.pair(10))
    overrides.put(node.places, other)
    assert value(node, "rs01-80") == 30
    overrides.tidy(node.places, directors.bundle())
    assert not node.places.at("/var/lib/holdfast/weight/shop").exists()


def test_a_damaged_file_is_not_read_as_no_overrides(node: Node) -> None:
    overrides.kept_at(node.places).parent.mkdir(parents=True, exist_ok=True)
    overrides.kept_at(node.places).write_text('{"servers": [')
    with pytest.raises(ApplyError, match="not known which servers are drained"):
        overrides.put(node.places, BUNDLE)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"[]x",
        b'{"version": 2}',
        b'{"servers": [{"server": "a", "kind": "gone"}]}',
        b'{"servers": [{"server": "a", "kind": "weight"}]}',
        b'{"servers": [{"server": "a", "kind": "drained", "weight": 3}]}',
        b'{"servers": [{"server": "a", "kind": "weight", "weight": 70000}]}',
    ],
)
def test_bad_overrides_are_refused(sent: bytes) -> None:
    with pytest.raises(UsageError):
        overrides.parse(sent)


def connection(state: str, expires_s: int, port: int = 40000, protocol: str = "TCP") -> Connection:
    return Connection(protocol, "10.9.0.9", port, "10.9.0.3", 80, "10.9.0.21", 80, state, expires_s, "", "")


@pytest.mark.parametrize(
    ("found", "open_ones"),
    [
        (connection("ESTABLISHED", 800), 1),
        (connection("ESTABLISHED", 3), 1),
        (connection("SYN_RECV", 50), 1),
        (connection("FIN_WAIT", 119), 1),  # the client closed its half, and still acknowledges
        (connection("FIN_WAIT", 100), 0),
        (connection("TIME_WAIT", 119), 0),
        (connection("CLOSE", 9), 0),
        (connection("ESTABLISHED", 800, port=0), 0),  # a template
        (connection("UDP", 200, protocol="UDP"), 0),  # of another virtual server
    ],
)
def test_which_connections_are_open(found: Connection, open_ones: int) -> None:
    key, server = ipvs_view.service_key(PAIR), ipvs_view.destination_key(PAIR.servers[0])
    assert ipvs_view.still_open(key, server, [found]) == open_ones
    assert ipvs_view.still_open(key, ipvs_view.destination_key(PAIR.servers[1]), [found]) == 0


def test_the_table_is_compared_with_the_bundle_and_its_overrides(node: Node) -> None:
    assert overrides.differences(node, BUNDLE) == ()
    overrides.replace_all(node, BUNDLE, DRAIN)
    assert overrides.differences(node, BUNDLE) == ()
    overrides.replace_all(node, BUNDLE, SUSPEND)
    assert [found.code for found in overrides.differences(node, BUNDLE)] == ["IPVS006"]
    host(node).ipvs_table = directors.table(PAIR, {"rs01-80": 100, "rs02-80": 7})
    assert "IPVS011" in {found.code for found in overrides.differences(node, BUNDLE)}
    host(node).ipvs_table = directors.table(directors.virtual_server(port=443), {})
    assert {"IPVS001", "IPVS002"} <= {found.code for found in overrides.differences(node, BUNDLE)}


@pytest.mark.parametrize(
    ("kind", "port", "said"),
    [("gue", 6080, []), ("gue", 6081, ["IPVS010"]), ("gre", 0, ["IPVS010"]), ("ipip", 0, ["IPVS010"])],
)
def test_another_tunnel_than_the_bundles_is_told_whatever_its_checksum(kind: str, port: int, said: list[str]) -> None:
    tunnelled = PAIR.model_copy(update={"forward": "tun", "tunnel": "gue", "tunnel_port": 6080})
    table = directors.table(tunnelled, {server.name: server.weight for server in tunnelled.servers})
    wrapped = Tunnel(TunnelKind(kind), port, Checksum.PLAIN if kind != "ipip" else Checksum.NONE)
    found = tuple(
        Destination.of(one.key, ForwardingMethod.TUN, one.weight, tunnel=wrapped)
        for one in table.services[0].destinations
    )
    table = Table(0.0, (table.services[0]._replace(destinations=found),))
    bundle = directors.bundle(tunnelled)
    assert [each.code for each in ipvs_view.differences(bundle, table, {})] == said * 2
