"""Both adapters of the port: systemd through a program that records what it is asked, the supervisor for real."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import wait_until

from holdfast.agent import service_manager
from holdfast.agent.service_manager import ServiceStatus, SupervisorManager, SystemdManager, detect
from holdfast.bundle import Service
from holdfast.errors import ApplyError, MissingProgram


class Systemctl:
    """Stands in for systemctl, which needs systemd as process 1."""

    def __init__(self, folder: Path) -> None:
        self.program, self.log, self.shown = folder / "systemctl", folder / "log", folder / "shown"
        self.program.write_text(f'#!/bin/sh\necho "$@" >> {self.log}\ntest "$1" != show || cat {self.shown}\n')
        self.program.chmod(0o755)
        self.show("active", "running", 42, 3)

    def show(self, active: str, sub: str, pid: int, restarts: int) -> None:
        self.shown.write_text(f"ActiveState={active}\nSubState={sub}\nMainPID={pid}\nNRestarts={restarts}\n")

    def refuse(self, why: str) -> None:
        self.program.write_text(f"#!/bin/sh\necho '{why}' >&2\nexit 1\n")


@pytest.fixture
def systemctl(tmp_path: Path) -> Systemctl:
    return Systemctl(tmp_path)


def test_systemd_by_its_units(systemctl: Systemctl) -> None:
    manager = SystemdManager(str(systemctl.program))
    manager.start(Service.NGINX)
    manager.reload(Service.HAPROXY)
    assert systemctl.log.read_text().splitlines() == [
        "start --no-block holdfast-nginx.service",
        "show holdfast-nginx.service --property=ActiveState,Job",
        "reload holdfast-haproxy.service",
    ]


def test_a_start_that_waits_in_systemds_queue_is_no_service_that_does_not_run(systemctl: Systemctl) -> None:
    """Its verification begins once its turn has come: what comes before it has its own time."""
    systemctl.shown.write_text("ActiveState=inactive\nJob=77\n")
    manager = SystemdManager(str(systemctl.program))
    started = threading.Thread(target=manager.start, args=(Service.HAPROXY,))
    started.start()
    try:
        wait_until(lambda: systemctl.log.exists() and systemctl.log.read_text().count("Job") > 2)
        assert started.is_alive()
    finally:
        systemctl.shown.write_text("ActiveState=active\nJob=77\n")
        started.join(timeout=60)
    assert not started.is_alive()
    for without in ("ActiveState=inactive\n", "ActiveState=failed\nJob=0\n"):
        systemctl.shown.write_text(without)
        manager.start(Service.HAPROXY)


@pytest.mark.parametrize(
    ("active", "sub", "pid", "expected"),
    [
        ("active", "running", 42, ServiceStatus(True, 42, "active", 3)),
        ("reloading", "reload", 42, ServiceStatus(True, 42, "reloading", 3)),
        ("activating", "auto-restart", 0, ServiceStatus(False, None, "activating", 3)),
        ("failed", "failed", 0, ServiceStatus(False, None, "failed", 3)),
        ("active", "exited", 0, ServiceStatus(False, None, "active", 3)),
    ],
)
def test_systemds_words(systemctl: Systemctl, active: str, sub: str, pid: int, expected: ServiceStatus) -> None:
    systemctl.show(active, sub, pid, 3)
    assert SystemdManager(str(systemctl.program)).status(Service.NGINX) == expected


def test_what_systemd_refuses_is_said(systemctl: Systemctl) -> None:
    systemctl.refuse("Unit holdfast-nginx.service not found.")
    with pytest.raises(ApplyError, match=r"refused to reload holdfast-nginx\.service: Unit .* not found"):
        SystemdManager(str(systemctl.program)).reload(Service.NGINX)


def test_no_systemctl() -> None:
    with pytest.raises(MissingProgram):
        SystemdManager("/nonexistent/systemctl").start(Service.NGINX)


def test_stop_waits_and_has_an_end(systemctl: Systemctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_manager, "STOP_WITHIN_S", 0.2)
    with pytest.raises(ApplyError, match="not down"):
        SystemdManager(str(systemctl.program)).stop(Service.NGINX)
    systemctl.show("inactive", "dead", 0, 0)
    SystemdManager(str(systemctl.program)).stop(Service.NGINX)


def test_who_is_chosen(tmp_path: Path) -> None:
    assert isinstance(detect(tmp_path), SystemdManager)
    assert isinstance(detect(tmp_path / "absent"), SupervisorManager)


class Answering:
    """A supervisor's socket that gives one answer."""

    def __init__(self, path: Path) -> None:
        self.path, self.reply, self.requests = path, b"", list[Any]()
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection:
                self.requests.append(json.loads(connection.recv(4096)))
                connection.sendall(self.reply)

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(timeout=60)


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[Answering]:
    made = Answering(tmp_path / "sock")
    try:
        yield made
    finally:
        made.close()


def test_the_supervisors_answers(answering: Answering) -> None:
    found = {"running": True, "pid": 7, "state": "running", "restarts": 2}
    answering.reply = json.dumps({"ok": True, "services": {"nginx": found}}).encode() + b"\n"
    manager = SupervisorManager(answering.path)
    assert manager.status(Service.NGINX) == ServiceStatus(True, 7, "running", 2)
    manager.reload(Service.NGINX)
    assert answering.requests[-1] == {"op": "reload", "service": "nginx"}
    with pytest.raises(ApplyError, match="does not know haproxy"):
        manager.status(Service.HAPROXY)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (b'{"ok": false, "error": "nginx is stopped"}\n', "refused `start nginx`: nginx is stopped"),
        (b"garbage\n", "makes no sense"),
        (b"[]\n", "makes no sense"),
        (b"", "makes no sense"),
    ],
)
def test_refusals_and_nonsense(answering: Answering, reply: bytes, said: str) -> None:
    answering.reply = reply
    with pytest.raises(ApplyError, match=said):
        SupervisorManager(answering.path).start(Service.NGINX)


def test_no_supervisor(tmp_path: Path) -> None:
    with pytest.raises(ApplyError, match="does not answer on") as refused:
        SupervisorManager(tmp_path / "absent").status(Service.NGINX)
    assert "python3 -m holdfast.agent.supervisor" in refused.value.hint
