"""A machine in memory, with the same behaviour as the Linux adapter; the contract suite runs over both."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from holdfast.agent.host.network import (
    AddAddress,
    ClosePort,
    Link,
    MakeTunnel,
    NetworkOrder,
    OpenPort,
    RemoveAddress,
    RemoveDefaultRoute,
    RemoveTunnel,
    SetDefaultRoute,
    SetLink,
)
from holdfast.agent.host.port import Completed, Connection, ListeningSocket, LocalAddress, Process
from holdfast.errors import ApplyError, MissingProgram, TableUnreadable
from holdfast.ipvs.connections import Connection as VirtualConnection
from holdfast.ipvs.model import Table

Program = Callable[[Sequence[str], str], Completed]


class FakeHost:
    """Set its attributes to what the machine should be; `programs` answer by name, and time passes only in `sleep`."""

    def __init__(self) -> None:
        self.programs: dict[str, Program] = {}
        self.ran: list[tuple[str, ...]] = []
        self.sysctls: dict[str, str] = {}
        self.process_table: list[Process] = []
        self.deaf: set[int] = set()
        self.open_sockets: dict[int, frozenset[int]] = {}
        self.listening_sockets: list[ListeningSocket] = []
        self.local_addresses: set[LocalAddress] = set()
        self.tcp_connections: list[Connection] = []
        self.links_by_name: dict[str, Link] = {"lo": Link("lo", "", up=True)}
        self.default_routes: dict[int, str] = {}
        self.open_gue_ports: set[tuple[int, int]] = set()
        self.network_orders: list[NetworkOrder] = []  # all that were carried out
        self.ruleset: int | None = None
        self.ipvs_table: Table | None = None
        self.ipvs_connections: list[VirtualConnection] = []
        self.loaded_modules: set[str] = set()
        self.loadable_modules: set[str] = set()
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

    def catches(self, pid: int, number: int) -> bool:
        """See Host."""
        return pid not in self.deaf

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

    def has_sysctl(self, key: str) -> bool:
        """See Host."""
        return key in self.sysctls

    def can_set_sysctl(self, key: str) -> bool:
        """See Host."""
        return key in self.sysctls

    def write_sysctl(self, key: str, value: str) -> None:
        """See Host."""
        if key not in self.sysctls:
            raise ApplyError(f"sysctl {key} cannot be set to {value}: No such file or directory")
        self.sysctls[key] = " ".join(value.split())

    def links(self) -> tuple[Link, ...]:
        """See Host."""
        return tuple(self.links_by_name.values())

    def default_route(self, family: int) -> str:
        """See Host."""
        return self.default_routes.get(family, "")

    def gue_ports(self) -> frozenset[tuple[int, int]]:
        """See Host."""
        return frozenset(self.open_gue_ports)

    def change_network(self, orders: Sequence[NetworkOrder]) -> None:
        """See Host."""
        for order in orders:
            self._carry_out(order)
            self.network_orders.append(order)

    def _carry_out(self, order: NetworkOrder) -> None:
        match order:
            case MakeTunnel(device, kind):
                self._refuse(device in self.links_by_name, "File exists", order)
                self.links_by_name[device] = Link(device, kind, up=False)
            case RemoveTunnel(device):
                self._refuse(device not in self.links_by_name, "Cannot find device", order)
                del self.links_by_name[device]
                self.local_addresses = {each for each in self.local_addresses if each.interface != device}
            case SetLink(device, up):
                self._refuse(device not in self.links_by_name, "Cannot find device", order)
                self.links_by_name[device] = Link(device, self.links_by_name[device].kind, up)
            case OpenPort(family, port):
                self._refuse((family, port) in self.open_gue_ports, "Address already in use", order)
                self.open_gue_ports.add((family, port))
            case ClosePort(family, port):
                self._refuse((family, port) not in self.open_gue_ports, "Cannot find the port", order)
                self.open_gue_ports.discard((family, port))
            case AddAddress(device, address):
                self._refuse(device not in self.links_by_name, "Cannot find device", order)
                self._refuse(LocalAddress(device, address) in self.local_addresses, "File exists", order)
                self.local_addresses.add(LocalAddress(device, address))
            case RemoveAddress(device, address):
                missing = LocalAddress(device, address) not in self.local_addresses
                self._refuse(missing, "Cannot assign requested address", order)
                self.local_addresses.discard(LocalAddress(device, address))
            case SetDefaultRoute(family, route):
                self.default_routes[family] = route
            case RemoveDefaultRoute(family, route):
                self._refuse(self.default_routes.get(family) != route, "No such process", order)
                del self.default_routes[family]

    @staticmethod
    def _refuse(refused: bool, why: str, order: NetworkOrder) -> None:
        if refused:
            raise ApplyError(f"the kernel refuses to change this node's network: {why} ({order})")

    def ruleset_number(self) -> int | None:
        """See Host."""
        return self.ruleset

    def virtual_servers(self) -> Table:
        """See Host."""
        if self.ipvs_table is None:
            raise TableUnreadable("this kernel has no IPVS loaded", "load it with: modprobe ip_vs")
        return self.ipvs_table

    def virtual_connections(self) -> tuple[VirtualConnection, ...]:
        """See Host."""
        return tuple(self.ipvs_connections)

    def modules(self) -> frozenset[str]:
        """See Host."""
        return frozenset(self.loaded_modules)

    def module_is_there(self, name: str) -> bool:
        """See Host."""
        return name in self.loaded_modules | self.loadable_modules

    def load_module(self, name: str) -> None:
        """See Host."""
        if not self.module_is_there(name):
            raise ApplyError(f"the kernel module {name} cannot be loaded: not found")
        self.loaded_modules.add(name)

    def monotonic(self) -> float:
        """See Host."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """See Host."""
        self._now += seconds
        self.on_sleep(self._now)
