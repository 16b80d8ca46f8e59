"""A planned switchover between two real balancers, under traffic that would notice."""

from __future__ import annotations

import itertools
import json
import os
import re
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import wait_until

from holdfast.bundle import (
    Bundle,
    BundleFile,
    Expectations,
    HeldAddress,
    ListenerExpectation,
    Service,
    VrrpExpectation,
)
from holdfast.lab.lab import Lab
from holdfast.lab.node import Node
from holdfast.lab.topology import CLIENT, Interface, LabNode, LabTopology, Network, Role, with_client
from holdfast.protocol import NodeStatus

pytestmark = [pytest.mark.lab, pytest.mark.traffic]

HOLD_FILE = "/var/lib/holdfast/hold/www"
V4, V6 = "10.0.0.3", "fd00::3"
HERE = Path(__file__).parent
_names = itertools.count()


def group(node: str, advert_interval_ms: int = 100) -> VrrpExpectation:
    return VrrpExpectation(
        group="www",
        vrid=51,
        interface="eth0",
        priority=150 if node == "lb01" else 140,
        anchor=HeldAddress(address="169.254.255.51/32", interface="eth0"),
        addresses=(
            HeldAddress(address=f"{V4}/24", interface="eth0"),
            HeldAddress(address=f"{V6}/64", interface="eth0"),
        ),
        peers=("lb02" if node == "lb01" else "lb01",),
        hold_file=HOLD_FILE,
        advert_interval_ms=advert_interval_ms,
        hold_back_at_most_ms=6000,
    )


def balancer(node: str, advert_interval_ms: int = 100) -> Bundle:
    nginx = f"""# Managed by Holdfast
worker_processes 1;
pid /run/holdfast/nginx/nginx.pid;
error_log /var/log/holdfast/nginx/error.log;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_requests 100000;
    client_body_temp_path /run/holdfast/nginx/body;
    proxy_temp_path /run/holdfast/nginx/proxy;
    fastcgi_temp_path /run/holdfast/nginx/fastcgi;
    uwsgi_temp_path /run/holdfast/nginx/uwsgi;
    scgi_temp_path /run/holdfast/nginx/scgi;
    server {{
        listen {V4}:80;
        listen [{V6}]:80;
        location / {{ return 200 "{node}\\n"; }}
        location ~ ^/(slow|stream)$ {{ proxy_buffering off; proxy_pass http://10.0.0.50:9000; }}
    }}
}}
"""
    keepalived = f"""# Managed by Holdfast
global_defs {{
    router_id {node}
    vrrp_version 3
}}
track_file hold_www {{
    file {HOLD_FILE}
    weight 1
}}
vrrp_instance www {{
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority {group(node).priority}
    advert_int {advert_interval_ms / 1000}
    track_file {{
        hold_www
    }}
    virtual_ipaddress {{
        169.254.255.51/32 dev eth0 scope link
    }}
    virtual_ipaddress_excluded {{
        {V4}/24 dev eth0
        {V6}/64 dev eth0 preferred_lft 0
    }}
}}
"""
    sysctl = "# Managed by Holdfast\nnet.ipv4.ip_nonlocal_bind = 1\nnet.ipv6.ip_nonlocal_bind = 1\n"
    return Bundle(
        cluster="shop",
        node=node,
        services=(Service.SYSCTL, Service.NGINX, Service.KEEPALIVED),
        files=(
            BundleFile(path="/etc/holdfast/keepalived/keepalived.conf", content=keepalived, mode=0o640),
            BundleFile(path="/etc/holdfast/nginx/nginx.conf", content=nginx),
            BundleFile(path="/etc/holdfast/sysctl/sysctl.conf", content=sysctl),
        ),
        state_files=(HOLD_FILE,),
        expected=Expectations(
            listeners=(
                ListenerExpectation(service=Service.NGINX, address=V4, port=80),
                ListenerExpectation(service=Service.NGINX, address=V6, port=80),
            ),
            vrrp=(group(node, advert_interval_ms),),
        ),
    )


