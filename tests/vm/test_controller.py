"""A controller beside directors in a virtual machine: whoever is outside works on a real IPVS table through it."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import wait_until

from holdfast.lab import cleanup

ROOT = Path(__file__).resolve().parents[2]
SLOW_S = 300.0  # emulated: a controller, four agents and users on one processor
VIRTUAL = "10.0.0.3:80"

pytestmark = [
    pytest.mark.vm,
    pytest.mark.soak,  # some minutes until it is up: `make test` has each part of it alone
    pytest.mark.timeout(3600),
]


@dataclass(frozen=True)
class Outside:
    """A user of this machine, logged in to the controller in the other one."""

    lab: str
    spec: Path
    profile: Path

    def run(self, *words: object, text: str = "", status: int | None = 0) -> str:
        argv = [sys.executable, "-m", "holdfast.cli", *map(str, words)]
        environment = {**os.environ, "HOLDFAST_PROFILE": str(self.profile), "COLUMNS": "200"}
        done = subprocess.run(argv, cwd=ROOT, input=text, capture_output=True, text=True, timeout=1800, env=environment)
        assert status is None or done.returncode == status, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def status(self) -> dict[str, Any]:
        """Status 1 is a finding, and an answer all the same."""
        found: dict[str, Any] = json.loads(self.run("status", "--json", status=None))
        return found

    def holders(self) -> list[str]:
        return [holder for group in self.status()["groups"] for holder in group["holders"]]

    def weights(self, director: str) -> dict[str, int]:
        """What the kernel of a director has for each server."""
        table = self.run("lab", "exec", "--lab", self.lab, director, "ipvsadm", "-Ln", "-t", VIRTUAL)
        rows = [line.split() for line in table.splitlines() if line.lstrip().startswith("->")]
        return {words[1]: int(words[3]) for words in rows if words[1][0].isdigit()}


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Outside]:
    spec = tmp_path / "cluster.yaml"
    shutil.copy(ROOT / "examples" / "lvs-dr-pair" / "cluster.yaml", spec)
    made = Outside(f"v{os.getpid()}", spec, tmp_path / "profile.json")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    try:
        told = made.run("lab", "up", spec, "--lab", made.lab, "--vm", "--controller", "--controller-port", port)
        url, fingerprint, password = (
            re.search(rf"{word} +(\S+)$", told, re.MULTILINE)[1]  # type: ignore[index]
            for word in ("controller", "fingerprint", "password")
        )
        words = ("login", url, "--name", "admin", "--fingerprint", fingerprint, "--password-stdin")
        made.run(*words, "--cluster", "lvs-dr-pair", text=f"{password}\n")
        yield made
    finally:
        made.run("lab", "down", made.lab, status=None)
    assert cleanup.leftovers(made.lab) == ()


def test_servers_and_addresses_of_directors_are_worked_on_from_outside(outside: Outside) -> None:
    wait_until(lambda: len(outside.holders()) == 1, SLOW_S)
    (first,) = outside.holders()
    (other,) = {node["node"] for node in outside.status()["nodes"] if node["node"].startswith("lb")} - {first}
    before = outside.weights(first)
    assert before == {"10.0.0.7:80": 1, "10.0.0.8:80": 2}

    outside.run("drain", "web01", "--why", "a new disk")
    assert outside.weights(first) == {**before, "10.0.0.7:80": 0}
    outside.run("resume", "web01")
    assert outside.weights(first) == before

    (group,) = (one["group"] for one in outside.status()["groups"])
    outside.run("move", group, other)
    assert outside.holders() == [other]
    assert outside.weights(other) == before
    outside.run("move", group, "--back")
    wait_until(lambda: outside.holders() == [first], SLOW_S)
