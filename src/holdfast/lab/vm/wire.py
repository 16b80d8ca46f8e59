"""What a virtual machine and its owner say to each other: frames that carry several commands over one byte stream.

Each side may send STREAM_WINDOW bytes of one stream before the other has acknowledged them, so that a slow reader
slows its own command down and no other one. Imported inside the guest without site-packages: standard library alone.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any, NamedTuple, Self

STREAM_WINDOW = 262_144  # bytes
MAX_PAYLOAD = 65_536  # bytes
PORT_NAME = "holdfast"
_HEADER = struct.Struct(">BII")


class Kind(IntEnum):
    """What a frame is; host to guest, guest to host, or both."""

    READY = 1  # ← JSON: the guest takes commands
    START = 2  # → JSON: an Order
    INPUT = 3  # → bytes; empty: end of input
    OUTPUT = 4  # ← bytes of standard output
    ERRORS = 5  # ← bytes of standard error
    ACK = 6  # ↔ 4 bytes: so many bytes of this command's streams were taken
    SIGNAL = 7  # → 1 byte: to the command's process group
    WINDOW = 8  # → 2 × 2 bytes: rows and columns of its terminal
    EXIT = 9  # ← JSON: {"status": …}; the last frame of a command
    LOAD = 10  # → JSON: an Order for the process that forks for orders that are `loaded`; one that is there ends


class Frame(NamedTuple):
    """One message about the command `id` (0: about the machine)."""

    kind: Kind
    id: int
    payload: bytes = b""

    def encode(self) -> bytes:
        """The frame as bytes."""
        return _HEADER.pack(self.kind, self.id, len(self.payload)) + self.payload

    def data(self) -> Any:
        """The JSON value in the payload."""
        return json.loads(self.payload)


@dataclass(frozen=True)
class Order:
    """A command to run: those of its descriptors 0, 1, 2 in `terminals` are one terminal, others are pipes.

    With `loaded` it is Holdfast's own, and the last so many words of `argv` are told to the process that has it loaded.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str = "/"
    terminals: tuple[int, ...] = ()
    window: tuple[int, int] = (24, 80)  # rows, columns
    loaded: int | None = None

    def frame(self, number: int) -> Frame:
        """The frame that starts it as the command `number`."""
        return of_json(Kind.START, number, asdict(self))

    @classmethod
    def of(cls, frame: Frame) -> Self:
        """The order in a START frame."""
        data = frame.data()
        rows, columns = data["window"]
        terminals = tuple(data["terminals"])
        return cls(tuple(data["argv"]), data["env"], data["cwd"], terminals, (rows, columns), data["loaded"])

    def words(self) -> tuple[str, ...]:
        """What the process that has Holdfast loaded is told."""
        return self.argv[len(self.argv) - (self.loaded or 0) :]


class GarbledError(ValueError):
    """The stream holds something that is no frame."""


def of_json(kind: Kind, number: int, value: Mapping[str, Any]) -> Frame:
    """A frame whose payload is `value`."""
    return Frame(kind, number, json.dumps(value).encode())


def ack(number: int, size: int) -> Frame:
    """`size` bytes of the command's stream were taken."""
    return Frame(Kind.ACK, number, size.to_bytes(4, "big"))


def window(number: int, rows: int, columns: int) -> Frame:
    """The terminal of the command has another size now."""
    return Frame(Kind.WINDOW, number, struct.pack(">HH", min(rows, 65_535), min(columns, 65_535)))


def window_size(frame: Frame) -> tuple[int, int]:
    """Rows and columns."""
    rows, columns = struct.unpack(">HH", frame.payload)
    return rows, columns


class Decoder:
    """Cuts a byte stream into frames."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete now; GarbledError where the stream makes no sense."""
        self._rest += data
        while len(self._rest) >= _HEADER.size:
            kind, number, length = _HEADER.unpack_from(self._rest)
            if length > MAX_PAYLOAD or kind not in Kind._value2member_map_:
                raise GarbledError(f"a frame of kind {kind} with {length} bytes")
            end = _HEADER.size + length
            if len(self._rest) < end:
                return
            payload = bytes(self._rest[_HEADER.size : end])
            del self._rest[:end]
            yield Frame(Kind(kind), number, payload)
