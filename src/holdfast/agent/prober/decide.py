"""What the prober makes of answers: who is up, who is marked down, and when nginx is reloaded. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

INTERVAL_S = 1.0  # between two reloads, in a calm hour
BURST = 5  # reloads at that pace within WINDOW_S; then
SLOW_INTERVAL_S = 10.0  # at this one: each reload leaves workers behind until their last connection has ended
WINDOW_S = 60.0
SETTLE_S = 0.1  # what fails together is marked together


@dataclass(frozen=True)
class Health:
    """What is known of one server. Times are seconds on a clock that only goes forward; `good` is the last good one."""

    up: bool
    failures: int = 0  # in a row
    successes: int = 0
    good: float = float("-inf")


def after(health: Health, answered: bool, now: float, fall: int, rise: int) -> Health:
    """One more answer: `fall` bad ones in a row take a server down, `rise` good ones bring it back."""
    if answered:
        known = replace(health, failures=0, successes=health.successes + 1, good=now)
        return replace(known, up=known.up or known.successes >= rise)
    known = replace(health, failures=health.failures + 1, successes=0)
    return replace(known, up=known.up and known.failures < fall)


def wanted_down(
    servers: Mapping[str, Health],
    marked: Collection[str],
    min_servers: int,
    weakest: Collection[str] = (),
    out: Collection[str] = (),
) -> frozenset[str]:
    """Which servers of a pool are to be marked down, so that `min_servers` (or all there are) stay.

    Where some that fail must stay, those stay that are in use already (`marked` are not), so that nothing is rewritten
    again and again; then those with the fewest failures, then those that were good last. `weakest` stay only where
    nothing else does: backups. Where none is up, all stay: it may well be this node that is cut off, and with fewer
    servers left nginx's passive checks would be the sooner at their end. One in use that answers well again stays too.
    Those that an operator took `out` serve nobody whatever is marked, so they do not count.
    """
    marks = frozenset(name for name in out if name in servers and not servers[name].up)
    others = {name: one for name, one in servers.items() if name not in out}
    return marks | _failing(others, marked, min_servers, weakest)


def _failing(
    servers: Mapping[str, Health], marked: Collection[str], min_servers: int, weakest: Collection[str]
) -> frozenset[str]:
    if not any(health.up for health in servers.values()):
        return frozenset()
    failing = [name for name, health in servers.items() if not health.up and (name in marked or health.failures)]
    allowed = max(0, len(servers) - min_servers)
    if len(failing) <= allowed:
        return frozenset(failing)

    def rank(name: str) -> tuple[bool, bool, int, float]:
        health = servers[name]
        return (name in marked, name in weakest, health.failures, -health.good)

    staying = len(failing) - allowed
    return frozenset(sorted(failing, key=rank)[staying:])


def next_reload(since: float, past: Sequence[float]) -> float:
    """When nginx may be reloaded for a change first wanted at `since`; `past` are earlier reloads, in order."""
    if not past:
        return since + SETTLE_S
    recent = [moment for moment in past if moment > since - WINDOW_S]
    interval = INTERVAL_S if len(recent) < BURST else SLOW_INTERVAL_S
    return max(since + SETTLE_S, past[-1] + interval)
