"""What a node does at this moment, for those who look: what an agent is asked for, and the samples that it posts.

Nothing of this is kept: who looks is a record under a lease, a sample goes from the agent to whoever asked for it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from holdfast.bundle import SafeName

from .message import PROTOCOL_VERSION, Message

HEEDS_HEADER = "x-holdfast-heeds"  # of the request for the stream: what this agent understands beside the oldest
WATCH = "watch"  # … this
FASTEST_S, SLOWEST_S = 1.0, 60.0  # between two samples
BUCKET_S = 10  # one point of the history
POINTS = 90  # … of which a quarter of an hour is kept
MOST_WATCHING = 20  # controllers that look at one node
MOST_FILTERS = 8  # different questions about connections, of one controller at one node
MOST_CONNECTIONS = 200  # that are told for each question
MOST_ROWS = 12_000  # of all tables of one sample
MOST_SERIES = 1_500  # of which a history is kept
MOST_VALUES = 20_000  # of the history that one sample carries; the rest comes with the next ones
LARGEST_SAMPLE = 4_000_000  # bytes
MOST_POOLS = 500  # whose rates a report has
TOTAL = "total"  # the name of a service's own series: everything together

Filter = Annotated[str, StringConstraints(max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")]
Name = Annotated[str, StringConstraints(max_length=200)]
Word = Annotated[str, StringConstraints(max_length=100)]
Count = Annotated[int, Field(ge=0, lt=1 << 64)]
Five = tuple[Count, Count, Count, Count, Count]  # connections, packets in and out, bytes in and out
Figure = Annotated[float, Field(ge=0, le=1e18)]  # beyond that, somebody makes it up
BucketNumber = Annotated[int, Field(ge=0, le=10**12)]
FivePerS = tuple[Figure, Figure, Figure, Figure, Figure]  # the same, per second
Six = tuple[Count, Count, Count, Count, Count, Count]  # answers of 1xx to 5xx, and what was no answer
SixPerS = tuple[Figure, Figure, Figure, Figure, Figure, Figure]


class _Figures(Message):
    """Base of what has figures: what is no number is refused."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Watching(Message):
    """Somebody looks at this node by the controller of that name, `every_s` seconds.

    `connections` are questions about the list of connections: what a line must contain; an empty one asks for all.
    """

    controller: Name
    every_s: Annotated[float, Field(ge=FASTEST_S, le=SLOWEST_S)] = FASTEST_S
    connections: Annotated[tuple[Filter, ...], Field(max_length=MOST_FILTERS)] = ()


class Watch(Message):
    """All who look at this node now, in place of whoever did before; nobody: it need not tell any more.

    Only ever sent to an agent that said so in HEEDS_HEADER.
    """

    kind: Literal["watch"] = "watch"
    version: Literal[1] = PROTOCOL_VERSION
    watching: Annotated[tuple[Watching, ...], Field(max_length=MOST_WATCHING)] = ()


class TableServer(_Figures):
    """A server in the kernel's table. `per_s` is since the sample before (see `ipvs.rates`); None: not known.

    `name` is what the bundle calls it. One that is `absent` should be in the table, and is not.
    """

    name: Name = ""
    absent: bool = False
    address: Word
    port: Annotated[int, Field(ge=0, lt=65536)] = 0
    method: Word = ""
    weight: Count = 0
    active: Count = 0
    inactive: Count = 0
    persistent: Count = 0
    counters: Five = (0, 0, 0, 0, 0)
    per_s: FivePerS | None = None


class TableService(_Figures):
    """A virtual server in the kernel's table: an address and a port, or a firewall mark.

    `source` is the entry of the spec that it comes from; empty: the bundle knows of none.
    """

    source: Name = ""
    name: Name
    transport: Word = ""
    address: Word = ""
    port: Annotated[int, Field(ge=0, lt=65536)] = 0
    mark: Count = 0
    family: Word = "ipv4"
    scheduler: Word = ""
    persistence_s: Count | None = None
    counters: Five = (0, 0, 0, 0, 0)
    per_s: FivePerS | None = None
    servers: tuple[TableServer, ...] = ()


