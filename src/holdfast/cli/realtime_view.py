"""A table as a terminal shows it: rates, sparklines, and less of it where there is less room. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from rich.table import Table as Grid
from rich.text import Text

from holdfast.ipvs.connections import count_by_state, states_of
from holdfast.ipvs.document import Look
from holdfast.ipvs.model import Destination, DestinationKey, KernelRates, Service, ServiceKey
from holdfast.ipvs.rates import History, Meter, Rates, TableRates

_BARS = "▁▂▃▄▅▆▇█"
_HISTORY = 60
_ROUGH = 1000.0
_STATES = ("ESTABLISHED", "SYN_RECV", "FIN_WAIT", "TIME_WAIT")
_NARROWEST = 12

ServiceOrDestination = tuple[ServiceKey, DestinationKey | None]


class SortBy(StrEnum):
    """Names and weights from below, everything else from above."""

    NAME = "name"
    WEIGHT = "weight"
    ACTIVE = "active"
    INACTIVE = "inactive"
    CONNECTIONS = "connections"
    IN_PACKETS = "in-packets"
    OUT_PACKETS = "out-packets"
    IN_BYTES = "in-bytes"
    OUT_BYTES = "out-bytes"


class Row(NamedTuple):
    """One line: a service (without `destination`), or a destination below it."""

    service: Service
    destination: Destination | None
    rates: Rates | KernelRates
    past: tuple[float, ...]  # new connections per second, the newest last
    states: Mapping[str, int] | None

    @property
    def active(self) -> int:
        """Connections; of a service the sum of its servers'."""
        return self._sum(lambda one: one.active)

    @property
    def inactive(self) -> int:
        """The others that the kernel remembers; of a service the sum of its servers'."""
        return self._sum(lambda one: one.inactive)

    @property
    def weight(self) -> int:
        """Of a service the sum of its servers'."""
        return self._sum(lambda one: one.weight)

    def _sum(self, of: Callable[[Destination], int]) -> int:
        return of(self.destination) if self.destination is not None else sum(map(of, self.service.destinations))


@dataclass
class Watched:
    """What is remembered of one node between two looks."""

    node: str
    look: Look | None = None
    rates: TableRates | None = None
    meter: Meter = field(default_factory=Meter)
    history: History[ServiceOrDestination] = field(default_factory=lambda: History(_HISTORY))

    def add(self, look: Look) -> None:
        """Take the next look."""
        self.rates, self.look = self.meter.take(look.table), look
        figures: dict[ServiceOrDestination, float | None] = {
            (key, None): found.connections if found is not None else None for key, found in self.rates.services.items()
        }
        for both, found in self.rates.destinations.items():
            figures[both] = found.connections if found is not None else None
        self.history.add(figures)

    def rows(self, sort: SortBy) -> list[Row]:
        """Services in order, and below each its destinations in order."""
        if self.look is None or self.rates is None:
            return []
        listed = self.look.connections
        counts = count_by_state(listed.listed) if listed is not None else None
        found: list[Row] = []
        services = [(service, self._row(service, None, None)) for service in self.look.table.services]
        for service, row in sorted(services, key=lambda pair: _order(pair[1], sort)):
            states = states_of(service, counts) if counts is not None else None
            below = [
                self._row(service, one, states[str(one.key)] if states is not None else None)
                for one in service.destinations
            ]
            found += [row._replace(states=_total(below)) if states is not None else row]
            found += sorted(below, key=lambda row: _order(row, sort))
        return found

    def _row(self, service: Service, one: Destination | None, states: Mapping[str, int] | None) -> Row:
        assert self.rates is not None  # there is a look
        key = service.key
        own = self.rates.services.get(key) if one is None else self.rates.destinations.get((key, one.key))
        # What is new has no rate yet; until then the kernel's own estimate says more than nothing.
        rates = own or (service.kernel_rates if one is None else one.kernel_rates)
        return Row(service, one, rates, self.history.of((key, one.key if one is not None else None)), states)


def _total(rows: Sequence[Row]) -> dict[str, int]:
    total: dict[str, int] = {}
    for row in rows:
        for state, number in (row.states or {}).items():
            total[state] = total.get(state, 0) + number
    return total


