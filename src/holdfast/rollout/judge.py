"""What a node's answers mean for its rollout. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from holdfast.plan import Hazard, NodePlan
from holdfast.protocol import ApplyReport, Bundle, NodeStatus, Outcome, Progress
from holdfast.sentences import Sentence

from .decide import NodePhase

WELL = frozenset({Outcome.COMMITTED, Outcome.UNCHANGED})
_LONGEST = 600  # characters of what a record keeps


@dataclass(frozen=True)
class Verdict:
    """The phase that a node has reached; for those that are no good end, why and what to do."""

    phase: NodePhase
    reason: str = ""
    hint: str = ""
    program_line: str = ""


def groups_held(status: NodeStatus) -> frozenset[str]:
    """The groups whose addresses a node carries."""
    return frozenset(group.group for group in status.groups if group.holds)


def may_not_lose(planned: NodePlan) -> frozenset[str]:
    """The groups that a node is still in after its change, unless the plan says that one moves."""
    if planned.new is None or any(note.hazard is Hazard.MOVES_VIP for note in planned.hazards):
        return frozenset()
    return frozenset(group.group for group in planned.new.expected.vrrp)


def wanted(planned: NodePlan) -> Bundle:
    """What a node gets; where Holdfast leaves it, a bundle with nothing in it."""
    if planned.new is not None:
        return planned.new
    assert planned.old is not None, "a plan's node has an old or a new bundle"
    return nothing(planned.old.cluster, planned.node)


def nothing(cluster: str, node: str) -> Bundle:
    """The bundle of a node on which nothing of Holdfast's runs."""
    return Bundle(cluster=cluster, node=node, services=(), files=())


def unwell(node: str, report: ApplyReport) -> Verdict | None:
    """What a report that tells of no success means; None if all is well."""
    if report.outcome in WELL:
        return None
    failure = report.failure
    said = failure.told if failure else Sentence("the agent ended with %(word)s", word=Sentence(report.outcome.value))
    line = failure.program_line if failure else ""
    phase = NodePhase.BROKEN if report.outcome is Outcome.BROKEN else NodePhase.FAILED
    reason = Sentence("%(node)s: %(what)s", node=node, what=said)
    return Verdict(phase, reason, failure.told_hint if failure else "", line)


def after(node: str, keeps: Iterable[str], held: Iterable[str], status: NodeStatus) -> Verdict:
    """A node whose agent is content is judged by what it still holds."""
    lost = frozenset(held) & frozenset(keeps) - groups_held(status)
    if not lost:
        return Verdict(NodePhase.VERIFIED)
    reason = Sentence(
        "%(node)s lost %(groups)s by a change that should not have moved it", node=node, groups=", ".join(sorted(lost))
    )
    hint = Sentence("look at the node's keepalived: what does it say of these groups?")
    return Verdict(NodePhase.REGRESSED, reason, hint)


def badly_ended(node: str, progress: Progress, report: ApplyReport | None, *, going_back: bool = False) -> Verdict:
    """An agent that ended elsewhere than it should. Where it was to go back, it is not known what it runs now."""
    phase = NodePhase.BROKEN if going_back or progress is Progress.BROKEN else NodePhase.FAILED
    if progress is Progress.PAUSED:
        return Verdict(
            phase,
            Sentence("%(node)s: somebody works on this node by hand, so its agent does nothing", node=node),
            Sentence("when that is over: holdfast agent resume, on the node; then roll out again"),
        )
    told = unwell(node, report) if report else None
    if told:
        return replace(told, phase=phase)
    ended = Sentence("the agent ended with %(word)s", word=Sentence(progress.value))
    return Verdict(phase, Sentence("%(node)s: %(what)s", node=node, what=ended))


def brief(text: str) -> str:
    """A text as short as a record keeps it."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