class WebKind(StrEnum):
    """What a row of a proxy is about."""

    LISTENER = "listener"
    POOL = "pool"
    SERVER = "server"


class WebRow(_Figures):
    """What nginx or HAProxy did for one listener, pool, or server of a pool.

    Counters are since the agent (nginx) or the program (HAProxy) began. `response_ms` is a mean: of nginx over the time
    since the sample before, of HAProxy over its last 1024 requests. None: the engine does not tell. `state` and `check`
    are what HAProxy's own health checks say.
    """

    engine: Word
    kind: WebKind
    name: Name
    pool: Name = ""
    requests: Count = 0
    statuses: Six = (0, 0, 0, 0, 0, 0)
    per_s: Figure | None = None
    statuses_per_s: SixPerS | None = None
    response_ms: Figure | None = None
    active: Count | None = None
    queue: Count | None = None
    state: Word = ""
    check: Name = ""


class Requests(_Figures):
    """What a node's proxies do in a second, over the last whole bucket; None, and a pool that is not here: not known.

    `total` is of all listeners together, `pools` what each pool was sent: of more than MOST_POOLS those with most.
    """

    total: Figure | None = None
    pools: Annotated[dict[Name, Figure], Field(max_length=MOST_POOLS)] = {}


class TableConnection(Message):
    """A connection that the kernel remembers; one without a client port binds a client to a server."""

    protocol: Word
    client: Word
    virtual: Word
    server: Word
    state: Word
    expires_s: Count


class Connections(Message):
    """What the kernel's list says to one question: `listed` are the first of `matching`.

    `cut`: the list is longer than what an agent reads of it (`counted`), so there may be more.
    """

    find: Filter = ""
    listed: Annotated[tuple[TableConnection, ...], Field(max_length=MOST_CONNECTIONS)] = ()
    matching: Count = 0
    counted: Count = 0
    cut: bool = False
    states: Annotated[dict[Word, Count], Field(max_length=100)] = {}


class Bucket(_Figures):
    """A closed point of the history: `number` counts BUCKET_S seconds of the node's steady clock.

    Of the kernel's table the values are new connections, bytes in and bytes out in a second, and open connections; of
    nginx and HAProxy requests and answers of 5xx in a second, milliseconds until an answer, and how many wait. None:
    not known.
    """

    number: BucketNumber
    values: dict[Name, tuple[Figure | None, Figure | None, Figure | None, Figure | None]]


class Sample(_Figures):
    """Posted to `/agent/v1/samples` for one controller, at most as often as it asked.

    `seconds` is the time that rates are over, 0 for the first look. `left_out` counts rows of a table that is larger
    than MOST_ROWS. `estimated`: nginx wrote more into its log than is read of it, so its figures are a projection.
    `problems` say what could not be looked at.
    """

    version: Literal[1] = PROTOCOL_VERSION
    node: SafeName
    controller: Name
    number: BucketNumber = 0  # of the bucket that is being filled
    seconds: Figure = 0.0
    every_s: Figure = 0.0  # how often it looks now: a large table less often than was asked
    directs: bool = False
    services: Annotated[tuple[TableService, ...], Field(max_length=MOST_ROWS)] = ()
    web: Annotated[tuple[WebRow, ...], Field(max_length=MOST_ROWS)] = ()
    connections: Annotated[tuple[Connections, ...], Field(max_length=MOST_FILTERS)] = ()
    history: Annotated[tuple[Bucket, ...], Field(max_length=POINTS)] = ()
    left_out: Count = 0
    estimated: bool = False
    problems: Annotated[tuple[Annotated[str, Field(max_length=1000)], ...], Field(max_length=10)] = ()
