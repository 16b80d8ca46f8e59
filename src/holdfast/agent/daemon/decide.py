"""What becomes of a message, given what is known: which desired state counts, what is due, what is refused. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from holdfast.errors import ApplyError
from holdfast.protocol import (
    ApplyReport,
    Desired,
    Failure,
    Fence,
    Order,
    Outcome,
    OverrideKind,
    OverrideReport,
    Overrides,
    Progress,
    Verb,
)
from holdfast.sentences import Sentence, cut, said_of

ENDS = frozenset({Progress.VERIFIED, Progress.REFUSED, Progress.PUT_BACK})  # nothing more is done about such a state
COUNT_EVERY_S = 1.0  # while a server is being emptied: somebody waits for its last connection
COUNT_SHARE = 0.1  # of the time, at most, goes into counting and telling
_OF_OUTCOME = {
    Outcome.COMMITTED: Progress.VERIFIED,
    Outcome.UNCHANGED: Progress.VERIFIED,
    Outcome.RECOVERED: Progress.VERIFIED,
    Outcome.ROLLED_BACK: Progress.PUT_BACK,
    Outcome.REFUSED: Progress.REFUSED,
    Outcome.BROKEN: Progress.BROKEN,
}


@dataclass(frozen=True)
class Known:
    """What the agent goes by: the latest desired state (without its bundle), how far it is, and who is told of it.

    `overridden` are the overrides that were carried out last (None: it is not known, so they are due).
    """

    cluster: str
    node: str
    desired: Desired | None = None
    progress: Progress | None = None
    applied: ApplyReport | None = None
    overridden: Overrides | None = None
    override_report: OverrideReport | None = None
    paused: bool = False

    @property
    def fence(self) -> Fence | None:
        """That of the desired state, None before the first one."""
        return self.desired.fence if self.desired else None


@dataclass(frozen=True)
class Ignored:
    """The message has no say; `why` is for the log."""

    why: str


@dataclass(frozen=True)
class Accepted:
    """Another desired state than before: it goes to the disk, and then `known` is what the agent goes by."""

    known: Known


@dataclass(frozen=True)
class Told:
    """The word to go has come for the desired state that is known: it goes to the disk, too."""

    known: Known


@dataclass(frozen=True)
class Same:
    """The desired state that is known already, with `known.desired.overrides` as they are now."""

    known: Known


def take(known: Known, desired: Desired) -> Ignored | Accepted | Told | Same:
    """What becomes of a desired state. Never backwards: a fence that is older than the known one has no say."""
    if (desired.cluster, desired.node) != (known.cluster, known.node):
        return Ignored(f"it is for {desired.node} of {desired.cluster}")
    present = known.desired
    if present is None:
        return Accepted(_fresh(known, desired))
    if desired.fence.store_id != present.fence.store_id:
        return Ignored("it comes from another store than this node joined")
    if desired.fence.is_older_than(present.fence):
        return Ignored(f"it was replaced: {_text(desired.fence)} is older than {_text(present.fence)}")
    if desired.fence != present.fence:
        return Accepted(_fresh(known, desired))
    if (desired.digest, desired.revision) != (present.digest, present.revision):
        return Ignored(f"it contradicts what came before with the same fence {_text(desired.fence)}")
    went = waits(present) and desired.together is not None and desired.together.go
    together = desired.together if went else present.together  # a word is never taken back, nor the need of one
    now = present.model_copy(update={"overrides": desired.overrides, "together": together})
    return Told(replace(known, desired=now)) if went else Same(replace(known, desired=now))


def _fresh(known: Known, desired: Desired) -> Known:
    header = desired.model_copy(update={"bundle": None})
    return replace(known, desired=header, progress=Progress.ACCEPTED, applied=None)


def _text(fence: Fence) -> str:
    return f"{fence.epoch}.{fence.number}"


class Work(Enum):
    """What is due."""

    NOTHING = "nothing"
    APPLY = "apply"
    OVERRIDE = "override"


def waits(desired: Desired) -> bool:
    """Whether it may be staged, and nothing more."""
    return desired.together is not None and not desired.together.go


def may_go_on(known: Known, attempt: Desired, waited_s: float) -> bool:
    """Whether an attempt that is staged and judged goes on now; False: it waits for the word.

    ApplyError where it is dropped instead: nothing that runs was touched, and nothing will be. One that needs no word
    is never dropped, also where a later one waits for its end: else a node that is told often would never get anywhere.
    """
    if attempt.together is None:
        return True
    present = known.desired
    if present is None or present.fence != attempt.fence:
        raise ApplyError(
            Sentence("it was replaced before the word to go came"),
            Sentence("nothing to do: the node follows what replaced it"),
        )
    if not waits(present):
        return True
    if known.paused:
        raise ApplyError(
            Sentence("somebody began to work on this node by hand while it waited for the word to go"),
            Sentence("when that is over: holdfast agent resume, on the node; then roll out again"),
        )
    if waited_s >= attempt.together.within_s:
        raise ApplyError(
            Sentence(
                "it was to change in one moment with others, and no word to go came within %(n)s s",
                n=f"{waited_s:.0f}",
            ),
            Sentence("do the controllers run, and reach this node? then roll out again"),
        )
    return False


def waiting(known: Known, attempt: Desired, waited_s: float) -> Fence | None:
    """The state of an attempt that is staged, waits for the word, and would go on if it came now; else None."""
    try:
        return None if may_go_on(known, attempt, waited_s) else attempt.fence
    except ApplyError:
        return None


def due(known: Known) -> Work:
    """What to do next. Nothing while somebody works on the node by hand."""
    if known.desired is None or known.paused:
        return Work.NOTHING
    if known.progress not in ENDS:
        return Work.APPLY
    return Work.OVERRIDE if known.desired.overrides != known.overridden else Work.NOTHING


def ended(known: Known, attempt: Desired, report: ApplyReport) -> Known:
    """After an attempt. Where a later state was accepted meanwhile, that one stays due."""
    if known.desired is None or known.desired.fence != attempt.fence:
        return known
    return replace(known, progress=_OF_OUTCOME[report.outcome], applied=report)


def not_overridden(known: Known, why: str) -> Known:
    """After overrides that could not be carried out: a director says so, until its table is looked at again."""
    report = known.override_report
    if report is None:
        return known
    said = cut(why, 1000)
    told = report.model_copy(update={"done": False, "detail": said, "said": said_of(said)})
    return replace(known, override_report=told)


def empties(known: Known) -> bool:
    """Whether a server that gets no new connections still has some, so that its count is waited for."""
    report = known.override_report
    if report is None:
        return False
    left = [(one.kind, bool(one.open or one.persistent)) for one in report.servers]
    left += [(one.kind, bool(one.open)) for one in report.pools]
    return any(kind in (OverrideKind.DRAINED, OverrideKind.SUSPENDED) and some for kind, some in left)


def counts(report: OverrideReport | None) -> tuple[tuple[object, ...], ...]:
    """What somebody who waits for a server to be empty wants to know of a report."""
    if report is None:
        return ()
    real = (
        (row.virtual_server, row.server, row.kind, row.weight, row.open, row.persistent, row.holds)
        for row in report.servers
        if row.kind is not None
    )
    pooled = ((row.pool, row.engine, row.server, row.kind, row.weight, row.open) for row in report.pools)
    return (*real, *pooled)


def count_again_s(looked_s: float, told_s: float) -> float:
    """Seconds until a server that is being emptied is counted again.

    Less often where the table is large, or where the controller has a thousand such nodes and takes its time.
    """
    return max(COUNT_EVERY_S, max(looked_s, told_s) / COUNT_SHARE)


def shown(known: Known) -> Progress | None:
    """The progress that controllers are told."""
    return Progress.PAUSED if known.paused and known.progress not in (*ENDS, None) else known.progress


def refusal(known: Known, order: Order, waited_s: float = 0.0) -> Failure | None:
    """Why an order is not carried out; None if it is. `waited_s` is how long it has waited for its turn."""
    if order.verb is Verb.STATUS:
        return None  # looking does no harm, whoever asks
    fence = known.fence
    if fence is not None and order.fence.is_older_than(fence):
        return Failure.of(Sentence("the order comes from a controller that was replaced"), Sentence("give it again"))
    if order.group is None:
        said = Sentence("the order to %(verb)s names no VRRP group", verb=order.verb)
        return Failure.of(said, Sentence("name one"))
    if waited_s > order.within_s:
        waited = f"{waited_s:.1f}"
        said = Sentence("the node was busy for %(n)s s, longer than the order was good for", n=waited)
        return Failure.of(said, Sentence("give it again"))
    if known.paused:
        return Failure.of(
            Sentence("somebody works on this node by hand, so its agent does nothing"),
            Sentence("when that is over: holdfast agent resume, on the node"),
        )
    return None
