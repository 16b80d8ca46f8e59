"""The port to the table, and its adapter: the kernel itself over netlink, in the network namespace of the caller."""

from __future__ import annotations

import errno
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol, Self, TypeVar

from holdfast.errors import TableUnreadable
from holdfast.ipvs import wire
from holdfast.ipvs.connections import Connections, read_connections
from holdfast.ipvs.layout import Values
from holdfast.ipvs.model import KernelInfo, Service, ServiceKey, SyncDaemon, Table, Timeouts
from holdfast.netlink import (
    ACKNOWLEDGE,
    DONE,
    DUMP,
    ERROR,
    REQUEST,
    WHOLE_ANSWER_S,
    Refused,
    answers,
    open_socket,
    send,
)
from holdfast.sentences import Sentence

_NETLINK_GENERIC = 16
_LARGEST = 1 << 16  # bytes; the kernel makes no larger datagrams than 32 KiB (netlink_dump)
_IN_ONE_DATAGRAM = 10  # destinations; the kernel's datagrams begin with 4 KiB, less its own overhead
_HEADER = struct.Struct("=IHHI4x")  # struct nlmsghdr: length, type, flags, number of the question
_CODE = struct.Struct("=i")
_T = TypeVar("_T")


class TableReader(Protocol):
    """What can be asked of a table. Everything raises TableUnreadable, with what to do about it."""

    def table(self, wanted: Callable[[ServiceKey], bool] | None = None) -> Table:
        """Services in the kernel's order with their destinations; of those that are not `wanted`, nothing."""
        ...

    def services(self) -> Table:
        """The services alone, without what stands behind them: one question, however many there are."""
        ...

    def daemons(self) -> tuple[SyncDaemon, ...]:
        """The sync daemons that run: none, a master, a backup, or both."""
        ...

    def timeouts(self) -> Timeouts:
        """How long connections are remembered."""
        ...

    def info(self) -> KernelInfo:
        """IPVS's version and size."""
        ...

    def connections(self, limit: int) -> Connections:
        """Connections and persistence templates, `limit` at most."""
        ...


