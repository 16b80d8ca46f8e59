"""Live connections, datagrams, TLS and greetings: what the traffic client makes of them, against the lab's origin."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from holdfast.lab import backend
from holdfast.lab.fault_backends import KillBackend
from holdfast.lab.lab import Lab
from holdfast.lab.topology import (
    CLIENT,
    Interface,
    LabNode,
    LabTopology,
    Network,
    OriginService,
    Role,
    Speaks,
    with_client,
)
from holdfast.lab.traffic import Traffic, TrafficResult
from holdfast.lab.traffic_records import Record, Target, TargetListener, TrafficPlan

pytestmark = pytest.mark.lab
ADDRESS = "10.9.0.10"
USERS = ("198.51.100.1", "198.51.100.2", "198.51.100.3")
PLAN = TrafficPlan(
    new_per_second=20, kept_per_second=10, datagrams_per_second=20, datagram_timeout_s=0.5, timeout_s=2, slow_every=0,
    long_connections=3, long_life_s=1.2, long_piece_every_s=0.05, long_silence_s=2.0,
)  # fmt: skip


def listener(port: int, protocol: str = "tcp", *, tls: bool = False, long: bool = False) -> TargetListener:
    target = Target(f"{ADDRESS}:{port}")
    return TargetListener(f"{protocol}:{port}", ADDRESS, port, (target,), tls, protocol, USERS, long)


@pytest.fixture(scope="module")
def served(lab_possible: None) -> Iterator[Lab]:
    services = tuple(
        OriginService(speaks=speaks, port=port)
        for speaks, port in ((Speaks.HTTPS, 443), (Speaks.UDP, 53), (Speaks.SMTP, 25))
    )
    server = LabNode(
        name="rs01",
        role=Role.SERVER,
        interfaces=(Interface(name="eth0", network="front", addresses=(f"{ADDRESS}/24",)),),  # type: ignore[arg-type]
        gateways=("10.9.0.1",),  # type: ignore[arg-type]
        origin_ports=(80,),
        origin_services=services,
    )
    front = Network(name="front", gateways=("10.9.0.1/24",))  # type: ignore[arg-type]
    made = with_client(LabTopology(name=f"live{time.monotonic_ns() % 10**8}", networks=(front,), nodes=(server,)))
    client = made.node(CLIENT).model_copy(update={"loopback": tuple(f"{user}/32" for user in USERS)})
    topology = LabTopology.model_validate(
        made.model_copy(update={"nodes": (made.nodes[0], client)}).model_dump(mode="json")
    )
    with Lab.up(topology) as lab:
        yield lab


def asked(lab: Lab, *listeners: TargetListener, meanwhile: Callable[[], None] | None = None) -> TrafficResult:
    with Traffic(lab.node(CLIENT).netns, PLAN) as traffic:
        traffic.add(listeners)
        time.sleep(1.5)
        if meanwhile:
            meanwhile()
            time.sleep(1.5)
        return traffic.stop()


def of(result: TrafficResult, request_class: str) -> list[Record]:
    return [r for r in result.records if r.request_class == request_class]


def test_everything_is_answered_from_many_users(served: Lab) -> None:
    result = asked(served, listener(80, long=True), listener(443, tls=True), listener(53, "udp"), listener(25, "smtp"))
    assert {r.error for r in result.records} == {""}
    answered = {(r.listener, r.request_class, r.server) for r in result.records}
    assert answered == {
        ("tcp:80", "new", "rs01:80"), ("tcp:80", "kept", "rs01:80"), ("tcp:80", "long", "rs01:80"),
        ("tcp:443", "new", "rs01:443"), ("tcp:443", "kept", "rs01:443"),
        ("udp:53", "datagram", "rs01:53"), ("smtp:25", "new", "rs01:25"),
    }  # fmt: skip
    lived = [r.end - r.start for r in of(result, "long")]
    assert max(lived) > 1.0
    assert not any(r.cut for r in result.records)


def test_live_connections_that_end_before_their_time_are_cut(served: Lab) -> None:
    killed: list[float] = []

    def kill() -> None:
        killed.append(KillBackend(node="rs01").inject(served))

    try:
        result = asked(served, listener(80, long=True), meanwhile=kill)
    finally:
        KillBackend(node="rs01").heal(served)
    cut = [r for r in result.records if r.cut]
    assert 1 <= len(cut) <= 3  # one may just have been between two lives
    assert {r.error for r in cut} <= {"reset", "closed"}
    assert all(abs(r.end - killed[0]) < 0.5 for r in cut)
    assert {r.error for r in of(result, "new") if r.start > killed[0] + 0.1} == {"refused"}
    # Those that could not even be opened are failures, and cut nothing.
    assert any(r.error and not r.cut for r in of(result, "long"))


def test_a_live_connection_that_falls_silent_is_cut_and_one_that_goes_on_paused(served: Lab) -> None:
    node = served.node("rs01")

    def silence(seconds: float) -> None:
        node.exec(["ip", "link", "set", "eth0", "down"], check=True)
        time.sleep(seconds)
        node.exec(["ip", "link", "set", "eth0", "up"], check=True)
        node.exec(["ip", "route", "add", "default", "via", "10.9.0.1"], check=True)

    short = asked(served, listener(80, long=True), meanwhile=lambda: silence(0.7))
    assert not any(r.cut for r in short.records)
    assert {p.listener for p in short.pauses} == {"tcp:80"}
    assert 0.6 < max(p.end - p.start for p in short.pauses) < 2.0
    gone = asked(served, listener(80, long=True), meanwhile=lambda: silence(4.0))
    assert {r.error for r in gone.records if r.cut} == {"silent"}


def test_a_datagram_without_an_answer_is_lost(served: Lab) -> None:
    process = backend.process(served.node("rs01"))
    assert process is not None
    result = asked(served, listener(9, "udp"), listener(53, "udp"), meanwhile=lambda: _stop(process, 0.8))
    by_listener = {name: {r.error for r in result.records if r.listener == name} for name in ("udp:9", "udp:53")}
    assert by_listener["udp:9"] <= {"refused", "lost"}  # the kernel says so only now and then
    assert "refused" in by_listener["udp:9"]
    assert by_listener["udp:53"] == {"", "lost"}


def _stop(process: object, seconds: float) -> None:
    from signal import SIGCONT, SIGSTOP

    process.signal(SIGSTOP)  # type: ignore[attr-defined]
    time.sleep(seconds)
    process.signal(SIGCONT)  # type: ignore[attr-defined]
