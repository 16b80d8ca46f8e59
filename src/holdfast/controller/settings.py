"""How a controller behaves: what is fixed when it starts, with a default for each."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

SESSION_COOKIE = "__Host-holdfast-session"  # __Host-: only ever over TLS, for this very host and every path of it
MARK_COOKIE = "__Host-holdfast-mark"
CSRF_HEADER = "x-csrf-token"


@dataclass(frozen=True, slots=True)
class Rate:
    """`per_second` requests in the long run, and `burst` at once."""

    per_second: float
    burst: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What one caller may send: bytes of a request's body, and requests. Times are in seconds.

    A spec of 8,000,000 characters fits into what people may send; strangers only log in and join.
    """

    stranger_body: int = 65_536
    node_body: int = 4_194_304
    person_body: int = 33_554_432
    stranger_rate: Rate = Rate(20, 200)  # of a network: many nodes may join from behind one address
    node_rate: Rate = Rate(20, 200)
    person_rate: Rate = Rate(50, 500)
    node_events: Rate = Rate(1, 300)  # what one node tells of must not push out what all others told
    node_renewals: Rate = Rate(1 / 300, 20)  # each is a certificate and an audit record
    body_within_s: float = 60.0  # a body that takes longer is not waited for
    most_streams: int = 20_000
    most_followers: int = 1000  # people's event streams
    most_followers_each: int = 300  # of one person or program, so that nobody keeps all others out


@dataclass(frozen=True, slots=True)
class Settings:
    """`holder` names this controller among its fellows; `names` are what its own certificate says."""

    holder: str
    names: tuple[str, ...] = ("localhost", "127.0.0.1", "::1")
    limits: Limits = field(default_factory=Limits)
    agents_url: str = ""  # where agents find this controller, for the command that is shown with a join token
    leader_ttl_s: int = 10  # a leader that is gone is followed after so long
    process_events: bool = True  # whether keepalived sees processes die on the nodes; not so in containers
    rehearsals: Path | None = None  # where those of this machine are kept; None: it rehearses nothing
