"""Nodes as pages show them: what matters first, what runs there, who holds what and since when, what differs."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from holdfast.protocol import AgentReport, Progress
from holdfast.protocol.api.events import EventView
from holdfast.protocol.api.nodes import NodeDetail, NodeSummary
from holdfast.protocol.api.overrides import OverrideView
from holdfast.protocol.machine import LogLine
from holdfast.sentences import from_data

from ..words import N_
from .diffs import Diff, diff_of
from .trouble import worst

State = Literal["ok", "warning", "bad", "unknown", "off", "busy", "standby"]

_DRIFT_KINDS = {
    "file": N_("file"), "service": N_("service"), "address": N_("address"),
    "table": N_("IPVS table"), "sysctl": N_("kernel setting"),
}  # fmt: skip
_ATTEMPTS: dict[Progress, tuple[State, str]] = {
    Progress.ACCEPTED: ("busy", N_("accepted")),
    Progress.WRITTEN: ("busy", N_("written")),
    Progress.APPLIED: ("busy", N_("applied")),
    Progress.VERIFIED: ("ok", N_("verified")),
    Progress.REFUSED: ("bad", N_("refused")),
    Progress.PUT_BACK: ("bad", N_("put back")),
    Progress.BROKEN: ("bad", N_("broken")),
    Progress.PAUSED: ("warning", N_("paused")),
}
VRRP_KINDS = ("vrrp.holds", "vrrp.left", "vip.moved", "maintenance.on", "maintenance.off")
_SILENT = N_("not known: its agent is silent")
_LOG_LEVELS: dict[str, State] = {"warning": "warning", "error": "bad"}


class Arrival(StrEnum):
    """How far a node has come that was let in."""

    AWAITED = "awaited"
    JOINED = "joined"
    CONNECTED = "connected"


@dataclass(frozen=True, slots=True)
class Row:
    """A node in the list. `state` and `word` are of its agent: nothing else is known better than that."""

    name: str
    state: State
    word: str
    seen: datetime | None
    agent_version: str
    wanted: int
    running: int
    progress: tuple[State, str] | None
    holds: tuple[str, ...]
    paused: bool
    maintenance: bool
    drift: int
    trouble: tuple[str, ...]
    joined: bool
    revoked: bool

    @property
    def tone(self) -> str:
        """How bad its trouble is, as the overview has it: what a node says of itself can be seen to, silence cannot."""
        if not self.trouble or self.revoked:
            return "off"
        return "warning" if self.state == "ok" else "bad"

    @property
    def up_to_date(self) -> bool:
        """Whether it ran what it should, verified, when it was last heard of."""
        return self.wanted == self.running and self.wanted > 0

    @property
    def as_wanted(self) -> bool:
        """Whether it runs what it should, verified, and can be asked now."""
        return self.up_to_date and self.state == "ok"


@dataclass(frozen=True, slots=True)
class Service:
    """A program that Holdfast runs there; `version` is empty where the agent does not say."""

    name: str
    state: State
    word: str
    detail: str
    pid: int | None
    restarts: int
    version: str


@dataclass(frozen=True, slots=True)
class Address:
    """An address of the node; `group` is the VRRP group that it floats with, else empty."""

    interface: str
    address: str
    group: str


@dataclass(frozen=True, slots=True)
class Group:
    """A VRRP group as this node sees it."""

    name: str
    vrid: int
    state: State
    word: str
    addresses: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Differs:
    """Something that is not as it was applied."""

    kind: str
    what: str
    detail: str
    since: datetime
    corrected: bool
    diff: Diff


@dataclass(frozen=True, slots=True)
class Said:
    """A line of the agent's log."""

    time: datetime
    state: State
    text: str


@dataclass(frozen=True, slots=True)
class Happened:
    """An event that is about who holds what."""

    number: int
    time: datetime
    state: State
    text: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """The last attempt to bring the node somewhere, where it did not end well."""

    message: str
    hint: str
    program_line: str


@dataclass(frozen=True, slots=True)
class Node:
    """One node."""

    row: Row
    enrolled: datetime | None
    revoked: datetime | None
    hostname: str
    kernel: str
    programs: tuple[tuple[str, str], ...]
    services: tuple[Service, ...]
    addresses: tuple[Address, ...]
    groups: tuple[Group, ...]
    history: tuple[Happened, ...]
    drift: tuple[Differs, ...]
    attempt: Attempt | None
    maintenance: OverrideView | None
    log: tuple[Said, ...]


@dataclass(frozen=True, slots=True)
class Nodes:
    """All of them, what is wrong first."""

    rows: tuple[Row, ...]
    connected: int
    troubled: int
    tone: str  # of the worst of those


def arrival_of(one: NodeSummary | None, before: datetime | None) -> Arrival:
    """How far a node has come that was let in; `before` is when it had joined the last time until then."""
    if one is None or one.revoked is not None or one.enrolled in (None, before):
        return Arrival.AWAITED
    return Arrival.CONNECTED if one.connected else Arrival.JOINED


def nodes_of(found: Sequence[NodeSummary]) -> Nodes:
    """The list: by name, whoever is in trouble first."""
    rows = sorted((row_of(one) for one in found), key=lambda row: (row.tone == "off", row.name))
    return Nodes(
        tuple(rows),
        connected=sum(row.state == "ok" for row in rows),
        troubled=sum(row.tone != "off" for row in rows),
        tone=worst(row.tone for row in rows),
    )


