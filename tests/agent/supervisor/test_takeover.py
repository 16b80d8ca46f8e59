"""A supervisor that is killed leaves its services running; the next one takes them over."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from holdfast.agent.supervisor.client import ask
from holdfast.agent.supervisor.paths import Paths
from holdfast.errors import ApplyError

pytestmark = pytest.mark.whole

# A supervisor of a shell that leaves a child behind when it is killed, as nginx leaves its workers.
PROGRAM = """
import sys
from pathlib import Path
from signal import SIGHUP, SIGKILL, SIGTERM
from holdfast.agent.supervisor.commands import ServiceCommand, StopStep
from holdfast.agent.supervisor.loop import Supervisor
from holdfast.agent.supervisor.paths import Paths

base = Path(sys.argv[1])
paths = Paths(base, base / "log", base / "lib", base / "state")
paths.prepare(("shell",))
command = ServiceCommand("shell", ("/bin/sh", "-c", "sleep 1000 & echo $! > %s/child; wait" % base), SIGHUP,
                         (StopStep(SIGTERM, 2.0),), SIGKILL, False, True)
Supervisor(paths, (command,)).run()
"""


class Shell:
    def __init__(self, base: Path) -> None:
        self.base = base
        self.paths = Paths(base, base / "log", base / "lib", base / "state")
        self.process = self.spawn()

    def spawn(self) -> subprocess.Popen[bytes]:
        self.paths.socket.unlink(missing_ok=True)
        self.process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(self.base)], stderr=subprocess.DEVNULL)
        self.wait(self.paths.socket.exists)
        return self.process

    def wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def status(self) -> dict[str, object]:
        with contextlib.suppress(ApplyError):
            return ask("status", path=self.paths.socket)["shell"]
        return {"state": "unreachable"}

    def child(self) -> int:
        return int((self.base / "child").read_text())


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    made = Shell(tmp_path)
    try:
        yield made
    finally:
        made.process.send_signal(signal.SIGTERM)
        made.process.wait(timeout=60)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except FileNotFoundError:
        return False


def running(shell: Shell) -> int:
    ask("start", "shell", shell.paths.socket)
    shell.wait(lambda: shell.status()["state"] == "running" and (shell.base / "child").exists())
    pid = shell.status()["pid"]
    assert isinstance(pid, int)
    return pid


def test_a_killed_supervisor_is_followed_by_one_that_takes_over(shell: Shell) -> None:
    main = running(shell)
    shell.process.kill()
    shell.process.wait(timeout=60)
    assert alive(main), "services outlive their supervisor"
    shell.spawn()
    shell.wait(lambda: shell.status()["state"] == "running")
    assert shell.status()["pid"] == main
    assert (shell.paths.service_state / "shell").read_text() == "0\n"
    os.kill(main, signal.SIGKILL)  # no child of the new one: it must notice all the same
    shell.wait(lambda: shell.status()["state"] == "backoff")
    assert (shell.paths.service_state / "shell").read_text() == "-1\n"


def test_what_died_meanwhile_is_cleaned_up_and_started_again(shell: Shell) -> None:
    main = running(shell)
    left = shell.child()
    shell.process.kill()
    shell.process.wait(timeout=60)
    os.kill(main, signal.SIGKILL)
    assert alive(left)
    (shell.base / "child").unlink()
    shell.spawn()
    shell.wait(lambda: shell.status()["state"] == "running")
    assert not alive(left)
    assert shell.status()["pid"] != main


def test_a_stopped_service_stays_stopped(shell: Shell) -> None:
    running(shell)
    left = shell.child()
    ask("stop", "shell", shell.paths.socket)
    shell.wait(lambda: shell.status()["state"] == "stopped")
    assert not alive(left)
    shell.process.kill()
    shell.process.wait(timeout=60)
    shell.spawn()
    assert shell.status()["state"] == "stopped"
