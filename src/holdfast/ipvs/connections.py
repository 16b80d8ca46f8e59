"""The kernel's list of IPVS connections, /proc/net/ip_vs_conn: netlink does not tell of them.

Lines as ip_vs_conn_seq_show (linux/net/netfilter/ipvs/ip_vs_conn.c) writes them:

    Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData
    TCP 0A010001 89F6 0A010064 0050 0A010017 0050 SYN_RECV         54

An IPv6 address is written in full (2001:0db8:…). With tunnels the destination may be of the other family.
"""

from __future__ import annotations

import re
import socket
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, NamedTuple

from holdfast.errors import TableUnreadable
from holdfast.ipvs.model import Service, endpoint
from holdfast.sentences import Sentence

CONNECTIONS_FILE = Path("/proc/net/ip_vs_conn")
LONGEST_LINE = 1024  # bytes; two full IPv6 lines with the longest data of a persistence engine (255) fit
_ADDRESS = rb"([0-9A-F]{8}|[0-9a-f:]{39})"
_LINE = re.compile(
    rb"([A-Za-z0-9_]{2,10}) +"
    + rb" +".join([_ADDRESS + rb" +([0-9A-F]{4})"] * 3)
    + rb" +([A-Z0-9_!-]{1,20}) +([0-9]{1,10})(?: ([!-~]{1,16}) (.*))?\s*",
    re.DOTALL,
)


class Connection(NamedTuple):
    """One that the kernel remembers, or a template that binds a client to a server (`template`).

    `protocol` and `state` are the kernel's words in capitals (TCP, IP, …; ESTABLISHED, FIN_WAIT, UDP, …);
    `expires_s` counts down. For a mark's template `virtual` is the mark, written as an address.
    """

    protocol: str
    client: str
    client_port: int
    virtual: str
    virtual_port: int
    destination: str
    destination_port: int
    state: str
    expires_s: int
    engine: str
    engine_data: str

    @property
    def template(self) -> bool:
        """No connection has the client port 0, and every template has."""
        return self.client_port == 0


class Connections(NamedTuple):
    """`cut` tells that there were more than the limit."""

    listed: tuple[Connection, ...]
    cut: bool


class Way(NamedTuple):
    """Where connections come in and go to; what `count_by_state` counts for."""

    protocol: str
    virtual: str
    virtual_port: int
    destination: str
    destination_port: int


def parse_connections(lines: Iterable[bytes]) -> Iterator[Connection]:
    """The connections of a list with its head line. TableUnreadable at the first line that is none."""
    for number, line in enumerate(lines, 1):
        if number == 1:
            if not line.startswith(b"Pro "):
                raise _odd(number, line)
            continue
        found = _LINE.fullmatch(line) if len(line) <= LONGEST_LINE else None
        if found is None:
            raise _odd(number, line)
        yield _connection(found, number, line)


def _connection(found: re.Match[bytes], number: int, line: bytes) -> Connection:
    kind, client, cport, virtual, vport, server, dport, state, expires, engine, data = found.groups()
    try:
        return Connection(
            kind.decode().upper(),
            _address(client),
            int(cport, 16),
            _address(virtual),
            int(vport, 16),
            _address(server),
            int(dport, 16),
            state.decode(),
            int(expires),
            (engine or b"").decode(),
            _plain(data or b""),
        )
    except OSError:
        raise _odd(number, line) from None


def _plain(data: bytes) -> str:
    """What strangers wrote (such as a SIP Call-ID), without what could steer a terminal."""
    text = data.rstrip().decode("utf-8", "replace")
    return "".join(sign if sign.isprintable() else "?" for sign in text)


@lru_cache(1 << 14)
def _address(text: bytes) -> str:
    if b":" in text:
        return socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, text.decode()))
    return socket.inet_ntop(socket.AF_INET, bytes.fromhex(text.decode()))


def _odd(number: int, line: bytes) -> TableUnreadable:
    shown = line[:80].decode("ascii", "backslashreplace").rstrip()
    return TableUnreadable(
        Sentence(
            "line %(number)s of %(file)s was not understood: %(shown)s",
            number=number,
            file=CONNECTIONS_FILE,
            shown=repr(shown),
        ),
        "compare with ipvsadm -Lcn",
    )


def read_connections(limit: int, path: Path = CONNECTIONS_FILE) -> Connections:
    """At most `limit` connections of the network namespace of this thread; TableUnreadable."""
    listed: list[Connection] = []
    try:
        with path.open("rb") as file:
            for connection in parse_connections(_lines(file)):
                if len(listed) >= limit:
                    return Connections(tuple(listed), cut=True)
                listed.append(connection)
    except FileNotFoundError:
        raise TableUnreadable(
            Sentence("%(path)s is not there: this kernel has no IPVS loaded", path=path), "load it with: modprobe ip_vs"
        ) from None
    except OSError as error:
        raise TableUnreadable(
            Sentence("%(path)s cannot be read: %(error)s", path=path, error=error.strerror), "run it as root"
        ) from None
    return Connections(tuple(listed), cut=False)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Lines, of which an overlong one is cut just over the limit: it is refused then, and never held whole."""
    while line := file.readline(LONGEST_LINE + 1):  # ends: with the file
        yield line


def count_by_state(connections: Iterable[Connection]) -> dict[Way, Counter[str]]:
    """How many connections are in which state, for each way that they take; templates are left out."""
    counts: dict[Way, Counter[str]] = {}
    for one in connections:
        if not one.template:
            way = Way(one.protocol, one.virtual, one.virtual_port, one.destination, one.destination_port)
            counts.setdefault(way, Counter())[one.state] += 1
    return counts


def states_of(service: Service, counts: Mapping[Way, Counter[str]]) -> dict[str, Counter[str]]:
    """State counts of a service's destinations, by `ADDRESS:PORT`.

    The list does not say which service a connection belongs to. One with an address is known by it, and one on all
    ports (0) by address and transport. A mark's are those that end at one of its destinations.
    """
    found: dict[str, Counter[str]] = {}
    for destination in service.destinations:
        total: Counter[str] = Counter()
        for way, states in counts.items():
            same_port = destination.port in (0, way.destination_port)
            if way.destination == destination.address and same_port and _enters(service, way):
                total.update(states)
        found[endpoint(destination.address, destination.port)] = total
    return found


def _enters(service: Service, way: Way) -> bool:
    if service.mark:
        return True
    return (
        service.transport is not None
        and way.protocol == service.transport.upper()
        and way.virtual == service.address
        and service.port in (0, way.virtual_port)
    )
