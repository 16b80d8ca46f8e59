"""Who directs, what is taken, who serves it how: answers that rules, compiler and lab share."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from holdfast.spec import ClusterSpec, parse_spec
from holdfast.spec.proxies import ListenOn
from holdfast.spec.resolve_lvs import (
    all_directors,
    directed_groups,
    directors,
    families,
    gateway_for,
    gateways_of,
    group_of,
    listener_sockets,
    real_server_address,
    real_server_nodes,
    served_addresses,
    taken_by,
    virtual_addresses,
)

HEAD = """\
holdfast: 1
cluster: shop
networks:
  front: {cidr: [10.0.0.0/24, 'fd00:0:0:1::/64']}
  inside: {cidr: 192.168.30.0/24}
  far: {cidr: 10.9.0.0/24}
nodes:
  lb01: {interfaces: {eth0: [10.0.0.5, 'fd00:0:0:1::5'], eth1: 192.168.30.5}}
  lb02: {interfaces: {eth0: [10.0.0.6, 'fd00:0:0:1::6'], eth1: 192.168.30.6}}
  web01: {interfaces: {eth0: [10.0.0.7, 'fd00:0:0:1::7'], eth1: 192.168.30.7}}
  rs01: 192.168.30.8
  far01: 10.9.0.7
vrrp:
  gate: {addresses: {vip: 10.0.0.3, six: 'fd00:0:0:1::3', gateway: 192.168.30.100}, nodes: {lb01: 100, lb02: 150}}
  spare: {addresses: {vip: 10.0.0.4, gateway: 192.168.30.200}, nodes: [lb01, lb02]}
"""


def spec_of(*entries: str) -> ClusterSpec:
    """A spec with virtual servers `NAME: {…}`; warnings are no concern of these tests."""
    return parse_spec(HEAD + "virtual_servers:\n" + "".join(f"  {entry}\n" for entry in entries)).spec


def sockets(spec: ClusterSpec, name: str) -> list[str]:
    return [f"{one.address} {one.first}-{one.last}" for one in taken_by(spec, name)]


@pytest.mark.parametrize("on", ["'gate:80'", "['gate.vip:80', 'gate.six:81']", "'10.0.0.3:80'"])
def test_the_members_of_the_group_direct(on: str) -> None:
    spec = spec_of(f"a: {{on: {on}, forward: dr, servers: ['web01']}}")
    assert group_of(spec, "a") == "gate"
    assert directors(spec, "a") == ("lb02", "lb01")
    assert directed_groups(spec) == ("gate",)
    assert all_directors(spec) == ("lb01", "lb02")


def test_a_mark_is_directed_by_the_group_named() -> None:
    spec = spec_of("a: {mark: 7, group: spare, forward: dr, servers: [web01]}")
    assert directors(spec, "a") == ("lb01", "lb02")
    assert taken_by(spec, "a") == ()
    assert [str(address) for address in virtual_addresses(spec, "a")] == ["10.0.0.4", "192.168.30.200"]
    assert families(spec, "a") == (4,)


def test_a_group_stands_for_all_its_addresses() -> None:
    spec = spec_of("a: {on: ['gate:80', 'gate.vip:8000-8100'], forward: dr, servers: [web01]}")
    assert sockets(spec, "a") == [
        "10.0.0.3 80-80", "fd00:0:0:1::3 80-80", "192.168.30.100 80-80", "10.0.0.3 8000-8100"
    ]  # fmt: skip
    assert families(spec, "a") == (4, 6)


def test_behind_nat_gateways_are_not_taken() -> None:
    spec = spec_of("a: {on: 'spare:80', forward: nat, servers: ['rs01:80']}")
    assert sockets(spec, "a") == ["10.0.0.4 80-80"]
    named = spec_of("a: {on: 'spare.gateway:80', forward: nat, servers: ['rs01:80']}")
    assert sockets(named, "a") == ["192.168.30.200 80-80"]


def test_behind_nat_a_server_is_reached_where_its_gateway_is() -> None:
    spec = spec_of("a: {on: 'gate.vip:80', forward: nat, servers: ['web01:80', 'rs01:80']}")
    assert real_server_address(spec, "a", "web01", 4) == ip_address("192.168.30.7")
    assert gateway_for(spec, "a", "web01", 4) == ip_address("192.168.30.100")
    (gateway,) = gateways_of(spec, "web01")
    assert (str(gateway.address), gateway.interface) == ("192.168.30.100", "eth1")
    assert served_addresses(spec, "web01") == ()


def test_by_dr_a_server_is_reached_beside_the_virtual_address() -> None:
    spec = spec_of("a: {on: 'gate.vip:80', forward: dr, servers: [web01], sorry: {address: rs01, forward: nat}}")
    assert real_server_address(spec, "a", "web01", 4) == ip_address("10.0.0.7")
    (served,) = served_addresses(spec, "web01")
    assert (str(served.address), served.forward, served.interface) == ("10.0.0.3", "dr", "eth0")
    assert gateways_of(spec, "web01") == ()
    assert served_addresses(spec, "rs01") == ()
    assert [str(gateway.address) for gateway in gateways_of(spec, "rs01")] == ["192.168.30.100"]
    assert real_server_nodes(spec) == {"web01": ("a",), "rs01": ("a",)}


def test_a_tunnel_leads_anywhere() -> None:
    spec = spec_of("a: {on: 'gate.vip:80', forward: tun, servers: [far01, '203.0.113.9']}")
    assert real_server_address(spec, "a", "far01", 4) == ip_address("10.9.0.7")
    assert real_server_address(spec, "a", "203.0.113.9", 4) == ip_address("203.0.113.9")
    assert real_server_address(spec, "a", "203.0.113.9", 6) is None
    (served,) = served_addresses(spec, "far01")
    assert (str(served.address), served.forward, served.interface) == ("10.0.0.3", "tun", "eth0")


def test_both_families_are_served_each_by_its_own() -> None:
    spec = spec_of("a: {on: ['gate.vip:80', 'gate.six:80'], forward: dr, servers: [web01]}")
    assert [str(served.address) for served in served_addresses(spec, "web01")] == ["10.0.0.3", "fd00:0:0:1::3"]
    assert real_server_address(spec, "a", "web01", 6) == ip_address("fd00:0:0:1::7")


def heard(spec: ClusterSpec, node: str, on: str) -> list[str]:
    target, _, port = on.rpartition(":")
    return [f"{address} {p}" for address, p in listener_sockets(spec, node, ListenOn(target=target, port=int(port)))]


def test_where_a_proxy_listens() -> None:
    spec = spec_of(
        "a: {on: 'gate.vip:80', forward: dr, servers: [web01]}",
        "b: {on: 'spare.vip:443', forward: nat, servers: ['rs01:8443', 'web01:443']}",
    )
    assert heard(spec, "lb01", "gate.vip:80") == ["10.0.0.3 80"]
    assert heard(spec, "web01", "gate:80") == ["10.0.0.3 80"]
    assert heard(spec, "rs01", "spare:443") == ["192.168.30.8 8443"]
    assert heard(spec, "web01", "spare.vip:443") == ["192.168.30.7 443"]
    assert heard(spec, "rs01", "gate.vip:80") == []
    assert heard(spec, "web01", "10.0.0.3:80") == ["10.0.0.3 80"]
    assert heard(spec, "web01", "10.0.0.7:80") == ["10.0.0.7 80"]
    assert heard(spec, "web01", "0.0.0.0:80") == ["0.0.0.0 80"]