def agent(node: Node, *arguments: str, text: str = "") -> dict[str, Any]:
    argv = ["python", "-m", "holdfast.agent", *arguments, "--json"]
    done = node.exec(argv, input=text, timeout=60)
    assert done.stdout, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def holds(node: Node) -> bool:
    here = {str(address.ip) for addresses in node.addresses().values() for address in addresses}
    return {V4, V6} <= here


@pytest.fixture
def pair() -> Iterator[Lab]:
    """Two balancers that hold one group, a slow server, a client."""
    if os.geteuid() != 0:
        pytest.skip("a lab needs root")
    nodes = [
        LabNode(
            name=name,
            role=role,
            interfaces=(Interface(name="eth0", network="front", addresses=(f"10.0.0.{n}/24", f"fd00::{n}/64")),),
        )
        for name, role, n in (("lb01", Role.BALANCER, 1), ("lb02", Role.BALANCER, 2), ("web01", Role.SERVER, 50))
    ]
    topology = LabTopology(
        name=f"mv{os.getpid()}-{next(_names)}", networks=(Network(name="front"),), nodes=tuple(nodes)
    )
    with Lab.up(with_client(topology)) as lab:
        for name in ("lb01", "lb02"):
            report = agent(lab.node(name), "apply", text=balancer(name).to_json())
            assert report["outcome"] == "committed", report
        wait_until(lambda: holds(lab.node("lb01")) and not holds(lab.node("lb02")))
        yield lab


def test_no_request_is_lost_by_moves_there_and_back(pair: Lab, tmp_path: Path) -> None:
    one, two = pair.node("lb01"), pair.node("lb02")
    script = (HERE / "move_backend.py").read_text()
    client = (HERE / "move_client.py").read_text()
    with pair.node("web01").spawn(["python", "-c", script], tmp_path / "backend.log"):
        wait_until(lambda: one.exec(["curl", "-sf", "http://10.0.0.50:9000/"]).returncode == 0)
        users = pair.node(CLIENT).spawn(["python", "-c", client, "12", V4, V6], tmp_path / "users.log")
        with users:
            time.sleep(2.5)
            there = agent(one, "move", "www")
            assert there["moved"], there
            wait_until(lambda: holds(two))
            assert not holds(one)
            time.sleep(1.0)
            # The way back: the first one would preempt at once, so it stays held until the second one has given up.
            back = agent(two, "move", "www")
            agent(one, "release", "www")
            wait_until(lambda: holds(one))
            agent(two, "release", "www")
            assert users.wait(120.0) == 0
    found = json.loads((tmp_path / "users.log").read_text().splitlines()[-1])
    assert found["failed"] == 0, (found, there, back)
    assert found["sent"] > 300
    assert there["cut"] == back["cut"] == 0
    assert not holds(two)
    assert "holdfast_move" not in one.exec(["nft", "list", "ruleset"]).stdout


def changes(log: Path, word: str) -> list[float]:
    """Seconds at which the VIP came (`word` is empty) or went ("Deleted") at a node, as `ip -ts monitor` saw it."""
    lines = re.findall(rf"^\[([-0-9T:.]+)\]\s*({word})?\d+:.* {V4}/24 ", log.read_text(), re.MULTILINE)
    return [datetime.fromisoformat(stamp).timestamp() for stamp, found in lines if found.strip() == word.strip()]


