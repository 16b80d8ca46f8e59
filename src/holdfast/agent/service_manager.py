"""The port through which services are started, stopped and reloaded, with its two adapters."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from holdfast.agent.supervisor.client import ask
from holdfast.agent.supervisor.paths import Paths
from holdfast.agent.systemctl import Systemctl, unit_name
from holdfast.bundle import Service
from holdfast.errors import ApplyError
from holdfast.sentences import Sentence

SYSTEMD_MARK = Path("/run/systemd/system")  # exists where systemd is process 1 (sd_booted(3))
STOP_WITHIN_S = 25.0  # longer than all the steps of the most patient stop
QUEUED_AT_MOST_S = 60.0
_NOT_BEGUN = frozenset({"inactive", "failed", "deactivating"})
_POLL_S = 0.05
_DOWN = frozenset({"stopped", "failed", "inactive"})


@dataclass(frozen=True)
class ServiceStatus:
    """`state` is the manager's own word; `restarts` counts those of its own accord."""

    running: bool
    pid: int | None
    state: str
    restarts: int


class ServiceManager(Protocol):
    """Whoever runs the services of a node. All raise ApplyError where the manager does not answer."""

    def status(self, service: Service) -> ServiceStatus:
        """How the service is now."""

    def start(self, service: Service) -> None:
        """Order it to run, and return once its turn has come: whether it does is for its verification to say."""

    def stop(self, service: Service) -> None:
        """Stop it and wait until it is down; raises ApplyError where it is not after STOP_WITHIN_S."""

    def reload(self, service: Service) -> None:
        """Tell it to read its configuration again; raises ApplyError where it does not run."""


class SupervisorManager:
    """Asks the agent's own supervisor."""

    def __init__(self, socket: Path | None = None) -> None:
        self._socket = socket or Paths().socket

    def status(self, service: Service) -> ServiceStatus:
        """See ServiceManager."""
        found = ask("status", path=self._socket).get(service.value)
        if found is None:
            raise ApplyError(
                Sentence("the supervisor does not know %(service)s", service=service.value),
                "are both of the same version?",
            )
        pid = found.get("pid")
        return ServiceStatus(
            running=found.get("running") is True,
            pid=pid if isinstance(pid, int) else None,
            state=str(found.get("state", "unknown")),
            restarts=int(found.get("restarts", 0)),
        )

    def start(self, service: Service) -> None:
        """See ServiceManager."""
        ask("start", service.value, self._socket)

    def stop(self, service: Service) -> None:
        """See ServiceManager."""
        ask("stop", service.value, self._socket)
        _wait_until_down(lambda: self.status(service), service)

    def reload(self, service: Service) -> None:
        """See ServiceManager."""
        ask("reload", service.value, self._socket)


class SystemdManager:
    """Asks systemd, with Holdfast's own units."""

    def __init__(self, systemctl: str = "systemctl") -> None:
        self._systemctl = Systemctl(systemctl)

    def status(self, service: Service) -> ServiceStatus:
        """See ServiceManager."""
        wanted = "ActiveState,SubState,MainPID,NRestarts"
        text = self._systemctl.call("show", unit_name(service), f"--property={wanted}").stdout
        found = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        pid = _number(found.get("MainPID"))
        active = found.get("ActiveState", "unknown")
        return ServiceStatus(
            running=active in ("active", "reloading") and found.get("SubState") in ("running", "reload"),
            pid=pid or None,
            state=active,
            restarts=_number(found.get("NRestarts")),
        )

    def start(self, service: Service) -> None:
        """See ServiceManager."""
        self._order("start", service, "--no-block")
        deadline = time.monotonic() + QUEUED_AT_MOST_S
        # On a busy machine what has to come before it, addresses and sysctls, may take longer than its own start.
        while self._is_queued(service) and time.monotonic() < deadline:
            time.sleep(_POLL_S)

    def _is_queued(self, service: Service) -> bool:
        text = self._systemctl.call("show", unit_name(service), "--property=ActiveState,Job").stdout
        found = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        return found.get("ActiveState") in _NOT_BEGUN and _number(found.get("Job")) > 0

    def stop(self, service: Service) -> None:
        """See ServiceManager."""
        self._order("stop", service, "--no-block")
        _wait_until_down(lambda: self.status(service), service)

    def reload(self, service: Service) -> None:
        """See ServiceManager."""
        self._order("reload", service)

    def _order(self, verb: str, service: Service, *options: str) -> None:
        self._systemctl.order(verb, *options, unit_name(service))


def detect(mark: Path = SYSTEMD_MARK) -> ServiceManager:
    """systemd where it is process 1, else the agent's own supervisor."""
    return SystemdManager() if os.path.isdir(mark) else SupervisorManager()


def _wait_until_down(status: Callable[[], ServiceStatus], service: Service) -> None:
    deadline = time.monotonic() + STOP_WITHIN_S
    while True:  # ends: at the deadline
        found = status()
        if found.state in _DOWN:
            return
        if time.monotonic() >= deadline:
            raise ApplyError(
                Sentence(
                    "%(service)s is not down %(s)s s after the order to stop: %(state)s",
                    service=service.value,
                    s=f"{STOP_WITHIN_S:g}",
                    state=found.state,
                ),
                Sentence("look at process %(pid)s: is it stuck in the kernel?", pid=found.pid),
            )
        time.sleep(_POLL_S)


def _number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0
