"""Orders over the socket: what is understood, and what hostile lines get."""

from __future__ import annotations

import json
import signal
import socket
import stat
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.agent.supervisor.commands import COMMANDS, ServiceCommand, StopStep
from holdfast.agent.supervisor.paths import Paths
from holdfast.agent.supervisor.server import LONGEST_LINE, Clients, answer, listen
from holdfast.agent.supervisor.unit import State, Unit


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    found = Paths(tmp_path / "run", tmp_path / "log", tmp_path / "lib", tmp_path / "run/service-state")
    found.prepare(("nginx", "haproxy", "keepalived", "missing"))
    return found


@pytest.fixture
def units(paths: Paths) -> dict[str, Unit]:
    return {command.name: Unit(command, paths, time.monotonic) for command in COMMANDS}


def ask(units: dict[str, Unit], request: Any) -> dict[str, Any]:
    return answer(json.dumps(request).encode(), units)


def test_status_names_every_service(units: dict[str, Unit]) -> None:
    reply = ask(units, {"op": "status"})
    assert reply["ok"] is True
    assert {name: found["state"] for name, found in reply["services"].items()} == {
        "nginx": "stopped",
        "haproxy": "stopped",
        "prober": "stopped",
        "keepalived": "stopped",
    }


@pytest.mark.parametrize(
    "request_",
    [
        {"op": "start", "service": "/bin/sh"},
        {"op": "start", "service": ["nginx"]},
        {"op": "adopt", "service": "nginx"},
        {"op": "__init__", "service": "nginx"},
        {"op": ["start"], "service": "nginx"},
        {"op": "start"},
        {},
        [],
        "status",
        None,
    ],
)
def test_nothing_but_known_orders_for_known_services(units: dict[str, Unit], request_: Any) -> None:
    reply = ask(units, request_)
    assert reply["ok"] is False
    assert reply["error"]
    assert all(unit.state is State.STOPPED and not unit.wanted for unit in units.values())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=200))
def test_no_line_raises(units: dict[str, Unit], line: bytes) -> None:
    assert answer(line, units)["ok"] in (True, False)


def test_deep_nesting_is_refused(units: dict[str, Unit]) -> None:
    assert answer(b"[" * 4000, units)["ok"] is False


def test_reload_of_what_does_not_run_is_refused_with_its_state(units: dict[str, Unit]) -> None:
    reply = ask(units, {"op": "reload", "service": "nginx"})
    assert reply == {"ok": False, "error": "nginx is stopped, so there is nothing to reload"}


def test_the_socket_is_roots_alone(paths: Paths) -> None:
    with listen(paths.socket):
        assert stat.S_IMODE(paths.socket.stat().st_mode) == 0o600


def test_a_line_that_never_ends_is_cut_off() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        clients = Clients(lambda line: {"ok": True})
        clients._pending[ours] = b""
        ours.setblocking(False)
        theirs.sendall(b"x" * (LONGEST_LINE + 1))
        assert clients.serve(ours) is True or clients._pending == {}
        assert clients.serve(ours) is False
        assert b"longer than" in theirs.recv(4096)


def test_a_missing_program_is_said_and_tried_again(paths: Paths) -> None:
    now = [0.0]
    command = ServiceCommand(
        name="missing",
        argv=("/nonexistent/program",),
        reload_signal=signal.SIGHUP,
        stop_steps=(StopStep(signal.SIGTERM, 1.0),),
        leftover_signal=signal.SIGKILL,
        listens=False,
        tracked=True,
    )
    unit = Unit(command, paths, lambda: now[0])
    unit.start()
    assert unit.state is State.BACKOFF
    assert "No such file" in unit.last_exit
    assert unit.deadline == 1.0
    now[0] = 1.0
    unit.tick()
    assert (unit.state, unit.restarts, unit.deadline) == (State.BACKOFF, 1, 3.0)
    unit.stop()
    assert unit.state is State.STOPPED
    assert (paths.service_state / "missing").read_text() == "-1\n"
