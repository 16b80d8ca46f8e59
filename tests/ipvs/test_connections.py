"""The kernel's list of connections: its lines as they are, and anything else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import TableUnreadable
from holdfast.ipvs.connections import (
    LONGEST_LINE,
    Connection,
    count_by_state,
    parse_connections,
    read_connections,
    states_of,
)
from holdfast.ipvs.model import (
    NO_KERNEL_RATES,
    NOTHING_COUNTED,
    Destination,
    DestinationKey,
    Family,
    ForwardingMethod,
    Service,
    Transport,
)

HEAD = b"Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n"
TCP = b"TCP 0A010001 89F6 0A010064 0050 0A010017 0050 SYN_RECV         54\n"
TEMPLATE = b"TCP 0A010001 0000 0A010065 0000 0A010015 0000 NONE              6\n"
IPV6 = (
    b"TCP 2001:0db8:0000:0000:0000:0000:0000:000f C350 2001:0db8:0000:0000:0000:0000:0000:0001 01BB "
    b"2001:0db8:0000:0000:0000:0000:0000:0011 01BB ESTABLISHED     899\n"
)
MIXED = b"TCP 0A010001 89F6 0A010064 0050 2001:0db8:0000:0000:0000:0000:0000:0011 0050 ESTABLISHED     54\n"
SIP = b"UDP 0A010001 0000 0A010064 13C4 0A010017 13C4 UDP            296 sip 1-2@host <x>\n"


def parsed(*lines: bytes) -> list[Connection]:
    return list(parse_connections([HEAD, *lines]))


def test_lines_of_the_kernel() -> None:
    tcp, template, six, mixed, sip = parsed(TCP, TEMPLATE, IPV6, MIXED, SIP)
    assert tcp == Connection("TCP", "10.1.0.1", 0x89F6, "10.1.0.100", 80, "10.1.0.23", 80, "SYN_RECV", 54, "", "")
    assert (tcp.template, template.template) == (False, True)
    assert (six.client, six.virtual, six.destination) == ("2001:db8::f", "2001:db8::1", "2001:db8::11")
    assert (six.client_port, six.virtual_port, six.expires_s) == (50000, 443, 899)
    assert (mixed.virtual, mixed.destination) == ("10.1.0.100", "2001:db8::11")
    assert (sip.engine, sip.engine_data) == ("sip", "1-2@host <x>")


def test_what_strangers_wrote_steers_no_terminal() -> None:
    (one,) = parsed(SIP.replace(b"<x>", b"\x1b[2J\xff\x7f"))
    assert one.engine_data == "1-2@host ?[2J\N{REPLACEMENT CHARACTER}?"


def test_an_empty_list() -> None:
    assert parsed() == []


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        TCP.replace(b"0A010001", b"0A01000"),
        TCP.replace(b"89F6", b"89F65"),
        TCP.replace(b"54", b"99999999999"),
        IPV6.replace(b"2001:0db8:0000:0000:0000:0000:0000:000f", b":" * 39),
        TCP + TCP,
        b"A" * (LONGEST_LINE + 1),
        SIP.rstrip(b"\n") + b"x" * LONGEST_LINE,
        TCP.replace(b"TCP", b"T\xffP"),
    ],
)
def test_other_lines_are_refused_by_number(line: bytes) -> None:
    with pytest.raises(TableUnreadable, match="line 3 of"):
        parsed(TCP, line)


def test_a_list_without_its_head() -> None:
    with pytest.raises(TableUnreadable, match="line 1 of"):
        list(parse_connections([TCP]))


@given(st.lists(st.one_of(st.binary(max_size=1100), st.sampled_from([TCP, TEMPLATE, IPV6, MIXED, SIP])), max_size=20))
def test_no_line_raises_anything_else(lines: list[bytes]) -> None:
    try:
        for one in parse_connections([HEAD, *lines]):
            assert 0 <= one.client_port < 65536
            assert len(one.engine_data) <= LONGEST_LINE
    except TableUnreadable:
        return


@given(st.data())
def test_no_damage_raises_anything_else(data: st.DataObject) -> None:
    """One byte of a good line is another."""
    line = bytearray(data.draw(st.sampled_from([TCP, IPV6, SIP])))
    line[data.draw(st.integers(0, len(line) - 1))] = data.draw(st.integers(0, 255))
    try:
        parsed(bytes(line))
    except TableUnreadable:
        return


def test_a_file_is_read_up_to_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "ip_vs_conn"
    path.write_bytes(HEAD + TCP * 5)
    assert len(read_connections(10, path).listed) == 5
    assert not read_connections(5, path).cut
    cut = read_connections(3, path)
    assert (len(cut.listed), cut.cut) == (3, True)


def test_a_line_without_end_is_not_held(tmp_path: Path) -> None:
    path = tmp_path / "ip_vs_conn"
    path.write_bytes(HEAD + b"T" * 5_000_000)
    with pytest.raises(TableUnreadable, match="line 2"):
        read_connections(10, path)


def test_no_file_says_what_to_load(tmp_path: Path) -> None:
    with pytest.raises(TableUnreadable) as caught:
        read_connections(10, tmp_path / "none")
    assert "modprobe ip_vs" in caught.value.hint


def service(transport: Transport | None, address: str, port: int, mark: int, *behind: tuple[str, int]) -> Service:
    found = tuple(Destination.of(DestinationKey(*one), ForwardingMethod.NAT, 1) for one in behind)
    return Service(
        Family.IPV4,
        transport,
        address,
        port,
        mark,
        "rr",
        frozenset(),
        0,
        32,
        "",
        NOTHING_COUNTED,
        NO_KERNEL_RATES,
        found,
    )


def test_states_are_counted_for_each_destination_of_a_service() -> None:
    other_port = TCP.replace(b"0A010064 0050", b"0A010064 0051")
    other_transport = TCP.replace(b"TCP", b"UDP").replace(b"SYN_RECV", b"UDP     ")
    counts = count_by_state(
        parsed(TCP, TCP, TEMPLATE, TCP.replace(b"SYN_RECV ", b"FIN_WAIT "), other_port, other_transport)
    )
    behind = ("10.1.0.23", 80), ("10.1.0.24", 80)
    exact = states_of(service(Transport.TCP, "10.1.0.100", 80, 0, *behind), counts)
    assert exact == {"10.1.0.23:80": {"SYN_RECV": 2, "FIN_WAIT": 1}, "10.1.0.24:80": {}}
    every_port = states_of(service(Transport.TCP, "10.1.0.100", 0, 0, ("10.1.0.23", 0)), counts)
    assert every_port == {"10.1.0.23:0": {"SYN_RECV": 3, "FIN_WAIT": 1}}
    marked = states_of(service(None, "", 0, 9, ("10.1.0.23", 0)), counts)
    assert marked == {"10.1.0.23:0": {"SYN_RECV": 3, "FIN_WAIT": 1, "UDP": 1}}
    elsewhere = states_of(service(Transport.TCP, "10.1.0.101", 80, 0, *behind), counts)
    assert not elsewhere["10.1.0.23:80"]
