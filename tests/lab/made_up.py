"""Evidence made up for the tests of verdicts and reports."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from holdfast.bundle import PolicyNames
from holdfast.lab.observe_timeline import AddressTimeline, Span
from holdfast.lab.rehearsal import STEADY, KnownAddress, Rehearsal
from holdfast.lab.scenario import KIND_OF, Break, Breakage, Heal, Kind, Scenario, Step
from holdfast.lab.scenario_world import Expected
from holdfast.lab.traffic_records import Late, Record, RequestClass, Target, TargetListener, TrafficPlan
from holdfast.lab.verdict import Evidence, StepRun, judge_all
from holdfast.spec import load_spec

VIP = "10.0.0.3"
SPEC = Path(__file__).parents[2] / "examples" / "dual-master-nginx" / "cluster.yaml"


def request(
    start: float,
    lasted: float = 0.001,
    error: str = "",
    request_class: RequestClass = "new",
    listener: str = f"{VIP}:80",
    repeated: bool = False,
) -> Record:
    end = start + lasted
    status = 0 if error else 200
    return Record(listener, 0, request_class, start, start, end, end, status, "web01:80", error, repeated, False)


def step(name: str, kind: Kind, breakage: Breakage | None = None) -> Step:
    return Step(name, kind, Break(breakage, "lb01") if breakage else Heal("lb01"))


def line(*spans: Span, cut: Sequence[Span] = (), address: str = VIP) -> AddressTimeline:
    return AddressTimeline(address, tuple(sorted((*spans, *cut), key=lambda s: s.start)), spans, spans)


CRASH = Step("crash lb01", KIND_OF[Breakage.CRASH], Break(Breakage.CRASH, "lb01"))
BOOT = Step("boot lb01", Kind.RECOVERY, Heal("lb01"))


def rehearsal(name: str = "crash lb01") -> Rehearsal:
    """Ten seconds from 100: lb01 dies at 102, lb02 has the address 0.25 s later, lb01 takes it back at 107.5."""
    spec = load_spec(SPEC).spec
    spans = (Span("lb01", 100, 102), Span("lb02", 102.25, 107.52), Span("lb01", 107.5, 110))
    records = [request(100 + n / 50) for n in range(500) if not 100 < n < 113]
    records += [request(101.5, 4, "timeout (no answer)"), request(103, 0.002, request_class="kept", repeated=True)]
    records.sort(key=lambda record: record.start)
    evidence = Evidence(records, [Late(104.0, 104.1)], {VIP: line(*spans)})
    first = Step(name, CRASH.kind, CRASH.action)
    mine, other = {VIP: Expected(frozenset({"lb01"}))}, {VIP: Expected(frozenset({"lb02"}))}
    runs = [
        StepRun(STEADY, 100, 100, 101.9, mine),
        StepRun(first, 101.9, 102.0, 106, other),
        StepRun(BOOT, 106, 106, 110, mine, remarks=("booted",)),
    ]
    return Rehearsal(
        spec=spec,
        scenario=Scenario((first, BOOT), ("nothing else",)),
        plan=TrafficPlan(),
        listeners=(TargetListener(f"{VIP}:80", VIP, 80, (Target("www.example.com"),)),),
        not_asked=("shop: route 9",),
        addresses={VIP: KnownAddress("www", 100)},
        started_at=datetime(2026, 1, 2, 3, 4, 5, 678901, UTC),
        began=100,
        ended=110,
        evidence=evidence,
        steps=judge_all(runs, evidence, spec.objectives),
        stand_ins=PolicyNames(scripts=("uplink-ok",), hooks=("tell",)),
    )