def _order(row: Row, sort: SortBy) -> tuple[float, str, tuple[int, int, str, int]]:
    one = row.destination
    name = (str(row.service.transport), row.service.mark, row.service.address, row.service.port)
    place = (one.port, 0, one.address, 0) if one is not None else (name[1], name[3], name[2], 0)
    figure: dict[SortBy, float] = {
        SortBy.NAME: 0,
        SortBy.WEIGHT: row.weight,
        SortBy.ACTIVE: -row.active,
        SortBy.INACTIVE: -row.inactive,
        SortBy.CONNECTIONS: -row.rates.connections,
        SortBy.IN_PACKETS: -row.rates.in_packets,
        SortBy.OUT_PACKETS: -row.rates.out_packets,
        SortBy.IN_BYTES: -row.rates.in_bytes,
        SortBy.OUT_BYTES: -row.rates.out_bytes,
    }
    return figure[sort], one.address if one is not None else row.service.address, place


class _Column(NamedTuple):
    title: str
    cell: Callable[[Row], str]
    from_width: int  # shown where the terminal is at least so wide
    width: int


_COLUMNS = (
    _Column("weight", lambda row: str(row.weight) if row.destination is not None else "", 46, 6),
    _Column("active", lambda row: str(row.active), 36, 7),
    _Column("inactive", lambda row: str(row.inactive), 70, 8),
    _Column("conn/s", lambda row: short(row.rates.connections), 0, 7),
    _Column("in pkt/s", lambda row: short(row.rates.in_packets), 110, 8),
    _Column("out pkt/s", lambda row: short(row.rates.out_packets), 110, 9),
    _Column("in B/s", lambda row: short(row.rates.in_bytes), 90, 7),
    _Column("out B/s", lambda row: short(row.rates.out_bytes), 90, 7),
)


def grid(watched: Watched, sort: SortBy, *, width: int, rows: int) -> Grid:
    """The table of one node for a terminal `width` wide, `rows` lines of it at most."""
    look = watched.look
    found = watched.rows(sort)
    columns = [column for column in _COLUMNS if width >= column.from_width]
    title = Text(f"{watched.node}", style="bold")
    if look is not None:
        daemons = "".join(f" · sync {one.role} on {one.interface} (id {one.sync_id})" for one in look.daemons)
        title.append(f"  {len(look.table.services)} virtual servers{daemons}", style="dim")
    shown = Grid(title=title, title_justify="left", box=None, pad_edge=False, expand=False)
    with_states = look is not None and look.connections is not None and width >= 70
    spark = max(0, min(_HISTORY // 2, width - 132 if with_states else width - 112)) if width >= 125 else 0
    shown.add_column("server", no_wrap=True, overflow="ellipsis", min_width=_NARROWEST, ratio=1)
    for column in columns:
        shown.add_column(column.title, justify="right", no_wrap=True, min_width=column.width)
    if with_states:
        shown.add_column("states", no_wrap=True, overflow="ellipsis")
    if spark:
        shown.add_column("new connections", no_wrap=True)
    for row in found[:rows]:
        cells = [_name(row), *(Text(column.cell(row)) for column in columns)]
        cells += [Text(_states(row))] if with_states else []
        cells += [Text(sparkline(row.past[-spark:]), style="cyan")] if spark else []
        shown.add_row(*cells, style="bold" if row.destination is None else _style(row.destination))
    if len(found) > rows:
        shown.caption = f"… and {len(found) - rows} more lines"
    return shown


def _style(one: Destination) -> str:
    return "yellow" if one.weight == 0 else ""


def _name(row: Row) -> Text:
    if row.destination is None:
        return Text(f"{row.service.key} {row.service.scheduler}")
    return Text(f"  → {row.destination.key} {row.destination.forwarding}")


def _states(row: Row) -> str:
    """The states that matter most first, in short words."""
    states = row.states or {}
    order = {name: place for place, name in enumerate(_STATES)}
    listed = sorted(states.items(), key=lambda item: (order.get(item[0], len(order)), item[0]))
    return " ".join(f"{name.lower()}:{number}" for name, number in listed)


def sparkline(figures: Sequence[float]) -> str:
    """One bar for each figure, the highest as high as a bar can be; nothing moved is a flat line."""
    highest = max(figures, default=0.0)
    if highest <= 0:
        return _BARS[0] * len(figures)
    return "".join(_BARS[min(len(_BARS) - 1, round(figure / highest * (len(_BARS) - 1)))] for figure in figures)


def short(number: float) -> str:
    """At most six characters: 0, 3.4, 999, 12.3k, 4.6M."""
    if number < _ROUGH:
        return f"{number:.1f}".removesuffix(".0") if number < 100 else f"{number:.0f}"
    units = iter("kMGT")
    unit = ""
    while number >= _ROUGH and (larger := next(units, "")):  # ends: with the units
        number, unit = number / _ROUGH, larger
    return f"{number:.1f}{unit}" if number < 100 else f"{number:.0f}{unit}"