def row_of(one: NodeSummary) -> Row:
    """One node at a glance."""
    state, word = _agent(one)
    return Row(
        name=one.node,
        state=state,
        word=word,
        seen=one.seen,
        agent_version=one.agent_version,
        wanted=one.wanted,
        running=one.running,
        progress=_progress(one),
        holds=one.holds if one.connected else (),
        paused=one.paused,
        maintenance=one.maintenance,
        drift=one.drift,
        trouble=one.trouble,
        joined=one.enrolled is not None,
        revoked=one.revoked is not None,
    )


def _progress(one: NodeSummary) -> tuple[State, str] | None:
    """Of the revision that it reports on: that one is verified, which says nothing of another that it should run."""
    if one.progress is None or (one.progress is Progress.VERIFIED and one.wanted != one.running):
        return None
    return _ATTEMPTS.get(one.progress)


def _agent(one: NodeSummary) -> tuple[State, str]:
    if one.revoked is not None:
        return "off", N_("shut out")
    if one.enrolled is None:
        return "unknown", N_("never joined")
    if one.seen is None:
        return "unknown", N_("has not reported yet")
    return ("ok", N_("connected")) if one.connected else ("bad", N_("silent"))


def node_of(detail: NodeDetail, events: Iterable[EventView], maintenance: OverrideView | None) -> Node:
    """The whole of one node; `events` are the cluster's, newest first."""
    report, name = detail.report, detail.node.node
    machine = report.machine if report else None
    return Node(
        row=row_of(detail.node),
        enrolled=detail.node.enrolled,
        revoked=detail.node.revoked,
        hostname=machine.hostname if machine else "",
        kernel=machine.kernel if machine else "",
        programs=tuple((program, number or "") for program, number in sorted(machine.programs.items()))
        if machine
        else (),
        services=tuple(_services(report, detail.node.connected)) if report else (),
        addresses=tuple(_addresses(report)) if report else (),
        groups=tuple(_groups(report, detail.node.connected)) if report else (),
        history=tuple(_happened(one) for one in events if _is_about(one, name)),
        drift=tuple(_drift(report)) if report else (),
        attempt=_attempt(report) if report else None,
        maintenance=maintenance,
        log=tuple(_said(one) for one in reversed(report.log)) if report else (),
    )


def _services(report: AgentReport, connected: bool) -> Iterable[Service]:
    versions = report.machine.programs if report.machine else {}
    for one in report.status.services if report.status else ():
        state: State = "ok" if one.running else "bad"
        word = N_("runs") if one.running else N_("does not run")
        if not connected:
            state, word = "unknown", _SILENT
        yield Service(
            name=one.service.value,
            state=state,
            word=word,
            detail=one.state,
            pid=one.pid,
            restarts=one.restarts,
            version=versions.get(one.service.value) or "",
        )


def _addresses(report: AgentReport) -> Iterable[Address]:
    groups = report.status.groups if report.status else ()
    floating = {_bare(one.address): each.group for each in groups for one in each.present}
    for one in report.machine.addresses if report.machine else ():
        yield Address(one.interface, one.address, floating.get(_bare(one.address), ""))


def _bare(address: str) -> str:
    return str(ipaddress.ip_interface(address).ip)


def _groups(report: AgentReport, connected: bool) -> Iterable[Group]:
    for one in report.status.groups if report.status else ():
        state: State = "standby"
        word = N_("standby")
        if not connected:
            state, word = "unknown", _SILENT
        elif one.holds:
            state, word = "ok", N_("holds it")
        elif one.hold != 0:
            state, word = "warning", N_("kept back on purpose")
        elif one.present:
            state, word = "bad", N_("holds a part of it")
        here = connected and (one.holds or bool(one.present))
        yield Group(
            name=one.group,
            vrid=one.vrid,
            state=state,
            word=word,
            addresses=tuple(each.address for each in (*one.present, *one.missing)),
            missing=tuple(each.address for each in one.missing) if here and not one.holds else (),
        )


def _is_about(event: EventView, node: str) -> bool:
    if event.kind not in VRRP_KINDS:
        return False
    words = event.message.replace(":", " ").replace(",", " ").split()
    return event.node == node or (event.kind == "vip.moved" and node in words)


def _happened(event: EventView) -> Happened:
    state: State = {"vrrp.holds": "ok", "vrrp.left": "off"}.get(event.kind, "warning")  # type: ignore[assignment]
    return Happened(event.number, event.time, state, from_data(event.data.get("said")) or event.message)


def _drift(report: AgentReport) -> Iterable[Differs]:
    for one in report.drift:
        kind = _DRIFT_KINDS.get(one.kind.value, one.kind.value)
        yield Differs(kind, one.named, one.told, one.since, one.corrected, diff_of(one.diff))


def _attempt(report: AgentReport) -> Attempt | None:
    failure = report.applied.failure if report.applied else None
    if failure is None or report.progress is Progress.VERIFIED:
        return None
    return Attempt(failure.told, failure.told_hint, failure.program_line)


def _said(line: LogLine) -> Said:
    return Said(line.time, _LOG_LEVELS.get(line.level, "off"), line.text)
