"""A helper process of a rehearsal, seen from its parent: it takes orders as JSON, and says what it sees in lines."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence

from holdfast.errors import LabError

_READ_TO_THE_END_S = 10.0


class Helper:
    """One child process, its orders, and two threads that read what it says."""

    def __init__(self, what: str, argv: Sequence[str], take: Callable[[bytes], None]) -> None:
        """Start `argv`; `what` is its name in messages.

        `take` is called with each line of its output, in a thread; what it raises as ValueError is its problem,
        and no line is taken after that.
        """
        self._what, self._take = what, take
        self._problem = ""
        self._child = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is the parent's to handle; the helper ends when its input does
        )
        self._readers = [threading.Thread(target=t, daemon=True) for t in (self._read, self._read_errors)]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._child.pid

    @property
    def problem(self) -> str:
        """What went wrong with it, or an empty string."""
        return self._problem

    def send(self, order: Mapping[str, object]) -> None:
        """Give it an order; LabError if it has ended."""
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(json.dumps(order).encode() + b"\n")
            self._child.stdin.flush()
        except (BrokenPipeError, ValueError):
            raise self._ended() from None

    def check(self) -> None:
        """Raise LabError if it has ended, or had a problem."""
        if self._child.poll() is not None or self._problem:
            raise self._ended()

    def wait(self, timeout: float) -> bool:
        """Wait until it has ended by itself, at most `timeout` seconds; False if it did not."""
        try:
            self._child.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        return True

    def close(self, patience: float = 0.0) -> None:
        """End it if it still runs, `patience` seconds after its input did. May be called again."""
        if self._child.stdin and not self._child.stdin.closed:
            try:
                self._child.stdin.close()
            except BrokenPipeError:
                self._problem = self._problem or "it ended early"
        if not self.wait(patience):
            self._child.kill()
            self._child.wait()
        for reader in self._readers:
            reader.join(_READ_TO_THE_END_S)
        for stream in (self._child.stdout, self._child.stderr):
            if stream:
                stream.close()

    def _ended(self) -> LabError:
        return LabError(f"{self._what} has ended: {self._problem or 'it said nothing'}")

    def _read(self) -> None:
        """Everything is read, whatever becomes of it: one who cannot write would neither hear orders nor end."""
        assert self._child.stdout is not None
        for line in self._child.stdout:
            if self._problem:
                continue
            try:
                self._take(line)
            except ValueError as error:
                self._problem = str(error)

    def _read_errors(self) -> None:
        assert self._child.stderr is not None
        last = ""
        for line in self._child.stderr:
            last = line.decode(errors="replace").strip() or last
        if last:
            self._problem = self._problem or last
