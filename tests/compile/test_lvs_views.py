"""What a director and a real server are told, beyond what golden cases show."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any, get_args

import pytest
from tests.golden.cases import GOLDEN, Case, all_cases

from holdfast.bundle import WEIGHT_DIR, VirtualServerExpectation
from holdfast.compile.compiler import CompileInput, compile_cluster, node_view
from holdfast.compile.lock import Lock, Secrets, complete_lock
from holdfast.compile.node_view import NodeView
from holdfast.spec import parse_spec
from holdfast.spec.virtual_servers import SchedulerName

SPEC = """\
holdfast: 1
cluster: shop
networks: {{front: {{cidr: [10.0.0.0/24, 'fd00::/64']}}}}
nodes: {{lb01: [10.0.0.5, 'fd00::5'], lb02: [10.0.0.6, 'fd00::6'], web01: [10.0.0.7, 'fd00::7'], web02: 10.0.0.8}}
vrrp: {{www: {{addresses: {addresses}, nodes: [lb01, lb02], vrid: 51}}}}
virtual_servers: {{shop: {{{entry}, check: {{tcp: true, port: 80}}}}}}
"""
ONE, BOTH = "[10.0.0.3]", "[10.0.0.3, 'fd00::3']"
DR = "forward: dr, servers: ['web01:80']"
RANGE = "forward: dr, servers: [web01]"


def view_of(entry: str, node: str = "lb01", addresses: str = ONE, extra: str = "") -> NodeView:
    loaded = parse_spec(SPEC.format(addresses=addresses, entry=entry) + extra)
    lock = complete_lock(loaded.spec, Lock(cluster="shop"))
    return node_view(CompileInput(loaded, lock, Secrets(cluster="shop")), node)


def names(view: NodeView) -> list[str]:
    return [vs.name for vs in view.director.virtual_servers]


@pytest.mark.parametrize(
    ("on", "addresses", "expected"),
    [
        ("'www:80'", ONE, ["shop"]),
        ("'www:80'", BOTH, ["shop", "shop.v6"]),
        ("'www:80'", "['fd00::3']", ["shop"]),
        ("'www:80'", "[10.0.0.3, 10.0.0.4]", ["shop.10-0-0-3-80", "shop.10-0-0-4-80"]),
        ("'www:8000-8010'", BOTH, ["shop", "shop.v6"]),
        ("'www:8000-8010'", "[10.0.0.3, 10.0.0.4]", ["shop"]),
    ],
)
def test_an_entry_becomes_one_virtual_server_per_socket_or_one_per_family_by_a_mark(
    on: str, addresses: str, expected: list[str]
) -> None:
    view = view_of(f"on: {on}, {RANGE if '-' in on else DR}", addresses=addresses)
    assert names(view) == expected
    files = [server.weight_file for vs in view.director.virtual_servers for server in vs.servers]
    assert len(set(files)) == len(files)


def test_both_families_share_a_mark_and_each_address_is_marked() -> None:
    view = view_of(f"on: 'www:8000-8010', {RANGE}", addresses=BOTH)
    assert {vs.mark for vs in view.director.virtual_servers} == {4_800_001}
    assert [(str(m.address), m.first_port, m.last_port, m.mark) for m in view.director.marks] == [
        ("10.0.0.3", 8000, 8010, 4_800_001), ("fd00::3", 8000, 8010, 4_800_001),
    ]  # fmt: skip
    assert {server.port for vs in view.director.virtual_servers for server in vs.servers} == {0}
    assert {server.check_port for vs in view.director.virtual_servers for server in vs.servers} == {8000}


def test_a_mark_of_the_operators_own_is_not_marked_by_us() -> None:
    view = view_of("mark: 9, forward: nat, servers: ['web01:80']")
    assert [vs.mark for vs in view.director.virtual_servers] == [9]
    assert view.director.marks == ()


def test_a_server_without_an_address_of_the_family_is_left_out() -> None:
    view = view_of("on: 'www:80', forward: dr, servers: ['web01:80', 'web02:80']", addresses=BOTH)
    assert [[server.name for server in vs.servers] for vs in view.director.virtual_servers] == [
        ["web01-80", "web02-80"], ["web01-80"],
    ]  # fmt: skip
    left_out = view_of("on: 'www:80', forward: dr, servers: ['web01:80', 'web02:80']", "web02", addresses=BOTH)
    assert [str(served.address) for served in left_out.real_server.served] == ["10.0.0.3"]


def test_bare_addresses_have_names_that_no_node_can_have() -> None:
    servers = "['web01:80', '10.0.0.9:80', '[fd00::9]:80']"
    view = view_of(f"on: 'www:80', forward: dr, servers: {servers}", addresses=BOTH)
    found = [server.name for vs in view.director.virtual_servers for server in vs.servers]
    assert found == ["web01-80", "10.0.0.9-80", "web01-80", "fd00.0000.0000.0000.0000.0000.0000.0009-80"]


@pytest.mark.parametrize(
    ("sync", "expected"),
    [("", ("eth0", 4)), ("sync: {interface: eth0}", ("eth0", 4)), ("sync: false", None)],
)
def test_where_connections_are_told(sync: str, expected: tuple[str, int] | None) -> None:
    view = view_of(f"on: 'www:80', {DR}", extra=f"directors: {{{sync}}}\n")
    found = view.director.sync
    assert ((found.interface, found.family) if found else None) == expected


def test_the_way_back_is_the_gateway_of_the_family() -> None:
    case = Case(GOLDEN / "lvs-nat")
    role = node_view(case.source(), "web01").real_server
    assert role.served == ()
    assert [(gateway.address, gateway.interface) for gateway in role.gateways] == [
        (ip_address("10.0.0.1"), "eth0"), (ip_address("fd00:0:0:1::1"), "eth0"),
    ]  # fmt: skip


def bundle_facts(name: str, node: str) -> Any:
    return compile_cluster(Case(GOLDEN / name).source())[node]


def test_the_kernel_is_asked_for_schedulers_and_for_what_unwraps() -> None:
    modules = bundle_facts("lvs-schedulers", "lb01").kernel_modules
    assert set(modules) == {"ip_vs", *(f"ip_vs_{name}" for name in get_args(SchedulerName))}
    assert bundle_facts("lvs-tun", "lb01").kernel_modules == ("ip_vs", "ip_vs_wlc")
    expected = ("fou", "fou6", "ip6_gre", "ip6_tunnel", "ip_gre", "ipip")
    assert bundle_facts("lvs-tun", "web01").kernel_modules == expected
    assert bundle_facts("lvs-dr", "web01").kernel_modules == ()


def test_names_of_the_policy_are_said() -> None:
    names_used = bundle_facts("lvs-checks", "lb01").policy_names
    assert names_used.scripts == ("ask-it",)
    assert names_used.hooks == ("close-shop", "note-down", "note-up", "open-shop")


LVS = [case for case in all_cases() if case.name.startswith("lvs-")]


@pytest.mark.parametrize("case", LVS, ids=lambda case: case.name)
def test_every_server_can_be_drained(case: Case) -> None:
    """Each has a weight file of its own that exists before keepalived reads it, and that keepalived follows."""
    for bundle in case.bundles().values():
        expected = [server for vs in bundle.expected.virtual_servers for server in vs.servers]
        files = [server.weight_file for server in expected]
        assert len(set(files)) == len(files)
        assert set(files) <= set(bundle.state_files)
        text = "".join(file.content for file in bundle.files if "/keepalived/" in file.path)
        assert text.count("    real_server ") == text.count("        FILE_CHECK {") == len(expected)
        for file in files:
            label = file.removeprefix(f"{WEIGHT_DIR}/")
            assert f'track_file {label} {{\n    file "{file}"\n}}' in text
            assert text.count(f"            track_file {label}\n") == 1


@pytest.mark.parametrize("case", LVS, ids=lambda case: case.name)
def test_directors_of_a_group_say_the_same_of_its_virtual_servers(case: Case) -> None:
    """Else a connection that one tells of would mean nothing to the other."""
    found: dict[str, list[tuple[VirtualServerExpectation, ...]]] = {}
    for bundle in case.bundles().values():
        for group in bundle.expected.vrrp:
            of_group = tuple(vs for vs in bundle.expected.virtual_servers if vs.group == group.group)
            found.setdefault(group.group, []).append(of_group)
    for several in found.values():
        assert len(several) >= 2
        assert all(one == several[0] for one in several)
