"""Messages taken apart: all at once where they look alike, one by one where not, and nothing mistaken for another."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ipvs import messages

from holdfast.ipvs import wire
from holdfast.ipvs.layout import TEXT, Taker
from holdfast.ipvs.model import (
    Checksum,
    Counters,
    Destination,
    DestinationKey,
    Family,
    ForwardingMethod,
    KernelRates,
    Service,
    ServiceFlag,
    ServiceKey,
    Transport,
    Tunnel,
    TunnelKind,
)

BIG = [2**63 + n for n in range(10)]


def services(data: bytes) -> list[Service]:
    return [wire.service(values) for values in wire.SERVICES.take(data)]


def destinations(data: bytes) -> tuple[Destination, ...]:
    return wire.destinations(wire.DESTINATIONS.take(data))


def test_a_service_with_everything() -> None:
    data = messages.service(
        ("udp", "10.1.0.100", 5060),
        scheduler="mh",
        flags=1 | 2 | 4 | 8 | 16 | 32,
        timeout=60,
        mask=bytes([255, 255, 240, 0]),
        engine="sip",
        numbers=BIG,
    )
    (found,) = services(data)
    assert found.key == ServiceKey(Family.IPV4, Transport.UDP, "10.1.0.100", 5060, 0)
    assert (found.scheduler, found.timeout_s, found.prefix, found.persistence_engine) == ("mh", 60, 20, "sip")
    assert found.flags == frozenset(ServiceFlag)
    assert found.counters == Counters(*BIG[:5])
    assert found.kernel_rates == KernelRates(*BIG[5:])


def test_services_of_every_kind_in_one_list() -> None:
    """Their messages have several lengths, and some of one length differ within."""
    data = b"".join(
        [
            messages.service(("tcp", "10.0.0.1", 80), scheduler="rr"),
            messages.service(("tcp", "10.0.0.1", 81), scheduler="wlc"),
            messages.service(("sctp", "10.0.0.1", 82), scheduler="lblcr"),
            messages.service(7, scheduler="sh"),
            messages.service(7, scheduler="sh", family=socket.AF_INET6, mask=(64).to_bytes(4, "little")),
            messages.service(
                ("tcp", "2001:db8::1", 443), family=socket.AF_INET6, flags=3, mask=(128).to_bytes(4, "little")
            ),
            messages.service(("tcp", "10.0.0.1", 83), scheduler="rr"),
        ]
    )
    for _ in range(2):  # the second time all layouts are known
        found = services(data)
        assert [str(one.key) for one in found] == [
            "tcp 10.0.0.1:80",
            "tcp 10.0.0.1:81",
            "sctp 10.0.0.1:82",
            "mark 7",
            "mark 7 (IPv6)",
            "tcp [2001:db8::1]:443",
            "tcp 10.0.0.1:83",
        ]
        assert [one.scheduler for one in found] == ["rr", "wlc", "lblcr", "sh", "sh", "wlc", "rr"]
        assert [one.prefix for one in found] == [32, 32, 32, 32, 64, 128, 32]
        assert found[3].transport is None
        assert found[5].persistent


def test_destinations_of_every_kind() -> None:
    data = b"".join(
        [
            messages.destination("10.0.0.11", 8080, weight=65535, limits=(100, 50), open_=(3, 4, 5), numbers=BIG),
            messages.destination("10.0.0.12", 80, method=3, weight=0),
            messages.destination("10.0.0.13", 80, method=2, tunnel=(1, 6080, 1)),
            messages.destination("2001:db8::13", 80, method=2, tunnel=(2, 0, 2)),
            messages.destination("10.0.0.14", 80, method=0x102),
            messages.destination("10.0.0.15", 80, method=6),
        ]
    )
    found = destinations(data)
    assert found[0] == Destination.of(
        DestinationKey("10.0.0.11", 8080),
        ForwardingMethod.NAT,
        65535,
        thresholds=(100, 50),
        active=3,
        inactive=4,
        persistent=5,
        counters=Counters(*BIG[:5]),
        kernel_rates=KernelRates(*BIG[5:]),
    )
    assert found[0].counters == Counters(*BIG[:5])
    assert found[0].kernel_rates == KernelRates(*BIG[5:])
    assert (found[1].forwarding, found[1].tunnel, found[1].weight) == (ForwardingMethod.DR, None, 0)
    assert found[2].tunnel == Tunnel(TunnelKind.GUE, 6080, Checksum.PLAIN)
    assert (found[3].family, found[3].address) == (Family.IPV6, "2001:db8::13")
    assert found[3].tunnel == Tunnel(TunnelKind.GRE, 0, Checksum.REMOTE)
    assert found[4].tunnel == Tunnel(TunnelKind.IPIP, 0, Checksum.NONE)
    assert found[5].forwarding is ForwardingMethod.UNKNOWN


def test_many_runs_at_once_are_cut_where_they_were() -> None:
    runs = [
        b"".join(messages.destination(f"10.0.{run}.{n}", 80, weight=n, sequence=run) for n in range(run))
        for run in (3, 0, 1, 200, 0)
    ]
    found = wire.DESTINATIONS.take_each(runs)
    assert [len(values) for values in found] == [3, 0, 1, 200, 0]
    assert [wire.destinations(values)[-1].address for values in found if values] == [
        "10.0.3.2",
        "10.0.1.0",
        "10.0.200.199",
    ]
    assert [one.weight for one in wire.destinations(found[3])] == list(range(200))


def test_many_runs_that_differ() -> None:
    """An old kernel's, without tunnels, between others."""
    runs = [
        messages.destination("10.0.0.1", 80),
        messages.destination("10.0.0.2", 80, without=15) * 2,
        messages.destination("10.0.0.3", 80),
    ]
    found = [wire.destinations(values) for values in wire.DESTINATIONS.take_each(runs)]
    assert [[one.address for one in some] for some in found] == [["10.0.0.1"], ["10.0.0.2"] * 2, ["10.0.0.3"]]


