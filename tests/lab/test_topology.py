"""What a lab consists of: client, gateways, names; and how it follows from a spec."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface

import pytest
from pydantic import ValidationError

from holdfast.errors import LabError, UsageError
from holdfast.lab.network import cable_batch, cut_lines, node_batch, node_name, switch_name
from holdfast.lab.state import check_name
from holdfast.lab.topology import (
    CLIENT,
    Interface,
    LabNode,
    LabTopology,
    Network,
    Role,
    link_local,
    mac_address,
    with_client,
)
from holdfast.lab.twin import from_spec
from holdfast.spec import parse_spec


def node(name: str, *addresses: str, network: str = "front", interface: str = "eth0") -> LabNode:
    found = Interface(name=interface, network=network, addresses=tuple(ip_interface(a) for a in addresses))
    return LabNode(name=name, role=Role.SERVER, interfaces=(found,))


def layout(*nodes: LabNode, gateways: tuple[str, ...] = (), name: str = "x") -> LabTopology:
    network = Network(name="front", gateways=tuple(ip_interface(g) for g in gateways))
    return LabTopology(name=name, networks=(network,), nodes=nodes)


def client_addresses(topology: LabTopology) -> list[str]:
    return [str(a) for i in topology.node(CLIENT).interfaces for a in i.addresses]


def test_the_client_has_a_free_address_in_each_subnet_and_answers_for_the_gateway() -> None:
    built = with_client(layout(node("a", "10.0.0.254/24", "fd00::fffe/64"), gateways=("10.0.0.1/24",)))
    assert client_addresses(built) == ["10.0.0.253/24", "fd00::fffd/64", "10.0.0.1/24"]


def test_a_vip_is_not_free_and_a_gateway_that_floats_is_not_answered() -> None:
    vips = [ip_interface("10.0.0.253/24"), ip_interface("10.0.0.1/24")]
    built = with_client(layout(node("a", "10.0.0.254/24"), gateways=("10.0.0.1/24",)), vips)
    assert client_addresses(built) == ["10.0.0.252/24"]


def test_a_full_subnet_is_refused() -> None:
    with pytest.raises(LabError, match=r"10\.0\.0\.0/30 has no free address"):
        with_client(layout(node("a", "10.0.0.1/30"), node("b", "10.0.0.2/30")))


def test_a_node_may_not_take_the_clients_name() -> None:
    with pytest.raises(LabError, match="client"):
        with_client(layout(node(CLIENT, "10.0.0.1/24")))


@pytest.mark.parametrize("name", ["", "..", "a/b", "a b", "a.b", "-a", "a" * 33, "a\n", "ä"])
def test_lab_names_that_could_mean_something_else_are_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        layout(node("a", "10.0.0.1/24"), name=name)
    with pytest.raises(UsageError):
        check_name(name)


@pytest.mark.parametrize("interface", ["", "lo", "a/b", "..", "a" * 16, "eth 0", "-x", "eth0;id"])
def test_interface_names_that_the_kernel_or_a_batch_would_misread_are_refused(interface: str) -> None:
    with pytest.raises(ValidationError):
        layout(node("a", "10.0.0.1/24", interface=interface))


def test_what_is_there_twice_or_nowhere_is_refused() -> None:
    with pytest.raises(ValidationError, match="node 'a' is there twice"):
        layout(node("a", "10.0.0.1/24"), node("a", "10.0.0.2/24"))
    with pytest.raises(ValidationError, match=r"address '10\.0\.0\.1' is there twice"):
        layout(node("a", "10.0.0.1/24"), node("b", "10.0.0.1/24"))
    with pytest.raises(ValidationError, match="no network 'back'"):
        layout(node("a", "10.0.0.1/24", network="back"))


def test_namespace_names_of_two_labs_never_collide() -> None:
    assert node_name("a-b", "c") != node_name("a", "b-c")
    # A node called "switch", and a lab called like another one's switch.
    assert len({switch_name("a"), node_name("a", "switch"), switch_name("a-switch"), node_name("a-switch", "x")}) == 4
    assert not node_name("ab", "x").startswith(node_name("a", ""))


def test_mac_addresses_follow_from_the_names_and_are_unicast_and_local() -> None:
    first = mac_address("lb01", "eth0")
    assert first == mac_address("lb01", "eth0")
    assert first != mac_address("lb01", "eth1")
    assert int(first[:2], 16) & 0b11 == 0b10
    assert str(link_local("02:00:5e:10:00:01")) == "fe80::5eff:fe10:1/64"


def test_the_lines_for_the_kernel_say_what_the_topology_says() -> None:
    built = with_client(layout(node("a", "10.0.0.5/24", "fd00::5/64"), gateways=("10.0.0.1/24",)))
    a = built.node("a").model_copy(update={"gateways": (ip_address("10.0.0.1"),)})
    assert "addr add 10.0.0.5/24 broadcast + dev eth0" in node_batch(a)
    assert "addr add fd00::5/64 nodad dev eth0" in node_batch(a)
    assert node_batch(a).endswith("route add default via 10.0.0.1\n")
    assert "link set n0i0 up" in cable_batch(built, built.node("a"))
    assert "link set n0i0 up" not in cable_batch(built, built.node("a"), pulled=["n0i0"])


def test_a_cut_goes_both_ways_and_joining_never_fails() -> None:
    cut = cut_lines([("n0i0", "n1i0")], cut=True)
    assert '"n0i0" . "n1i0"' in cut
    assert '"n1i0" . "n0i0"' in cut
    joined = cut_lines([("n0i0", "n1i0")], cut=False).splitlines()
    assert [line.split()[0] for line in joined] == ["add", "delete"]


SPEC = """
holdfast: 1
cluster: shop
networks:
  front: {cidr: [10.0.0.0/24, 'fd00::/64'], gateway: 10.0.0.1}
  inside: {cidr: 192.168.30.0/24}
