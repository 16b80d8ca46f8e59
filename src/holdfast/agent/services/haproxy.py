"""HAProxy in master-worker mode: `haproxy -c` never binds, so a port in use shows only after the reload."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from holdfast.agent.host.port import Process
from holdfast.agent.services.base import VALIDATE_TIMEOUT_S, Node, WorkerGenerations
from holdfast.bundle import Service
from holdfast.errors import ValidationFailed

_WRITER = re.compile(r"\[[A-Z]+\] +\((?P<pid>\d+)\) : ")
_FAILED = re.compile(r"\[WARNING\] +\(\d+\) : Loading failure")


class Haproxy(WorkerGenerations):
    """See Daemon."""

    def __init__(self) -> None:
        super().__init__(Service.HAPROXY)

    def is_worker(self, process: Process) -> bool:
        """The master has no other children: sections that start programs are refused at admission."""
        return True

    def gave_up(self, line: str, reloaded: bool) -> bool:
        """A master that failed to reload executes itself once more, and loses what it is told before this line."""
        return bool(_FAILED.match(line)) if reloaded else self.worth_quoting(line)

    def worth_quoting(self, line: str) -> bool:
        """What the master writes when it keeps its old workers."""
        return line.startswith("[ALERT]")

    def from_one_of(self, pids: Collection[int], line: str) -> bool:
        """Workers cry [ALERT], too, when all servers of a pool are down: quickly, where nothing answers there yet."""
        found = _WRITER.match(line)
        return found is not None and int(found["pid"]) in pids

    def validate(self, node: Node, folder: Path) -> str:
        """See Daemon."""
        file = folder / "haproxy.cfg"
        done = node.host.run(("haproxy", "-c", "-f", str(file)), VALIDATE_TIMEOUT_S)
        if done.status != 0:
            told = [line for line in done.lines if line.startswith("[ALERT]")] or list(done.lines)
            raise ValidationFailed(
                "haproxy refuses its new configuration",
                "correct what it names; the configuration that runs was not touched",
                told[0] if told else f"haproxy -c ended with status {done.status} and said nothing",
            )
        return next((line for line in done.lines if "[WARNING]" in line), "accepted by haproxy -c")
