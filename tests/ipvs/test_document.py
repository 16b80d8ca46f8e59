"""A look as a line of JSON: it comes out as it went in, and another line is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ipvs.tables import MARKED, WEB, destination, service, table

from holdfast.errors import TableUnreadable, UsageError
from holdfast.ipvs.connections import Connection, Connections
from holdfast.ipvs.document import Look, from_line, to_document, to_line
from holdfast.ipvs.expected import service_key
from holdfast.ipvs.model import (
    Checksum,
    ForwardingMethod,
    KernelInfo,
    ServiceFlag,
    SyncDaemon,
    SyncRole,
    Timeouts,
    Tunnel,
    TunnelKind,
)
from holdfast.ipvs.rates import Meter
from holdfast.ipvs.select import wanted

TUNNEL = Tunnel(TunnelKind.GUE, 6080, Checksum.PLAIN)
CONNECTION = Connection("TCP", "10.0.0.9", 5000, "10.0.0.3", 80, "10.0.0.11", 80, "ESTABLISHED", 899, "", "")
LOOK = Look(
    1700000000.5,
    table(
        77.25,
        service(
            WEB,
            destination("10.0.0.11", count=2**64 // 2000, thresholds=(9, 8), active=1, inactive=2, persistent=3),
            destination("2001:db8::5", 80, forwarding=ForwardingMethod.TUN, tunnel=TUNNEL, weight=0),
            count=5,
            flags=frozenset({ServiceFlag.PERSISTENT, ServiceFlag.SCHED_2}),
            timeout_s=360,
        ),
        service(MARKED),
    ),
    (SyncDaemon(SyncRole.BACKUP, "eth1", 5, 1472, "224.0.0.81", 8848, 1),),
    Timeouts(900, 120, 300),
    KernelInfo("1.2.1", 4096),
)


@pytest.mark.parametrize("connections", [None, Connections((CONNECTION,), True), Connections((), False)])
def test_what_goes_in_comes_out(connections: Connections | None) -> None:
    look = Look(LOOK.time_s, LOOK.table, LOOK.daemons, LOOK.timeouts, LOOK.kernel, connections)
    line = to_line(look)
    assert "\n" not in line
    assert from_line(line, "lb01") == look


def test_rates_and_states_stand_beside_the_counters() -> None:
    look = Look(LOOK.time_s, LOOK.table, (), LOOK.timeouts, LOOK.kernel, Connections((CONNECTION,), False))
    meter = Meter()
    meter.take(table(75.25, service(WEB, count=3)))
    document = to_document(look, meter.take(look.table))
    web, marked = document["services"]
    assert document["seconds"] == 2.0
    assert web["rates"]["connections"] == 1.0
    assert web["destinations"][0]["rates"] is None
    assert web["destinations"][0]["states"] == {"ESTABLISHED": 1}
    assert web["destinations"][1]["tunnel"] == {"kind": "gue", "port": 6080, "checksum": "plain"}
    assert (web["name"], marked["name"]) == ("tcp 10.0.0.3:80", "mark 7")
    assert json.loads(json.dumps(document)) == document


def damaged(change: dict[str, Any], *where: Any) -> str:
    document = json.loads(to_line(LOOK))
    at = document
    for step in where:
        at = at[step]
    at.update(change)
    return json.dumps(document)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "null",
        "{}",
        damaged({"format": 2}),
        damaged({"address": "10.0.0"}, "services", 0),
        damaged({"transport": None}, "services", 0),
        damaged({"mark": 4}, "services", 0),
        damaged({"flags": ["persistent", "x"]}, "services", 0),
        damaged({"port": 65536}, "services", 0, "destinations", 0),
        damaged({"weight": -1}, "services", 0, "destinations", 0),
        damaged({"forwarding": "\x1b[2J"}, "services", 0, "destinations", 0),
        damaged({"in_bytes": 2**64}, "services", 0, "destinations", 0, "counters"),
        damaged({"scheduler": "\x1b[2J"}, "services", 0),
    ],
)
def test_another_line_is_refused(line: str) -> None:
    with pytest.raises(TableUnreadable, match="lb01"):
        from_line(line, "lb01")


def test_fields_of_a_later_version_are_passed_over() -> None:
    assert from_line(damaged({"later": 1}, "services", 0), "lb01") == LOOK


@given(st.text(max_size=200))
def test_no_line_raises_anything_else(line: str) -> None:
    with pytest.raises(TableUnreadable):
        from_line(line, "lb01")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("10.0.0.3", [0, 1]),
        ("10.0.0.3:80", [0]),
        ("2001:DB8::1", [2]),
        ("[2001:db8::1]:443", [2]),
        ("[2001:db8::1]", [2]),
        ("[2001:db8::1]:80", []),
        ("mark:7", [3, 4]),
        ("mark 8", []),
    ],
)
def test_services_are_meant_by_address_port_or_mark(text: str, meant: list[int]) -> None:
    keys = [
        WEB,
        service_key(address="10.0.0.3", port=81),
        service_key(address="2001:db8::1", port=443),
        MARKED,
        service_key(mark=7, family=6),
    ]
    assert [number for number, key in enumerate(keys) if wanted(text)(key)] == meant


@pytest.mark.parametrize("text", ["", "x", "10.0.0.300", "10.0.0.1:", "tcp", "[10", "mark:", "10.0.0.1:80:80"])
def test_other_words_mean_no_service(text: str) -> None:
    with pytest.raises(UsageError, match="names no virtual server"):
        wanted(text)