nodes:
  lb01: {interfaces: {eth0: [10.0.0.5, 'fd00::5'], eth1: 192.168.30.5}}
  lb02: {interfaces: {eth0: [10.0.0.6, 'fd00::6'], eth1: 192.168.30.6}}
  web01: 192.168.30.7
vrrp:
  www:
    addresses: [10.0.0.254/24]
    nodes: [lb01, lb02]
pools:
  app: {servers: ['web01:80', '192.168.30.99:8080'], check: {http: /healthz, port: 8081}}
sites:
  shop: {hosts: [www.example.com], routes: [{to: app}]}
proxies:
  edge: {engine: nginx, nodes: [lb01, lb02], listeners: [{on: 'www:80', sites: [shop]}]}
"""


def test_a_spec_becomes_its_twin() -> None:
    built = from_spec(parse_spec(SPEC).spec)
    assert built.name == "shop"
    roles = {n.name: n.role.value for n in built.nodes}
    assert roles == {
        "lb01": "balancer",
        "lb02": "balancer",
        "web01": "server",
        "server-192.168.30.99": "server",
        "client": "client",
    }
    lb01 = built.node("lb01")
    assert [str(a) for a in lb01.interface("eth0").addresses] == ["10.0.0.5/24", "fd00::5/64"]
    assert [str(g) for g in lb01.gateways] == ["10.0.0.1"]
    assert built.node("web01").gateways == ()
    assert built.node("web01").origin_ports == (80, 8081)
    assert built.node("server-192.168.30.99").origin_ports == (8080, 8081)
    # The VIP has the address that the client would have taken first.
    assert client_addresses(built) == ["10.0.0.253/24", "fd00::fffe/64", "10.0.0.1/24", "192.168.30.254/24"]


def test_a_lab_may_be_called_otherwise_than_its_cluster() -> None:
    assert from_spec(parse_spec(SPEC).spec, "other").name == "other"


def test_a_topology_survives_its_way_through_the_state_file() -> None:
    built = from_spec(parse_spec(SPEC).spec)
    assert LabTopology.model_validate_json(built.model_dump_json()) == built
