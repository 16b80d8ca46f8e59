"""The kernel's answers about links, addresses and routes, taken apart: recorded ones, and ones that are cut short."""

from __future__ import annotations

from tests.agent.facts.recorded import dumps

from holdfast.agent.facts import network
from holdfast.agent.facts.port import ADDRESSES, LINKS, ROUTES
from holdfast.protocol import RouteFacts


def test_interfaces_with_their_addresses() -> None:
    said = dumps()
    found = {one.name: one for one in network.interfaces(said[LINKS], said[ADDRESSES]).values()}
    eth0 = found["eth0"]
    assert (eth0.mac, eth0.mtu, eth0.up, eth0.carrier, eth0.multicast, eth0.kind) == (
        "02:00:00:00:00:05", 1400, True, True, True, "veth",
    )  # fmt: skip
    assert eth0.addresses[:4] == ("10.9.0.5/24", "192.0.2.1/32", "10.9.0.100/24", "fd00::5/64")
    assert eth0.secondary == ("10.9.0.100/24",)
    assert (found["vrrp.51"].up, found["vrrp.51"].kind) == (False, "macvlan")
    assert found["lo"].addresses == ("127.0.0.1/8", "::1/128")


def test_routes_of_the_main_table() -> None:
    said = dumps()
    names = {index: one.name for index, one in network.interfaces(said[LINKS], said[ADDRESSES]).items()}
    found = network.routes(said[ROUTES], names)
    assert RouteFacts(family=4, destination="default", gateway="10.9.0.1", interface="eth0") in found
    assert RouteFacts(family=6, destination="default", gateway="fd00::1", interface="eth0", metric=7) in found
    assert RouteFacts(family=4, destination="198.51.100.0/24", gateway="10.9.0.2", interface="eth0") in found
    assert not [
        one for one in found if one.destination.startswith(("203.0.113.", "192.0.2.128"))
    ]  # another table; no way


def test_answers_that_are_cut_short_are_passed_over() -> None:
    for question, payloads in dumps().items():
        for payload in payloads:
            for end in range(0, len(payload), 3):
                if question == ROUTES:
                    network.routes([payload[:end]], {})
                else:
                    network.interfaces([payload[:end]], [payload[:end]])
