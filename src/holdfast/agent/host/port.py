"""What the agent asks of the machine below it: programs, processes, sockets, its network, modules, sysctls, time.

Files are not part of it: the agent works on real files everywhere, below `Places`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from holdfast.agent.host.network import Link, NetworkOrder
from holdfast.bundle import CONFIG_DIR, LOG_DIR, RUN_DIR, STATE_DIR
from holdfast.ipvs.connections import Connection as VirtualConnection
from holdfast.ipvs.model import Table

CONNECTIONS_AT_MOST = 500_000


@dataclass(frozen=True)
class Places:
    """Where Holdfast lives; `root` is other than / only in tests."""

    root: Path = Path("/")

    def at(self, path: str | Path) -> Path:
        """An absolute path of a bundle as it is found below `root`."""
        return self.root / str(path).lstrip("/")

    @cached_property
    def config(self) -> Path:
        """Where the generations are."""
        return self.at(CONFIG_DIR)

    @cached_property
    def state(self) -> Path:
        """What survives a reboot: the journal, hold files, what was adopted."""
        return self.at(STATE_DIR)

    @cached_property
    def run(self) -> Path:
        """What does not survive it."""
        return self.at(RUN_DIR)

    @cached_property
    def log(self) -> Path:
        """One folder a service."""
        return self.at(LOG_DIR)


@dataclass(frozen=True)
class Completed:
    """A program that ended: `status` is negative when a signal ended it (its number)."""

    status: int
    output: str = ""
    errors: str = ""

    @property
    def lines(self) -> tuple[str, ...]:
        """All that it said, standard error first, without empty lines."""
        text = f"{self.errors}\n{self.output}"
        return tuple(line.strip() for line in text.splitlines() if line.strip())


@dataclass(frozen=True)
class Process:
    """A living process: `title` is its command line, blanks between the words."""

    pid: int
    parent: int
    title: str


@dataclass(frozen=True)
class ListeningSocket:
    """A TCP socket in LISTEN state; `address` is in its shortest form, `inode` names it among open files."""

    address: str
    port: int
    inode: int


@dataclass(frozen=True)
class LocalAddress:
    """`address` carries its prefix length (`10.0.0.3/24`)."""

    interface: str
    address: str


@dataclass(frozen=True)
class Connection:
    """A TCP connection of this node, with what tells whether an answer is on its way.

    Milliseconds are counted back from now. `half_open` means that the handshake is not finished.
    """

    local: str
    local_port: int
    remote: str
    remote_port: int
    half_open: bool = False
    closed: bool = False  # by the program; what is unsent may still be on its way
    unread: int = 0  # bytes that the program has not taken yet
    unsent: int = 0  # bytes not yet acknowledged by the other side
    repeats: int = 0  # how often they were sent again since the other side last acknowledged anything
    received_bytes: int = 0
    sent_bytes: int = 0  # acknowledged ones
    since_sent_ms: int = 0
    since_received_ms: int = 0
    inode: int = 0  # names its socket among open files; 0: no program holds it any more

    @property
    def key(self) -> tuple[str, int, str, int]:
        """Both ends."""
        return (self.local, self.local_port, self.remote, self.remote_port)


class Host(Protocol):
    """The machine. Failures of the machine itself are HoldfastError; a program that refuses is a status."""

    def run(self, argv: Sequence[str], timeout_s: float, stdin: str = "") -> Completed:
        """Run a program to its end; raises MissingProgram, or ApplyError when it does not end in time."""

    def processes(self) -> tuple[Process, ...]:
        """All living processes of this pid namespace."""

    def catches(self, pid: int, number: int) -> bool:
        """Whether a process has a handler for this signal by now; False for one that is gone."""

    def sockets_of(self, pids: Sequence[int]) -> frozenset[int]:
        """Inodes of the sockets that these processes hold open; processes that ended hold none."""

    def listening(self) -> tuple[ListeningSocket, ...]:
        """TCP sockets in LISTEN state, both families."""

    def addresses(self) -> frozenset[LocalAddress]:
        """All addresses of all interfaces."""

    def connections(self, addresses: frozenset[str]) -> tuple[Connection, ...]:
        """Established and half-open TCP connections whose local end is one of `addresses` (without prefix)."""

    def end_connections(self, address: str) -> None:
        """Forget every TCP connection whose local end is `address` (without prefix); listening sockets stay."""

    def read_sysctl(self, key: str) -> str:
        """The value, blanks normalised; raises ApplyError where there is no such key."""

    def has_sysctl(self, key: str) -> bool:
        """Whether the kernel knows this key at present."""

    def can_set_sysctl(self, key: str) -> bool:
        """Whether the kernel knows it, and it is not read-only here, as in some containers."""

    def write_sysctl(self, key: str, value: str) -> None:
        """Set it; raises ApplyError where the kernel refuses."""

    def links(self) -> tuple[Link, ...]:
        """All network devices."""

    def default_route(self, family: int) -> str:
        """The strongest default route, as `ip route` words it behind `default`; empty where there is none."""

    def gue_ports(self) -> frozenset[tuple[int, int]]:
        """(family, UDP port) of each port where the kernel unwraps GUE."""

    def change_network(self, orders: Sequence[NetworkOrder]) -> None:
        """Carry them out one after the other; raises ApplyError at the first that the kernel refuses."""

    def ruleset_number(self) -> int | None:
        """Another one after every change of nftables, whoever made it; None where the kernel does not tell."""

    def virtual_servers(self) -> Table:
        """The kernel's IPVS table; raises TableUnreadable."""

    def virtual_connections(self) -> tuple[VirtualConnection, ...]:
        """Connections that the kernel's IPVS remembers, at most CONNECTIONS_AT_MOST; raises TableUnreadable."""

    def modules(self) -> frozenset[str]:
        """Kernel modules that are loaded or built in, `_` in their names."""

    def module_is_there(self, name: str) -> bool:
        """Whether it is loaded, or could be."""

    def load_module(self, name: str) -> None:
        """Load it; raises ApplyError where the kernel refuses."""

    def monotonic(self) -> float:
        """Seconds on a clock that only goes forward."""

    def sleep(self, seconds: float) -> None:
        """Let that much of it pass."""
