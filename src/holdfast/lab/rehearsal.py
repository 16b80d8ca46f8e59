"""A rehearsal: the lab up, the spec rolled out, traffic on it, one step after the other, and what was seen of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address

from holdfast.bundle import PolicyNames, Service
from holdfast.compile.compiler import CompileInput
from holdfast.errors import LabError
from holdfast.lab.cluster import LabCluster
from holdfast.lab.lab import Lab
from holdfast.lab.observe import Observer, Probe
from holdfast.lab.pace import measured, suited_plan
from holdfast.lab.quiet import longest_moment, patience, unquiet
from holdfast.lab.rehearsal_actions import carry_out
from holdfast.lab.scenario import Change, Heal, Kind, Scenario, Step, Wait
from holdfast.lab.scenario_default import default_scenario
from holdfast.lab.scenario_world import Expected, World, expected_holders
from holdfast.lab.topology import CLIENT, LabTopology, mac_address
from holdfast.lab.traffic import Traffic, TrafficCounts
from holdfast.lab.traffic_records import TargetListener, TrafficPlan
from holdfast.lab.traffic_targets import wanted_traffic
from holdfast.lab.users import user_addresses
from holdfast.lab.verdict import Evidence, Holders, StepResult, StepRun, Verdict, judge, judge_all, objective_for
from holdfast.sentences import Sentence
from holdfast.spec.cluster import ClusterSpec

_POLL_S = 0.1
STEADY = Step("steady traffic", Kind.WAIT, Wait(2.0), 2.0)


@dataclass(frozen=True)
class Progress:
    """Where the rehearsal is: `doing` for people; `number` of `total` steps; who holds what; live counts.

    `finished` is the step before, judged by what is known so far.
    """

    doing: str
    number: int = 0
    total: int = 0
    holders: Holders = field(default_factory=dict)
    counts: TrafficCounts | None = None
    finished: StepResult | None = None


@dataclass(frozen=True)
class KnownAddress:
    """A virtual IP: its group, and since when (monotonic seconds) it belongs to the cluster."""

    group: str
    since: float


@dataclass(frozen=True)
class Rehearsal:
    """A rehearsal that has ended: what was wanted, what was seen, and the verdicts. Times in monotonic seconds."""

    spec: ClusterSpec
    scenario: Scenario
    plan: TrafficPlan
    listeners: tuple[TargetListener, ...]
    not_asked: tuple[str, ...]
    addresses: Mapping[str, KnownAddress]
    started_at: datetime
    began: float
    ended: float
    evidence: Evidence
    steps: tuple[StepResult, ...]
    stand_ins: PolicyNames
    pace: float = 1.0  # how many times slower than an ordinary machine this one was

    @property
    def verdict(self) -> Verdict:
        """`fail` if any step failed."""
        return Verdict.FAIL if any(s.verdict is Verdict.FAIL for s in self.steps) else Verdict.PASS


def rehearse(
    source: CompileInput,
    scenario: Scenario | None = None,
    *,
    lab: str = "rehearsal",
    plan: TrafficPlan | None = None,
    progress: Callable[[Progress], None] = lambda event: None,
    before_down: Callable[[Lab], None] = lambda lab: None,
) -> Rehearsal:
    """Rehearse a spec, and leave nothing behind, whatever happens.

    `before_down` may look at the lab once all steps are over. LabError if the cluster cannot be brought up, or does not
    answer before anything was broken.
    """
    scenario = scenario or default_scenario(source.loaded)
    progress(Progress("building the lab", total=len(scenario.steps)))
    cluster = LabCluster.up(
        source,
        lab,
        later=[step.action.loaded.spec for step in scenario.steps if isinstance(step.action, Change)],
        progress=lambda line: progress(Progress(f"lab: {line}")),
        rollout_progress=lambda event: progress(Progress(f"{event.node}: {event.what}")),
    )
    with ExitStack() as stack:
        stack.callback(cluster.lab.down)
        spec, pace = source.loaded.spec, measured()
        suited = plan or suited_plan(pace, wanted_traffic(spec).listeners, directors=bool(spec.virtual_servers))
        run = _Run(cluster, spec, scenario, suited, pace, progress, stack)
        result = run.play()
        before_down(cluster.lab)
        return result


class _Run:
    """The loop: act, wait until it is quiet again, next."""

    def __init__(
        self,
        cluster: LabCluster,
        spec: ClusterSpec,
        scenario: Scenario,
        plan: TrafficPlan,
        pace: float,
        progress: Callable[[Progress], None],
        stack: ExitStack,
    ) -> None:
        self._cluster, self._scenario, self._plan, self._progress = cluster, scenario, plan, progress
        self._pace = pace
        self._world = World(spec)
        self._spec = spec
        topology = cluster.lab.topology
        # Real servers carry virtual addresses, too, but hold none.
        nodes = {name: cluster.lab.node(name).netns for name, b in sorted(cluster.bundles().items()) if b.expected.vrrp}
        client = cluster.lab.node(CLIENT).netns
        self._observer = stack.enter_context(Observer(nodes, client, macs(topology)))
        self._traffic = stack.enter_context(Traffic(client, plan))
        self._sources = {family: user_addresses(topology, family) for family in (4, 6)}
        self._patience = patience(spec, plan, pace)
        self._listeners: dict[str, TargetListener] = {}
        self._not_asked: tuple[str, ...] = ()
        self._addresses: dict[str, KnownAddress] = {}
        self._doing, self._number = "", 0

    def play(self) -> Rehearsal:
        """All steps."""
        started_at, began = datetime.now(UTC), time.monotonic()
        self._watch(self._spec)
        self._wait_until_held()
        self._ask_for(self._spec)
        self._wait_until_ready()
        runs: list[StepRun] = []
        for number, step in enumerate((STEADY, *self._scenario.steps)):
            self._number, self._doing = number, step.name
            if runs:
                self._show(self._judged(runs[-1]))
            runs.append(self._step(step))
        self._show(self._judged(runs[-1]))
        ended = time.monotonic()
        self._doing = Sentence("collecting")
        timelines = self._observer.timelines(self._addresses)
        traffic = self._traffic.stop()
        evidence = Evidence(traffic.records, traffic.late, timelines, traffic.pauses)
        results = judge_all(runs, evidence, self._spec.objectives)
        return Rehearsal(
            self._spec, self._scenario, self._plan, tuple(self._listeners.values()), self._not_asked,
            self._addresses, started_at, began, ended, evidence, results, self._cluster.stand_ins(), self._pace,
        )  # fmt: skip

    def _step(self, step: Step) -> StepRun:
        """Carry a step out, and wait until nothing moves any more."""
        began = time.monotonic()
        before = self._holders()
        self._show()
        done = carry_out(self._cluster, self._world, step.action)
        self._world = self._world.after(step.action)
        if isinstance(step.action, Change) and not done.problem and not step.action.refused:
            self._ask_for(self._world.spec)
        expected = expected_holders(self._world, before)
        at_least = step.action.seconds if isinstance(step.action, Wait) else step.at_least_s
        mended = step.action.node if isinstance(step.action, Heal) else None
        since = self._until_back(mended) if mended else done.acted
        wrong = self._until_quiet(since, at_least, self._patience.of(step.kind), expected)
        problem, remarks = done.problem, done.remarks
        if wrong and self._world.faults:
            remarks = (*remarks, *wrong)
        elif wrong and not problem:
            problem = f"nothing is broken any more, but: {'; '.join(wrong)}"
        return StepRun(step, began, done.acted, time.monotonic(), expected, problem, remarks, self._drained())

    def _until_back(self, name: str) -> float:
        """The moment in which a node that was mended runs keepalived again: in an emulated machine 10 s later."""
        node, bundle = self._cluster.lab.node(name), self._cluster.bundles().get(name)
        deadline = time.monotonic() + self._patience.ready_s
        while bundle is not None and bundle.expected.vrrp and time.monotonic() < deadline:
            if any(process.program == Service.KEEPALIVED for process in node.processes()):
                break
            self._show()
            time.sleep(_POLL_S)
        return time.monotonic()

    def _drained(self) -> frozenset[str]:
        """The real servers that no new connection may reach: not where clients stay with a server that they have."""
        spec = self._world.spec
        if spec.directors.sessions_of_drained == "stay" and any(v.persistence for v in spec.virtual_servers.values()):
            return frozenset()
        return self._world.out_of_service

    def _judged(self, run: StepRun) -> StepResult:
        """A first verdict on the step before, for people; requests that are still on their way may change it."""
        mine = [r for r in self._traffic.since(run.began) if r.end < run.ended]
        evidence = Evidence(mine, (), self._observer.timelines(self._addresses))
        return judge(run, mine, evidence, objective_for(run.step.kind, self._spec.objectives))

    def _ask_for(self, spec: ClusterSpec) -> None:
        """Send traffic to every listener of `spec`, and watch its addresses."""
        wanted = wanted_traffic(spec, self._sources)
        self._not_asked = wanted.not_asked
        self._listeners.update({listener.name: listener for listener in wanted.listeners})
        self._watch(spec)
        self._traffic.add(wanted.listeners)

    def _watch(self, spec: ClusterSpec) -> None:
        """Ask the segments for every address of `spec` from now on."""
        now = time.monotonic()
        for name, group in spec.vrrp.items():
            for address in group.addresses.values():
                self._addresses.setdefault(str(address.ip), KnownAddress(name, now))
        self._observer.probe(probes(self._cluster.lab.topology, self._addresses))

    def _wait_until_held(self) -> None:
        """Let the addresses come to rest before the first user comes: `preempt: {after: …}` moves them once more."""
        self._doing = Sentence("waiting until every address is where it belongs")
        expected = expected_holders(self._world, {})
        deadline = time.monotonic() + self._patience.ready_s
        while not all(e.met_by(self._holders().get(a, ())) for a, e in expected.items()):
            if time.monotonic() >= deadline:
                return  # what is wrong is told once the listeners were asked, too
            self._show()
            time.sleep(_POLL_S)

    def _wait_until_ready(self) -> None:
        """The cluster must stand before it is broken."""
        self._doing = Sentence("waiting until all listeners answer")
        expected = expected_holders(self._world, {})
        start, within = time.monotonic(), self._patience.ready_s
        wrong = self._until_quiet(start, self._patience.quiet_s, within, expected)
        if wrong or time.monotonic() - start >= within:
            silent = wrong or [
                f"{a} is held by {' and '.join(self._holders().get(a, ())) or 'nobody'}"
                for a, e in expected.items()
                if not e.met_by(self._holders().get(a, ()))
            ]
            raise LabError(
                f"Before anything was broken, the cluster did not work in {within:g} s: {'; '.join(silent)}",
                "bring it up with `holdfast lab up`, and look at `holdfast lab status` and at the logs of its nodes",
            )

    def _until_quiet(
        self, start: float, at_least: float, at_most: float, expected: Mapping[str, Expected]
    ) -> tuple[str, ...]:
        """Wait until all is as expected and every listener has answered for a while, or for `at_most` seconds.

        Returns what was still wrong then; wrong holders are for the verdict to name.
        """
        calm_since = time.monotonic()
        deadline = max(calm_since, start + at_least) + at_most
        while time.monotonic() < deadline:
            time.sleep(_POLL_S)
            self._show()
            holders = self._holders()
            if not all(e.met_by(holders.get(a, ())) for a, e in expected.items()):
                calm_since = time.monotonic()
            if time.monotonic() < max(start + at_least, calm_since + self._patience.quiet_s):
                continue
            # What has waited for its answer since before the addresses came to rest may be this step's victim.
            if self._traffic.oldest_on_its_way() >= calm_since and not self._unquiet(calm_since):
                return ()
        return tuple(self._unquiet(calm_since))

    def _unquiet(self, calm_since: float) -> list[str]:
        now = time.monotonic()
        records = self._traffic.since(now - longest_moment(self._listeners.values(), self._plan, self._patience))
        return unquiet(self._listeners, records, now, calm_since, self._plan, self._patience)

    def _holders(self) -> dict[str, tuple[str, ...]]:
        return self._observer.holders(self._addresses)

    def _show(self, finished: StepResult | None = None) -> None:
        counts = self._traffic.counts()
        total = len(self._scenario.steps)
        self._progress(Progress(self._doing, self._number, total, self._holders(), counts, finished))


def macs(topology: LabTopology) -> dict[str, str]:
    """The node behind each MAC address of a lab."""
    return {mac_address(node.name, i.name): node.name for node in topology.nodes for i in node.interfaces}


def probes(topology: LabTopology, addresses: Iterable[str]) -> tuple[Probe, ...]:
    """Where each address is asked for: on the client's interface in its subnet; none for an address beyond a router."""
    found = []
    for address in addresses:
        parsed = ip_address(address)
        for interface in topology.node(CLIENT).interfaces:
            if any(parsed.version == own.version and parsed in own.network for own in interface.addresses):
                found.append(Probe(address, interface.name))
                break
    return tuple(found)
