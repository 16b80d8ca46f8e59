"""A rehearsal as plain data: what report.json holds, and what report.html is drawn from (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from holdfast.bundle import PolicyNames
from holdfast.lab import stand_ins
from holdfast.lab.observe_timeline import AddressTimeline, Span
from holdfast.lab.rehearsal import KnownAddress, Rehearsal
from holdfast.lab.report_live import live_data, share_data
from holdfast.lab.report_words import SUBSTITUTIONS, Words, said
from holdfast.lab.scenario import Kind
from holdfast.lab.traffic_records import Record
from holdfast.lab.verdict import StepResult, Verdict, late_between
from holdfast.spec.cluster import ClusterSpec
from holdfast.spec.values import format_duration

REPORT_VERSION = 1
BIN_S = 0.1

MEANING = {
    "holders": "nodes whose kernel carried the address on a link that was up (netlink; `ip address` agrees)",
    "carried": "the address was on an interface of the node, also while the node was frozen or cut off",
    "answered": "a MAC address answered an ARP request or neighbour solicitation, asked every 50 ms by a MAC nobody"
    " has",
    "failover_s": "from the fault (or the order to move) until a node that did not hold an address before carries it,"
    " for the last address of the step; null if nothing had to move, or if something never did (then the step fails)",
    "sent": "requests that ended during the step, which lasts until the next one begins: one that is on its way when a"
    " fault strikes is that fault's victim; a step waits for its own victims before it ends",
    "failed": "no complete answer below 400 within the client's time limit, SYNs being sent again as usual",
    "repeated": "a reused connection was closed before any byte of the answer, and the GET was sent again on a new one,"
    " as browsers do; such raw closes are counted here, and are no failures",
    "longest_gap_s": "the longest time without a successful answer to a new connection, on the worst listener",
    "double_holder_s": "time during which two nodes held one address, on links that were up; the worst address",
    "double_carried_s": "the same, a node that is frozen or cut off included: it carries the address, but nobody hears"
    " it",
    "answered_twice_s": "time during which two MAC addresses answered for one address, within one round of questions",
    "live": "live connections to virtual servers (a download that trickles for many seconds, each byte of it known):"
    " how many were open when it happened, how many ended before their time, and how long one was silent that then went"
    " on; untold: ended, too, but opened within 3 s before a director was lost, when the kernel had told no other one",
    "share": "new connections that a real server answered, in undisturbed traffic, against its share by weight",
    "client_late_s": "time during which the client itself did not run although it should: a busy machine, not the"
    " cluster",
}


@dataclass(frozen=True)
class Context:
    """What a report names besides: how to make it again, and with what it was made.

    `machine` is the virtual machine that the lab ran in, empty if it ran on this machine's own kernel.
    """

    command: str
    holdfast: str
    versions: Mapping[str, str]
    machine: str = ""


def report_data(rehearsal: Rehearsal, context: Context) -> dict[str, Any]:
    """Everything, with times in seconds since the traffic began."""
    zero, evidence = rehearsal.began, rehearsal.evidence
    steps = [_step(step, zero) for step in rehearsal.steps]
    substituted = substitutions(rehearsal.spec, rehearsal.stand_ins, context.machine)
    return {
        "report": REPORT_VERSION,
        "cluster": rehearsal.spec.cluster,
        "verdict": rehearsal.verdict,
        "started_at": rehearsal.started_at.isoformat(timespec="microseconds"),
        "monotonic_at_start": round(zero, 6),
        "duration_s": _seconds(rehearsal.ended - zero),
        "totals": _totals(rehearsal),
        "planned_failed": sum(s.failed for s in rehearsal.steps if s.kind in (Kind.PLANNED, Kind.REFUSED)),
        "steps": steps,
        "objectives": objectives(rehearsal.spec),
        "addresses": {a: _address(rehearsal.addresses[a], t, zero) for a, t in evidence.addresses.items()},
        "listeners": {
            listener.name: {"requests": bins(_of(evidence.records, listener.name), zero, rehearsal.ended)}
            for listener in rehearsal.listeners
        },
        "virtual_servers": share_data(rehearsal.spec, rehearsal.steps),
        "traffic": {
            **asdict(rehearsal.plan),
            "pace": round(rehearsal.pace, 1),
            "routes_not_asked": list(rehearsal.not_asked),
            "targets": {
                listener.name: [f"{t.host}{t.path}" for t in listener.targets] for listener in rehearsal.listeners
            },
        },
        "client_late": [[_seconds(i.start - zero), _seconds(i.end - zero), i.unsent] for i in evidence.late],
        "notes": list(rehearsal.scenario.notes),
        "substitutions": [words.en for words in substituted],
        "substitutions_zh": [words.zh for words in substituted],
        "meaning": MEANING,
        "command": context.command,
        "holdfast": context.holdfast,
        "versions": dict(context.versions),
    }


def _seconds(value: float) -> float:
    return round(value, 4)


def _step(step: StepResult, zero: float) -> dict[str, Any]:
    data = asdict(step)
    for key in ("began", "acted", "ended"):
        data[f"{key}_s"] = _seconds(data.pop(key) - zero)
    for key, value in data.items():
        if isinstance(value, float):
            data[key] = _seconds(value)
    data["failovers"] = {a: None if t is None else _seconds(t) for a, t in step.failovers.items()}
    for listener in data["listeners"].values():
        listener["longest_gap_s"] = _seconds(listener["longest_gap_s"])
    data["live"]["longest_pause_s"] = _seconds(step.live.longest_pause_s)
    return data


def _totals(rehearsal: Rehearsal) -> dict[str, Any]:
    steps, evidence = rehearsal.steps, rehearsal.evidence
    failovers = [step.failover_s for step in steps if step.failover_s is not None and step.kind is Kind.NODE_LOST]
    return {
        "steps": len(steps),
        **{str(v): sum(step.verdict is v for step in steps) for v in Verdict},
        "sent": sum(step.sent for step in steps),
        "failed": sum(step.failed for step in steps),
        "repeated": sum(step.repeated for step in steps),
        **live_data(steps),
        "worst_node_failover_s": _seconds(max(failovers)) if failovers else None,
        "client_late_s": _seconds(late_between(evidence.late, rehearsal.began, rehearsal.ended)),
    }


_COUNTS = ("lost_requests", "lost_connections")


def objectives(spec: ClusterSpec) -> dict[str, dict[str, str | int]]:
    """What the spec asks for, as it would be written."""
    found: dict[str, dict[str, str | int]] = {}
    for kind, objective in spec.objectives:
        stated: dict[str, str | int] = {
            name: value if name in _COUNTS else format_duration(value)
            for name, value in objective
            # Only virtual servers have connections that are watched for their whole life.
            if value is not None and (name != "lost_connections" or spec.virtual_servers)
        }
        if stated:
            found[kind] = stated
    return found


def substitutions(spec: ClusterSpec, played: PolicyNames, machine: str = "") -> list[Words]:
    """What the lab does in another way than a node would, and why; `machine` is the virtual one that it runs in."""
    processes = sorted({t.process for g in spec.vrrp.values() for t in g.keeps_while if t.process})
    always = [SUBSTITUTIONS[kind] for kind in ("nodes", "services", "servers")]
    always += [said(SUBSTITUTIONS["machine"], machine=machine)] if machine else []
    watched = [said(SUBSTITUTIONS["process"], names=", ".join(processes))] if processes else []
    return [*stand_ins.describe(played), *watched, *always]


def _address(known: KnownAddress, line: AddressTimeline, zero: float) -> dict[str, Any]:
    return {
        "group": known.group,
        "since_s": _seconds(max(0.0, known.since - zero)),
        "carried": _spans(line.carried, zero),
        "reachable": _spans(line.reachable, zero),
        "answered": _spans(line.answered, zero),
    }


def _spans(spans: Iterable[Span], zero: float) -> list[list[Any]]:
    return [[s.who, _seconds(s.start - zero), _seconds(s.end - zero)] for s in spans]


def _of(records: Iterable[Record], listener: str) -> list[Record]:
    return [record for record in records if record.listener == listener]


def bins(records: Iterable[Record], zero: float, end: float) -> dict[str, Any]:
    """Requests of one listener by the tenth of a second in which they began: good, failed and repeated ones."""
    count = max(1, int((end - zero) / BIN_S) + 1)
    good, failed, repeated = ([0] * count for _ in range(3))
    for record in records:
        place = min(count - 1, max(0, int((record.start - zero) / BIN_S)))
        (good if record.ok else failed)[place] += 1
        repeated[place] += record.repeated
    return {"bin_s": BIN_S, "good": good, "failed": failed, "repeated": repeated}