def test_the_way_back_leaves_nobody_without_an_address_for_long(pair: Lab, tmp_path: Path) -> None:
    """A node out of FAULT waits for three adverts before it takes over: 3 s of nobody with the default interval."""
    one, two = pair.node("lb01"), pair.node("lb02")
    for node in (one, two):
        report = agent(node, "apply", text=balancer(node.name, 1000).to_json())
        assert report["outcome"] == "committed", report
    agent(one, "move", "www")
    wait_until(lambda: holds(two))
    watch = ["ip", "-ts", "monitor", "address"]
    came, went = tmp_path / "came.log", tmp_path / "went.log"
    wait_for = ["python", "-m", "holdfast.agent", "release", "www", "--when-given-up", "60s", "--json"]
    with one.spawn(watch, came), two.spawn(watch, went), one.spawn(wait_for, tmp_path / "release.log") as waiting:
        time.sleep(3.0)
        assert holds(two), "the better node preempted while answers may be on their way"
        agent(two, "move", "www")
        assert waiting.wait(120.0) == 0
        wait_until(lambda: holds(one))
    assert changes(came, "")[-1] - changes(went, "Deleted ")[-1] < 2.5
    assert json.loads((tmp_path / "release.log").read_text())["moved"]
    assert one.exec(["cat", HOLD_FILE]).stdout == "0\n"


def test_a_holder_that_does_not_give_up_leaves_the_better_node_as_it_was(pair: Lab) -> None:
    one, two = pair.node("lb01"), pair.node("lb02")
    agent(one, "move", "www")
    wait_until(lambda: holds(two))
    waited = agent(one, "release", "www", "--when-given-up", "2s")
    assert not waited["moved"]
    assert one.exec(["cat", HOLD_FILE]).stdout == "-254\n"
    assert holds(two)
    assert not holds(one)


def test_a_mover_that_is_killed_holds_nothing_back_after_the_next_command(pair: Lab) -> None:
    one = pair.node("lb01")
    rules = "from holdfast.agent.holdback import hold_back_connections\n"
    rules += "from holdfast.agent.host.linux import LinuxHost\n"
    rules += "from holdfast.agent.host.port import Places\n"
    rules += f"hold_back_connections(LinuxHost(), Places(), frozenset({{'{V4}', '{V6}'}}), 5.0)\n"
    one.exec(["python", "-c", rules], check=True)
    reach = ["python", "-c", f"import socket; socket.create_connection(('{V4}', 80), 0.5)"]
    assert pair.node(CLIENT).exec(reach).returncode != 0
    # What is held back expires by itself.
    wait_until(lambda: pair.node(CLIENT).exec(reach).returncode == 0)
    one.exec(["python", "-c", rules.replace("5.0", "60.0")], check=True)
    assert pair.node(CLIENT).exec(reach).returncode != 0
    agent(one, "recover")
    assert pair.node(CLIENT).exec(reach).returncode == 0


def test_a_standby_that_is_in_fault_says_so(pair: Lab) -> None:
    """Its services run and nothing holds it back: only keepalived knows that it would take over nothing."""
    two = pair.node("lb02")

    def fault() -> bool:
        (facts,) = NodeStatus.model_validate(agent(two, "status")).groups
        return facts.fault

    assert not fault()
    two.exec(["ip", "link", "set", "eth0", "down"], check=True)
    wait_until(fault)
    two.exec(["ip", "link", "set", "eth0", "up"], check=True)
    wait_until(lambda: not fault())
    agent(two, "hold", "www")
    agent(two, "release", "www")
    wait_until(lambda: not fault())


def test_keepalived_that_hangs_is_said_and_nothing_is_held_back(pair: Lab) -> None:
    one = pair.node("lb01")
    pids = one.exec(["pgrep", "keepalived"]).stdout.split()
    one.exec(["kill", "-STOP", *pids])
    done = one.exec(["python", "-m", "holdfast.agent", "move", "www", "--within", "1s", "--json"], timeout=60)
    one.exec(["kill", "-CONT", *pids])
    assert done.returncode == 1
    assert "did not give group www up" in json.loads(done.stdout)["error"]["message"]
    assert one.exec(["cat", HOLD_FILE]).stdout == "0\n"
    assert "holdfast_move" not in one.exec(["nft", "list", "ruleset"]).stdout


def test_a_group_that_is_not_there_names_those_that_are(pair: Lab) -> None:
    done = pair.node("lb01").exec(["python", "-m", "holdfast.agent", "hold", "wwww", "--json"])
    assert done.returncode == 2
    assert "www" in json.loads(done.stdout)["error"]["hint"]
