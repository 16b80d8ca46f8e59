"""Each class of hazard with the real programs: what a plan says of a change is what the change then does."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest
from tests.plan.members import MEMBERS, PORT, VIP, Pair, missing_programs, pair
from tests.plan.raw import PRIORITY, bundle, text

from holdfast.plan import Hazard, Plan, make_plan

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

_LOOK_S = 2.5
QUICK = {"interval": 0.2, "addresses": f"{VIP}/24 dev eth0", "excluded": "10.92.0.101/24 dev eth0"}
SLOW = {**QUICK, "interval": 1}
SCRIPT = 'vrrp_script s {{\nscript "/bin/true"\ninterval {}\n}}'
TRACKED = "track_script {\ns\n}"
PASSWORD = "authentication {{\nauth_type PASS\nauth_pass {}\n}}"
OLD_PASSWORD = {"version": 2, "more": PASSWORD.format("aaaaaaaa")}
PEERS = {node: f"unicast_src_ip 10.92.0.{n}\nunicast_peer {{\n10.92.0.{3 - n}\n}}" for node, n in MEMBERS.items()}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    if missing := missing_programs():
        pytest.skip(f"this needs {', '.join(missing)}")
    with pair(tmp_path_factory.mktemp("pair")) as made:
        yield made


@pytest.fixture
def members(lab: Pair) -> Iterator[Pair]:
    lab.stop()
    yield lab
    lab.stop()


def files(**changes: object) -> dict[str, str]:
    """The files of both members."""
    return {node: text(node, **{**QUICK, **changes}) for node in PRIORITY}


def planned(old: dict[str, str], new: dict[str, str]) -> Plan:
    return make_plan(*({node: bundle(node, content) for node, content in side.items()} for side in (old, new)))


ANCHOR = "169.254.255.51/32 dev eth0 scope link"
EXCLUDED = f"{QUICK['excluded']}\n10.92.0.102/24 dev eth0"
RELOADS: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "an address more": ({}, {"excluded": EXCLUDED}),
    "state": ({}, {"state": "MASTER"}),
    "nopreempt": ({}, {"more": "nopreempt"}),
    "delay": ({}, {"more": "preempt_delay 5"}),
    "announcements": ({}, {"more": "garp_master_delay 1\ngarp_master_refresh 30"}),
    "source": ({}, {"more": "mcast_src_ip 10.92.0.7"}),
    "a script": ({}, {"before": SCRIPT.format(1), "more": TRACKED}),
    "another script": (
        {"before": SCRIPT.format(1), "more": TRACKED}, {"before": SCRIPT.format(2), "more": TRACKED},
    ),
    "a script less": ({"before": SCRIPT.format(1), "more": TRACKED}, {}),
    "an interface": ({}, {"more": "track_interface {\neth1\n}"}),
    "patience": ({}, {"more": "down_timer_adverts 5"}),
    "name of the node": ({}, {"globals": "router_id other"}),
    "unchecked": ({}, {"globals": "vrrp_skip_check_adv_addr"}),
    "name of the group": ({}, {"name": "other"}),
    "names of processes": ({}, {"globals": "process_names"}),
    "a prefix": (
        {"addresses": ANCHOR, "excluded": f"{VIP}/24 dev eth0"},
        {"addresses": ANCHOR, "excluded": f"{VIP}/32 dev eth0"},
    ),
    "a label": (
        {"addresses": ANCHOR, "excluded": f"{VIP}/24 dev eth0"},
        {"addresses": ANCHOR, "excluded": f"{VIP}/24 dev eth0 label eth0:1"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", RELOADS)
def test_a_reload_keeps_what_is_held(lab: Pair, change: str) -> None:
    """The address and a connection through it, while the members reload in the order of the plan."""
    old, new = (files(**changes) for changes in RELOADS[change])
    found = planned(old, new)
    assert found.hazard is Hazard.RELOAD
    lab.settle(old)
    assert lab.client("open", PORT) == "a"
    with lab.watched() as seen:
        for wave in found.waves:
            lab.reload({node: new[node] for node in wave.nodes})
            time.sleep(_LOOK_S / 2)
            assert lab.client("ask") == "a"
            assert lab.client("try", PORT) == "a"
    assert [each.holders for each in seen] == ["a"]


SIMULTANEOUS: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "an advertised address": ({}, {"addresses": f"{VIP}/24 dev eth0\n10.92.0.103/24 dev eth0"}),
    "an advertised address less": ({"addresses": f"{VIP}/24 dev eth0\n10.92.0.103/24 dev eth0"}, {}),
    "a password": ({**SLOW, **OLD_PASSWORD}, {**SLOW, "version": 2, "more": PASSWORD.format("bbbbbbbb")}),
    "the version": (SLOW, {**SLOW, "version": 2}),
    "the interval": ({**SLOW, "version": 2}, {**SLOW, "version": 2, "interval": 2}),
}  # fmt: skip


@pytest.mark.parametrize("change", SIMULTANEOUS)
def test_one_by_one_makes_two_masters_and_at_once_does_not(members: Pair, change: str) -> None:
    old, new = (files(**changes) for changes in SIMULTANEOUS[change])
    found = planned(old, new)
    assert Hazard.SIMULTANEOUS in found.hazards
    (wave,) = found.waves
    assert wave.at_once
    members.start(old)
    members.reload({"b": new["b"]})
    members.until(lambda: members.holders() == "ab")
    members.stop()
    members.start(old)
    assert members.client("open", PORT) == "a"
    with members.watched() as seen:
        members.reload({node: new[node] for node in wave.nodes})
        time.sleep(5 if "interval" in SIMULTANEOUS[change][0] else _LOOK_S)
    assert [each.holders for each in seen] == ["a"]
    assert members.client("ask") == "a"


GIVEN_UP: dict[str, dict[str, str]] = {
    "VRID": files(vrid=52),
    "interface": files(interface="eth1"),
    "multicast group": files(globals="vrrp_mcast_group4 224.0.0.19"),
    "virtual MAC": files(more="use_vmac"),
    "unicast": {node: text(node, **{**QUICK, "more": PEERS[node]}) for node in PRIORITY},
}


@pytest.mark.parametrize("change", GIVEN_UP)
def test_another_way_of_the_adverts_gives_the_address_up_even_at_once(members: Pair, change: str) -> None:
    old, new = files(), GIVEN_UP[change]
    found = planned(old, new)
    assert found.hazards == {Hazard.SIMULTANEOUS, Hazard.MOVES_VIP}
    members.start(old)
    with members.watched() as seen:
        members.reload(new)
        members.until(lambda: "" in [each.holders for each in seen] and seen[-1].holders == "a")
    gone = next(each.at_s for each in seen if not each.holders)
    back = next(each.at_s for each in seen if each.at_s > gone and each.holders)
    assert back - gone > 0.1
    if change == "VRID":
        members.stop()
        members.start(old)
        members.reload({"b": new["b"]})
        members.until(lambda: members.holders() == "ab")


def test_a_holder_that_is_outranked_loses_the_address_and_its_connections(members: Pair) -> None:
    old = files()
    new = {node: text(node, **QUICK, priority={"a": 100, "b": 120}[node]) for node in PRIORITY}
    found = planned(old, new)
    assert found.hazard is Hazard.MOVES_VIP
    members.start(old)
    assert members.client("open", PORT) == "a"
    for wave in found.waves:
        assert members.holders() == "a"
        members.reload({node: new[node] for node in wave.nodes})
        time.sleep(1)
    members.until(lambda: members.holders() == "b")
    assert members.client("ask") != "a"
    assert members.client("try", PORT) == "b"


def test_without_nopreempt_a_better_node_that_stands_by_takes_over(members: Pair) -> None:
    old, new = files(more="nopreempt"), files()
    assert planned(old, new).hazard is Hazard.MOVES_VIP
    members.start(old)
    members.stop("a")
    members.until(lambda: members.holders() == "b")
    members.restart("a")
    time.sleep(_LOOK_S)
    assert members.holders() == "b"
    members.reload({"a": new["a"]})
    members.until(lambda: members.holders() == "a")


def test_an_address_that_is_taken_out_of_a_group_is_gone_at_once(members: Pair) -> None:
    old, new = files(addresses=ANCHOR, excluded=f"{VIP}/24 dev eth0"), files(addresses=ANCHOR, excluded="")
    assert planned(old, new).hazard is Hazard.DROPS_CONNECTIONS
    members.start(old)
    assert members.client("open", PORT) == "a"
    members.reload({"b": new["b"]})
    members.reload({"a": new["a"]})
    members.until(lambda: not members.holders(), 3)
    assert members.client("ask") != "a"
    assert members.client("try", PORT) not in MEMBERS


@pytest.mark.parametrize("strict", [{"more": "no_accept"}, {"more": "strict_mode true"}, {"globals": "vrrp_strict"}])
def test_packets_that_are_taken_no_more_silence_a_connection(members: Pair, strict: dict[str, object]) -> None:
    old, new = files(), files(**strict)
    assert planned(old, new).hazard is Hazard.DROPS_CONNECTIONS
    members.start(old)
    assert members.client("open", PORT) == "a"
    members.reload(new)
    time.sleep(_LOOK_S / 2)
    assert members.client("ask") == "TimeoutError"


def unicast(node: str, *peers: str) -> str:
    more = f"unicast_src_ip 10.92.0.{MEMBERS[node]}\nunicast_peer {{\n{chr(10).join(peers)}\n}}"
    return text(node, **{**QUICK, "more": more})


def test_a_unicast_member_that_joins_is_no_second_master_if_the_others_know_it_first(members: Pair) -> None:
    old = {"a": unicast("a", "10.92.0.50")}
    new = {"a": unicast("a", "10.92.0.50", "10.92.0.2"), "b": unicast("b", "10.92.0.1", "10.92.0.50")}
    found = planned(old, new)
    assert Hazard.SIMULTANEOUS not in found.hazards
    assert [wave.nodes for wave in found.waves] == [("a",), ("b",)]
    members.start(old)
    with members.watched() as seen:
        members.reload({"a": new["a"]})
        time.sleep(0.5)
        members.write("b", new["b"])
        members.restart("b")
        time.sleep(_LOOK_S)
    assert [each.holders for each in seen] == ["a"]
    members.stop()
    members.start(old)
    members.restart("b")  # before `a` knows it
    members.until(lambda: members.holders() == "ab")
