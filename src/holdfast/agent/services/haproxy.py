"""HAProxy in master-worker mode: `haproxy -c` never binds, so a port in use shows only after the reload."""

from __future__ import annotations

from pathlib import Path

from holdfast.agent.host.port import Process
from holdfast.agent.services.base import VALIDATE_TIMEOUT_S, Node, WorkerGenerations
from holdfast.bundle import Service
from holdfast.errors import ValidationFailed

# After a failed reload the master goes on without new workers; an old worker's end is no failure.
_WAIT_MODE = ("in waitmode", "in wait mode", "exit-on-failure")


class Haproxy(WorkerGenerations):
    """See Daemon."""

    def __init__(self) -> None:
        super().__init__(Service.HAPROXY)

    def is_worker(self, process: Process) -> bool:
        """The master has no other children: sections that start programs are refused at admission."""
        return True

    def bad_line(self, line: str) -> bool:
        """What the master writes when it keeps its old workers."""
        return "[ALERT]" in line or any(words in line for words in _WAIT_MODE)

    def validate(self, node: Node, folder: Path) -> str:
        """See Daemon."""
        file = folder / "haproxy.cfg"
        done = node.host.run(("haproxy", "-c", "-f", str(file)), VALIDATE_TIMEOUT_S)
        if done.status != 0:
            told = [line for line in done.lines if "[ALERT]" in line] or list(done.lines)
            raise ValidationFailed(
                "haproxy refuses its new configuration",
                "correct what it names; the configuration that runs was not touched",
                told[0] if told else f"haproxy -c ended with status {done.status} and said nothing",
            )
        return next((line for line in done.lines if "[WARNING]" in line), "accepted by haproxy -c")
