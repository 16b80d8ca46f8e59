"""A lab with a controller, on this kernel or in a virtual machine, and somebody here who is logged in to it."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.lab import cleanup

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 1800  # for a command; an emulated machine takes minutes to come up


@dataclass(frozen=True)
class Installation:
    """The lab, and a profile that is logged in to its controller."""

    lab: str
    spec: Path
    profile: Path

    def run(self, *words: object, text: str = "", status: int | None = 0) -> str:
        argv = [sys.executable, "-m", "holdfast.cli", *map(str, words)]
        environment = {**os.environ, "HOLDFAST_PROFILE": str(self.profile), "COLUMNS": "200"}
        done = subprocess.run(
            argv, cwd=ROOT, input=text, capture_output=True, text=True, timeout=PATIENCE_S, env=environment
        )
        assert status is None or done.returncode == status, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def status(self) -> dict[str, Any]:
        """Status 1 is a finding, and an answer all the same."""
        found: dict[str, Any] = json.loads(self.run("status", "--json", status=None))
        return found

    def holders(self) -> dict[str, list[str]]:
        return {group["group"]: group["holders"] for group in self.status()["groups"]}


@contextmanager
def installed(folder: Path, example: str, lab: str, *options: str) -> Iterator[Installation]:
    """An example's cluster, brought up so; nothing of it is left at the end."""
    spec = folder / "cluster.yaml"
    shutil.copy(ROOT / "examples" / example / "cluster.yaml", spec)
    made = Installation(lab, spec, folder / "profile.json")
    try:
        up = ("lab", "up", spec, "--lab", lab, "--controller", "--controller-port", _free_port())
        told = made.run(*up, *options)
        url, fingerprint, password = (
            re.search(rf"{word} +(\S+)$", told, re.MULTILINE)[1]  # type: ignore[index]
            for word in ("controller", "fingerprint", "password")
        )
        words = ("login", url, "--name", "admin", "--fingerprint", fingerprint, "--password-stdin")
        made.run(*words, text=f"{password}\n")
        yield made
    finally:
        made.run("lab", "down", lab, status=None)
    assert cleanup.leftovers(lab) == ()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
