"""The machine that a lab keeps: commands from several processes, files that change meanwhile, and its end."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.errors import LabError
from holdfast.lab import state
from holdfast.lab.processes import Process, wait_gone
from holdfast.lab.vm import kept
from holdfast.lab.vm.kept import Kept
from holdfast.lab.vm.machine import ENVIRONMENT
from holdfast.lab.vm.wire import Order

pytestmark = [
    pytest.mark.vm,
    pytest.mark.lab,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("machine"),
    pytest.mark.skipif(os.geteuid() != 0, reason="a lab's virtual machine needs root: it shares the whole file system"),
]
LAB = f"k{os.getpid()}"
PATIENCE_S = 120.0
RELAY = """
import sys
from holdfast.lab.vm import kept
from holdfast.lab.vm.relay import relay
from holdfast.lab.vm.machine import ENVIRONMENT
with kept.connected(sys.argv[1]) as channel:
    sys.exit(relay(channel, sys.argv[2:], ENVIRONMENT, interactive=True))
"""


@pytest.fixture(scope="module")
def machine() -> Iterator[Kept]:
    """A machine in the background, kept under the name LAB."""
    yield kept.start(LAB, lambda line: None)
    kept.stop(LAB)


def run(*argv: str) -> bytes:
    """The output of a command in the machine, which must succeed."""
    said = bytearray()
    with kept.connected(LAB) as channel:
        command = channel.start(Order(argv, ENVIRONMENT), lambda descriptor, data: said.extend(data))
        assert command.wait(PATIENCE_S) == 0, said
    return bytes(said)


def child(*argv: str) -> list[str]:
    """The command line of another process that runs `argv` in the machine, with its own streams."""
    return [sys.executable, "-c", RELAY, LAB, *argv]


def test_another_process_runs_commands_in_it(machine: Kept) -> None:
    done = subprocess.run(
        child("sh", "-c", "tr a-z A-Z; uname -r; exit 5"), input="word\n", capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout, done.stderr) == (5, f"WORD\n{machine.kernel}\n", "")


def test_a_terminal_here_is_a_terminal_there(machine: Kept) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(child("sh", "-c", "tty -s && read w && echo got $w"), stdin=theirs, stdout=theirs) as done:
        os.close(theirs)
        time.sleep(1)
        os.write(ours, b"word\r")
        assert done.wait(PATIENCE_S) == 0
        assert b"got word" in os.read(ours, 4096)
    os.close(ours)


def test_a_command_is_told_to_hang_up_when_its_client_is_killed(machine: Kept) -> None:
    client = subprocess.Popen(child("sh", "-c", "echo here; exec sleep 297.25"), stdout=subprocess.PIPE)
    assert client.stdout is not None
    assert client.stdout.readline() == b"here\n"
    client.kill()
    client.wait()
    client.stdout.close()
    deadline = time.monotonic() + PATIENCE_S
    while b"297.25" in run("ps", "-eo", "args"):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_ctrl_c_reaches_the_command_and_its_status_comes_back(machine: Kept) -> None:
    script = "trap 'echo cleaned; exit 9' INT; echo here; while :; do sleep 0.2; done"
    client = subprocess.Popen(child("bash", "-c", script), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert client.stdout is not None
    assert client.stdout.readline() == b"here\n"
    client.send_signal(signal.SIGINT)
    assert client.stdout.read() == b"cleaned\n"
    assert client.wait(PATIENCE_S) == 9
    client.stdout.close()


def test_it_sees_a_file_as_it_is_now(machine: Kept, tmp_path: Path) -> None:
    """Also one that it has read before, in place and replaced, longer and shorter."""
    file = tmp_path / "cluster.yaml"
    for text in ("first\n", "second, and longer than the first\n", "3\n"):
        file.write_text(text)
        with kept.connected(LAB) as channel:
            kept.refresh(LAB, channel, [file])
        assert run("cat", str(file)).decode() == text
    beside = tmp_path / "new"
    beside.write_text("replaced\n")
    beside.replace(file)
    with kept.connected(LAB) as channel:
        kept.refresh(LAB, channel, [file])
    assert run("cat", str(file)) == b"replaced\n"


def test_its_name_is_taken_as_long_as_it_is_there(machine: Kept) -> None:
    with pytest.raises(LabError, match="is up already"):
        kept.start(LAB, lambda line: None)
    assert machine.keeper.alive


def test_nothing_is_left_when_its_keeper_is_killed() -> None:
    lab = f"{LAB}-killed"
    found = kept.start(lab, lambda line: None)
    try:
        children = Path(f"/proc/{found.keeper.pid}/task/{found.keeper.pid}/children").read_text().split()
        qemu = [process for pid in children if (process := Process.of(int(pid)))]
        assert qemu
        found.keeper.signal(signal.SIGKILL)
        assert wait_gone(qemu, 10) == ()
        with pytest.raises(LabError, match="has stopped") as raised, kept.connected(lab):
            pass
        assert f"holdfast lab down {lab}" in raised.value.hint
    finally:
        assert kept.stop(lab)
    assert not state.folder(lab).exists()
