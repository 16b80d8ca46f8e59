"""A virtual machine from its boot to its end; nothing of it outlives the thread that booted it."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from holdfast.errors import LabError
from holdfast.lab import state
from holdfast.lab.vm import image, qemu
from holdfast.lab.vm.channel import Channel, OnOutput, Running
from holdfast.lab.vm.qemu import Hardware
from holdfast.lab.vm.wire import Frame, Kind, Order

BOOT_TIMEOUT_S = 120.0  # 4 s on a quiet machine; emulation on a busy one takes its time
_STOP_S = 5.0
_KILL_S = 10.0
_TAIL_LINES = 6
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT: Mapping[str, str] = {"PATH": _PATH, "HOME": "/root", "LANG": "C.UTF-8", "TERM": "dumb"}


class Machine:
    """A running machine. Use as a context manager, or call `stop`.

    It sees the owner's file system as it was at its boot, and writes to memory; `share` alone is common to both.
    """

    def __init__(self, hardware: Hardware, child: subprocess.Popen[bytes], channel: Channel, boot_s: float) -> None:
        self._hardware = hardware
        self._child = child
        self.channel = channel
        self.boot_s = boot_s

    @classmethod
    def boot(
        cls,
        *,
        memory_mb: int = 2048,
        processors: int = 2,
        timeout: float = BOOT_TIMEOUT_S,
        progress: Callable[[str], None] = lambda line: None,
    ) -> Machine:
        """Boot a machine and wait until it takes commands.

        It ends with the calling thread, so call this from one that lives long enough (the main one).
        MissingProgram without QEMU, LabError if there is no kernel, or if the guest does not come up in `timeout` s.
        """
        ready = image.prepare(progress)
        state.BASE.mkdir(mode=0o755, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".vm-", dir=state.BASE))  # the dot: no lab can be called that
        hardware = Hardware(folder, ready, memory_mb, processors)
        progress("booting")
        began = time.monotonic()
        try:
            child, connection = qemu.spawn(hardware)
        except BaseException:
            shutil.rmtree(folder)
            raise
        channel = Channel(connection, lambda: _stopped(hardware))
        machine = cls(hardware, child, channel, 0.0)
        try:
            if not channel.wait_ready(timeout):
                raise LabError(f"The lab's virtual machine did not come up within {timeout:g} s", _last_words(hardware))
        except BaseException:
            machine.stop()
            raise
        machine.boot_s = time.monotonic() - began
        return machine

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """QEMU's process."""
        return self._child.pid

    @property
    def kernel(self) -> str:
        """The release of the guest's kernel."""
        return str(self.channel.hello.get("kernel", ""))

    @property
    def share(self) -> Path:
        """What the guest writes into its /run/holdfast-vm, as seen from here."""
        return self._hardware.share

    def start(
        self,
        argv: Sequence[str],
        *,
        on_output: OnOutput = lambda descriptor, data: None,
        env: Mapping[str, str] = ENVIRONMENT,
        cwd: str = "/",
        terminals: tuple[int, ...] = (),
        window: tuple[int, int] = (24, 80),
    ) -> Running:
        """Start a command; `on_output` gets what it writes, at once. LabError if the machine has stopped."""
        return self.channel.start(Order(tuple(argv), dict(env), cwd, terminals, window), on_output)

    def run(
        self,
        argv: Sequence[str],
        *,
        input: str = "",
        timeout: float = 60.0,
        check: bool = False,
        env: Mapping[str, str] = ENVIRONMENT,
        cwd: str = "/",
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; its process group is killed after `timeout` seconds.

        LabError if the machine stops, the time is over, or, with `check`, the status is not 0.
        """
        said: dict[int, bytearray] = {1: bytearray(), 2: bytearray()}
        command = self.start(argv, on_output=lambda fd, data: said[fd].extend(data), env=env, cwd=cwd)
        try:
            if input:
                command.send(input.encode())
            command.end_input()
            status = command.wait(timeout)
        except subprocess.TimeoutExpired:
            command.signal(signal.SIGKILL)
            raise LabError(f"`{' '.join(argv)}` in the virtual machine did not end within {timeout:g} s") from None
        except KeyboardInterrupt:
            command.signal(signal.SIGINT)
            raise
        out, err = (said[fd].decode(errors="replace") for fd in (1, 2))
        if check and status != 0:
            last = (err or out).strip().splitlines() or ["it said nothing"]
            raise LabError(f"`{' '.join(argv)}` in the virtual machine ended with status {status}: {last[-1]}")
        return subprocess.CompletedProcess(list(argv), status, out, err)

    def stop(self) -> None:
        """Power off, in seconds at the most, and remove its folder; nothing happens if that was done before."""
        if not self._hardware.folder.exists():
            return
        try:
            self.channel.send(Frame(Kind.POWER_OFF, 0))
            self._child.wait(_STOP_S)
        except (LabError, subprocess.TimeoutExpired):
            self._child.kill()
            self._child.wait(_KILL_S)
        finally:
            self._child.kill()
            self.channel.close()
            shutil.rmtree(self._hardware.folder, ignore_errors=True)


def _stopped(hardware: Hardware) -> LabError:
    return LabError("The lab's virtual machine has stopped by itself", _last_words(hardware))


def _last_words(hardware: Hardware) -> str:
    """The end of what kernel and QEMU said."""
    for path in (hardware.messages, hardware.console):
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return "it was stopped on purpose"
        said = [line.strip() for line in lines if line.strip()]
        if said:
            return "its last words: " + " | ".join(said[-_TAIL_LINES:])
    return "it said nothing"
