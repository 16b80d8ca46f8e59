"""Where the supervisor keeps its socket, records, logs and service-state files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from holdfast.bundle import LOG_DIR, RUN_DIR, SERVICE_STATE_DIR, STATE_DIR


@dataclass(frozen=True)
class Paths:
    """The folders of a supervisor; other than the product's own only in tests."""

    run: Path = Path(RUN_DIR)
    log: Path = Path(LOG_DIR)
    state: Path = Path(STATE_DIR)
    service_state: Path = Path(SERVICE_STATE_DIR)

    @property
    def socket(self) -> Path:
        """Where it takes orders."""
        return self.run / "supervisor.sock"

    @property
    def lock(self) -> Path:
        """Held while a supervisor runs: there is one at a time."""
        return self.run / "supervisor.lock"

    def record(self, service: str) -> Path:
        """What it remembers of a service, should it be killed itself."""
        return self.run / "supervisor" / f"{service}.json"

    def log_file(self, service: str) -> Path:
        """Standard output and error of a service."""
        return self.log / service / f"{service}.log"

    def prepare(self, services: tuple[str, ...]) -> None:
        """Create all folders: root's, readable by the services' own users."""
        folders = [self.run, self.run / "supervisor", self.service_state, self.log]
        folders += [base / service for service in services for base in (self.run, self.log, self.state)]
        for folder in folders:
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Replace `path` in one step, so that nobody reads half of it; raises OSError."""
    beside = path.with_name(f".{path.name}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
    os.replace(beside, path)