def test_same_length_other_attributes() -> None:
    """Where two attributes have changed places no value may be taken for another."""
    first, second = Taker({1: "I", 2: "I"}, (0, 0)), Taker({1: "I", 2: "I"}, (0, 0))
    one = messages.message(1, messages.attribute(1, b"\1\0\0\0") + messages.attribute(2, b"\2\0\0\0"))
    other = messages.message(1, messages.attribute(2, b"\2\0\0\0") + messages.attribute(1, b"\1\0\0\0"))
    assert first.take(one + other + one) == [(1, 2)] * 3
    assert second.take(other + one) == [(1, 2)] * 2


@pytest.mark.parametrize("kind", [6, 12])
def test_a_service_that_lacks_what_it_must_have(kind: int) -> None:
    with pytest.raises(ValueError, match=f"attribute 1.{kind}"):
        services(messages.service(("tcp", "10.0.0.1", 80), without=kind))


@pytest.mark.parametrize("kind", [1, 4, 11, 12])
def test_a_destination_that_lacks_what_it_must_have(kind: int) -> None:
    """Zero for what was not told would be a lie."""
    with pytest.raises(ValueError, match=f"attribute 2.{kind}"):
        destinations(messages.destination("10.0.0.1", 80, without=kind))


def test_a_message_cut_short() -> None:
    whole = messages.destination("10.0.0.1", 80)
    for size in (1, 15, 16, len(whole) - 4):
        with pytest.raises(ValueError, match=r"cut short|missing|longer"):
            destinations(whole[:size])


@given(st.binary(max_size=600))
def test_garbage_raises_value_errors_alone(data: bytes) -> None:
    taker = Taker({1: {1: "I", 2: TEXT, 3: "16s"}}, (0, b"", b""))
    for damaged in (data, messages.message(1, data)):
        try:
            taker.take(damaged)
        except ValueError:
            continue


@given(st.lists(st.tuples(st.integers(0, 65535), st.integers(0, 2**64 - 1)), max_size=150))
def test_what_goes_in_comes_out(pairs: list[tuple[int, int]]) -> None:
    data = b"".join(messages.destination("10.0.0.1", port, numbers=[count] * 10) for port, count in pairs)
    found = destinations(data)
    assert [(one.port, one.counters.in_bytes) for one in found] == pairs
