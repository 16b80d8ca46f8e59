"""Each class of hazard with the real programs: what a plan says of a change is what the change then does.

Starting members and waiting for an election is what takes the time, so the plain run makes many changes of one class at
once, or one after another on members that keep running. In a soak each change is made by itself, from a fresh start.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest
from tests.plan.members import MEMBERS, PORT, VIP, Pair, missing_programs, pair
from tests.plan.raw import PRIORITY, bundle, text

from holdfast.plan import Hazard, Plan, make_plan

# One group: members are made once for all of them.
pytestmark = [pytest.mark.lab, pytest.mark.traffic, pytest.mark.timeout(240), pytest.mark.xdist_group("hazards-in-lab")]

_LOOK_S = 2.0  # more than twice as long as who stands by waits for a silent holder
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


MORE = "garp_master_delay 1\ngarp_master_refresh 30"
WATCHING = f"{MORE}\n{TRACKED}\ntrack_interface {{\neth1\n}}\ndown_timer_adverts 5\nmcast_src_ip 10.92.0.7"
RENAMED = {"excluded": EXCLUDED, "name": "other"}
# All of RELOADS, several in each reload, each state made of the one before.
CHAINS: dict[str, list[dict[str, object]]] = {
    "what the group says": [
        {},
        {**RENAMED, "state": "MASTER", "globals": "router_id other", "more": MORE},
        {**RENAMED, "state": "MASTER", "globals": "router_id other", "before": SCRIPT.format(1), "more": WATCHING},
        {
            **RENAMED, "globals": "router_id other\nvrrp_skip_check_adv_addr\nprocess_names",
            "before": SCRIPT.format(2), "more": f"{WATCHING}\npreempt_delay 5",
        },
        {
            **RENAMED, "globals": "router_id other\nvrrp_skip_check_adv_addr\nprocess_names",
            "more": f"{WATCHING.replace(TRACKED, '')}\npreempt_delay 5\nnopreempt",
        },
    ],
    "how an address is carried": [
        {"addresses": ANCHOR, "excluded": f"{VIP}/24 dev eth0"},
        {"addresses": ANCHOR, "excluded": f"{VIP}/32 dev eth0"},
        {"addresses": ANCHOR, "excluded": f"{VIP}/24 dev eth0 label eth0:1"},
    ],
}  # fmt: skip


def kept(lab: Pair, old: dict[str, str], new: dict[str, str]) -> None:
    """The address and the connection through it stay while the members reload in the order of the plan."""
    found = planned(old, new)
    assert found.hazard is Hazard.RELOAD
    with lab.watched() as seen:
        for wave in found.waves:
            lab.reload({node: new[node] for node in wave.nodes})
            time.sleep(_LOOK_S / 2)
            assert lab.client("ask") == "a"
            assert lab.client("try", PORT) == "a"
    assert [each.holders for each in seen] == ["a"]


@pytest.mark.parametrize("chain", CHAINS)
def test_reloads_keep_what_is_held(members: Pair, chain: str) -> None:
    """The address and one connection, through reload after reload with several changes each."""
    states = [files(**changes) for changes in CHAINS[chain]]
    members.start(states[0])
    assert members.client("open", PORT) == "a"
    for old, new in pairwise(states):
        kept(members, old, new)


def rows(old: dict[str, object], new: dict[str, object]) -> set[tuple[str, str]]:
    return {(c.row, c.how) for node in planned(files(**old), files(**new)).nodes for c in node.changes}


def test_every_kind_of_change_is_in_a_chain() -> None:
    told = set().union(*(rows(*step) for chain in CHAINS.values() for step in pairwise(chain)))
    assert set().union(*(rows(*change) for change in RELOADS.values())) <= told


@pytest.mark.soak
@pytest.mark.parametrize("change", RELOADS)
def test_a_reload_keeps_what_is_held(lab: Pair, change: str) -> None:
    """Each change by itself."""
    old, new = (files(**changes) for changes in RELOADS[change])
    lab.settle(old)
    assert lab.client("open", PORT) == "a"
    kept(lab, old, new)


VERSION_2 = {**SLOW, "version": 2}
TWO_ADVERTISED = {"addresses": f"{VIP}/24 dev eth0\n10.92.0.103/24 dev eth0"}
SIMULTANEOUS: dict[str, list[dict[str, object]]] = {
    "advertised addresses": [{}, TWO_ADVERTISED, {}],
    "the version": [SLOW, VERSION_2],
    "a password": [VERSION_2, {**SLOW, **OLD_PASSWORD}],
    "another password": [{**SLOW, **OLD_PASSWORD}, {**VERSION_2, "more": PASSWORD.format("bbbbbbbb")}],
    "the interval": [VERSION_2, {**VERSION_2, "interval": 2}],
}


@pytest.mark.parametrize(
    "chain",
    [*list(SIMULTANEOUS)[:2], *(pytest.param(chain, marks=pytest.mark.soak) for chain in list(SIMULTANEOUS)[2:])],
)
def test_one_by_one_makes_two_masters_and_at_once_does_not(members: Pair, chain: str) -> None:
    """At once, under a connection; then one of them goes back alone, and follows again.

    Passwords and the interval, which take longest: in a soak.
    """
    states = [files(**changes) for changes in SIMULTANEOUS[chain]]
    members.start(states[0])
    assert members.client("open", PORT) == "a"
    for old, new in pairwise(states):
        found = planned(old, new)
        assert Hazard.SIMULTANEOUS in found.hazards
        (wave,) = found.waves
        assert wave.at_once
        assert wave.at_once.within_s is not None
        with members.watched() as seen:
            members.reload({node: new[node] for node in wave.nodes})
            time.sleep(2 * wave.at_once.within_s)
        assert [each.holders for each in seen] == ["a"]
        assert members.client("ask") == "a"
        members.reload({"b": old["b"]})
        members.until(lambda: members.holders() == "ab")
        members.reload({"b": new["b"]})
        members.until(lambda: members.holders() == "a")


# Each has another way of the adverts than the one before.
GIVEN_UP: dict[str, dict[str, str]] = {
    "": files(),
    "VRID": files(vrid=52),
    "interface": files(vrid=52, interface="eth1"),
    "multicast group": files(vrid=52, globals="vrrp_mcast_group4 224.0.0.19", interface="eth1"),
    "virtual MAC": files(vrid=52, globals="vrrp_mcast_group4 224.0.0.19", interface="eth1", more="use_vmac"),
    "unicast": {node: text(node, **{**QUICK, "more": PEERS[node]}) for node in PRIORITY},
}


def test_another_way_of_the_adverts_gives_the_address_up_even_at_once(members: Pair) -> None:
    members.start(GIVEN_UP[""])
    for old, change in pairwise(GIVEN_UP):
        found = planned(GIVEN_UP[old], new := GIVEN_UP[change])
        assert found.hazards == {Hazard.SIMULTANEOUS, Hazard.MOVES_VIP}, change
        with members.watched() as seen:
            members.reload(new)
            members.until(lambda seen=seen: "" in [each.holders for each in seen] and seen[-1].holders == "a")
        gone = next(each.at_s for each in seen if not each.holders)
        back = next(each.at_s for each in seen if each.at_s > gone and each.holders)
        assert back - gone > 0.05, change
        if change == "VRID":
            members.reload({"b": GIVEN_UP[old]["b"]})
            members.until(lambda: members.holders() == "ab")
            members.reload({"b": new["b"]})
            members.until(lambda: members.holders() == "a")


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


@pytest.mark.parametrize(
    "strict",
    [
        {"more": "no_accept"},
        pytest.param({"more": "strict_mode true"}, marks=pytest.mark.soak),
        pytest.param({"globals": "vrrp_strict"}, marks=pytest.mark.soak),
    ],
)
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
