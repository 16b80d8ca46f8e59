"""IPVS's requests and answers over generic netlink. Layouts: linux/ip_vs.h, linux/genetlink.h."""

from __future__ import annotations

import socket
import struct
from functools import lru_cache

from holdfast.ipvs.layout import REQUIRED, TEXT, Form, Taker, Values
from holdfast.ipvs.model import (
    Counters,
    Destination,
    Family,
    KernelInfo,
    KernelRates,
    Service,
    ServiceFlag,
    SyncDaemon,
    SyncRole,
    Timeouts,
    Transport,
    address_text,
)
from holdfast.netlink import attribute, attributes

GET_SERVICE, GET_DESTINATION, GET_DAEMON, GET_TIMEOUTS, GET_INFO = 4, 8, 11, 13, 15  # IPVS_CMD_GET_…
CONTROLLER = 16  # GENL_ID_CTRL
_VERSION = 1
_GENERIC = struct.Struct("=BBxx")  # struct genlmsghdr
_SERVICE, _DESTINATION, _DAEMON = 1, 2, 3  # IPVS_CMD_ATTR_…
_NESTED = 0x8000

_STATS64: Form = dict.fromkeys(range(1, 11), "Q")  # five counters, five rates; also IPVS_STATS_ATTR_PAD on some CPUs
_SERVICE_FORM: Form = {
    _SERVICE: {
        1: "H",  # AF
        2: "H",  # PROTOCOL
        3: "16s",  # ADDR
        4: "H",  # PORT, as on the wire
        5: "I",  # FWMARK
        6: TEXT,  # SCHED_NAME
        7: "I",  # FLAGS, followed by a mask
        8: "I",  # TIMEOUT
        9: "4s",  # NETMASK: of IPv6 a number of bits
        11: TEXT,  # PE_NAME
        12: _STATS64,
    }
}
_DESTINATION_FORM: Form = {  # in the kernel's own order: then nothing has to be put in order
    _DESTINATION: {
        1: "16s",  # ADDR
        2: "H",  # PORT, as on the wire
        3: "I",  # FWD_METHOD
        4: "I",  # WEIGHT
        13: "B",  # TUN_TYPE
        14: "H",  # TUN_PORT, as on the wire
        15: "H",  # TUN_FLAGS
        5: "I",  # U_THRESH
        6: "I",  # L_THRESH
        7: "I",  # ACTIVE_CONNS
        8: "I",  # INACT_CONNS
        9: "I",  # PERSIST_CONNS
        11: "H",  # ADDR_FAMILY
        12: _STATS64,
    }
}
_REQUIRED_STATS = (REQUIRED,) * 10  # counters that are not there must not look like zero
SERVICES = Taker(_SERVICE_FORM, (REQUIRED, 0, bytes(16), 0, 0, REQUIRED, 0, 0, bytes(4), b"", *_REQUIRED_STATS))
DESTINATIONS = Taker(_DESTINATION_FORM, (*(REQUIRED,) * 4, 0, 0, 0, *(REQUIRED,) * 6, *_REQUIRED_STATS))

_FAMILIES = {int(socket.AF_INET): Family.IPV4, int(socket.AF_INET6): Family.IPV6}
_NUMBERS = {family: number for number, family in _FAMILIES.items()}
_TRANSPORTS = {
    socket.IPPROTO_TCP: Transport.TCP,
    socket.IPPROTO_UDP: Transport.UDP,
    socket.IPPROTO_SCTP: Transport.SCTP,
}
_PROTOCOLS = {transport: number for number, transport in _TRANSPORTS.items()}
_FLAGS = {  # IP_VS_SVC_F_…; 2 is the kernel's own
    1: ServiceFlag.PERSISTENT,
    4: ServiceFlag.ONE_PACKET,
    8: ServiceFlag.SCHED_1,
    16: ServiceFlag.SCHED_2,
    32: ServiceFlag.SCHED_3,
}


def find_family(name: str) -> bytes:
    """The question which number generic netlink has given to `name`."""
    return _GENERIC.pack(3, 1) + attribute(2, name.encode() + b"\0")  # CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME


