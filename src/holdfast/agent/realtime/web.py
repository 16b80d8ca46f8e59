"""Rates and points of the history of nginx and HAProxy, out of two looks at what they count. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from holdfast.protocol.realtime import MOST_POOLS, MOST_ROWS, TOTAL, Requests, SixPerS, WebKind, WebRow
from holdfast.protocol.realtime_ring import Point

Key = tuple[str, WebKind, str, str]  # engine, kind, name, pool
Times = Mapping[Key, tuple[float, float]]  # milliseconds, and of how many answers together


@dataclass(frozen=True)
class Web:
    """A look: `times` are those of nginx, whose mean is taken over the time between two looks."""

    rows: tuple[WebRow, ...] = ()
    times: Times = field(default_factory=dict)
    estimated: bool = False


def key_of(row: WebRow) -> Key:
    """What tells rows apart."""
    return row.engine, row.kind, row.name, row.pool


def rated(before: Web | None, after: Web, seconds: float) -> tuple[WebRow, ...]:
    """The rows with what they do per second; None for what was not there before, or began anew."""
    if before is None or seconds <= 0:
        return after.rows
    old = {key_of(row): row for row in before.rows}
    return tuple(_rated(row, old.get(key_of(row)), before, after, seconds) for row in after.rows)


def _rated(row: WebRow, was: WebRow | None, before: Web, after: Web, seconds: float) -> WebRow:
    key = key_of(row)
    if was is None and key not in after.times:
        return row  # of HAProxy: what it counted before nobody knows
    # A row of nginx that is new had nothing before: what is counted begins with the agent.
    requests, statuses = (was.requests, was.statuses) if was is not None else (0, (0,) * 6)
    if row.requests < requests or any(new < old for old, new in zip(statuses, row.statuses, strict=True)):
        requests, statuses = 0, (0,) * 6  # the program began anew
    each = tuple(round((new - old) / seconds, 3) for old, new in zip(statuses, row.statuses, strict=True))
    first, second, third, fourth, fifth, other = each
    per_s: SixPerS = (first, second, third, fourth, fifth, other)
    update: dict[str, object] = {"per_s": round((row.requests - requests) / seconds, 3), "statuses_per_s": per_s}
    if key in after.times:
        took, timed = after.times[key]
        took_before, timed_before = before.times.get(key, (0.0, 0.0))
        count = timed - timed_before
        update["response_ms"] = round((took - took_before) / count, 1) if count > 0 else None
    return row.model_copy(update=update)


def cut(rows: tuple[WebRow, ...], most: int = MOST_ROWS) -> tuple[tuple[WebRow, ...], int]:
    """As many as one sample takes, and how many are left out: servers first, and of each kind those that do least."""
    if len(rows) <= most:
        return rows, 0
    kept = sorted(rows, key=lambda one: (one.kind is WebKind.SERVER, -(one.per_s or 0.0)))[:most]
    return tuple(kept), len(rows) - most


def points(rows: Sequence[WebRow]) -> dict[str, Point]:
    """A point of the history for each row but servers, and for each engine as a whole."""
    found: dict[str, Point] = {
        series(row): (row.per_s, row.statuses_per_s[4] if row.statuses_per_s else None, row.response_ms, row.queue)
        for row in rows
        if row.per_s is not None and row.kind is not WebKind.SERVER
    }
    for engine in dict.fromkeys(row.engine for row in rows):
        found[f"{engine} {TOTAL}"] = _total([row for row in rows if row.engine == engine])
    return found


def requests(rows: Sequence[WebRow]) -> Requests:
    """What all listeners got together, and each pool: of HAProxy, all backends that are one."""
    total = [row.per_s for row in rows if row.kind is WebKind.LISTENER and row.per_s is not None]
    pools: dict[str, float] = {}
    for row in rows:
        if row.kind is WebKind.POOL and row.per_s is not None:
            name = row.name.partition(".")[0]
            pools[name] = pools.get(name, 0.0) + row.per_s
    most = sorted(pools.items(), key=lambda one: (-one[1], one[0]))[:MOST_POOLS]
    return Requests(
        total=round(sum(total), 3) if total else None, pools={name: round(figure, 3) for name, figure in most}
    )


def series(row: WebRow) -> str:
    """The name of a row's history."""
    return f"{row.engine} {row.kind.value} {row.name}"


def _total(rows: Sequence[WebRow]) -> Point:
    """Requests and failures by the listeners, times and queues by the pools."""
    listeners = [row for row in rows if row.kind is WebKind.LISTENER]
    pools = [row for row in rows if row.kind is WebKind.POOL]
    requests = [row.per_s for row in listeners if row.per_s is not None]
    failures = [row.statuses_per_s[4] for row in listeners if row.statuses_per_s is not None]
    queues = [row.queue for row in pools if row.queue is not None]
    return (
        sum(requests) if requests else None,
        sum(failures) if failures else None,
        _mean(pools),
        sum(queues) if queues else None,
    )


def _mean(rows: Iterable[WebRow]) -> float | None:
    """Each counts as much as it did."""
    known = [(row.response_ms, row.per_s or 0.0) for row in rows if row.response_ms is not None]
    weight = sum(one for _, one in known)
    return sum(took * one for took, one in known) / weight if weight > 0 else None
