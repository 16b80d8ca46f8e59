"""The traffic client against a real nginx with real faults: what it counts is what the server and the wire saw."""

from __future__ import annotations

import os
import signal
import socketserver
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.lab.segment import VIP, VIP6, Segment, missing_programs, segment
from tests.waiting import wait_until

from holdfast.errors import LabError
from holdfast.lab.traffic import Traffic
from holdfast.lab.traffic_records import Target, TargetListener, TrafficPlan

pytestmark = pytest.mark.lab
PLAN = TrafficPlan(new_per_second=60, kept_per_second=40, timeout_s=1.0, slow_every=0)
FOUR = TargetListener("four", VIP, 80, (Target("a.example", "/a"), Target("b.example", "/b")))
SIX = TargetListener("six", VIP6, 80, (Target("a.example"),))


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Segment]:
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    if missing := missing_programs():
        pytest.skip(f"not installed: {', '.join(missing)}")
    tmp_path.chmod(0o755)
    with segment(tmp_path) as made:
        yield made


def test_every_request_is_in_the_servers_own_log_and_every_connection_on_the_wire(wire: Segment) -> None:
    wire.serve("one")
    wire.hold("one")
    capture = wire.folder / "syn.pcap"
    syn = f"dst host {VIP} and tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn"
    argv = [
        "nsenter",
        f"--net={wire.netns('client')}",
        "tcpdump",
        "--immediate-mode",
        "-Uni",
        "eth0",
        "-w",
        str(capture),
        syn,
    ]
    with subprocess.Popen(argv, stderr=subprocess.PIPE) as tcpdump, Traffic(wire.netns("client"), PLAN) as traffic:
        assert tcpdump.stderr is not None
        tcpdump.stderr.readline()  # "listening on …": from here on it counts
        traffic.add([FOUR, SIX])
        wait_until(lambda: len(wire.access_log("one")) >= 350)
        result = traffic.stop()
        time.sleep(0.3)
        tcpdump.terminate()
    assert {r.error for r in result.records} == {""}
    assert {r.server for r in result.records} == {"one"}
    log = wire.access_log("one")
    assert len(log) == len(result.records) >= 300
    paths = Counter(line.split()[3] for line in log)
    assert paths["/b"] == sum(r.target == 1 for r in result.records) > 50
    # A connection for each new request, and those that were kept: nginx numbers them, tcpdump shows them.
    connections = {line.split()[0] for line in log}
    new = sum(r.request_class == "new" for r in result.records)
    assert new < len(connections) <= new + 2 * PLAN.idle_connections
    shown = subprocess.run(["tcpdump", "-nr", str(capture)], capture_output=True, text=True, check=True).stdout
    ports = {line.split()[2] for line in shown.splitlines()}
    asked_four = sum(r.request_class == "new" for r in result.records if r.listener == "four")
    assert asked_four < len(ports) <= asked_four + PLAN.idle_connections


def test_times_are_in_order_and_near_the_rates_asked_for(wire: Segment) -> None:
    wire.serve("one")
    wire.hold("one")
    with Traffic(wire.netns("client"), PLAN) as traffic:
        began = time.monotonic()
        traffic.add([FOUR])
        time.sleep(2)
        result = traffic.stop()
        lasted = time.monotonic() - began
    for record in result.records:
        assert record.start <= record.connected <= record.first_byte <= record.end
    by_class = Counter(r.request_class for r in result.records)
    # On a busy machine fewer are sent, of both kinds, but never more.
    assert 60 < by_class["new"] <= PLAN.new_per_second * lasted + 12
    assert by_class["kept"] == pytest.approx(by_class["new"] * PLAN.kept_per_second / PLAN.new_per_second, rel=0.25)


def test_a_dead_server_refuses_and_nothing_else_is_blamed(wire: Segment) -> None:
    wire.serve("one")
    wire.hold("one")
    with Traffic(wire.netns("client"), PLAN) as traffic:
        traffic.add([FOUR])
        time.sleep(1)
        killed = time.monotonic()
        wire.kill("one")
        time.sleep(0.8)
        again = time.monotonic()
        wire.serve("one")
        back = time.monotonic()
        time.sleep(1)
        result = traffic.stop()
    failed = [r for r in result.records if not r.ok]
    assert {r.error for r in failed} <= {"refused", "reset", "closed"}
    assert min(r.end for r in failed) >= killed - 0.05
    assert max(r.start for r in failed) <= back
    during = [r for r in result.records if killed + 0.05 < r.start < again]
    assert during
    assert not any(r.ok for r in during)


