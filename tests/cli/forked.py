"""Runs the command in a copy of this process: all that it imports is there already, and nothing comes back but output.

A command that is started anew spends most of its time on imports. The copy has its own working directory, environment,
standard streams, signal handlers and exit status, so a test sees what a user would.
"""

from __future__ import annotations

import gc
import io
import os
import select
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import IO, NoReturn

from holdfast.cli import main
from holdfast.cli.main import COMMANDS


@cache
def _loaded() -> None:
    """Every command is imported once, before the first copy is made."""
    for command in COMMANDS:
        import_module(f"holdfast.cli.{command.module or command.name}")


def run(
    words: Sequence[str], folder: Path, environment: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """`holdfast WORDS…` in `folder`; subprocess.TimeoutExpired after `timeout` seconds."""
    _loaded()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        pid = os.fork()
        if pid == 0:
            _become(words, folder, environment, out, err)
        status = _ended(pid, timeout)
        said = [_text(stream) for stream in (out, err)]
    if status is None:
        raise subprocess.TimeoutExpired(list(words), timeout, *said)
    return subprocess.CompletedProcess(list(words), status, *said)


def _ended(pid: int, timeout: float) -> int | None:
    """The exit status as subprocess has it; None for one that had to be killed."""
    watched = os.pidfd_open(pid)
    try:
        in_time = bool(select.select([watched], [], [], timeout)[0])
    finally:
        os.close(watched)
    if not in_time:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) if in_time else None


def _text(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode()


def _become(
    words: Sequence[str], folder: Path, environment: Mapping[str, str], out: IO[bytes], err: IO[bytes]
) -> NoReturn:
    """In the copy: be the command, and end as it does, without anything of the tests that stands behind this call."""
    status = 70
    try:
        gc.freeze()  # what the tests have made is nobody's garbage here
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        with open(os.devnull, "rb") as nothing:
            os.dup2(nothing.fileno(), 0)
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        sys.stdin = io.TextIOWrapper(io.FileIO(0, "r", closefd=False), "utf-8")
        sys.stdout, sys.stderr = (io.TextIOWrapper(io.FileIO(fd, "w", closefd=False), "utf-8") for fd in (1, 2))
        sys.argv = [main.__file__ or "holdfast", *words]
        named = sys.modules["__main__"] = ModuleType("__main__")
        named.__package__ = "holdfast.cli"  # how usage is told
        status = _status()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _status() -> int:
    try:
        main.main()
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        sys.stderr.write(f"{ended.code}\n")
        return 1
    except BaseException:  # noqa: BLE001  (nothing may reach the tests behind this call)
        traceback.print_exc()
        return 1
    return 0
