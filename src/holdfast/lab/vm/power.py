"""A virtual machine's process: on, until its guest has said its first word, and off, with nothing left behind."""

from __future__ import annotations

import compileall
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import holdfast
from holdfast.errors import LabError
from holdfast.lab import state
from holdfast.lab.processes import Process
from holdfast.lab.vm import image, qemu
from holdfast.lab.vm.qemu import Hardware
from holdfast.lab.vm.wire import Decoder, Frame, GarbledError

BOOT_TIMEOUT_S = 300.0  # 4 s on a quiet machine; emulation on a busy one takes its time
_KILL_S = 10.0
_TAIL_LINES = 6
_OWNER = "owner"  # the file in a machine's folder that names the process to which it belongs
_CAUSE = re.compile(r"(Kernel panic - .*|holdfast: .*|holdfast guest: .*)")
_PREFIX = ".vm-"  # the dot: no lab can be called that


@dataclass(frozen=True)
class Power:
    """A machine that is on. `connection` is the stream to its guest, `hello` the first frame that came over it."""

    hardware: Hardware
    child: subprocess.Popen[bytes]
    connection: socket.socket
    hello: Frame
    boot_s: float

    def off(self) -> None:
        """At once, as by pulling the plug: nothing in there is worth being kept. May be called again."""
        self.child.kill()
        self.child.wait(_KILL_S)
        self.connection.close()
        shutil.rmtree(self.hardware.folder, ignore_errors=True)

    def stopped(self) -> LabError:
        """What to say when it does not answer any more."""
        cause = _cause(self.hardware)
        why = f": {cause}" if cause else ""
        return LabError(f"The lab's virtual machine has stopped{why}", _last_words(self.hardware))


def switch_on(
    *,
    memory_mb: int,
    processors: int,
    own_clock: bool = False,
    port: int = 0,
    timeout: float = BOOT_TIMEOUT_S,
    progress: Callable[[str], None] = lambda line: None,
) -> Power:
    """Boot a machine, and wait up to `timeout` seconds until its guest takes commands.

    It ends with the calling thread. MissingProgram without QEMU, LabError if there is no kernel, or if the guest does
    not come up.
    """
    ready = image.prepare(progress)
    # Once here instead of once in each guest, which would do it ten times slower. It is quick where nothing changed.
    compileall.compile_dir(Path(holdfast.__file__).parent, quiet=2)
    progress("booting")
    state.BASE.mkdir(mode=0o755, exist_ok=True)
    remove_orphans(state.BASE)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=state.BASE))
    (folder / _OWNER).write_text(Process.here().model_dump_json())
    hardware = Hardware(folder, ready, memory_mb, processors, own_clock, port)
    began = time.monotonic()
    try:
        child, connection = qemu.spawn(hardware)
    except BaseException:
        shutil.rmtree(folder)
        raise
    try:
        hello = _first_word(connection, began + timeout)
    except BaseException as error:
        child.kill()
        child.wait(_KILL_S)
        connection.close()
        said = _last_words(hardware)
        shutil.rmtree(folder)
        if isinstance(error, TimeoutError):
            raise LabError(f"The lab's virtual machine did not come up within {timeout:g} s", said) from None
        if isinstance(error, OSError | GarbledError):
            raise LabError("The lab's virtual machine stopped while it was coming up", said) from None
        raise
    return Power(hardware, child, connection, hello, time.monotonic() - began)


def remove_orphans(base: Path) -> None:
    """Remove the folders of machines whose owner was killed: the machines themselves went with it."""
    for folder in base.glob(f"{_PREFIX}*"):
        try:
            owner = Process.model_validate_json((folder / _OWNER).read_bytes())
        except (OSError, ValueError):
            continue  # just being made, or being removed
        if not owner.alive:
            shutil.rmtree(folder, ignore_errors=True)


def _first_word(connection: socket.socket, deadline: float) -> Frame:
    decoder = Decoder()
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        data = connection.recv(4096)
        if not data:
            raise ConnectionResetError
        for frame in decoder.feed(data):
            connection.settimeout(None)
            return frame


def _cause(hardware: Hardware) -> str:
    """What the kernel panicked of, if it did, or the guest program's own last word; empty where neither is said."""
    for line in reversed(_lines(hardware.console)):
        if found := _CAUSE.search(line):
            return found[1]
    return ""


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:  # it was switched off, and its folder went with it
        return []
    return [line.strip() for line in text.splitlines() if line.strip()]


def _last_words(hardware: Hardware) -> str:
    """The end of what QEMU or the guest's kernel said."""
    for path in (hardware.messages, hardware.console):
        if said := _lines(path):
            return "its last words: " + " | ".join(said[-_TAIL_LINES:])
    return "it said nothing"