class KernelTable:
    """The table of the network namespace that the caller is in when it first asks. For one thread.

    To read the table of another namespace, run this there. The socket stays open between questions.
    """

    def __init__(self) -> None:
        self._link: socket.socket | None = None
        self._family = 0
        self._sequence = 0
        self._buffer = memoryview(bytearray(_LARGEST))
        self._questions: dict[ServiceKey, bytes] = {}  # about the destinations of each service of the last table

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the socket go; the next question opens another."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def table(self, wanted: Callable[[ServiceKey], bool] | None = None) -> Table:
        """One dump of the services, then one for each service: the kernel has no dump of all destinations."""
        with self._asking(Sentence("services")):
            began, listed = time.monotonic(), self._services()
            chosen = {key: one for key, one in listed.items() if wanted is None or wanted(key)}
            self._questions = {
                key: self._questions.get(key) or wire.about(wire.GET_DESTINATION, one) for key, one in chosen.items()
            }
            runs = [self._listen(question) for question in self._questions.values()]
            behind = wire.DESTINATIONS.take_each(runs)
            full = map(self._with_destinations, chosen.values(), behind)
            return Table(began, tuple(one for one in full if one is not None))

    def services(self) -> Table:
        """See TableReader."""
        with self._asking(Sentence("services")):
            began = time.monotonic()
            return Table(began, tuple(self._services().values()))

    def daemons(self) -> tuple[SyncDaemon, ...]:
        """See TableReader."""
        with self._asking(Sentence("sync daemons")):
            link = self._open()
            return tuple(map(wire.daemon, self._ask(link, self._family, wire.request(wire.GET_DAEMON), DUMP)))

    def timeouts(self) -> Timeouts:
        """See TableReader."""
        with self._asking(Sentence("timeouts")):
            return self._get(wire.timeouts, wire.request(wire.GET_TIMEOUTS))

    def info(self) -> KernelInfo:
        """See TableReader."""
        with self._asking(Sentence("version")):
            return self._get(wire.info, wire.request(wire.GET_INFO))

    def connections(self, limit: int) -> Connections:
        """See TableReader. Netlink tells nothing of connections; /proc does, of the namespace of this thread."""
        with self._asking(Sentence("connections")):
            self._open()  # what is missing is said here, where the reason is known
        return read_connections(limit)

    def _services(self) -> dict[ServiceKey, Service]:
        """Keyed, because a table that changes while it is listed may say one thing twice."""
        services = map(wire.service, wire.SERVICES.take(self._listen(wire.request(wire.GET_SERVICE))))
        return {found.key: found for found in services}

    def _with_destinations(self, service: Service, found: list[Values]) -> Service | None:
        """None if the service was deleted since it was listed: then it has no destinations either."""
        if not found and not self._exists(service):
            return None
        destinations = wire.destinations(found)
        if len(found) > _IN_ONE_DATAGRAM:  # so they came in several, and the list may have changed in between
            destinations = tuple({one[:2]: one for one in destinations}.values())  # by address and port
        return service._replace(destinations=destinations)

    def _exists(self, service: Service) -> bool:
        try:
            self._get(len, wire.about(wire.GET_SERVICE, service))
        except Refused as error:
            if error.errno == errno.ESRCH:
                return False
            raise
        return True

    def _listen(self, question: bytes) -> bytes:
        """All messages in answer to `question`, but for netlink's own; raises OSError and ValueError."""
        link, found = self._open(), b""
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        send(link, self._family, question, flags=REQUEST | DUMP, sequence=self._sequence)
        deadline = time.monotonic() + WHOLE_ANSWER_S
        while time.monotonic() < deadline:
            datagram = self._buffer[: link.recv_into(self._buffer)]
            if _HEADER.unpack_from(datagram)[3] != self._sequence:
                continue
            end = _end_of_list(datagram)
            found += datagram[:end]
            if end < len(datagram):
                _raise_if_refused(datagram[end:])
                return found
        raise TimeoutError(errno.ETIMEDOUT, f"the answer did not end within {WHOLE_ANSWER_S:g} s")

    def _get(self, decode: Callable[[bytes], _T], body: bytes) -> _T:
        # With an acknowledgement, because only that says where the answer ends.
        found = list(self._ask(self._open(), self._family, body, ACKNOWLEDGE))
        if not found:
            raise ValueError("an empty answer")
        return decode(found[0])

    def _ask(self, link: socket.socket, kind: int, body: bytes, flag: int) -> Iterator[bytes]:
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        send(link, kind, body, flags=REQUEST | flag, sequence=self._sequence)
        for message in answers(link, sequence=self._sequence):
            yield message.payload

    def _open(self) -> socket.socket:
        if self._link is None:
            link = open_socket(_NETLINK_GENERIC)
            try:
                replies = list(self._ask(link, wire.CONTROLLER, wire.find_family("IPVS"), ACKNOWLEDGE))
                self._family = wire.family_number(replies[0])
            except BaseException:
                link.close()
                raise
            self._link = link
        return self._link

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        """Translate what can go wrong. The socket is closed then: answers to a broken-off question may still come."""
        try:
            yield
        except OSError as error:
            self.close()
            raise _translated(error, what) from None
        except (ValueError, LookupError, struct.error) as error:
            self.close()
            raise TableUnreadable(
                Sentence(
                    "the kernel's answer about its IPVS %(what)s was not understood: %(error)s", what=what, error=error
                ),
                "compare with ipvsadm -Ln; this needs Linux 4.1 or newer",
            ) from None


def _end_of_list(datagram: memoryview) -> int:
    """Where netlink's own word (DONE, ERROR) begins; the length of `datagram` if it has none."""
    length, kind, _, _ = _HEADER.unpack_from(datagram)
    if kind not in (DONE, ERROR) and length >= _HEADER.size and len(datagram) % length == 0:
        return len(datagram)  # a run of messages of one length, and netlink's own are shorter than any of IPVS
    at = 0
    while at + _HEADER.size <= len(datagram):
        length, kind, _, _ = _HEADER.unpack_from(datagram, at)
        if kind in (DONE, ERROR):
            return at
        at += max((length + 3) & ~3, _HEADER.size)
    return len(datagram)


def _raise_if_refused(last: memoryview) -> None:
    """DONE and ERROR carry a code; 0 means well."""
    code = _CODE.unpack_from(last, _HEADER.size)[0]
    if code < 0:
        raise Refused(-code, os.strerror(-code))


def _translated(error: OSError, what: str) -> TableUnreadable:
    if error.errno in (errno.ENOENT, errno.EPROTONOSUPPORT):
        return TableUnreadable(
            "this kernel has no IPVS loaded, so it has no table of virtual servers", "load it with: modprobe ip_vs"
        )
    if error.errno in (errno.EPERM, errno.EACCES):
        return TableUnreadable(
            Sentence("the kernel does not let this user read its IPVS %(what)s", what=what),
            "run it as root (it needs CAP_NET_ADMIN outside any user namespace)",
        )
    return TableUnreadable(
        Sentence("the kernel did not tell its IPVS %(what)s: %(error)s", what=what, error=error.strerror or error),
        "try again; compare with ipvsadm -Ln",
    )
