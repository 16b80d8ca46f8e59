"""nginx: `nginx -t` binds, so sysctls come first; a reload exits 0 and says nothing when a bind fails."""

from __future__ import annotations

import re
from pathlib import Path

from holdfast.agent.host.port import Process
from holdfast.agent.services.base import VALIDATE_TIMEOUT_S, Node, WorkerGenerations
from holdfast.bundle import Service
from holdfast.errors import ValidationFailed

# At the beginning of a line only: what follows may quote a request, and with it anything.
_BAD = re.compile(r"(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d|nginx:) \[(emerg|alert)\] ")
# A worker says this of its own kept-alive connections when it ends, and of those that were ended because their address
# left the node; the configuration has no part in it.
_HARMLESS = re.compile(
    r"open socket #\d+ left in connection|\[alert\] \d+#\d+: \*\d+ (recv|send|writev|readv)\(\) failed \(103: "
)


class Nginx(WorkerGenerations):
    """See Daemon."""

    def __init__(self) -> None:
        super().__init__(Service.NGINX)

    def is_worker(self, process: Process) -> bool:
        """Workers on their way out, cache managers and loaders are children too."""
        return process.title.startswith("nginx: worker process") and "shutting down" not in process.title

    def gave_up(self, line: str, reloaded: bool) -> bool:
        """A bind that fails is tried again for 2.5 s, during which nginx takes no other order."""
        return self.worth_quoting(line) and ("bind() to" not in line or "still could not bind" in line)

    def worth_quoting(self, line: str) -> bool:
        """What nginx writes when it goes on with its old configuration."""
        return bool(_BAD.match(line)) and not _HARMLESS.search(line)

    def validate(self, node: Node, folder: Path) -> str:
        """See Daemon."""
        file = folder / "nginx.conf"
        done = node.host.run(("nginx", "-e", "stderr", "-t", "-c", str(file)), VALIDATE_TIMEOUT_S)
        if done.status != 0:
            told = [line for line in done.lines if _BAD.match(line)] or list(done.lines)
            raise ValidationFailed(
                "nginx refuses its new configuration",
                "correct what it names; the configuration that runs was not touched",
                told[0] if told else f"nginx -t ended with status {done.status} and said nothing",
            )
        return next((line for line in done.lines if "[warn]" in line), "accepted by nginx -t")
