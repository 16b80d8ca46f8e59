"""What a firewall does with adverts: told from its listing, and compared with what the kernel really does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from holdfast.agent.facts.firewall import beside_legacy, stance

_NEW = "ct state established,related accept; ct state invalid drop;"
# Rules of a chain at the hook input, and whether an advert over IPv4 gets through; None: it cannot be told.
RULES: dict[str, tuple[str, bool | None]] = {
    "nothing": ("", True),
    "a policy that drops": ("policy drop;", False),
    "protocol 112 is let in": (f"policy drop; {_NEW} ip protocol 112 accept;", True),
    "vrrp is let in by name": (f"policy drop; {_NEW} meta l4proto vrrp accept;", True),
    "one of several protocols": ("policy drop; meta l4proto { icmp, vrrp } accept;", True),
    "other protocols are let in": (f"policy drop; {_NEW} tcp dport 22 accept; icmp type echo-request accept;", False),
    "vrrp of the other family": ("policy drop; ip6 nexthdr 112 accept;", False),
    "multicast is let in": ("policy drop; ip daddr 224.0.0.18 accept;", True),
    "loopback is let in": ("policy drop; iifname lo accept;", False),
    "the interface is let in": ("policy drop; iifname eth0 accept;", None),
    "the peer is let in": ("policy drop; ip saddr 10.9.0.1 accept;", None),
    "the last rule drops": (f"{_NEW} ip protocol != 112 accept; drop;", False),
    "all that is not vrrp is dropped": ("ip protocol != 112 drop;", True),
    "a reject": ("meta l4proto 112 reject;", False),
    "a verdict map": ("policy drop; ct state vmap { established : accept, related : accept, invalid : drop };", False),
    "a verdict map that lets new ones in": ("policy drop; ct state vmap { new : accept, invalid : drop };", True),
    "a limit": ("meta l4proto 112 limit rate 10/second accept; meta l4proto 112 drop;", None),
    "another chain": ("policy drop; jump services;", True),
    "a chain that returns": ("jump nothing; ip protocol vrrp drop;", False),
    "counted and logged": ('policy drop; counter log prefix "in" ip protocol vrrp counter accept;', True),
}  # fmt: skip


def ruleset(rules: str) -> str:
    """A whole table with chains to jump to."""
    policy, rest = [*rules.split(";", 1), ""][:2] if rules.startswith("policy") else ("policy accept", rules)
    lines = "\n".join(rest.split("; "))
    return (
        "table inet filter {\n chain services { tcp dport 22 accept; ip protocol vrrp accept; }\n"
        " chain nothing { tcp dport 23 accept; return; drop; }\n"
        f" chain input {{ type filter hook input priority 0; {policy};\n{lines}\n }}\n}}\n"
    )


class Pair:
    """Two network namespaces with a cable between them: `listing` is the firewall's of the second one."""

    def __init__(self, near: str, far: str) -> None:
        self.near, self.far = near, far

    def load(self, rules: str) -> str:
        run("ip", "netns", "exec", self.far, "nft", "flush", "ruleset")
        run("ip", "netns", "exec", self.far, "nft", "-f", "-", text=ruleset(rules))
        return run("ip", "netns", "exec", self.far, "nft", "--json", "list", "ruleset")

    def gets_through(self) -> bool:
        """Whether an advert that the first one sends is handed to a program on the second."""
        hears = (
            "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 112);"
            "s.setsockopt(0, 35, socket.inet_aton('224.0.0.18') + socket.inet_aton('10.9.0.2'));"
            "print('ready', flush=True); s.settimeout(0.4)\n"
            "try: s.recv(100); print('heard')\n"
            "except TimeoutError: print('silence')\n"
        )
        sends = (
            "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 112);"
            "s.setsockopt(0, 32, socket.inet_aton('10.9.0.1')); s.setsockopt(0, 33, 255);"
            "s.sendto(bytes.fromhex('31330a0100640000') + bytes(4), ('224.0.0.18', 0))"
        )
        with subprocess.Popen(
            ["ip", "netns", "exec", self.far, sys.executable, "-c", hears], stdout=subprocess.PIPE, text=True
        ) as listener:
            assert listener.stdout is not None
            assert listener.stdout.readline() == "ready\n"
            run("ip", "netns", "exec", self.near, sys.executable, "-c", sends)
            return listener.stdout.readline() == "heard\n"


