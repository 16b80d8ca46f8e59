"""The thin loop around `decide`: ask, do, note, ask again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from holdfast.errors import HoldfastError, PlanRefused
from holdfast.plan import Hazard, Plan
from holdfast.protocol import ApplyReport, Bundle, NodeStatus, Outcome

from .decide import Apply, NodePhase, PutBack, RolloutState, Stop, begin, decide, refused_hazards
from .transport import Transport


@dataclass(frozen=True)
class RolloutEvent:
    """Something happened to a node: `what` is `applying`, `putting back` or the phase that it has reached."""

    node: str
    what: str
    report: ApplyReport | None = None
    detail: str = ""


@dataclass(frozen=True)
class RolloutResult:
    """How it ended. `reports` are the agents' own; `reason` says why a failed rollout stopped."""

    succeeded: bool
    phases: Mapping[str, NodePhase]
    reports: tuple[ApplyReport, ...]
    reason: str = ""
    hint: str = ""


# A plan that changes the adverts needs all members in one moment, which a rollout one by one cannot give.
NEVER_ONE_BY_ONE = frozenset({Hazard.SIMULTANEOUS})


def roll_out(
    plan: Plan,
    transport: Transport,
    *,
    forbidden: frozenset[Hazard] = NEVER_ONE_BY_ONE,
    adopt: bool = False,
    progress: Callable[[RolloutEvent], None] = lambda event: None,
) -> RolloutResult:
    """Carry the plan out. PlanRefused where policy forbids one of its hazards, before anything is touched."""
    if reasons := refused_hazards(plan, forbidden):
        raise PlanRefused(
            "the plan has hazards that are not allowed: " + "; ".join(reasons),
            "change less at once, or make the change in steps (a new group beside the old one, then remove the old)",
        )
    run = _Run(plan, transport, adopt, progress)
    state = begin(plan, {node.node: run.held(node.node) for node in plan.nodes})
    while True:
        step = decide(state)
        match step:
            case Stop(succeeded=succeeded):
                return RolloutResult(succeeded, state.phases, tuple(run.reports), run.reason, run.hint)
            case Apply(node=node):
                state = run.apply(state, node)
            case PutBack(node=node):
                state = run.put_back(state, node)


class _Run:
    """The I/O of one rollout, and what it has learnt."""

    def __init__(self, plan: Plan, transport: Transport, adopt: bool, progress: Callable[[RolloutEvent], None]) -> None:
        self._plan, self._transport, self._adopt, self._progress = plan, transport, adopt, progress
        self.reports: list[ApplyReport] = []
        self.reason = ""
        self.hint = ""

    def held(self, node: str) -> int:
        """How many groups the node holds now; a node that cannot be asked will fail when its turn comes."""
        try:
            return sum(group.holds for group in self._transport.status(node).groups)
        except HoldfastError:
            return 0

    def apply(self, state: RolloutState, node: str) -> RolloutState:
        self._progress(RolloutEvent(node, "applying"))
        bundle = self._new_bundle(node)
        before = self._holders(node)
        try:
            report = self._transport.apply(node, bundle, adopt=self._adopt)
        except HoldfastError as error:
            return self._failed(state, node, NodePhase.LOST, error.message, error.hint)
        self.reports.append(report)
        if report.outcome not in (Outcome.COMMITTED, Outcome.UNCHANGED):
            failure = report.failure
            detail = failure.message if failure else f"the agent ended with {report.outcome}"
            return self._failed(state, node, NodePhase.FAILED, f"{node}: {detail}", failure.hint if failure else "")
        lost = (before - self._holders(node)) & {group.group for group in bundle.expected.vrrp}
        if lost and not self._may_move(node):
            reason = f"{node} lost {', '.join(sorted(lost))} by a change that should not have moved it"
            return self._failed(state, node, NodePhase.REGRESSED, reason, "")
        self._progress(RolloutEvent(node, NodePhase.VERIFIED, report))
        return state.with_phase(node, NodePhase.VERIFIED)

    def put_back(self, state: RolloutState, node: str) -> RolloutState:
        self._progress(RolloutEvent(node, "putting back"))
        try:
            report = self._transport.roll_back(node)
        except HoldfastError as error:
            return self._failed(state, node, NodePhase.LOST, error.message, error.hint)
        self.reports.append(report)
        done = report.outcome in (Outcome.COMMITTED, Outcome.UNCHANGED)
        phase = NodePhase.PUT_BACK if done else NodePhase.FAILED
        self._progress(RolloutEvent(node, phase, report))
        return state.with_phase(node, phase)

    def _new_bundle(self, node: str) -> Bundle:
        planned = self._plan.node(node)
        assert planned is not None, "decide names nodes of the plan"
        if planned.new is not None:
            return planned.new
        old = planned.old
        assert old is not None, "a plan's node has an old or a new bundle"
        return Bundle(cluster=old.cluster, node=node, services=(), files=())

    def _may_move(self, node: str) -> bool:
        planned = self._plan.node(node)
        return planned is not None and any(note.hazard is Hazard.MOVES_VIP for note in planned.hazards)

    def _holders(self, node: str) -> set[str]:
        try:
            status: NodeStatus = self._transport.status(node)
        except HoldfastError:
            return set()
        return {group.group for group in status.groups if group.holds}

    def _failed(self, state: RolloutState, node: str, phase: NodePhase, reason: str, hint: str) -> RolloutState:
        if not self.reason:
            self.reason, self.hint = reason, hint
        self._progress(RolloutEvent(node, phase, self.reports[-1] if self.reports else None, reason))
        return state.with_phase(node, phase)
