"""kill -9 of the agent at any moment: afterwards the node is in exactly the old state or exactly the new one."""

from __future__ import annotations

import json
import random
import signal
from pathlib import Path

import pytest
from tests.agent import bundles
from tests.agent.kills import Moment, kill_during, signal_agent
from tests.agent.machine import Machine, machine
from tests.waiting import wait_until

from holdfast.bundle import Bundle

pytestmark = pytest.mark.lab

URL = "http://10.9.0.3:8080/"
JOURNAL_LINES = 13  # an attempt that changes everything writes about so many
ATTEMPT_S = 1.3  # on a busy machine
PLAIN, OURS = "default via 10.9.0.1 dev eth0 proto bird mtu 1400", "default via 10.9.0.254 dev eth0 proto static"
OLD, NEW = ("0",) * 9, ("1",) * 9


def variant(number: int) -> Bundle:
    """Two bundles that differ in every service; only the second has a table, a sysctl more, and a default route."""
    more = {"net.ipv4.conf.all.arp_announce": "1"} if number else {}
    values = {"net.ipv4.ip_nonlocal_bind": "1", "net.ipv4.conf.all.arp_ignore": str(number), **more}
    table = [bundles.nftables(1001)] if number else []
    return bundles.bundle(
        bundles.sysctl(**values),
        bundles.network(f"lo 10.9.7.{number}/32", gateway="10.9.0.254" if number else ""),
        *table,
        bundles.nginx(f"state {number}"),
        bundles.keepalived(150 + number),
        listeners=((bundles.Service.NGINX, "10.9.0.3", 8080),),
    )


def state_of(node: Machine) -> tuple[str, ...]:
    """What runs, asked of the kernel and of the programs themselves, not of the agent."""
    vrrp = node.read("/run/holdfast/keepalived/vrrp.pid").strip()
    dump = "/tmp/keepalived.data"
    node.run("rm", "-f", dump)
    node.run("kill", "-USR1", vrrp)
    wait_until(lambda: node.exists(dump) and "Priority" in node.read(dump))
    lines = node.read(dump).splitlines()
    priority = next(line for line in lines if "Base priority" in line or " Priority =" in line)
    on_lo = node.run("ip", "-oneline", "address", "show", "dev", "lo").stdout
    routes = node.run("ip", "-oneline", "route", "show", "default").stdout.strip()
    return (
        "".join(number for number in "01" if f"10.9.7.{number}/32" in on_lo),
        {PLAIN: "0", OURS: "1"}.get(" ".join(routes.split()), routes),
        node.get(URL).removeprefix("state "),
        node.sysctl("net.ipv4.conf.all.arp_ignore"),
        node.sysctl("net.ipv4.conf.all.arp_announce"),
        str(int("dport 1001" in node.run("nft", "list", "ruleset").stdout)),
        str(int(priority.split("=")[1]) - 150),
        node.read("/etc/holdfast/nginx/nginx.conf").split('return 200 "state ')[1].split("\\n")[0],
        node.read("/etc/holdfast/keepalived/keepalived.conf").split("priority ")[1].split()[0].removeprefix("15"),
    )


def check_kills(folder: Path, count: int, seed: int) -> None:
    rng = random.Random(seed)
    ends: set[str] = set()
    with machine(folder) as node:
        node.run("ip", "route", "add", *PLAIN.split())
        assert node.apply(variant(0))["outcome"] == "committed"
        now = 0
        for turn in range(count):
            other = 1 - now
            moment = Moment.of_turn(turn, rng, attempt_s=ATTEMPT_S, journal_lines=JOURNAL_LINES)
            kill_during(node, variant(other), moment)
            told = f"turn {turn} of seed {seed}"
            recovered = node.agent("recover")
            assert recovered["outcome"] in ("recovered", "unchanged", "committed"), (told, recovered)
            found = state_of(node)
            assert found in (OLD, NEW), (told, found, recovered)
            wanted = variant(int(found[0])).digest
            assert node.agent("status")["digest"] == wanted, told
            assert not node.agent("status")["interrupted"], told
            workers = node.run("pgrep", "-f", "nginx: worker").stdout
            assert node.agent("recover")["outcome"] == "unchanged", told
            assert state_of(node) == found, told
            assert node.run("pgrep", "-f", "nginx: worker").stdout == workers, told
            ends.add("old" if int(found[0]) == now else "new")
            now = int(found[0])
    assert ends == {"old", "new"}, "the kills all came too early, or too late, to show anything"


def test_an_interrupt_puts_everything_back_at_once(tmp_path: Path) -> None:
    with machine(tmp_path) as node:
        node.run("ip", "route", "add", *PLAIN.split())
        node.apply(variant(0))
        child = node.spawn_agent("apply", text=variant(1).to_json())
        journal = node.root / "var/lib/holdfast/journal.jsonl"
        wait_until(lambda: journal.exists() and journal.read_bytes().count(b"\n") >= 6)
        signal_agent(node.pids_of_agent(), signal.SIGTERM)
        assert child.wait(timeout=60) == 1
        assert child.stdout is not None
        report = json.loads(child.stdout.read())
        assert report["outcome"] == "rolled_back", report
        assert report["failure"]["message"] == "interrupted"
        assert state_of(node) == OLD
        assert not node.agent("status")["interrupted"]


def test_twenty_kills(tmp_path: Path) -> None:
    check_kills(tmp_path, 20, seed=20)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_two_hundred_kills(tmp_path: Path) -> None:
    check_kills(tmp_path, 200, seed=random.SystemRandom().randrange(1 << 32))
