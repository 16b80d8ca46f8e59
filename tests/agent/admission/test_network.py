"""Hostile kernel settings, networks of real servers, and packet filter rules."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.agent.admission.samples import NFTABLES, SYSCTL, codes

from holdfast.bundle import Service


@pytest.mark.parametrize(
    "line",
    [
        "kernel.core_pattern = |/bin/sh",
        "kernel.modprobe = /tmp/x",
        "kernel.core_pattern = 1",
        "vm.drop_caches = 1",
        "net.ipv4.ip_forward = 2",
        "net.ipv4.ip_forward=1",
        "net.ipv4.ip_forward = 1; kernel.modprobe = 1",
        "net.ipv4.ip_forward = 0x1",
        "net.ipv4.ip_forward = ١",
        " net.ipv4.ip_forward = 1",
        "-net.ipv4.ip_forward = 1",
        "net/ipv4/ip_forward = 1",
        "net.ipv4.conf.../../x.arp_ignore = 1",
        "net.ipv4.conf.eth0.accept_source_route = 1",
        "net.ipv4.conf.*.arp_ignore = 1",
        "net.ipv4.vs.conntrack = 99999999999",
        "NET.IPV4.IP_FORWARD = 1",
        "--net.ipv4.tcp_migrate_req = 1",
        "-net.ipv4.tcp_migrate_req = 2",
        "net.ipv4.ip_forward = 1\r",
        "net.ipv4.ip_forward = 1\x00",
        "net.ipv4.ip_forward\u00a0= 1",
        "; comment",
    ],
)
def test_settings_that_are_refused(line: str) -> None:
    assert codes(Service.SYSCTL, f"{SYSCTL}{line}\n")


@pytest.mark.parametrize(
    "text",
    [
        "flush ruleset",
        "table inet filter {\n}",
        "table ip holdfast {\n}",
        "table inet holdfast { }; flush ruleset",
        "table inet holdfast\nflush ruleset",
        "add rule inet filter input drop",
        "delete table inet filter",
        "table inet holdfastX {\n}",
        'include "/etc/shadow"',
        'table inet holdfast {\n include "/etc/shadow"\n}',
        'table inet holdfast {\n chain c {\n include "/etc/shadow"\n }\n}',
        "define x = 1",
        "table inet holdfast {\n define x = 1\n}",
        "table inet holdfast_$x {\n}",
        "table inet \\\nfilter {\n}",
        "table inet holdfast {\n}\n}\ntable inet filter {",
        "table inet holdfast {",
        "table inet holdfast {\n chain c { tcp dport 22 dnat to 192.0.2.1 }\n}",
        "table inet holdfast {\n chain c { tcp dport 22 redirect to :2222 }\n}",
        "table inet holdfast {\n chain c { queue num 0 }\n}",
        'table inet holdfast {\n chain c { log prefix "a\\"b" }\n}',
        'table inet holdfast {\n chain c { log prefix "never closed }\n}',
        "table inet holdfast {\n chain c { log prefix `id` }\n}",
        "table inet holdfast {\r}",
        "table\u00a0inet holdfast {\n}",
        "list ruleset",
    ],
)
def test_rules_that_are_refused(text: str) -> None:
    assert codes(Service.NFTABLES, f"{NFTABLES}{text}\n")


@pytest.mark.parametrize(
    "text",
    [
        "add table inet holdfast_hold",
        "flush table inet holdfast",
        "destroy table inet holdfast-move; table inet holdfast-move { chain c { ct state new drop; } }",
        'table inet holdfast { chain c { ip daddr @vips tcp dport { 80, 443 } meta mark set 0x10 comment "a b" } }',
    ],
)
def test_rules_that_are_allowed(text: str) -> None:
    assert codes(Service.NFTABLES, f"{NFTABLES}{text}\n") == set()


@pytest.mark.parametrize(
    "line",
    [
        "net.ipv4.vs.sync_threshold = 0 0",
        "net.ipv4.ping_group_range = 0 2147483647",
        "net.ipv4.conf.all.send_redirects = 0",
        "net.ipv4.conf.eth0/5.rp_filter = 2",
        "net.ipv4.vs.expire_nodest_conn = 1",
    ],
)
def test_settings_of_directors_that_are_allowed(line: str) -> None:
    assert codes(Service.SYSCTL, f"{SYSCTL}{line}\n") == set()


@pytest.mark.parametrize(
    "line",
    [
        "net.ipv4.vs.sync_threshold = 0 0 0",
        "net.ipv4.vs.expire_nodest_conn = 1 1",
        "net.ipv4.ping_group_range = 0 4294967295",
        "net.ipv4.ping_group_range = 0",
        "net.ipv4.vs.sync_threshold = 0  0",
        "net.ipv4.conf.all.send_redirects = 2",
    ],
)
def test_settings_of_directors_that_are_refused(line: str) -> None:
    assert codes(Service.SYSCTL, f"{SYSCTL}{line}\n")


@pytest.mark.parametrize(
    ("network", "code"),
    [
        ({"addresses": [{"address": "10.0.0.3/24", "device": "lo"}]}, "ADM802"),
        ({"addresses": [{"address": "10.0.0.3", "device": "lo"}]}, "ADM802"),
        ({"addresses": [{"address": "127.0.0.2/32", "device": "lo"}]}, "ADM802"),
        ({"addresses": [{"address": "fe80::1/128", "device": "lo"}]}, "ADM802"),
        ({"addresses": [{"address": "10.0.0.3/32", "device": "eth0"}]}, "ADM803"),
        ({"addresses": [{"address": "10.0.0.3/32 dev eth0", "device": "lo"}]}, "ADM802"),
        ({"tunnels": [{"device": "lo", "kind": "ipip"}]}, "ADM804"),
        ({"tunnels": [{"device": "tunl0", "kind": "gue"}]}, "ADM804"),
        ({"tunnels": [{"device": "tunl0", "kind": "ipip", "port": 7}]}, "ADM804"),
        ({"tunnels": [{"device": "a-name-that-is-too-long", "kind": "ipip"}]}, "ADM804"),
        ({"tunnels": [{"device": "tunl0", "kind": "vxlan"}]}, "ADM801"),
        ({"gateways": [{"address": "10.0.0.1", "device": "lo"}]}, "ADM805"),
        ({"gateways": [{"address": f"10.0.0.{n}", "device": "eth0"} for n in (1, 2)]}, "ADM805"),
        ({"routes": []}, "ADM801"),
    ],
)
def test_networks_that_are_refused(network: dict[str, object], code: str) -> None:
    assert code in codes(Service.NETWORK, json.dumps({"_": "Managed by Holdfast", **network}))


def test_a_network_that_is_allowed() -> None:
    network = {
        "_": "Managed by Holdfast",
        "tunnels": [{"device": "tunl0", "kind": "gue", "port": 6080}],
        "addresses": [{"address": "10.0.0.3/32", "device": "tunl0"}, {"address": "fd00::3/128", "device": "lo"}],
        "gateways": [{"address": "10.0.0.1", "device": "eth0.5"}, {"address": "fe80::1", "device": "eth0"}],
    }
    assert codes(Service.NETWORK, json.dumps(network)) == set()


@given(st.text(max_size=200))
def test_nothing_raises(text: str) -> None:
    codes(Service.NFTABLES, text)
    codes(Service.SYSCTL, text)
    codes(Service.NETWORK, text)
