"""The thin loop around `decide` over a transport: ask, do, note, ask again. It remembers nothing beyond its own end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Lock
from typing import TypeVar

from holdfast.errors import HoldfastError, RolloutFailed
from holdfast.plan import Hazard, NodePlan, Plan
from holdfast.protocol import ApplyReport

from .decide import Apply, NodePhase, PutBack, Stop, begin, decide
from .judge import Verdict, after, groups_held, may_not_lose, nothing, unwell, wanted
from .transport import Transport
from .waves import batches, refuse_forbidden

T = TypeVar("T")

_MOST_AT_ONCE = 32  # connections and threads


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


# Whoever forbids this never lets members of a group disagree about their adverts, not even for a moment.
NEVER_ONE_BY_ONE = frozenset({Hazard.SIMULTANEOUS})


def roll_out(
    plan: Plan,
    transport: Transport,
    *,
    forbidden: frozenset[Hazard] = NEVER_ONE_BY_ONE,
    adopt: bool = False,
    put_back_on_failure: bool = True,
    at_a_time: int = 1,
    progress: Callable[[RolloutEvent], None] = lambda event: None,
) -> RolloutResult:
    """Carry the plan out. PlanRefused where policy forbids one of its hazards, before anything is touched.

    `progress` is called by one thread at a time, whichever that is.
    """
    refuse_forbidden(plan, forbidden)
    run = _Run(plan, transport, adopt, progress)
    drawn = batches(plan, run.together([node.node for node in plan.nodes], run.held), at_a_time=at_a_time)
    torn = frozenset(node for batch in drawn if batch.at_once for node in batch.nodes)
    state = replace(
        begin(tuple(batch.nodes for batch in drawn), put_back_on_failure=put_back_on_failure),
        together=frozenset(at for at, batch in enumerate(drawn) if batch.at_once),  # as far as nobody waits for a word
    )
    while True:
        step = decide(state)
        match step:
            case Apply(nodes=nodes):
                reached = run.together(nodes, lambda node: run.apply(node, may_move=node in torn))
            case PutBack(nodes=nodes):
                reached = run.together(nodes, run.put_back)
            case Stop(succeeded=succeeded):
                return RolloutResult(succeeded, state.phases, tuple(run.reports), run.reason, run.hint)
            case _:
                raise RolloutFailed(f"a rollout that waits for nobody wants to {type(step).__name__.lower()}")
        for node, phase in reached.items():
            state = state.with_phase(node, phase)


class _Run:
    """The I/O of one rollout, and what it has learnt."""

    def __init__(self, plan: Plan, transport: Transport, adopt: bool, progress: Callable[[RolloutEvent], None]) -> None:
        self._plan, self._transport, self._adopt, self._progress = plan, transport, adopt, progress
        self._lock = Lock()
        self.reports: list[ApplyReport] = []
        self.reason = ""
        self.hint = ""

    def together(self, nodes: Sequence[str], do: Callable[[str], T]) -> dict[str, T]:
        """The same for all nodes in one moment; alone, without a thread."""
        if len(nodes) <= 1:
            return {node: do(node) for node in nodes}
        with ThreadPoolExecutor(max_workers=min(len(nodes), _MOST_AT_ONCE)) as workers:
            return dict(zip(nodes, workers.map(do, nodes), strict=True))

    def held(self, node: str) -> int:
        """How many groups the node holds now; a node that cannot be asked will fail when its turn comes."""
        return len(self._holds(node))

    def apply(self, node: str, may_move: bool) -> NodePhase:
        """Bring a node to its new bundle; the phase that it reached."""
        self._say(RolloutEvent(node, "applying"))
        planned = self._planned(node)
        before = self._holds(node)
        try:
            report = self._transport.apply(node, wanted(planned), adopt=self._adopt)
        except HoldfastError as error:
            return self._ended(node, Verdict(NodePhase.LOST, error.message, error.hint), None)
        keeps = frozenset() if may_move else may_not_lose(planned)
        return self._ended(node, unwell(node, report) or self._kept(node, keeps, before), report)

    def _kept(self, node: str, keeps: frozenset[str], before: frozenset[str]) -> Verdict:
        try:
            return after(node, keeps, before, self._transport.status(node))
        except HoldfastError as error:
            return Verdict(NodePhase.REGRESSED, error.message, error.hint)

    def put_back(self, node: str) -> NodePhase:
        """Take a node back; the phase that it reached."""
        self._say(RolloutEvent(node, "putting back"))
        planned = self._planned(node)
        try:
            if planned.old is None:  # there is no generation before this one: what was there is nothing
                empty = nothing(wanted(planned).cluster, node)
                report = self._transport.apply(node, empty, adopt=self._adopt)
            else:
                report = self._transport.roll_back(node)
        except HoldfastError as error:
            return self._ended(node, Verdict(NodePhase.LOST, error.message, error.hint), None)
        return self._ended(node, unwell(node, report) or Verdict(NodePhase.PUT_BACK), report)

    def _planned(self, node: str) -> NodePlan:
        planned = self._plan.node(node)
        assert planned is not None, "batches name nodes of the plan"
        return planned

    def _holds(self, node: str) -> frozenset[str]:
        try:
            return groups_held(self._transport.status(node))
        except HoldfastError:
            return frozenset()

    def _ended(self, node: str, verdict: Verdict, report: ApplyReport | None) -> NodePhase:
        with self._lock:
            if report is not None:
                self.reports.append(report)
            if verdict.reason and not self.reason:
                self.reason, self.hint = verdict.reason, verdict.hint
            self._progress(RolloutEvent(node, verdict.phase, report, verdict.reason))
        return verdict.phase

    def _say(self, event: RolloutEvent) -> None:
        with self._lock:
            self._progress(event)
