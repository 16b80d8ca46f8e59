"""Messages as the kernel writes them: what Linux 6.1 sent, attribute by attribute."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence

from holdfast.netlink import attribute

FAMILY = 0x1C  # what generic netlink called IPVS
NESTED = 0x8000


def message(command: int, payload: bytes, *, sequence: int = 1, kind: int = FAMILY) -> bytes:
    body = struct.pack("=BBxx", command, 1) + payload
    return struct.pack("=IHHII", 16 + len(body), kind, 2, sequence, 0) + body


def done(code: int = 0, *, sequence: int = 1) -> bytes:
    return struct.pack("=IHHIIi", 20, 3, 2, sequence, 0, code)


def stats(kind: int, numbers: Sequence[int]) -> bytes:
    return attribute(kind | NESTED, b"".join(attribute(n, struct.pack("=Q", v)) for n, v in enumerate(numbers, 1)))


def old_stats() -> bytes:
    """STATS, which newer kernels send beside STATS64 and nobody reads."""
    words = [attribute(n, struct.pack("=I", 4_000_000_000)) for n in (1, 2, 3, 6, 7, 8, 9, 10)]
    return attribute(10 | NESTED, b"".join([*words, attribute(4, bytes(8)), attribute(5, bytes(8))]))


def service(
    key: tuple[str, str, int] | int,
    *,
    scheduler: str = "wlc",
    flags: int = 2,
    timeout: int = 0,
    mask: bytes = b"\xff" * 4,
    engine: str = "",
    numbers: Sequence[int] = range(10),
    family: int = socket.AF_INET,
    without: int = 0,
    sequence: int = 1,
) -> bytes:
    parts = [attribute(1, struct.pack("=H", family))]
    if isinstance(key, int):
        parts.append(attribute(5, struct.pack("=I", key)))
    else:
        transport, address, port = key
        number = {"tcp": 6, "udp": 17, "sctp": 132}[transport]
        raw = socket.inet_pton(family, address).ljust(16, b"\0")
        parts += [attribute(2, struct.pack("=H", number)), attribute(3, raw), attribute(4, struct.pack("!H", port))]
    parts.append(attribute(6, scheduler.encode() + b"\0"))
    parts += [attribute(11, engine.encode() + b"\0")] if engine else []
    parts += [attribute(7, struct.pack("=II", flags, 0xFFFFFFFF)), attribute(8, struct.pack("=I", timeout))]
    parts += [attribute(9, mask), old_stats(), stats(12, numbers)]
    kept = [part for part in parts if struct.unpack_from("=H", part, 2)[0] & 0x3FFF != without]
    return message(1, attribute(1 | NESTED, b"".join(kept)), sequence=sequence)


def destination(
    address: str,
    port: int,
    *,
    method: int = 0,
    weight: int = 1,
    tunnel: tuple[int, int, int] = (0, 0, 0),
    limits: tuple[int, int] = (0, 0),
    open_: tuple[int, int, int] = (0, 0, 0),
    numbers: Sequence[int] = range(10),
    without: int = 0,
    sequence: int = 1,
) -> bytes:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind, tunnel_port, tunnel_flags = tunnel
    parts = [
        attribute(1, socket.inet_pton(family, address).ljust(16, b"\0")),
        attribute(2, struct.pack("!H", port)),
        attribute(3, struct.pack("=I", method)),
        attribute(4, struct.pack("=I", weight)),
        attribute(13, struct.pack("=B", kind)),
        attribute(14, struct.pack("!H", tunnel_port)),
        attribute(15, struct.pack("=H", tunnel_flags)),
        *(attribute(n, struct.pack("=I", v)) for n, v in zip((5, 6, 7, 8, 9), (*limits, *open_), strict=True)),
        attribute(11, struct.pack("=H", family)),
        old_stats(),
        stats(12, numbers),
    ]
    kept = [part for part in parts if struct.unpack_from("=H", part, 2)[0] & 0x3FFF != without]
    return message(5, attribute(2 | NESTED, b"".join(kept)), sequence=sequence)
