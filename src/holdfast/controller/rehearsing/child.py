"""The process that rehearses: in a session of its own, on a leash; read within bounds, and ended for sure."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

COMMAND: tuple[str, ...] = (sys.executable, "-m", "holdfast.cli.rehearse_child")
LAB = "controller"  # one at a time: what an earlier one left is known by its name
_LONGEST_LINE = 1_000_000  # bytes
_ENDS_WITHIN_S = 60.0  # its lab has to be taken down
_SWEEP_S = 60.0
_TIDY = (0, 1)  # how it ends when its lab was taken down for sure: not when it was stopped in the middle of that
_KEPT_ERRORS = 20_000  # bytes of what it writes to standard error
_log = logging.getLogger(__name__)


class Child:
    """One rehearsal as a process. `told` is called with each line that it says."""

    def __init__(self, folder: Path, told: Callable[[dict[str, Any]], None], command: Sequence[str] = COMMAND) -> None:
        self._folder, self._told, self._command = folder, told, command
        self._process: asyncio.subprocess.Process | None = None
        self._released = asyncio.Event()
        self.errors = b""

    async def run(self, longest_s: float) -> int | None:
        """Until it has ended; its exit status, None if it took longer than `longest_s` and was stopped."""
        process = self._process = await asyncio.create_subprocess_exec(
            *self._command, str(self._folder / "cluster.yaml"), str(self._folder / "report"), LAB,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            start_new_session=True, env=_environment(), limit=_LONGEST_LINE, cwd=str(self._folder),
        )  # fmt: skip
        reading = asyncio.gather(self._lines(process), self._complaints(process))
        letting_go = asyncio.ensure_future(self._released.wait())
        late = False
        try:
            async with asyncio.timeout(longest_s):
                await asyncio.wait((reading, letting_go), return_when=asyncio.FIRST_COMPLETED)
                if not letting_go.done():
                    await process.wait()
        except TimeoutError:
            late = True
        finally:
            reading.cancel()
            letting_go.cancel()
            await asyncio.gather(reading, letting_go, return_exceptions=True)
            await asyncio.shield(self.end())
        return None if late else process.returncode

    async def end(self) -> None:
        """Let go of the leash and wait; what does not end is killed.

        Unless it ended as it should, by whoever's doing, what is left of its lab is taken down by another process.
        """
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            await self._let_end(process)
        if process.returncode not in _TIDY:
            await _swept()

    async def _let_end(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(_ENDS_WITHIN_S):
                await asyncio.gather(_drained(process.stdout), _drained(process.stderr), process.wait())
        except TimeoutError:
            _log.error("a rehearsal did not end within %g s: it is killed", _ENDS_WITHIN_S)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    def let_go(self) -> None:
        """It ends by itself: its input is closed, now or as soon as it has begun."""
        self._released.set()

    async def _lines(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None, "it was asked for"
        while True:  # until it ends
            try:
                line = await process.stdout.readline()
            except ValueError:
                continue  # a line that is too long was dropped
            if not line:
                return
            with contextlib.suppress(ValueError):
                told = json.loads(line)
                if isinstance(told, dict):
                    self._told(told)

    async def _complaints(self, process: asyncio.subprocess.Process) -> None:
        """Only their end is kept."""
        assert process.stderr is not None, "it was asked for"
        while piece := await process.stderr.read(4096):
            self.errors = (self.errors + piece)[-_KEPT_ERRORS:]


async def _drained(stream: asyncio.StreamReader | None) -> None:
    """What nobody reads would keep it from ending."""
    while stream is not None and await stream.read(65536):
        pass


async def _swept() -> None:
    """Take the lab of a rehearsal that was killed down."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "holdfast.cli", "lab", "down", LAB,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True, env=_environment(),
    )  # fmt: skip
    try:
        async with asyncio.timeout(_SWEEP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
        _log.error("what a rehearsal left could not be taken down: holdfast lab down %s", LAB)


def _environment() -> dict[str, str]:
    """Nothing of the controller's own: it may hold secrets."""
    kept = ("PATH", "LANG", "LC_ALL", "HOME", "TMPDIR", "PYTHONPATH")
    return {name: os.environ[name] for name in kept if name in os.environ}
