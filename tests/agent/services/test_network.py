"""A real server's network on a machine in memory: from any state to any other, and back to what was there first."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.agent import bundles, directors
from tests.agent.services.fakes import FakeManager

from holdfast.agent import network_picture
from holdfast.agent.host.fake import FakeHost
from holdfast.agent.host.network import (
    AddAddress,
    Link,
    MakeTunnel,
    OpenPort,
    RemoveDefaultRoute,
    SetDefaultRoute,
    SetLink,
    batches,
    gue_ports,
    strongest_default,
)
from holdfast.agent.host.port import LocalAddress, Places
from holdfast.agent.kernel import put_back, verify
from holdfast.agent.network_picture import Device, Picture
from holdfast.agent.services import network
from holdfast.agent.services.base import Node
from holdfast.agent.steps import Steps
from holdfast.bundle import Bundle, NetworkTunnel
from holdfast.errors import NotOurs, VerificationFailed

VIP = "10.9.7.3/32"
IPIP = NetworkTunnel(device="tunl0", kind="ipip")
GUE = NetworkTunnel(device="tunl0", kind="gue", port=6080)
NOTHING = Bundle(cluster="shop", node="lb01", services=(), files=())

DEVICES = st.sampled_from(["tunl0", "gre0"])
STATES = st.one_of(st.none(), st.builds(Device, kind=st.just("ipip"), up=st.booleans()))
PICTURES = st.builds(
    Picture,
    tunnels=st.dictionaries(DEVICES, STATES, min_size=2),
    ports=st.fixed_dictionaries({"4 6080": st.booleans(), "6 6081": st.booleans()}),
    addresses=st.fixed_dictionaries({f"lo {VIP}": st.booleans(), "lo fd00::3/128": st.booleans()}),
    defaults=st.fixed_dictionaries(
        {"4": st.sampled_from(["", "via 10.9.0.1 dev eth0", "via 10.9.0.2 dev eth0"]), "6": st.sampled_from(["", "x"])}
    ),
)


def host_with(picture: Picture) -> FakeHost:
    host = FakeHost()
    for name, device in picture.tunnels.items():
        if device is not None:
            host.links_by_name[name] = Link(name, device.kind, device.up)
    host.open_gue_ports = {(int(key.split()[0]), int(key.split()[1])) for key, there in picture.ports.items() if there}
    host.local_addresses = {LocalAddress(*key.split()) for key, there in picture.addresses.items() if there}
    host.default_routes = {int(family): route for family, route in picture.defaults.items() if route}
    return host


def carry_out(host: FakeHost, target: Picture) -> None:
    """As an attempt does it."""
    network.make(host, target)
    network.add(host, target)
    network.take(host, target)
    network.settle(host, target)


@given(PICTURES, PICTURES)
def test_from_any_picture_to_any_other_and_back(now: Picture, target: Picture) -> None:
    host = host_with(now)
    carry_out(host, target)
    assert network.read(host, target) == target
    assert not network.missing(host, target)
    node = Node(host, Places(Path("/nonexistent")), FakeManager())
    assert put_back(node, Steps(host.monotonic), now, None) == ()
    assert network.read(host, now) == now


@given(PICTURES, PICTURES, st.integers(0, 12))
def test_back_from_anywhere_on_the_way(now: Picture, target: Picture, done: int) -> None:
    host = host_with(now)
    found = network_picture.orders(now, target)
    host.change_network((*found.make, *found.add, *found.take, *found.route, *found.remove)[:done])
    node = Node(host, Places(Path("/nonexistent")), FakeManager())
    assert put_back(node, Steps(host.monotonic), now, {}) == ()
    assert network.read(host, now) == now


def test_what_a_bundle_wants_and_in_which_order() -> None:
    wanted = network.wanted(bundles.bundle(bundles.network(f"tunl0 {VIP}", gateway="10.9.0.254", tunnels=(GUE,))))
    found = network_picture.orders(network.read(FakeHost(), wanted), wanted)
    assert found.make == (OpenPort(4, 6080), MakeTunnel("tunl0", "ipip"))
    assert found.add == (SetLink("tunl0", True), AddAddress("tunl0", VIP))
    assert found.route == (SetDefaultRoute(4, "via 10.9.0.254 dev eth0 proto static"),)


def test_a_device_of_the_kernels_own_is_never_removed(tmp_path: Path) -> None:
    host, places = FakeHost(), Places(tmp_path)
    host.links_by_name["tunl0"] = Link("tunl0", "ipip", up=False)
    bundle = bundles.bundle(bundles.network(f"tunl0 {VIP}", tunnels=(IPIP,)))
    before = network.read(host, network.target(bundle, places))
    carry_out(host, network.target(bundle, places))
    network.remember(places, bundle, None, before)
    assert host.links_by_name["tunl0"].up
    carry_out(host, network.target(NOTHING, places))
    assert host.links_by_name["tunl0"] == Link("tunl0", "ipip", up=False)
    assert host.local_addresses == set()


def test_the_route_to_go_back_to_is_the_one_before_holdfast(tmp_path: Path) -> None:
    host, places = FakeHost(), Places(tmp_path)
    host.default_routes = {4: "via 10.9.0.1 dev eth0 proto dhcp"}
    one, two = (bundles.bundle(bundles.network(gateway=f"10.9.0.{number}")) for number in (253, 254))
    old = None
    for bundle in (one, two, one):
        before = network.read(host, network.target(bundle, places))
        carry_out(host, network.target(bundle, places))
        network.remember(places, bundle, old, before)
        network.remember(places, bundle, old, before)  # book-keeping may be repeated after a kill
        old = bundle
    host.default_routes = {4: "via 10.9.0.2 dev eth0 proto dhcp"}  # the system has another one now
    before = network.read(host, network.target(one, places))
    carry_out(host, network.target(one, places))
    network.remember(places, one, one, before)
    carry_out(host, network.target(NOTHING, places))
    assert host.default_routes == {4: "via 10.9.0.2 dev eth0 proto dhcp"}


def test_what_is_not_ours_is_refused_by_name() -> None:
    host = FakeHost()
    host.links_by_name["tunl0"] = Link("tunl0", "gre", up=True)
    bundle = bundles.bundle(bundles.network(tunnels=(IPIP,)))
    with pytest.raises(NotOurs, match="tunl0 already, and it is gre, not ipip"):
        network.refuse_what_is_not_ours(host, bundle, None)
    host.local_addresses = {LocalAddress("eth0", "10.9.7.3/24")}
    real_server = bundles.bundle(bundles.network(f"lo {VIP}"))
    with pytest.raises(NotOurs, match=r"10\.9\.7\.3/24 is on eth0 already"):
        network.refuse_what_is_not_ours(host, real_server, None)


def test_a_director_that_becomes_a_real_server_may_hold_the_address_until_keepalived_has_gone() -> None:
    host = FakeHost()
    host.local_addresses = {LocalAddress("eth0", "10.9.0.3/24")}
    old = bundles.bundle(bundles.keepalived())
    new = bundles.bundle(bundles.network("lo 10.9.0.3/32"))
    network.refuse_what_is_not_ours(host, new, old)
    assert network.claimed(host, new) == LocalAddress("eth0", "10.9.0.3/24")


def test_a_table_without_an_expected_virtual_server_is_no_success(tmp_path: Path) -> None:
    host, vs = FakeHost(), directors.pair()
    node = Node(host, Places(tmp_path), FakeManager())
    host.ipvs_table = directors.table(vs, {})
    verify(node, directors.bundle(vs))
    host.ipvs_table = directors.table(directors.virtual_server(port=443), {})
    with pytest.raises(VerificationFailed, match="has no virtual server shop"):
        verify(node, directors.bundle(vs))


def test_a_network_that_does_not_stay_is_an_error() -> None:
    class Deaf(FakeHost):
        def change_network(self, orders: object) -> None:
            """Takes them, and does nothing."""

    aim = network.wanted(bundles.bundle(bundles.network(f"lo {VIP}")))
    with pytest.raises(VerificationFailed, match="not as it was told to be"):
        network.settle(Deaf(), aim)


def test_lines_for_ip_keep_their_order_and_name_their_family() -> None:
    lines = batches(
        [
            AddAddress("lo", VIP),
            AddAddress("lo", "fd00::3/128"),
            OpenPort(6, 6081),
            RemoveDefaultRoute(4, "via 10.9.0.1 dev eth0 onlink"),
        ]
    )
    assert lines == (
        (4, ("address add 10.9.7.3/32 dev lo",)),
        (6, ("address add fd00::3/128 dev lo nodad preferred_lft 0", "fou add port 6081 gue")),
        (4, ("route del 0.0.0.0/0 via 10.9.0.1 dev eth0 onlink",)),
    )


@pytest.mark.parametrize(
    ("family", "listing", "expected"),
    [
        (4, "", ""),
        (4, "default via 10.0.0.1 dev eth0 proto dhcp metric 100 \n", ""),
        (4, "default via 10.0.0.1 dev eth0 proto dhcp \n", "via 10.0.0.1 dev eth0 proto dhcp"),
        (4, "default via 10.0.0.1 dev eth0 linkdown \n", "via 10.0.0.1 dev eth0"),
        (
            4,
            "default proto static \\\tnexthop via 10.0.0.1 dev eth0 weight 1 "
            "\\\tnexthop via 10.0.0.2 dev eth0 weight 1 \n",
            "proto static nexthop via 10.0.0.1 dev eth0 weight 1 nexthop via 10.0.0.2 dev eth0 weight 1",
        ),
        (6, "default via fe80::1 dev eth0 proto ra metric 1024 expires 1795sec pref medium\n", ""),
        (
            6,
            "default via fe80::1 dev eth0 proto ra metric 1 expires 1795sec hoplimit 64 pref medium\n",
            "via fe80::1 dev eth0 proto ra metric 1 hoplimit 64",
        ),
    ],
)
def test_the_strongest_default_route(family: int, listing: str, expected: str) -> None:
    assert strongest_default(family, listing) == expected


def test_ports_of_gue() -> None:
    assert gue_ports("port 6081 gue -6\nport 6080 gue\nport 5555 ipproto 4\n") == {(6, 6081), (4, 6080)}
