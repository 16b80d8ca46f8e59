"""HAProxy is reloaded under clients that do not ask twice: idle connections, and connections that wait at its ports."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.differential.l7_bench import Bench
from tests.golden.cases import GOLDEN, Case

pytestmark = pytest.mark.lab

BUNDLE = Case(GOLDEN / "answers").bundles()["lb01"]
ADDRESS, PORT = "10.0.0.3", 81
CONFIGURATION = "/etc/holdfast/haproxy/haproxy.cfg"
MIGRATE = "net.ipv4.tcp_migrate_req"
ASKED = b"GET /fine HTTP/1.1\r\nHost: www.example.com\r\n\r\n"
KEPT = "Failed to get the sockets from the old process"
WITHIN_S = 60.0


def workers(master: int) -> set[int]:
    return set(map(int, Path(f"/proc/{master}/task/{master}/children").read_text().split()))


def hears(master: int) -> bool:
    """Whether it has a handler for the signal that reloads it."""
    told = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{master}/status").read_text().splitlines() if ":\t" in line
    )
    bit = 1 << (signal.SIGUSR2 - 1)
    return bool(int(told["SigCgt"], 16) & bit) and not int(told["SigBlk"], 16) & bit


def answer(connection: socket.socket) -> bytes:
    """The whole of one; empty where the connection ended without it."""
    received = b""
    while not received.endswith(b"\r\n\r\nok"):
        try:
            more = connection.recv(65536)
        except ConnectionError:
            return b""
        if not more:
            return b""
        received += more
    return received


def wait_for(what: str, found: Iterator[bool]) -> None:
    until = time.monotonic() + WITHIN_S
    for one in found:
        if one:
            return
        assert time.monotonic() < until, what
        time.sleep(0.05)


@contextmanager
def reloadable(bench: Bench, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The master of a HAProxy that serves the bundle, with the bundle's own kernel settings."""
    bench.namespace.run("ip", "address", "replace", f"{ADDRESS}/32", "dev", "lo")
    for file in BUNDLE.files:
        bench.namespace.put(file.path, file.content)
    bench.namespace.run("sysctl", "-q", "-p", "/etc/holdfast/sysctl/sysctl.conf")  # there is no eth0
    master = bench.namespace.start("haproxy", "-W", "-f", CONFIGURATION, output=log)
    try:
        wait_for("it does not serve", (ask_once(bench) for _ in iter(int, 1)))
        # A master that has started its worker executes itself once more, and does not hear what it is told meanwhile.
        wait_for("it hears no orders", (hears(master.pid) for _ in iter(int, 1)))
        yield master
    finally:
        bench.namespace.stop(master)


def ask_once(bench: Bench) -> bool:
    try:
        with bench.namespace.connect(ADDRESS, PORT, WITHIN_S) as connection:
            connection.sendall(ASKED)
            return bool(answer(connection))
    except OSError:
        return False


def test_what_is_asked_over_an_idle_connection_after_a_reload_is_answered(bench: Bench, tmp_path: Path) -> None:
    with reloadable(bench, tmp_path / "haproxy.log") as master:
        idle = [bench.namespace.connect(ADDRESS, PORT) for _ in range(8)]
        for connection in idle:
            connection.sendall(ASKED)
            assert answer(connection)
        old = workers(master.pid)
        master.send_signal(signal.SIGUSR2)
        wait_for("no new worker", (bool(workers(master.pid) - old) and ask_once(bench) for _ in iter(int, 1)))
        time.sleep(0.5)  # the old one has heard that it is over
        for connection in idle:
            connection.sendall(ASKED)
        told = [answer(connection) for connection in idle]
        assert all(told), f"{told.count(b'')} of {len(told)} were lost"
        assert all(b"\r\nconnection: close\r\n" in one for one in told), "nobody is told to ask the new worker"
        wait_for("the old worker stays", (not workers(master.pid) & old for _ in iter(int, 1)))


def test_new_connections_are_served_though_a_busy_worker_keeps_its_ports(bench: Bench, tmp_path: Path) -> None:
    """One that does not hand them over within a second: the next one opens its own, and what waits here was lost."""
    log = tmp_path / "haproxy.log"
    with reloadable(bench, log) as master:
        if bench.namespace.run("sysctl", "-n", MIGRATE).returncode:
            pytest.skip(f"this kernel has no {MIGRATE}: it came with Linux 5.14")
        assert bench.namespace.run("sysctl", "-n", MIGRATE).stdout == "1\n", "the bundle did not set it"
        with asking(bench, 16) as answered:
            for number in range(1, 4):
                old = workers(master.pid)
                signalled(old, "-STOP")
                try:
                    master.send_signal(signal.SIGUSR2)
                    wait_for("it got the sockets", (log.read_text().count(KEPT) == number for _ in iter(int, 1)))
                    wait_for("it hears no orders", (hears(master.pid) for _ in iter(int, 1)))
                finally:
                    signalled(old, "-CONT")
                wait_for("the old worker stays", (not workers(master.pid) & old for _ in iter(int, 1)))
    assert len(answered) > 100
    assert all(answered), f"{answered.count(False)} of {len(answered)} were lost"


def signalled(workers: set[int], name: str) -> None:
    subprocess.run(["kill", name, *map(str, workers)], check=True)


@contextmanager
def asking(bench: Bench, clients: int) -> Iterator[list[bool]]:
    """Clients that ask one after the other, over a new connection each; whether each was answered."""
    answered: list[bool] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            answered.append(ask_once(bench))

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield answered
    finally:
        over.set()
        for thread in threads:
            thread.join(WITHIN_S)
