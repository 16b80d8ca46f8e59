"""What a node is and can do, as its agent finds it; what could not be read is not known."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .message import PROTOCOL_VERSION, Message
from .reports import ListenerFacts

_Name = Annotated[str, Field(max_length=255)]
_Text = Annotated[str, Field(max_length=1000)]
_Path = Annotated[str, Field(max_length=4096)]


class InterfaceFacts(Message):
    """A network interface with its addresses, each with its prefix length. None: not known.

    `secondary` are those addresses that came after another of their network; `kind` is the kernel's own word (`veth`,
    `bond`), empty for a card; `up` is what the operator wants, `carrier` what the cable says.
    """

    name: _Name
    addresses: Annotated[tuple[_Name, ...], Field(max_length=10_000)] = ()
    secondary: Annotated[tuple[_Name, ...], Field(max_length=10_000)] = ()
    mac: _Name = ""
    mtu: int | None = None
    up: bool | None = None
    carrier: bool | None = None
    multicast: bool | None = None
    kind: _Name = ""


class RouteFacts(Message):
    """A route of the main table: `destination` is a network or `default`; no `gateway`: it is on the link."""

    family: Literal[4, 6]
    destination: _Name
    gateway: _Name = ""
    interface: _Name = ""
    metric: int = 0


class FileFacts(Message):
    """A file that a configuration names. `target` is where its links lead; `mode` are its permissions.

    `weak` are those parts of the path (folders, links' targets, the file) that others than root may change.
    """

    path: _Path
    exists: bool
    target: _Path = ""
    kind: Literal["file", "folder", "other", ""] = ""
    owner: _Name = ""
    mode: Annotated[int, Field(ge=0, le=0o7777)] | None = None
    weak: Annotated[tuple[_Path, ...], Field(max_length=100)] = ()


class FirewallFacts(Message):
    """What becomes of adverts (IP protocol 112) that arrive: by family, and by which rule; None: it cannot be told."""

    program: _Name
    accepts_ipv4: bool | None = None
    accepts_ipv6: bool | None = None
    decided_by: _Text = ""


class KeepalivedProcess(Message):
    """A running keepalived, its first process: the file that it reads, the unit or slice that it runs in."""

    pid: int
    config: _Path = ""
    unit: _Name = ""


class KeepalivedFacts(Message):
    """The installed keepalived: `options` are those of its build (VRRP, LVS, BFD …); `after` is its unit's `After=`."""

    version: _Name
    options: Annotated[tuple[_Name, ...], Field(max_length=200)] = ()
    processes: Annotated[tuple[KeepalivedProcess, ...], Field(max_length=100)] = ()
    unit: _Name = ""
    after: Annotated[tuple[_Name, ...], Field(max_length=200)] = ()


class AdvertFacts(Message):
    """A virtual router of others that was heard on an interface while the facts were gathered."""

    interface: _Name
    source: _Name
    vrid: Annotated[int, Field(ge=1, le=255)]
    family: Literal[4, 6]
    version: int
    priority: int


class ClockFacts(Message):
    """Whether something keeps the clock right, and how far off (in milliseconds) the kernel thinks that it may be."""

    synchronised: bool
    error_ms: float | None = None


class UnreadFacts(Message):
    """What could not be told, and why."""

    what: _Text
    why: _Text


class HostFacts(Message):
    """What a node is and can do. What is None, or not in a dictionary, is not known: nothing follows from it.

    `programs` are versions (None: not installed), `commands` the paths of programs that a configuration may name
    (empty: not installed), `users` and `groups` are ids (None: there is none of that name), `sysctls` are by their
    names with slashes.
    """

    version: Literal[1] = PROTOCOL_VERSION
    hostname: _Name
    kernel: _Name
    service_manager: _Name
    programs: dict[str, str | None] = {}
    interfaces: Annotated[tuple[InterfaceFacts, ...], Field(max_length=10_000)] = ()
    routes: Annotated[tuple[RouteFacts, ...], Field(max_length=10_000)] | None = None
    sysctls: Annotated[dict[_Name, _Text], Field(max_length=20_000)] = {}
    modules: Annotated[tuple[_Name, ...], Field(max_length=10_000)] | None = None  # loaded, or built in
    loadable: Annotated[dict[_Name, bool], Field(max_length=1000)] = {}  # those that were asked for
    keepalived: KeepalivedFacts | None = None
    commands: Annotated[dict[_Path, _Path], Field(max_length=10_000)] = {}
    users: Annotated[dict[_Name, int | None], Field(max_length=1000)] = {}
    groups: Annotated[dict[_Name, int | None], Field(max_length=1000)] = {}
    files: Annotated[tuple[FileFacts, ...], Field(max_length=10_000)] = ()
    listeners: Annotated[tuple[ListenerFacts, ...], Field(max_length=10_000)] | None = None
    firewall: FirewallFacts | None = None
    adverts: Annotated[tuple[AdvertFacts, ...], Field(max_length=1000)] | None = None  # None: nobody listened
    clock: ClockFacts | None = None
    platform: _Name = ""  # who made the machine, as its firmware says
    confinement: tuple[Literal["selinux", "apparmor"], ...] = ()  # what is enforced
    configuration: _Path = ""  # the keepalived.conf whose names were looked up
    unread: Annotated[tuple[UnreadFacts, ...], Field(max_length=1000)] = ()

    def interface(self, name: str) -> InterfaceFacts | None:
        """The interface of that name, or None."""
        return next((one for one in self.interfaces if one.name == name), None)
