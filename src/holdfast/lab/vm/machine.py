"""A virtual machine from its boot to its end; nothing of it outlives the thread that booted it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from holdfast.errors import LabError
from holdfast.lab.vm.channel import Channel, OnOutput, Running
from holdfast.lab.vm.power import BOOT_TIMEOUT_S, Power, switch_on
from holdfast.lab.vm.wire import Order

MEMORY_MB = 2048
PROCESSORS = (
    1  # two cost twice the time for each fork and exec: emulated processors wait for each other to forget a page
)
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT: Mapping[str, str] = {"PATH": _PATH, "HOME": "/root", "LANG": "C.UTF-8", "TERM": "dumb"}


class Machine:
    """A running machine. Use as a context manager, or call `stop`.

    It sees the owner's file system as it was at its boot, and writes to memory; `share` alone is common to both.
    """

    def __init__(self, power: Power) -> None:
        self._power = power
        self.channel = Channel(power.connection, power.stopped)

    @classmethod
    def boot(
        cls,
        *,
        memory_mb: int = MEMORY_MB,
        processors: int = PROCESSORS,
        own_clock: bool = False,
        timeout: float = BOOT_TIMEOUT_S,
        progress: Callable[[str], None] = lambda line: None,
    ) -> Machine:
        """Boot a machine and wait up to `timeout` seconds until it takes commands.

        It ends with the calling thread, so call this from one that lives long enough (the main one).
        With `own_clock` its time is not the owner's: it hurries through waits, and stands where the owner is busy with
        other things. Even if nothing is done in it, it takes a whole processor.
        MissingProgram without QEMU, LabError if there is no kernel, or if the guest does not come up.
        """
        power = switch_on(
            memory_mb=memory_mb, processors=processors, own_clock=own_clock, timeout=timeout, progress=progress
        )
        return cls(power)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """QEMU's process."""
        return self._power.child.pid

    @property
    def boot_s(self) -> float:
        """How long the boot took, in seconds."""
        return self._power.boot_s

    @property
    def kernel(self) -> str:
        """The release of the guest's kernel."""
        return str(self._power.hello.data()["kernel"])

    @property
    def share(self) -> Path:
        """What the guest writes into its /run/holdfast-vm, as seen from here."""
        return self._power.hardware.share

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
        """Switch it off, and remove what there is of it; nothing happens if that was done before."""
        self.channel.close()
        self._power.off()
