"""The virtual machine that a lab keeps: found by the lab's name, spoken to through its keeper's socket, taken down."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from holdfast.errors import LabError
from holdfast.lab import state
from holdfast.lab.cleanup import destroy
from holdfast.lab.processes import Process, wait_gone
from holdfast.lab.vm.channel import Channel
from holdfast.lab.vm.machine import ENVIRONMENT
from holdfast.lab.vm.wire import Order

_RECORD = "vm.json"
_SOCKET = "vm.sock"
_END_S = 15.0
_DROP_S = 60.0


class Kept(BaseModel):
    """What is on record of the machine of a lab."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keeper: Process
    kernel: str


def find(lab: str) -> Kept | None:
    """The machine of the lab called `lab`, or None if there is none. LabError if its record cannot be read."""
    path = state.folder(lab) / _RECORD
    try:
        return Kept.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise LabError(
            f"The record of the virtual machine of lab {lab} cannot be read ({path}: {str(error).splitlines()[0]})",
            f"clear the lab with: holdfast lab down {lab}",
        ) from None


def start(lab: str, progress: Callable[[str], None], port: int = 0) -> Kept:
    """Boot a machine for the lab `lab`, which stays when this process ends; `port` is as of its Hardware.

    LabError if the name is taken, or if the machine cannot be had; nothing is left then.
    """
    state.claim(lab)
    try:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "holdfast.lab.vm.keeper", lab, str(port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=(state.folder(lab) / "log" / "vm.log").open("ab"),
            start_new_session=True,
            cwd="/",
        )
        keeper = Process.of(child.pid)
        kernel = _booted(child, progress)
        if keeper is None or not kernel:
            raise LabError(f"The keeper of lab {lab}'s virtual machine ended at once", _log(lab))
        found = Kept(keeper=keeper, kernel=kernel)
        (state.folder(lab) / _RECORD).write_text(found.model_dump_json())
    except BaseException:
        child.terminate()
        child.wait(_END_S)
        destroy(lab)
        raise
    return found


def _booted(child: subprocess.Popen[bytes], progress: Callable[[str], None]) -> str:
    """The kernel's release, once the keeper says that its machine is up; empty if it says nothing any more."""
    assert child.stdout is not None  # asked for above
    with child.stdout as said:
        for line in said:
            word, _, text = line.decode(errors="replace").rstrip("\n").partition(" ")
            if word == "ready":
                return text
            if word == "failed":
                message, _, hint = text.partition("\t")
                raise LabError(message, hint)
            progress(text)
    return ""


def _log(lab: str) -> str:
    said = (state.folder(lab) / "log" / "vm.log").read_text(errors="replace").strip().splitlines()
    return f"it said: {said[-1]}" if said else "it said nothing"


@contextmanager
def listening(lab: str) -> Iterator[socket.socket]:
    """The socket of the lab's keeper; for root alone."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        before = os.umask(0o177)
        try:
            listener.bind(str(state.folder(lab) / _SOCKET))
        finally:
            os.umask(before)
        listener.listen(16)
        yield listener


@contextmanager
def connected(lab: str) -> Iterator[Channel]:
    """A channel into the machine of `lab`; LabError if it has stopped."""

    def gone() -> LabError:
        return LabError(f"The virtual machine of lab {lab} has stopped", f"clear it with: holdfast lab down {lab}")

    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(str(state.folder(lab) / _SOCKET))
    except OSError:
        connection.close()
        raise gone() from None
    channel = Channel(connection, gone)
    try:
        yield channel
    finally:
        channel.close()


def stop(lab: str) -> bool:
    """Switch the machine of `lab` off, and remove what there is of the lab; True if it had one."""
    found = find(lab) if state.folder(lab).exists() else None
    if found is None:
        return False
    found.keeper.signal(signal.SIGTERM)
    for process in wait_gone([found.keeper], _END_S):
        process.signal(signal.SIGKILL)  # QEMU goes with it
        wait_gone([process], _END_S)
    destroy(lab)
    return True


def refresh(lab: str, channel: Channel, inputs: Sequence[Path], carried: Sequence[Path] = ()) -> bool:
    """Have the guest read anew what has changed here: it keeps what it has read of the owner's files.

    `inputs` are files that the next command reads; their folders count too, and Holdfast's own code. Not those that
    are carried in: to read everything anew takes the guest many seconds. True if the code is another one.
    """
    mark = state.folder(lab) / "fresh"
    began = time.time_ns()
    since = mark.stat().st_mtime_ns if mark.exists() else 0
    folders = {path.resolve().parent for path in inputs}
    beside = {path for folder in folders for path in folder.iterdir()} - {path.resolve() for path in carried}

    def changed(watched: Iterable[Path]) -> bool:
        # The time of the last change of anything about the file: it cannot be set back, as that of its content can.
        return any(path.lstat().st_ctime_ns >= since for path in watched if path.exists())

    code = changed(Path(__file__).parents[2].rglob("*.py"))
    if code or changed(beside):
        drop = Order(("sh", "-c", "echo 3 >/proc/sys/vm/drop_caches"), ENVIRONMENT)
        try:
            channel.start(drop).wait(_DROP_S)
        except subprocess.TimeoutExpired:
            raise LabError(
                f"The virtual machine of lab {lab} does not answer within {_DROP_S:g} s",
                f"try again when this machine is less busy, or clear it with: holdfast lab down {lab}",
            ) from None
    os.utime(mark, ns=(began, began)) if mark.exists() else _make(mark, began)
    return code


def _make(mark: Path, moment: int) -> None:
    mark.touch(mode=0o644)
    os.utime(mark, ns=(moment, moment))
