"""Users, origins and listeners of virtual servers: what follows from a spec."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from holdfast.lab.network import node_batch
from holdfast.lab.origins import origin_ports
from holdfast.lab.pace import suited_plan
from holdfast.lab.quiet import patience, slowest_check_s
from holdfast.lab.scenario import Kind
from holdfast.lab.topology import CLIENT, Role, Speaks
from holdfast.lab.traffic_records import TrafficPlan
from holdfast.lab.traffic_targets import wanted_traffic
from holdfast.lab.twin import from_spec
from holdfast.lab.users import USERS, user_addresses
from holdfast.spec import parse_spec
from holdfast.spec.cluster import ClusterSpec

NAT = """
holdfast: 1
cluster: shop
networks:
  public: {cidr: [198.51.100.0/24, 'fd00:1::/64']}
  inside: {cidr: [192.168.30.0/24, 'fd00:2::/64'], gateway: 192.168.30.100}
  far: {cidr: 10.9.0.0/24, gateway: 10.9.0.1}
nodes:
  lb01: {interfaces: {eth0: [198.51.100.5, 'fd00:1::5'], eth1: [192.168.30.5, 'fd00:2::5']}}
  lb02: {interfaces: {eth0: [198.51.100.6, 'fd00:1::6'], eth1: [192.168.30.6, 'fd00:2::6']}}
  rs01: 192.168.30.7
  rs02: 192.168.30.8
  far01: 10.9.0.7
  idle: 192.168.30.9
vrrp:
  gate:
    addresses: {vip: 198.51.100.100/24, gateway: 192.168.30.100/24}
    nodes: [lb01, lb02]
virtual_servers:
  shop: {on: 'gate.vip:80', forward: nat, servers: ['rs01:8080', '192.168.30.77:8080'], check: {http: /healthz}}
  secure: {on: 'gate.vip:443', forward: nat, servers: ['rs02:8443'], check: {https: /, port: 9443}}
  web: {on: 'gate.vip:8443', forward: tun, servers: ['far01:8443'], check: {tcp: true}}
  names: {on: 'gate.vip:53', protocol: udp, forward: nat, servers: ['rs01:53'], check: {dns: example.com}}
  mail: {on: 'gate.vip:25', forward: nat, servers: ['rs02:25'], check: {smtp: true, every: 5s, timeout: 2s, fall: 3}}
  many: {on: 'gate.vip:9000-9100', forward: nat, servers: [rs02], check: {tcp: true, port: 9000}}
  signal: {on: 'gate.vip:7000', protocol: sctp, forward: nat, servers: ['rs01:7000']}
