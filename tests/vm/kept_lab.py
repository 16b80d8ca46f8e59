"""A lab that lives in a virtual machine, spoken to as a user does, from outside; its tests leave it as it was."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
CLIENT = str(Path(__file__).with_name("inside_drain.py"))
USERS = [f"198.51.100.{number}" for number in range(1, 13)]
PATIENCE_S = 600
ANY, STICKY = 8080, 80  # the example's virtual servers: chosen anew each time, and with persistence


@dataclass(frozen=True)
class Lab:
    """The user's commands about it. What they write is beside `spec`."""

    name: str
    spec: Path

    def words(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "holdfast.cli", *words]

    def run(self, *words: str, status: int | None = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.words(*words),
            cwd=self.spec.parent,
            env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert status is None or done.returncode == status, (words, done.returncode, done.stdout, done.stderr)
        return done

    def override(self, *words: str, status: int = 0) -> dict[str, Any]:
        done = self.run(*words, "--lab", self.name, "--spec", str(self.spec), "--json", status=status)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def on_client(self, *words: str) -> list[str]:
        return self.words("lab", "exec", "--lab", self.name, "client", sys.executable, CLIENT, *words)

    def servers(self, port: int, *users: str) -> list[str]:
        """Who answers each of these users."""
        done = self.run(*self.on_client("short", str(port), *users)[3:])
        found: list[str] = json.loads(done.stdout)
        return found

    def weights(self, node: str, port: int) -> dict[str, str]:
        """What the kernel of a director has for each server, as ipvsadm says it."""
        done = self.run("lab", "exec", "--lab", self.name, node, "ipvsadm", "-Ln", "-t", f"10.0.0.3:{port}")
        rows = [line.split() for line in done.stdout.splitlines() if line.lstrip().startswith("->")]
        return {words[1]: words[3] for words in rows if words[1][0].isdigit()}

    @property
    def written(self) -> list[tuple[str, str]]:
        """(server, kind) of each override in the user's own file."""
        path = self.spec.with_name("cluster.overrides.yaml")
        found = YAML(typ="safe").load(path.read_text()) if path.exists() else {"servers": []}
        return [(each["server"], each["kind"]) for each in found["servers"]]

    def until(self, condition: Callable[[], bool], within_s: float = 120.0) -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, condition
            time.sleep(0.5)


@contextmanager
def lab_up(folder: Path) -> Iterator[Lab]:
    """The example of two directors and two real servers."""
    for name in ("cluster.yaml", "CLUSTER.lock"):
        if (source := ROOT / "examples" / "lvs-dr-pair" / name).exists():
            shutil.copy(source, folder)
    made = Lab(f"kept{os.getpid()}", folder / "cluster.yaml")
    try:
        made.run("lab", "up", str(made.spec), "--lab", made.name, "--vm")
        yield made
    finally:
        made.run("lab", "down", made.name, status=None)