def run(*argv: str, text: str = "") -> str:
    done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, f"{argv}: {done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    if os.geteuid() != 0:
        pytest.skip("namespaces need root")
    near, far = f"hf-near-{os.getpid()}", f"hf-far-{os.getpid()}"
    try:
        for name in (near, far):
            run("ip", "netns", "add", name)
        run("ip", "link", "add", "eth0", "netns", near, "type", "veth", "peer", "name", "eth0", "netns", far)
        for name, address in ((near, "10.9.0.1/24"), (far, "10.9.0.2/24")):
            run("ip", "-n", name, "address", "add", address, "dev", "eth0")
            run("ip", "-n", name, "link", "set", "eth0", "up")
        yield Pair(near, far)
    finally:
        for name in (near, far):
            with suppress(AssertionError):
                run("ip", "netns", "del", name)


@pytest.mark.lab
@pytest.mark.parametrize(("rules", "accepts"), RULES.values(), ids=RULES)
def test_the_kernel_does_what_was_told(pair: Pair, rules: str, accepts: bool | None) -> None:
    """Whatever is told for sure is what happens to a real advert."""
    told = stance(pair.load(rules))
    assert told.accepts_ipv4 == accepts
    if accepts is not None:
        assert pair.gets_through() == accepts


def chain(policy: str, *rules: Any, family: str = "ip") -> str:
    """A listing of one chain at the hook input."""
    place = {"family": family, "table": "t"}
    entries: list[Any] = [
        {"metainfo": {"json_schema_version": 1}},
        {"chain": {**place, "name": "in", "hook": "input", "prio": 0, "policy": policy, "type": "filter"}},
        *({"rule": {**place, "chain": "in", "expr": expr}} for expr in rules),
    ]
    return json.dumps({"nftables": entries})


def test_each_family_for_itself() -> None:
    told = stance(chain("drop", family="ip"))
    assert (told.accepts_ipv4, told.accepts_ipv6, told.decided_by) == (False, True, "chain ip t in")
    told = stance(chain("drop", family="ip6"))
    assert (told.accepts_ipv4, told.accepts_ipv6) == (True, False)


def test_extensions_of_iptables_cannot_be_followed() -> None:
    told = stance(chain("drop", [{"xt": {"type": "match", "name": "comment"}}, {"accept": None}]))
    assert told.accepts_ipv4 is None
    told = stance(chain("accept", [{"xt": {"type": "target", "name": "REJECT"}}]))
    assert told.accepts_ipv4 is None


def test_tables_of_old_iptables_leave_only_what_is_dropped_for_sure() -> None:
    told = beside_legacy(stance(chain("drop", family="ip6")), True, True)
    assert (told.accepts_ipv4, told.accepts_ipv6, told.decided_by) == (None, False, "iptables-legacy")
    assert beside_legacy(stance(chain("accept")), False, False) == stance(chain("accept"))


def test_jumps_in_a_circle_end() -> None:
    circle = chain("drop", *([[{"jump": {"target": "in"}}]] * 50))
    assert stance(circle).accepts_ipv4 is None


@pytest.mark.parametrize(
    "listing",
    ["", "[]", "{}", "nonsense", '{"nftables": 5}'],
)
def test_what_is_no_listing_is_refused(listing: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        stance(listing)


@pytest.mark.parametrize(
    "expression",
    [[5], [{}], [{"match": 3}], [{"match": {"left": {"meta": 4}}}], [{"vmap": 1}], [{"vmap": {"data": {"set": [1]}}}],
     [{"jump": 5}], [{"match": {"left": {"payload": {}}, "right": {"set": [{"range": [1, 2]}]}}}]],
)  # fmt: skip
def test_odd_expressions_do_no_harm(expression: list[Any]) -> None:
    stance(chain("accept", expression))