"""


@pytest.fixture(scope="module")
def spec() -> ClusterSpec:
    return parse_spec(NAT).spec


def test_every_node_has_an_agent_and_each_server_its_applications(spec: ClusterSpec) -> None:
    made = from_spec(spec)
    roles = {node.name: node.role for node in made.nodes}
    assert {name for name, role in roles.items() if role is Role.REAL_SERVER} == {"rs01", "rs02", "far01", "idle"}
    assert roles["server-192.168.30.77"] is Role.SERVER
    ports = {n.name: (n.origin_ports, [(s.speaks.value, s.port) for s in n.origin_services]) for n in made.nodes}
    assert ports["rs01"] == ((8080,), [("sctp", 7000), ("udp", 53)])
    assert ports["rs02"] == ((8443, 9000, 9050, 9100), [("https", 9443), ("smtp", 25)])
    assert ports["server-192.168.30.77"] == ((8080,), [])
    assert not made.node("idle").has_origin


def test_users_come_from_nobodys_network_and_answers_take_the_way_that_they_would(spec: ClusterSpec) -> None:
    made = from_spec(spec)
    users = [ip_address(a) for a in user_addresses(made, 4)]
    # 198.51.100.0/24, the first choice, is the cluster's own.
    assert len(users) == USERS
    assert all(user in ip_network("203.0.113.0/28") for user in users)
    assert len(user_addresses(made, 6)) == USERS
    client = {str(a.ip) for i in made.node(CLIENT).interfaces for a in i.addresses}
    back = {n.name: {str(net): str(via) for net, via in n.remote} for n in made.nodes}
    for director in ("lb01", "lb02"):
        # Its only gateway is an address that floats between the directors: users are reached over the outer network.
        assert ip_address(back[director]["2001:db8:0:fff0::/124"]) in ip_network("fd00:1::/64")
        assert set(back[director].values()) <= client
    assert back["rs01"] == back["rs02"] == {}, "their answers go by way of their director"
    assert [str(g) for g in made.node("far01").gateways] == ["10.9.0.1"]
    assert not any("/4" in net or net.startswith("203.") for net in back["far01"]), "by its own gateway"
    assert f"addr add {users[0]}/32 dev lo" in node_batch(made.node(CLIENT))


def test_a_spec_without_virtual_servers_has_no_users() -> None:
    text = "holdfast: 1\ncluster: x\nnetworks: {front: {cidr: 10.0.0.0/24}}\nnodes: {a: 10.0.0.1}\n"
    made = from_spec(parse_spec(text).spec)
    assert made.node("a").role is Role.SERVER
    assert made.node(CLIENT).loopback == ()


def test_machines_of_later_specs_are_there_from_the_beginning(spec: ClusterSpec) -> None:
    later = parse_spec(
        NAT.replace("idle: 192.168.30.9", "new: 192.168.30.10").replace("'rs01:8080',", "'rs01:8080', 'new:8080',")
    ).spec
    made = from_spec(spec, later=[later])
    assert made.node("new").origin_ports == (8080,)
    assert made.node("new").remote == (), "it will be behind NAT"
    assert made.node("idle").has_agent


def test_what_is_asked_of_virtual_servers(spec: ClusterSpec) -> None:
    sources = {4: ("203.0.113.1", "203.0.113.2")}
    asked = {listener.name: listener for listener in wanted_traffic(spec, sources).listeners}
    assert set(asked) == {
        "198.51.100.100:80", "198.51.100.100:443", "198.51.100.100:8443", "198.51.100.100:53/udp",
        "198.51.100.100:25", "198.51.100.100:9000", "198.51.100.100:9050", "198.51.100.100:9100",
        "198.51.100.100:7000/sctp",
    }  # fmt: skip
    assert {name for name, listener in asked.items() if listener.tls} == set(), "9443 alone speaks TLS, for the check"
    assert asked["198.51.100.100:25"].protocol == "smtp"
    assert asked["198.51.100.100:53/udp"].classes() == ("datagram",)
    assert asked["198.51.100.100:7000/sctp"].classes() == ("new", "kept", "long")
    assert all(listener.sources == sources[4] for listener in asked.values())


def test_tls_is_asked_for_where_the_servers_speak_it() -> None:
    base = "holdfast: 1\ncluster: x\nnetworks: {n: {cidr: 10.0.0.0/24}}\n"
    base += "nodes: {a: 10.0.0.1, b: 10.0.0.2, s: 10.0.0.3}\n"
    base += "vrrp: {www: {addresses: [10.0.0.9/24], nodes: [a, b]}}\n"
    for more, tls in (
        ("on: 'www:443', servers: [s]", True),
        ("on: 'www:443', servers: [s], check: {tcp: true}", True),
        ("on: 'www:443', servers: [s], check: {http: /}", False),
        ("on: 'www:8443', servers: [s], check: {https: /}", True),
        ("on: 'www:80', servers: [s]", False),
    ):
        spec = parse_spec(f"{base}virtual_servers: {{v: {{forward: dr, {more}}}}}\n").spec
        (listener,) = wanted_traffic(spec).listeners
        assert listener.tls is tls, more
        found = origin_ports([spec], {"s"}, ())
        assert (Speaks.HTTPS in {s.speaks for s in found.others}) is tls, more


def test_a_mark_of_the_operators_own_is_not_asked() -> None:
    text = NAT.split("virtual_servers:")[0] + "virtual_servers: {own: {mark: 7, forward: nat, servers: ['rs01:80']}}\n"
    wanted = wanted_traffic(parse_spec(text).spec)
    assert (wanted.listeners, wanted.not_asked) == ((), ("own: what rules of your own mark with 7",))


def test_a_slow_machine_is_asked_less_and_waited_for_longer(spec: ClusterSpec) -> None:
    listeners = wanted_traffic(spec).listeners[:2]
    assert suited_plan(1.0, listeners) == suited_plan(2.9, listeners) == TrafficPlan()
    slow = suited_plan(5.0, listeners)
    assert (slow.new_per_second, slow.kept_per_second, slow.datagrams_per_second) == (16.0, 8.0, 16.0)
    slow = suited_plan(8.0, listeners)
    assert (slow.new_per_second, slow.kept_per_second, slow.datagrams_per_second) == (10.0, 5.0, 10.0)
    assert suited_plan(1000.0, listeners).new_per_second == 4.0
    usual, long = patience(spec, TrafficPlan(), 1.0), patience(spec, slow, 8.0)
    assert slowest_check_s(spec) == pytest.approx(5 + 2 * (5 + 2))
    assert usual.of(Kind.BACKEND_LOST) == pytest.approx(5 + 19)
    assert usual.of(Kind.NODE_LOST) == pytest.approx(15 + 15)
    assert long.of(Kind.NODE_LOST) == pytest.approx(45 + 15)
    assert long.just_now_s > usual.just_now_s - 0.1
