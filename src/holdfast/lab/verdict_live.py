"""What became of live connections during a step, and which server had how many of the new ones (pure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from holdfast.ipvs.sync import TOLD_AFTER_S
from holdfast.lab.traffic_records import Pause, Record

SETTLED_S = 0.5  # after an order to drain: what was being connected just then may still have gone there


@dataclass(frozen=True)
class LiveResult:
    """Live connections during one step.

    `live` were open when it happened, `cut` ended before their time during the step, `longest_pause_s` is how long one
    was silent that then went on. `untold` ended so, too, but were opened so shortly before a director was lost that no
    other one had been told of them: no configuration can keep these. `shares`: new connections by listener and server.
    """

    live: int = 0
    cut: int = 0
    untold: int = 0
    cut_by: Mapping[str, int] = field(default_factory=dict)  # kinds of errors
    longest_pause_s: float = 0.0
    shares: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def live_result(
    acted: float,
    span: tuple[float, float],
    mine: Sequence[Record],
    records: Iterable[Record],
    pauses: Iterable[Pause],
    *,
    without_notice: bool,
) -> LiveResult:
    """`mine` are the records that ended during the step, which lasted for `span`; `records` are all.

    `without_notice`: directors were lost at `acted`, and had no time to tell of what was new.
    """
    ended = [record for record in mine if record.cut]
    untold = [r for r in ended if without_notice and acted - TOLD_AFTER_S < r.start <= acted]
    cut = [record for record in ended if record not in untold]
    open_then = [r for r in records if r.request_class == "long" and r.first_byte and r.start < acted < r.end]
    mine_paused = [min(p.end, span[1]) - p.start for p in pauses if span[0] <= p.start < span[1]]
    shares: dict[str, Counter[str]] = {}
    for record in mine:
        if record.request_class in ("new", "datagram") and record.ok and record.server:
            shares.setdefault(record.listener, Counter())[record.server] += 1
    return LiveResult(
        live=len(open_then),
        cut=len(cut),
        untold=len(untold),
        cut_by=dict(Counter(record.error for record in cut).most_common()),
        longest_pause_s=max(mine_paused, default=0.0),
        shares={name: dict(sorted(counts.items())) for name, counts in sorted(shares.items())},
    )


def went_to(servers: Iterable[str], since: float, mine: Iterable[Record]) -> dict[str, int]:
    """New connections to `servers` (NODE:PORT, or NODE for all its ports) that began well after `since`."""
    wanted = set(servers)
    found = Counter(
        record.server
        for record in mine
        if record.request_class in ("new", "datagram")
        and record.start > since + SETTLED_S
        and ({record.server, record.server.rpartition(":")[0]} & wanted)
    )
    return dict(found)
