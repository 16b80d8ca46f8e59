"""Run by pytest inside the virtual machine: every kind of check takes out a server that fails, and brings it back."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.agent.machine import Machine, machine
from tests.vm.responders import ANSWERED, ASKED, GOOD_BODY, PORTS
from tests.waiting import comes_true

from holdfast.compile.compiler import CompileInput, compile_cluster
from holdfast.compile.lock import Lock, Secrets
from holdfast.spec import parse_spec

SLOW_S = 60.0  # the machine is emulated in software
BAD = "/run/bad"
CHECKS = {
    "tcp": "tcp: true",
    "http": "http: /healthz, host: shop.example.com, expect: [200]",
    "https": f"https: /healthz, body: {{digest: {hashlib.md5(GOOD_BODY).hexdigest()}}}",
    "smtp": "smtp: true, helo: lb01.example.com",
    "dns": "dns: example.com, type: A",
    "udp": f"udp: true, payload: '{ASKED.hex()}', answer: '{ANSWERED.hex()}'",
    "ping": "ping: true",
    "script": "script: shop-is-well",
}
TIMES = "every: 1s, timeout: 3s, fall: 2, rise: 1"
POLICY = f"""
[scripts.shop-is-well]
command = ["/bin/sh", "-c", "test ! -e {BAD}/script -a $0 = 10.9.0.21 -a $1 = 8017"]
user = "nobody"
timeout = "5s"
"""


def spec() -> str:
    """A virtual server for each kind, so that one failing takes no other along."""
    servers = []
    for number, (kind, asked) in enumerate(CHECKS.items()):
        port = PORTS.get(kind, 8010 + number)
        protocol = "udp" if kind in ("dns", "udp") else "tcp"
        server = "rs02" if kind == "ping" else "rs01"
        servers.append(
            f"  {kind}: {{on: 'gate.vip:{port}', protocol: {protocol}, forward: dr, servers: [{server}],"
            f" check: {{{asked}, {TIMES}}}}}"
        )
    lines = "\n".join(servers)
    return f"""
holdfast: 1
cluster: checks
networks: {{front: {{cidr: 10.9.0.0/24, gateway: 10.9.0.1}}}}
nodes:
  lb01: {{interfaces: {{eth0: 10.9.0.5}}}}
  lb02: {{interfaces: {{eth0: 10.9.0.6}}}}
  rs01: 10.9.0.21
  rs02: 10.9.0.22
vrrp:
  gate: {{addresses: {{vip: 10.9.0.3/24}}, nodes: [lb01, lb02], vrid: 71}}
virtual_servers:
{lines}
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("machine"), up_within_s=120) as made:
        made.write("/etc/holdfast/policy.toml", POLICY)
        for address in ("10.9.0.21", "10.9.0.22"):
            made.run("ip", "address", "add", f"{address}/24", "dev", "eth0")
        made.run("mkdir", "-p", BAD)
        responders = made.spawn(sys.executable, str(Path(__file__).with_name("responders.py")), "10.9.0.21", BAD)
        try:
            loaded = parse_spec(spec())
            given = CompileInput(loaded, Lock(cluster="checks", sync_id=7), Secrets(cluster="checks"))
            report = made.apply(compile_cluster(given)["lb01"])
            assert report["outcome"] == "committed", report
            yield made
        finally:
            responders.kill()
            responders.wait(60)


def served(node: Machine) -> set[str]:
    """Which virtual servers have their real server in the kernel's table."""
    ports = {PORTS.get(kind, 8010 + number): kind for number, kind in enumerate(CHECKS)}
    found = set()
    at = ""
    for line in node.run("ipvsadm", "-Ln").stdout.splitlines():
        words = line.split()
        if words[:1] in (["TCP"], ["UDP"]):
            at = ports[int(words[1].rpartition(":")[2])]
        elif words[:1] == ["->"] and at:
            found.add(at)
    return found


def test_every_kind_takes_out_a_server_that_fails_and_brings_it_back(node: Machine) -> None:
    """One after the other: no failing check touches another virtual server."""
    everything = set(CHECKS)
    assert comes_true(lambda: served(node) == everything, SLOW_S), told(node)
    for kind in CHECKS:
        turn(node, kind, well=False)
        assert comes_true(lambda: served(node) != everything, SLOW_S), (kind, told(node))
        assert served(node) == everything - {kind}
        turn(node, kind, well=True)
        assert comes_true(lambda: served(node) == everything, SLOW_S), (kind, told(node))


def told(node: Machine) -> str:
    """For who looks for the reason: which are served, and what keepalived said last."""
    said = node.run("sh", "-c", "tail -qn 40 /var/log/holdfast/*/*.log", check=False).stdout
    return f"only {sorted(served(node))}: {said}"


def turn(node: Machine, kind: str, *, well: bool) -> None:
    if kind == "ping":
        node.run("ip", "address", "add" if well else "del", "10.9.0.22/24", "dev", "eth0")
    elif well:
        node.run("rm", f"{BAD}/{kind}")
    else:
        node.run("touch", f"{BAD}/{kind}")