def family_number(payload: bytes) -> int:
    """The answer to it; ValueError if it has none."""
    return _number(attributes(payload[_GENERIC.size :]), 1, "H")  # CTRL_ATTR_FAMILY_ID


def request(command: int) -> bytes:
    """A question without further words."""
    return _GENERIC.pack(command, _VERSION)


def about(command: int, service: Service) -> bytes:
    """A question about one service."""
    family = _NUMBERS[service.family]
    words = attribute(1, struct.pack("=H", family))
    if service.mark:
        words += attribute(5, struct.pack("=I", service.mark))
    else:
        assert service.transport is not None  # what has no mark has a transport
        words += attribute(2, struct.pack("=H", _PROTOCOLS[service.transport]))
        words += attribute(3, socket.inet_pton(family, service.address).ljust(16, b"\0"))
        words += attribute(4, struct.pack("!H", service.port))
    return _GENERIC.pack(command, _VERSION) + attribute(_SERVICE | _NESTED, words)


def service(values: Values) -> Service:
    """A service without its destinations; LookupError for a family or a transport that has no name here."""
    number, protocol, raw, port, mark, scheduler, flags, timeout, mask, engine, *stats = values
    family = _FAMILIES[number]
    return Service(
        family,
        None if mark else _TRANSPORTS[protocol],
        "" if mark else address_text(number, raw),
        socket.ntohs(port),
        mark,
        _text(scheduler),
        _flags(flags),
        timeout,
        _prefix(family, mask),
        _text(engine),
        Counters._make(stats[:5]),
        KernelRates._make(stats[5:]),
        (),
    )


def destinations(found: list[Values]) -> tuple[Destination, ...]:
    """Those of one service, in the kernel's order."""
    make = tuple.__new__  # ten thousand times a poll, so straight to what Destination's own __new__ would call
    return tuple([make(Destination, values) for values in found])


def daemon(payload: bytes) -> SyncDaemon:
    """A sync daemon; ValueError if it lacks something. Kernels before 4.3 tell neither group nor port."""
    found = attributes(attributes(payload[_GENERIC.size :]).get(_DAEMON, b""))
    role = SyncRole.MASTER if _number(found, 1, "I") == 1 else SyncRole.BACKUP
    group = socket.inet_ntop(socket.AF_INET, found[5]) if len(found.get(5, b"")) == 4 else ""
    if len(found.get(6, b"")) == 16:
        group = socket.inet_ntop(socket.AF_INET6, found[6])
    return SyncDaemon(
        role,
        _text(found.get(2, b"")),
        _number(found, 3, "I"),
        _number(found, 4, "H", 0),
        group,
        _number(found, 7, "H", 0),
        _number(found, 8, "B", 0),
    )


def timeouts(payload: bytes) -> Timeouts:
    """How long connections are remembered; ValueError if the answer lacks something."""
    found = attributes(payload[_GENERIC.size :])
    return Timeouts(_number(found, 4, "I"), _number(found, 5, "I"), _number(found, 6, "I"))


def info(payload: bytes) -> KernelInfo:
    """Version and size; ValueError if the answer lacks something."""
    found = attributes(payload[_GENERIC.size :])
    version = _number(found, 1, "I")
    return KernelInfo(f"{version >> 16 & 255}.{version >> 8 & 255}.{version & 255}", _number(found, 2, "I"))


def _number(found: dict[int, bytes], kind: int, letter: str, absent: int | None = None) -> int:
    data = found.get(kind)
    if data is None and absent is not None:
        return absent
    if data is None or len(data) < struct.calcsize("=" + letter):
        raise ValueError(f"the answer lacks attribute {kind}")
    number: int = struct.unpack_from("=" + letter, data)[0]
    return number


@lru_cache(64)
def _flags(number: int) -> frozenset[ServiceFlag]:
    return frozenset(flag for bit, flag in _FLAGS.items() if number & bit)


def _prefix(family: Family, mask: bytes) -> int:
    if family is Family.IPV6:
        bits: int = struct.unpack("=I", mask)[0]
        return bits
    return int.from_bytes(mask, "big").bit_count()


@lru_cache(64)
def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("ascii", "replace")
