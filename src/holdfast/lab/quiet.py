"""When a step of a rehearsal is over: every listener has answered for a while, and how long that may take (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from holdfast.lab.pace import SLOW
from holdfast.lab.scenario import Kind
from holdfast.lab.traffic_records import Record, TargetListener, TrafficPlan
from holdfast.spec.cluster import ClusterSpec
from holdfast.spec.vrrp import PreemptAfter

QUIET_S = 1.0  # a step ends when every listener has answered without a failure for this long …
JUST_NOW_S = 0.5  # records arrive in lots, every 0.1 s
SETTLE_WITHIN_S = 15.0  # … or after this long, whatever is still wrong: the verdict will say it
BACKEND_WITHIN_S = 5.0  # a pool whose only server is dead stays unquiet
READY_WITHIN_S = 40.0
_LONGEST_PREEMPT_DELAY_S = 60.0
_LONGEST_CHECK_S = 60.0
_SLOW_MACHINE = 3.0  # programs are started and timers kept, but many things happen one after the other


@dataclass(frozen=True)
class Patience:
    """How long to wait for what, in seconds."""

    quiet_s: float
    just_now_s: float
    settle_s: float
    backend_s: float
    ready_s: float

    def of(self, kind: Kind) -> float:
        """For a step of a kind to come to rest."""
        return self.backend_s if kind is Kind.BACKEND_LOST else self.settle_s


def patience(spec: ClusterSpec, plan: TrafficPlan, pace: float) -> Patience:
    """What is reasonable for a spec, on a machine that is `pace` times slower than usual."""
    factor = _SLOW_MACHINE if pace >= SLOW else 1.0
    delays = [g.preempt.after / 1000 for g in spec.vrrp.values() if isinstance(g.preempt, PreemptAfter)]
    settle = SETTLE_WITHIN_S * factor + min(max(delays, default=0.0), _LONGEST_PREEMPT_DELAY_S)
    if spec.virtual_servers:
        settle += plan.long_silence_s  # until a live connection is given up
    rate = min(plan.new_per_second, plan.datagrams_per_second)
    return Patience(
        quiet_s=QUIET_S,
        just_now_s=max(JUST_NOW_S, 4 / rate) if rate else JUST_NOW_S,
        settle_s=settle,
        backend_s=BACKEND_WITHIN_S * factor + min(slowest_check_s(spec), _LONGEST_CHECK_S),
        ready_s=READY_WITHIN_S * factor,
    )


def slowest_check_s(spec: ClusterSpec) -> float:
    """How long the slowest check of a virtual server takes to notice a death; 0 without virtual servers."""
    checks = [virtual.check for virtual in spec.virtual_servers.values() if virtual.check]
    times = (c.every + (c.fall - 1) * ((c.retry_every or c.every) + c.timeout) for c in checks)
    return max(times, default=0) / 1000


def unquiet(
    listeners: Mapping[str, TargetListener],
    records: Iterable[Record],
    now: float,
    calm_since: float,
    plan: TrafficPlan,
    limits: Patience,
) -> list[str]:
    """The listeners that have failed, or not answered everything that is asked of them, within the last moment.

    Requests that began before the addresses came to rest are not counted: their time may run out only now.
    """
    by_listener: dict[str, list[Record]] = {name: [] for name in listeners}
    for record in records:
        if record.start >= calm_since and record.request_class != "long":
            by_listener.setdefault(record.listener, []).append(record)
    found = []
    for name, listener in listeners.items():
        rate = sum(plan.rate(request_class) for request_class in listener.classes())
        moment = max(limits.quiet_s, 2 * len(listener.targets) / rate)
        mine = [record for record in by_listener[name] if record.end >= now - moment]
        errors = sorted({r.error for r in mine if not r.ok})
        good = [r for r in mine if r.ok]
        # An answer to each of the requests that are asked in turn, and the last one only just now: those that came
        # before everything stopped prove nothing.
        silent = {*range(len(listener.targets))} - {r.target for r in good}
        if not errors and (silent or max(r.end for r in good) < now - limits.just_now_s):
            errors = [f"no answer to {listener.targets[min(silent)].path}" if silent else "no answer"]
        if errors:
            found.append(f"{name}: {', '.join(errors)}")
    return found


def longest_moment(listeners: Iterable[TargetListener], plan: TrafficPlan, limits: Patience) -> float:
    """How far back `unquiet` looks, in seconds."""
    rates = [(len(li.targets), sum(plan.rate(c) for c in li.classes())) for li in listeners]
    return max((2 * targets / rate for targets, rate in rates), default=0.0) + limits.quiet_s
