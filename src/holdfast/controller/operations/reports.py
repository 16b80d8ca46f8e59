"""What agents last said of their nodes, read back from the store."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import ValidationError

from holdfast.errors import StoreDamaged
from holdfast.protocol import REPORT_EVERY_S, AgentReport, Drift
from holdfast.store.collection import Damaged
from holdfast.store.models import NodeReport
from holdfast.store.store import ClusterStore

# What an agent said so lately is true although no controller has told yet that it is connected.
BELIEVED_FOR = timedelta(seconds=15)
# Of an agent that lives something was heard so lately, if it could be kept.
SAID_WITHIN = timedelta(seconds=1.25 * REPORT_EVERY_S)
# An agent reports once a minute at least. One that is connected and has not for so long is stuck: nobody knows how its
# node is by now.
STUCK_AFTER = timedelta(seconds=2.5 * REPORT_EVERY_S)


@dataclass(frozen=True)
class Heard:
    """A node's last report, and when it came, by the controller's clock."""

    time: datetime
    report: AgentReport

    def is_young(self, now: datetime, within: timedelta = BELIEVED_FOR) -> bool:
        """Whether it came so lately. One from the future is of a clock that was put back: it says nothing."""
        return -BELIEVED_FOR <= now - self.time <= within


def is_fresh(heard: Heard, now: datetime, connected: bool) -> bool:
    """Whether what a node last said is still so: its agent would have said otherwise."""
    return heard.is_young(now, STUCK_AFTER if connected else BELIEVED_FOR)


async def latest(known: ClusterStore) -> dict[str, Heard]:
    """The last report of each node that has ever sent one this version understands."""
    return (await latest_and_damaged(known))[0]


async def latest_and_damaged(known: ClusterStore) -> tuple[dict[str, Heard], tuple[Damaged, ...]]:
    """The same, and the records of reports that nobody understands."""
    sound, damaged = await known.reports.sound()
    told = {one.record.node: understood(one.record) for one in sound}
    return {node: heard for node, heard in told.items() if heard is not None}, damaged


async def latest_of(known: ClusterStore, nodes: Iterable[str]) -> dict[str, Heard]:
    """The same of some nodes alone."""
    found: dict[str, Heard] = {}
    for node in nodes:
        with suppress(StoreDamaged):  # told with the state of the cluster: the others can be asked all the same
            one = await known.reports.get(node)
            heard = understood(one.record) if one else None
            if heard is not None:
                found[node] = heard
    return found


def standing(report: AgentReport) -> tuple[Drift, ...]:
    """What differs now; what the agent has put right is told for a while, and is no trouble any more."""
    return tuple(each for each in report.drift if not each.corrected)


def understood(record: NodeReport) -> Heard | None:
    """A report as it was sent; None if another version wrote it so that it is not understood."""
    try:
        return Heard(record.time, AgentReport.model_validate_json(record.content))
    except ValidationError:
        return None