def test_a_reload_closes_kept_connections_and_loses_nothing(wire: Segment) -> None:
    wire.serve("one")
    wire.hold("one")
    plan = TrafficPlan(new_per_second=20, kept_per_second=400, timeout_s=2.0, slow_every=0)
    with Traffic(wire.netns("client"), plan) as traffic:
        traffic.add([FOUR, SIX])
        for _ in range(6):
            time.sleep(0.4)
            wire.nginx("one").send_signal(signal.SIGHUP)
        time.sleep(0.5)
        result = traffic.stop()
    assert [r for r in result.records if not r.ok] == []
    # More requests than answers logged cannot be; a repeated one may have been read and dropped before it was logged.
    assert len(wire.access_log("one")) == len(result.records)


def test_a_get_is_repeated_once_where_a_reused_connection_was_closed_without_an_answer() -> None:
    if os.geteuid() != 0:
        pytest.skip("entering a namespace needs root")
    here, asked = Path("/proc/self/ns/net"), Counter[str]()
    plan = TrafficPlan(new_per_second=0, kept_per_second=50, timeout_s=1.0, slow_every=0)
    with closing_on_reuse(asked) as port, Traffic(here, plan) as traffic:
        traffic.add([TargetListener("fickle", "127.0.0.1", port, (Target("a.example"),))])
        wait_until(lambda: asked["closed"] > 20)
        result = traffic.stop()
    assert [r for r in result.records if not r.ok] == []
    repeated = sum(r.repeated for r in result.records)
    assert repeated == asked["closed"] > 15
    # A request on a fresh connection that gets no answer is a failure: there is nothing to excuse it.
    with closing_on_reuse(asked, answers=0) as port, Traffic(here, plan) as traffic:
        traffic.add([TargetListener("dead", "127.0.0.1", port, (Target("a.example"),))])
        time.sleep(0.5)
        result = traffic.stop()
    assert {(r.error, r.repeated) for r in result.records} == {("closed", False)}


@contextmanager
def closing_on_reuse(asked: Counter[str], answers: int = 1) -> Iterator[int]:
    """A server that answers `answers` requests of each connection, and closes it at the next without a word."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            for _ in range(answers):
                if not self.request.recv(4096):
                    return
                self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            if self.request.recv(4096):
                asked["closed"] += 1

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


def test_a_silent_address_is_a_timeout_and_a_later_answer_is_not_one(wire: Segment) -> None:
    wire.serve("one")
    plan = TrafficPlan(new_per_second=20, kept_per_second=10, timeout_s=1.5, slow_every=0)
    wire.run("one", "nft", "add table inet t; add chain inet t c { type filter hook input priority 0; }")
    wire.run("one", "nft", f"add rule inet t c ip daddr {VIP} tcp dport 80 drop")
    wire.hold("one")
    with Traffic(wire.netns("client"), plan) as traffic:
        traffic.add([FOUR])
        time.sleep(1.0)
        opened = time.monotonic()
        wire.run("one", "nft", "delete table inet t")
        time.sleep(2.5)
        result = traffic.stop()
    # A SYN is sent again after a second: what was sent in the last second before is answered late, not lost.
    late = [r for r in result.records if r.ok and r.start < opened and r.end - r.start > 0.9]
    assert late
    assert {r.error for r in result.records if not r.ok} <= {"timeout (no connection)"}


def test_an_answer_of_400_or_more_is_a_failure(wire: Segment) -> None:
    wire.serve("one")
    wire.hold("one")
    with Traffic(wire.netns("client"), PLAN) as traffic:
        traffic.add([TargetListener("four", VIP, 80, (Target("a.example", "/missing"),))])
        time.sleep(0.5)
        result = traffic.stop()
    assert {r.error for r in result.records} == {"status 404"}


def test_a_client_that_is_held_up_says_so(wire: Segment) -> None:
    wire.serve("one")
    wire.hold("one")
    with Traffic(wire.netns("client"), PLAN) as traffic:
        traffic.add([FOUR])
        time.sleep(0.6)
        stopped = time.monotonic()
        os.kill(traffic.pid, signal.SIGSTOP)
        time.sleep(0.7)
        os.kill(traffic.pid, signal.SIGCONT)
        went_on = time.monotonic()
        time.sleep(0.6)
        result = traffic.stop()
    late = [item for item in result.late if item.end > stopped and item.start < went_on]
    assert went_on - stopped - 0.2 < sum(item.end - item.start for item in late) < went_on - stopped + 2


def test_a_client_that_dies_is_noticed(wire: Segment) -> None:
    with Traffic(wire.netns("client"), PLAN) as traffic:
        traffic.add([FOUR])
        time.sleep(0.3)
        os.kill(traffic.pid, signal.SIGKILL)
        time.sleep(0.2)
        with pytest.raises(LabError):
            traffic.counts()
        with pytest.raises(LabError):
            traffic.stop()
