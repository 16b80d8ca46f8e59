"""How the servers behind HAProxy are: as HAProxy itself says, in one answer for a pool's several backends."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.agent.machine import PYTHON, Machine
from tests.agent.test_pool_overrides_live import FIRST, bundle, override, serving, used_again
from tests.waiting import wait_until

from holdfast.agent import haproxy_pools, haproxy_state
from holdfast.agent.pool_servers import servers_of
from holdfast.agent.realtime.haproxy import CheckedServer, checked

NOW = datetime(2026, 11, 21, 5, 0, tzinfo=UTC)
WATCH = """
import json, time
from pathlib import Path
from holdfast.agent.daemon.health import Health
from holdfast.agent.host.linux import LinuxHost
from holdfast.agent.host.port import Places
from holdfast.agent.service_manager import detect
from holdfast.agent.services.base import Node
from holdfast.agent.units import detect_units
health = Health(Node(LinuxHost(), Places(), detect(), detect_units(Places())))
well = {health.look() for _ in range(10) if time.sleep(0.1) is None}
Path("/tmp/BROKEN.s9003").touch()
began = time.monotonic()
while health.look() in well and time.monotonic() - began < 60:
    time.sleep(0.02)
print(json.dumps([len(well), time.monotonic() - began]))
"""
TELL = """
import sys
from pathlib import Path
from holdfast.agent.realtime.haproxy import SOCKET, ask
ask(Path(SOCKET), question=sys.argv[1])
"""
NAMES = ("10-9-0-5-9001", "10-9-0-5-9002", "10-9-0-5-9003")
HEAD = "# pxname,svname,chkfail,status,lastchg,type,check_status,check_code,check_desc,last_chk,"
TABLE = f"""{HEAD}
web,a,0,UP,7,2,L7OK,200,Layer7 check passed,,
web,b,0,DOWN 1/2,9,2,* L7STS,503,Layer7 wrong status,"Service	Unavailable",
web,c,0,UP 1/3,0,2,INI,,Initializing,,
web,d,0,MAINT,3,2,,,,,
web,e,,no check,3,2,,,,,
web,f,0,DRAIN,5,2,L4OK,,Layer4 check passed,,
web,BACKEND,0,UP,5,1,,,,,

"""


def test_what_haproxy_says_of_the_servers_that_it_asks() -> None:
    found = list(checked(TABLE))
    assert [one.name for one in found if one.taken_out] == ["d"]
    assert [(one.name, one.up, one.in_use, one.last, one.changed_s) for one in found] == [
        ("a", True, True, "L7OK 200: Layer7 check passed", 7),
        ("b", False, False, "L7STS 503: Layer7 wrong status, Service?Unavailable", 9),
        ("c", True, True, "", 0),
        ("d", False, False, "MAINT", 3),
        ("f", True, False, "L4OK: Layer4 check passed", 5),
    ]


def test_of_several_backends_the_one_that_finds_it_down_counts_and_a_server_that_nobody_asks_is_left_out() -> None:
    first, second, _ = NAMES
    seen = (
        CheckedServer("web", first, True, True, "L7OK", 3),
        CheckedServer("web.source", first, False, False, "L4CON", 60),
        CheckedServer("web", second, True, True, "L7OK", 3),
        CheckedServer("web.source", second, True, True, "", 3),
        CheckedServer("of somebody else", first, False, False, "L7STS", 3),
    )
    (pool,) = haproxy_pools.facts(servers_of(bundle("haproxy")), seen, (), NOW)
    one, two = pool.servers
    assert (one.name, one.endpoint, one.up, one.in_use, one.last) == (first, FIRST, False, False, "L4CON")
    assert one.since == (NOW - timedelta(minutes=1)).isoformat()
    assert (two.name, two.up, two.last, two.since) == (second, True, "", None)
    assert haproxy_pools.facts(servers_of(bundle("nginx")), seen, (), NOW) == ()


def test_one_that_was_taken_out_behind_our_back_is_down_and_of_one_that_is_overridden_nothing_is_known() -> None:
    servers, first = servers_of(bundle("haproxy")), NAMES[0]
    seen = (CheckedServer("web", first, False, False, "MAINT", 3, taken_out=True),)
    ((one,),) = (pool.servers for pool in haproxy_pools.facts(servers, seen, (), NOW))
    assert (one.up, one.last) == (False, "MAINT: taken out by hand, at HAProxy's socket")
    assert haproxy_pools.facts(servers, seen, {("web", first)}, NOW) == ()


def test_states_of_servers_make_a_difference_and_what_else_changes_does_not() -> None:
    known = "1\n# head\n5 web 1 a 10.0.0.1 2 0 1 1 {since} {check} 3 {health} 6 0 0 0 - 80 - 0 0 - - 0\n\n"
    well = known.format(since=3, check=15, health=4)
    assert list(haproxy_state.health(well)) == [("web", "a", True, "0", True)]
    assert list(haproxy_state.health(known.format(since=9, check=15, health=3))) == list(haproxy_state.health(well))
    for other in (
        known.format(since=3, check=1, health=4), well.replace(" 2 0 1 1 ", " 0 0 1 1 "),
        well.replace(" 2 0 1 1 ", " 2 8 1 1 "),
    ):  # fmt: skip
        assert list(haproxy_state.health(other)) != list(haproxy_state.health(well))


def states(node: Machine) -> dict[str, tuple[bool, bool, bool]]:
    """Of each server of the pool that HAProxy asks: whether it is up, in use, and was asked already."""
    pools: list[dict[str, Any]] = node.agent("status")["pools"]
    return {one["name"]: (one["up"], one["in_use"], bool(one["last"])) for pool in pools for one in pool["servers"]}


@pytest.mark.lab
def test_real_haproxys_servers_go_down_come_back_and_are_taken_out(node: Machine) -> None:
    _, second, third = NAMES
    up = (True, True, True)
    with serving(node):
        assert node.apply(bundle("haproxy"))["outcome"] == "committed"
        used_again(node)
        wait_until(lambda: states(node) == dict.fromkeys(NAMES, up))
        node.run("touch", "/tmp/BROKEN.s9002")
        wait_until(lambda: states(node)[second] == (False, False, True))
        (pool,) = node.agent("status")["pools"]
        (down,) = (one for one in pool["servers"] if one["name"] == second)
        assert down["last"].startswith("L7STS 500: Layer7 wrong status")
        assert abs(time.time() - datetime.fromisoformat(down["since"]).timestamp()) < 200
        node.run("rm", "/tmp/BROKEN.s9002")
        override(node, {"kind": "suspended"}, {"server": "10.9.0.5:9003", "kind": "drained"})
        wait_until(lambda: states(node) == {second: up, third: (True, False, True)})
        override(node)
        wait_until(lambda: states(node) == dict.fromkeys(NAMES, up))
        node.run(PYTHON, "-c", TELL, f"set server web/{second} state maint")
        wait_until(lambda: states(node) == {**dict.fromkeys(NAMES, up), second: (False, False, True)})
        node.run(PYTHON, "-c", TELL, f"set server web/{second} state ready")
        wait_until(lambda: states(node) == dict.fromkeys(NAMES, up))
        looks, seconds = json.loads(node.run(PYTHON, "-c", WATCH).stdout)
        assert looks < 5  # of ten: a busy machine may fail a check, and what is counted would make each another one
        assert seconds < 60
    wait_until(lambda: {one for one, _, _ in states(node).values()} == {False})  # nobody answers any more
