"""What the traffic client and its parent say to each other: listeners to ask, and one line for each request made.

Standard library only, because the client starts often and must start fast. All times are seconds of the monotonic
clock, which every process of a machine shares.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

# new: a connection for each request; kept: connections are used again; long: an answer that trickles for many seconds;
# datagram: a question and its answer over UDP.
RequestClass = Literal["new", "kept", "long", "datagram"]
CLASSES: tuple[RequestClass, ...] = ("new", "kept", "long", "datagram")


@dataclass(frozen=True)
class Target:
    """One request that is made of a listener; `headers` beside Host."""

    host: str
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()

    def request(self, *, keep: bool, query: str = "") -> bytes:
        """The bytes of a GET. `query` is added to the path, for answers that shall take time."""
        path = self.path + (("&" if "?" in self.path else "?") + query if query else "")
        lines = [f"GET {path} HTTP/1.1", f"Host: {self.host}", "Accept: */*"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines.append(f"Connection: {'keep-alive' if keep else 'close'}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8")


@dataclass(frozen=True)
class TargetListener:
    """A socket that clients reach: its name in the report, where it is, and what is asked of it, in turn.

    `protocol`: tcp or sctp (with HTTP), udp, or smtp (its greeting). `sources`: the addresses that users come from, in
    turn; the client's own if empty. `long`: whether live connections are kept on it, too.
    """

    name: str
    address: str
    port: int
    targets: tuple[Target, ...]
    tls: bool = False
    protocol: str = "tcp"
    sources: tuple[str, ...] = ()
    long: bool = False

    def classes(self) -> tuple[RequestClass, ...]:
        """How it is asked."""
        if self.protocol in ("udp", "smtp"):
            return ("datagram",) if self.protocol == "udp" else ("new",)
        return ("new", "kept", "long") if self.long else ("new", "kept")


@dataclass(frozen=True)
class TrafficPlan:
    """How hard and how patiently every listener is asked. Rates per second and listener, times in seconds.

    A SYN is sent again after 1 s and after 3 s (RFC 6298), so the time limit lies above both; and a slow answer on its
    way is what a planned move must wait for. Every `slow_every`th request of a class carries `slow_query`.

    Of the long connections each lives for `long_life_s` and is then replaced, unless it was cut before: then it had no
    byte for `long_silence_s`, which is above all but the sixth repetition of a segment.
    """

    new_per_second: float = 50.0
    kept_per_second: float = 25.0
    timeout_s: float = 6.0
    slow_every: int = 50
    slow_query: str = "delay=1.5"
    idle_connections: int = 8
    datagrams_per_second: float = 25.0
    datagram_timeout_s: float = 2.0
    long_connections: int = 4
    long_life_s: float = 20.0
    long_piece_every_s: float = 0.25
    long_silence_s: float = 15.0

    def rate(self, request_class: RequestClass) -> float:
        """Requests a second and listener; none for connections that are there all the time."""
        rates = {"new": self.new_per_second, "kept": self.kept_per_second, "datagram": self.datagrams_per_second}
        return rates.get(request_class, 0.0)


@dataclass(frozen=True, slots=True)
class Record:
    """One request as its client saw it. `connected` and `first_byte` are 0 where it never came that far.

    `error` is empty for an answer below 400. `repeated`: the reused connection turned out to be closed before any byte
    of the answer, and the GET was sent again on a new one (counted as a raw close, not as a failure by itself).
    A long connection is one record, which ends when it was cut, or when its time was over.
    """

    listener: str
    target: int
    request_class: RequestClass
    start: float
    connected: float
    first_byte: float
    end: float
    status: int
    server: str
    error: str
    repeated: bool
    slow: bool

    @property
    def ok(self) -> bool:
        """Whether the user got what they asked for."""
        return not self.error

    @property
    def cut(self) -> bool:
        """Whether a live connection ended before its time."""
        return self.request_class == "long" and bool(self.error) and self.first_byte > 0


@dataclass(frozen=True, slots=True)
class Late:
    """The client itself did not run between these two times, though it should have; `unsent` requests were left out."""

    start: float
    end: float
    unsent: int = 0


@dataclass(frozen=True, slots=True)
class Pause:
    """A long connection of `listener` was silent between these two times, and then went on."""

    listener: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Finished:
    """The client's last word: how many records it wrote, so that a lost one is noticed."""

    records: int


@dataclass(frozen=True, slots=True)
class Outstanding:
    """At `time` the oldest request on its way had begun at `oldest` (or at `time`, if there was none).

    A long connection counts from its latest byte.
    """

    time: float
    oldest: float


def listener_to_json(listener: TargetListener) -> dict[str, Any]:
    """Plain data for the client's input."""
    return asdict(listener)


def listener_from_json(data: Mapping[str, Any]) -> TargetListener:
    """The reverse of `listener_to_json`."""
    targets = tuple(
        Target(t["host"], t["path"], tuple((str(n), str(v)) for n, v in t["headers"])) for t in data["targets"]
    )
    return TargetListener(
        data["name"], data["address"], data["port"], targets, data["tls"],
        data["protocol"], tuple(data["sources"]), data["long"],
    )  # fmt: skip


def record_line(record: Record) -> str:
    """One line of the client's output; times in microseconds, because they are many."""
    values: list[Any] = [
        "r",
        record.listener,
        record.target,
        record.request_class,
        *(round(t * 1e6) for t in (record.start, record.connected, record.first_byte, record.end)),
        record.status,
        record.server,
        record.error,
        int(record.repeated),
        int(record.slow),
    ]
    return json.dumps(values, separators=(",", ":")) + "\n"


def late_line(late: Late) -> str:
    """One line of the client's output."""
    return json.dumps(["l", late.start, late.end, late.unsent]) + "\n"


def outstanding_line(outstanding: Outstanding) -> str:
    """One line of the client's output."""
    return json.dumps(["o", outstanding.time, outstanding.oldest]) + "\n"


def pause_line(pause: Pause) -> str:
    """One line of the client's output."""
    return json.dumps(["p", pause.listener, pause.start, pause.end]) + "\n"


def finished_line(finished: Finished) -> str:
    """The last line of the client's output."""
    return json.dumps(["e", finished.records]) + "\n"


Item = Record | Late | Outstanding | Pause | Finished


def parse_line(line: str | bytes) -> Item:
    """What one line of the client's output says; ValueError for anything else."""
    values = json.loads(line)
    match values:
        case ["r", listener, target, kind, start, connected, first, end, status, server, error, repeated, slow]:
            return Record(
                listener, target, kind, start / 1e6, connected / 1e6, first / 1e6, end / 1e6,
                status, server, error, bool(repeated), bool(slow),
            )  # fmt: skip
        case ["l", start, end, unsent]:
            return Late(start, end, unsent)
        case ["o", time, oldest]:
            return Outstanding(time, oldest)
        case ["p", listener, start, end]:
            return Pause(listener, start, end)
        case ["e", records]:
            return Finished(records)
    raise ValueError(f"not a line of the traffic client: {str(line)[:80]}")
