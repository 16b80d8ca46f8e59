"""A machine in memory, with the same behaviour as the Linux adapter; the contract suite runs over both."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from holdfast.agent.host.port import Completed, Connection, ListeningSocket, LocalAddress, Process
from holdfast.errors import ApplyError, MissingProgram

Program = Callable[[Sequence[str], str], Completed]


class FakeHost:
    """Set its attributes to what the machine should be; `programs` answer by name, and time passes only in `sleep`."""

    def __init__(self) -> None:
        self.programs: dict[str, Program] = {}
        self.ran: list[tuple[str, ...]] = []
        self.sysctls: dict[str, str] = {}
        self.process_table: list[Process] = []
        self.open_sockets: dict[int, frozenset[int]] = {}
        self.listening_sockets: list[ListeningSocket] = []
        self.local_addresses: set[LocalAddress] = set()
        self.tcp_connections: list[Connection] = []
        self.on_sleep: Callable[[float], None] = lambda now: None
        self._now = 0.0

    def run(self, argv: Sequence[str], timeout_s: float, stdin: str = "") -> Completed:
        """See Host."""
        self.ran.append(tuple(argv))
        if argv[0] not in self.programs:
            raise MissingProgram(f"{argv[0]} is not installed on this node", f"install the package {argv[0]}")
        return self.programs[argv[0]](argv, stdin)

    def processes(self) -> tuple[Process, ...]:
        """See Host."""
        return tuple(self.process_table)

    def sockets_of(self, pids: Sequence[int]) -> frozenset[int]:
        """See Host."""
        return frozenset().union(*(self.open_sockets.get(pid, frozenset()) for pid in pids))

    def listening(self) -> tuple[ListeningSocket, ...]:
        """See Host."""
        return tuple(self.listening_sockets)

    def addresses(self) -> frozenset[LocalAddress]:
        """See Host."""
        return frozenset(self.local_addresses)

    def connections(self, addresses: frozenset[str]) -> tuple[Connection, ...]:
        """See Host."""
        return tuple(each for each in self.tcp_connections if each.local in addresses)

    def end_connections(self, address: str) -> None:
        """See Host."""
        self.tcp_connections = [each for each in self.tcp_connections if each.local != address]

    def read_sysctl(self, key: str) -> str:
        """See Host."""
        if key not in self.sysctls:
            raise ApplyError(f"sysctl {key} cannot be read: No such file or directory", "is it spelt right?")
        return self.sysctls[key]

    def write_sysctl(self, key: str, value: str) -> None:
        """See Host."""
        if key not in self.sysctls:
            raise ApplyError(f"sysctl {key} cannot be set to {value}: No such file or directory")
        self.sysctls[key] = " ".join(value.split())

    def monotonic(self) -> float:
        """See Host."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """See Host."""
        self._now += seconds
        self.on_sleep(self._now)
