"""What a plan says of a change of virtual servers, and who comes first."""

from __future__ import annotations

import re

import pytest
from tests.golden.cases import GOLDEN, Case

from holdfast.bundle import Bundle
from holdfast.compile.compiler import compile_cluster
from holdfast.keepalived.parse import parse
from holdfast.plan import Hazard, Plan, Turn, make_plan

DR, NAT, TUN = (Case(GOLDEN / name) for name in ("lvs-dr", "lvs-nat", "lvs-tun"))


def changed(case: Case, old: str, new: str) -> dict[str, Bundle]:
    """The case compiled with a part of its spec replaced, wherever it stands."""
    text = (case.folder / "cluster.yaml").read_text(encoding="utf-8")
    assert old in text
    return compile_cluster(case.source(text.replace(old, new)))


def plan(case: Case, old: str, new: str) -> Plan:
    return make_plan(case.bundles(), changed(case, old, new))


def dropped(found: Plan, node: str) -> list[str]:
    planned = found.node(node)
    changes = planned.changes if planned else ()
    return [change.sentence for change in changes if change.hazard is Hazard.DROPS_CONNECTIONS]


PATH = "/etc/holdfast/keepalived/keepalived.conf"
SECOND = ("vip: 192.0.2.3,", "vip: 192.0.2.3, second: 192.0.2.4,")
WEB02 = "      - {address: 'web02:80', weight: 2, max_connections: 1000, resume_below: 800}\n"


def test_a_server_that_is_taken_out_drops_its_connections_on_both_sides() -> None:
    found = plan(DR, WEB02, "")
    assert dropped(found, "lb01") == [
        "virtual server shop: server 10.0.0.8 port 80 removed",
        "virtual server shop.v6: server fd00:0:0:1::8 port 80 removed",
    ]
    assert dropped(found, "web02") == [
        "real server: address 10.0.0.3/32 lo removed",
        "real server: address fd00:0:0:1::3/128 lo removed",
    ]
    director = found.node("lb01")
    assert director is not None
    assert all("holdfast drain" in change.safer for change in director.changes)
    leaving = found.node("web02")
    assert leaving is not None
    assert (leaving.new, leaving.turn) == (None, Turn.BEHIND_LAST)


def test_a_server_that_is_added_comes_before_the_directors_and_drops_nothing() -> None:
    found = make_plan(changed(DR, WEB02, ""), DR.bundles())
    assert {node.node: node.turn for node in found.nodes} == {
        "lb01": Turn.IN_FRONT, "lb02": Turn.IN_FRONT, "web02": Turn.BEHIND_FIRST,
    }  # fmt: skip
    assert {node.node: node.hazard for node in found.nodes} == {
        "lb01": Hazard.RELOAD, "lb02": Hazard.RELOAD, "web02": Hazard.LIVE,
    }  # fmt: skip
    assert [wave.nodes for wave in found.waves] == [("web02",), ("lb02",), ("lb01",)]


@pytest.mark.parametrize(
    ("case", "old", "new", "said"),
    [
        (NAT, "on: 'gate:80'", "on: 'gate:81'", r"virtual server shop \(192.0.2.3 port 80, tcp\): removed"),
        (DR, "forward: dr", "forward: tun", r"virtual server shop: way of forwarding DR → TUN type ipip"),
        (TUN, "tunnel: gre,", "", r"virtual server wrapped.*: way of forwarding TUN type gre nocsum → TUN type ipip"),
        (
            TUN,
            "port: 6080}",
            "port: 6081}",
            r"virtual server udp.*: way of forwarding TUN type gue port 6080.* → TUN type gue port 6081",
        ),
        (NAT, "'web01:8080', ", "", "virtual server shop: server 10.0.0.7 port 8080 removed"),
    ],
)
def test_what_ends_connections_is_said(case: Case, old: str, new: str, said: str) -> None:
    assert any(re.search(said, reason) for reason in dropped(plan(case, old, new), "lb01"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("scheduler: wrr", "scheduler: wlc"),
        ("scheduler: wrr", "scheduler: {name: sh, flags: [port]}"),
        ("weight: 2,", "weight: 3,"),
        ("keeps: 10m, prefix: 24", "keeps: 20m, prefix: 16"),
        ("fall: 3", "fall: 5"),
        ("max_connections: 1000", "max_connections: 2000"),
        ("    sorry: 'web03:80'\n", "    sorry: 'web03:80'\n    failed: weightless\n"),
    ],
)
def test_what_keepalived_edits_in_place_is_a_reload(old: str, new: str) -> None:
    """Measured: none of these takes an entry out of the kernel's table."""
    found = plan(DR, old, new)
    assert found.hazards <= {Hazard.RELOAD, Hazard.LIVE}
    assert Hazard.RELOAD in found.hazards


def sockets(bundle: Bundle) -> set[str]:
    """What keepalived asks the kernel for: each virtual server with its real servers."""
    file = bundle.file(PATH)
    assert file is not None
    return {
        f"{vs.args} {vs.value('protocol')} {rs.args}"
        for vs in parse(file.content).root.all("virtual_server")
        for rs in vs.all("real_server")
    }


def test_a_second_address_of_a_group_ends_no_connection_to_the_first() -> None:
    """Its virtual servers get longer names with the second; the kernel knows them by what they listen on."""
    more = changed(NAT, *SECOND)
    assert sockets(NAT.bundles()["lb01"]) < sockets(more["lb01"])
    for old, new in ((NAT.bundles(), more), (more, NAT.bundles())):
        found = make_plan(old, new)
        changes = [change for node in found.nodes for change in node.changes]
        assert "virtual-server-renamed" in {change.row for change in changes}
        ends = {change.sentence for change in changes if change.hazard is Hazard.DROPS_CONNECTIONS}
        assert not any("192.0.2.3" in sentence for sentence in ends), ends
        assert bool(ends) is (old is more)


def test_the_way_back_that_changes_ends_what_came_by_the_old_one() -> None:
    found = plan(NAT, "inner: 10.0.0.1,", "inner: 10.0.0.2,")
    said = "real server: IPv4 answers leave by way of 10.0.0.1 (eth0) → 10.0.0.2 (eth0)"
    assert said in dropped(found, "web01")


def test_a_cluster_without_virtual_servers_loses_all_of_it() -> None:
    text = (DR.folder / "cluster.yaml").read_text(encoding="utf-8")
    without = compile_cluster(DR.source(text.partition("virtual_servers:")[0]))
    found = make_plan(DR.bundles(), without)
    assert [node.node for node in found.nodes if node.new is None] == ["web01", "web02", "web03"]
    assert {node.node for node in found.nodes if node.turn is Turn.BEHIND_LAST} == {"web01", "web02", "web03"}
    assert "virtual server shop (10.0.0.3 port 80, tcp): removed" in dropped(found, "lb02")
    assert without["lb01"].kernel_modules == ()
