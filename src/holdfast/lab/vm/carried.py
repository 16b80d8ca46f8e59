"""Files of the user's that a command in the machine changes: in there as they are here, and out again while it runs.

What the guest writes stays in its own layer over the shared files, and hides what changes here later.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from holdfast.agent.files import replace
from holdfast.errors import LabError
from holdfast.lab.vm.channel import Channel
from holdfast.lab.vm.machine import ENVIRONMENT
from holdfast.lab.vm.wire import Order

_LARGEST = 16_000_000  # bytes
_PATIENCE_S = 60.0
_EVERY_S = 2.0  # a command may run for minutes after it has written, and others read the file meanwhile
_ABSENT = 44
_PUT = 'mkdir -p -- "${1%/*}" && cat >"$1.carried" && mv -f -- "$1.carried" "$1"'
_GET = f'[ -e "$1" ] || exit {_ABSENT}; cat -- "$1"'
_REMOVE = 'rm -f -- "$1"'


class _Carried:
    """One file; `known` is what both sides had when they were last the same."""

    def __init__(self, channel: Channel, path: Path) -> None:
        self._channel, self._path = channel, path.absolute()
        self.known = _here(self._path)

    def put(self) -> None:
        """In there as it is here."""
        self._run(_REMOVE if self.known is None else _PUT, self.known or b"")

    def fetch(self) -> None:
        """Here as it is in there, if it has changed; one that was removed in there stays. Raises LabError."""
        found = self._run(_GET, b"")
        if found is None or found == self.known:
            return
        if _here(self._path) != self.known:
            hint = "what the command wrote is in force all the same: see `holdfast overrides --lab NAME`"
            raise LabError(f"{self._path} was changed here while a command in the virtual machine changed it", hint)
        try:
            replace(self._path, found)
        except OSError as error:
            raise LabError(f"{self._path} cannot be written: {error.strerror}", "is there room, and may you?") from None
        self.known = found

    def _run(self, script: str, data: bytes) -> bytes | None:
        said = bytearray()
        order = Order(("sh", "-c", script, "sh", str(self._path)), ENVIRONMENT)
        command = self._channel.start(order, lambda descriptor, output: said.extend(output[: _LARGEST + 1 - len(said)]))
        command.send(data)
        command.end_input()
        try:
            status = command.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise LabError(
                f"{self._path} cannot be carried in or out of the virtual machine: no answer within {_PATIENCE_S:g} s",
                "try again when this machine is less busy",
            ) from None
        if status == _ABSENT:
            return None
        if status != 0 or len(said) > _LARGEST:
            why = said[:500].decode(errors="replace").strip() if status else f"it has more than {_LARGEST} bytes"
            raise LabError(f"{self._path} cannot be carried in or out of the virtual machine: {why}")
        return bytes(said)


@contextmanager
def carried(channel: Channel, paths: Sequence[Path]) -> Iterator[None]:
    """What a command changes about `paths` in the machine is changed here, too, 2 s later and when it has ended.

    Raises LabError where a file cannot be written, or has been changed on both sides.
    """
    files = [_Carried(channel, path) for path in paths]
    for file in files:
        file.put()
    ended, once = threading.Event(), threading.Lock()

    def fetch() -> None:
        with once:
            for file in files:
                file.fetch()

    def again() -> None:
        while not ended.wait(_EVERY_S):
            with suppress(LabError):  # said at the end, by the one that waits for the command
                fetch()

    watch = threading.Thread(target=again, name="holdfast-vm-carried", daemon=True)
    if files:
        watch.start()
    try:
        yield
    finally:
        ended.set()
        fetch()


def _here(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LabError(f"{path} cannot be read: {error.strerror}", "is it a file?") from None
