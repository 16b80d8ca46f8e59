"""Run by pytest inside the virtual machine: what a plan says of virtual servers is what the kernel then does."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from tests.agent import directors
from tests.agent.machine import PYTHON, Machine, machine
from tests.waiting import wait_until

from holdfast.bundle import Bundle, VirtualServerExpectation
from holdfast.plan import Hazard, make_plan

VIP, SLOW_S = "10.9.0.3", 60.0
# The other side of the director's cable becomes a bridge, with a client and the real servers on it.
_NEIGHBOURS = """
set -e
ip link add br0 type bridge mcast_snooping 0
ip link set br0 up
ip link set outside master br0
for name in client servers; do
    ip netns add $name
    ip link add $name type veth peer name eth0 netns $name
    ip link set $name master br0 up
    ip -n $name link set lo up
    ip -n $name link set eth0 up
done
ip -n client address add 10.9.0.9/24 dev eth0
ip netns exec servers sh -c 'echo 1 > /proc/sys/net/ipv4/conf/all/arp_ignore'
ip netns exec servers sh -c 'echo 2 > /proc/sys/net/ipv4/conf/all/arp_announce'
ip -n servers address add 10.9.0.21/24 dev eth0
ip -n servers address add 10.9.0.22/24 dev eth0
ip -n servers address add 10.9.0.3/32 dev lo
"""
_ECHO = """
import socketserver, sys, threading
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        while self.rfile.readline():
            self.wfile.write(b"here\\n")
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
servers = [Server(("", int(port)), Handler) for port in sys.argv[1:]]
for server in servers:
    threading.Thread(target=server.serve_forever, daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
"""
_KEPT = """
import socket, sys
kept = socket.create_connection((sys.argv[1], 80), 10)
kept.settimeout(8)
print("open", flush=True)
for line in sys.stdin:
    try:
        kept.sendall(b"still?\\n")
        print(kept.recv(100).decode().strip() or "ended", flush=True)
    except OSError as error:
        print(type(error).__name__, flush=True)
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("machine"), up_within_s=120) as made:
        made.run("sh", "-c", _NEIGHBOURS)
        with made.spawn("ip", "netns", "exec", "servers", PYTHON, "-c", _ECHO, "80", "81") as servers:
            yield made
            assert servers.stdin is not None
            servers.stdin.close()


def one(**changes: Any) -> VirtualServerExpectation:
    """The virtual server with one real server, which therefore has every connection."""
    server = directors.server("rs01-80", "10.9.0.21", weight=changes.pop("weight", 100), upper=changes.pop("upper", 0))
    return directors.virtual_server(server).model_copy(update=changes)


def director(*virtual_servers: VirtualServerExpectation) -> Bundle:
    return directors.bundle(*virtual_servers, modules=True)


OTHER = directors.virtual_server(directors.server("rs01-81", "10.9.0.21", 81, vs="api"), name="api", port=81)
STAYS = {
    "weight": (director(one()), director(one(weight=50))),
    "thresholds": (director(one()), director(one(upper=500))),
    "scheduler": (director(one()), director(one(scheduler="wlc"))),
    "a server more": (director(one()), director(directors.pair())),
    "another virtual server comes": (director(one()), director(one(), OTHER)),
}
ENDS = {
    "its server leaves": (
        director(one()),
        director(directors.virtual_server(directors.server("rs02-80", "10.9.0.22"))),
    ),
    "its virtual server leaves": (director(one(), OTHER), director(OTHER)),
}


def committed(node: Machine, bundle: Bundle) -> None:
    report = node.apply(bundle)
    assert report["outcome"] in ("committed", "unchanged"), report


def connected(node: Machine) -> subprocess.Popen[str]:
    wait_until(lambda: VIP in node.run("ip", "address").stdout and "10.9.0.21:80" in table(node), SLOW_S)
    return node.spawn("ip", "netns", "exec", "client", PYTHON, "-c", _KEPT, VIP)


def table(node: Machine) -> str:
    return node.run("ipvsadm", "-Ln").stdout


def ask(client: subprocess.Popen[str]) -> str:
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdin.write("again\n")
    client.stdin.flush()
    return client.stdout.readline().strip()


def known(node: Machine) -> int:
    """How many connections the kernel knows of the virtual server."""
    return sum(
        f"{VIP}:80" in line and "ESTABLISHED" in line for line in node.run("ipvsadm", "-Lnc").stdout.splitlines()
    )


@pytest.mark.parametrize("change", STAYS)
def test_what_is_a_reload_keeps_connections(node: Machine, change: str) -> None:
    old, new = STAYS[change]
    assert make_plan({"lb01": old}, {"lb01": new}).hazard is Hazard.RELOAD
    committed(node, old)
    with connected(node) as client:
        assert ask(client) == "here"
        assert known(node) == 1
        committed(node, new)
        assert ask(client) == "here"
        assert known(node) == 1
        assert client.stdin is not None
        client.stdin.close()


@pytest.mark.parametrize("change", ENDS)
def test_what_drops_connections_ends_them(node: Machine, change: str) -> None:
    old, new = ENDS[change]
    assert make_plan({"lb01": old}, {"lb01": new}).hazard is Hazard.DROPS_CONNECTIONS
    committed(node, old)
    with connected(node) as client:
        assert ask(client) == "here"
        node.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/vs/expire_nodest_conn")  # as the compiler sets it
        committed(node, new)
        assert "10.9.0.21:80 " not in table(node)
        assert ask(client) != "here"
        assert client.stdin is not None
        client.stdin.close()
