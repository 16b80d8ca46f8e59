"""Events and audit records as pages show them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from holdfast.protocol.api.events import AuditView, EventView

from ..words import N_

State = Literal["ok", "warning", "bad", "unknown", "off", "busy"]

# What can be chosen: a word for it, and the kinds of events that it means.
TOPICS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "all": (N_("everything"), ()),
    "holders": (N_("who holds what"), ("vrrp.", "vip.")),
    "rollouts": (N_("rollouts"), ("rollout.",)),
    "revisions": (N_("revisions"), ("revision.",)),
    "overrides": (N_("overrides and maintenance"), ("override.", "maintenance.")),
    "nodes": (N_("nodes and drift"), ("node.",)),
}
ACTIONS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "all": (N_("everything"), ()),
    "changes": (N_("revisions and rollouts"), ("revision.", "rollout.", "lock.")),
    "overrides": (N_("overrides and maintenance"), ("override.", "maintenance.", "group.")),
    "nodes": (N_("nodes let in and shut out"), ("node.",)),
}
_STATES: Mapping[str, State] = {
    "vrrp.holds": "ok", "vrrp.left": "off", "vip.moved": "ok", "node.drift": "warning", "node.drift_gone": "ok",
    "maintenance.on": "warning", "maintenance.off": "ok", "rollout.paused": "warning",
}  # fmt: skip
_OUTCOMES: Mapping[str, tuple[State, str]] = {
    "done": ("ok", N_("done")), "refused": ("warning", N_("refused")), "failed": ("bad", N_("failed")),
}  # fmt: skip
_PHASES: Mapping[str, State] = {
    "succeeded": "ok", "verified": "ok", "failed": "bad", "refused": "bad", "put back": "bad", "broken": "bad",
    "lost": "bad", "regressed": "bad",
}  # fmt: skip
_WORDS: Mapping[State, str] = {
    "ok": N_("good"), "warning": N_("warning"), "bad": N_("bad"), "unknown": N_("event"), "off": N_("off"),
    "busy": N_("under way"),
}  # fmt: skip
_LONGEST = 20_000  # characters of what a record says of a change


@dataclass(frozen=True, slots=True)
class Happened:
    """An event. `word` says its state; `rollout` and `revision` are what it is about, or None."""

    number: int
    time: datetime
    kind: str
    state: State
    word: str
    text: str
    node: str | None
    rollout: int | None
    revision: int | None


@dataclass(frozen=True, slots=True)
class Audited:
    """An audit record; `before` and `after` are JSON, indented."""

    number: int
    time: datetime
    who: str
    action: str
    target: str
    source: str
    state: State
    word: str
    before: str
    after: str


def events_of(found: Iterable[EventView]) -> tuple[Happened, ...]:
    """Events, in their order."""
    return tuple(_happened(one) for one in found)


def _happened(one: EventView) -> Happened:
    state = _STATES.get(one.kind, "unknown")
    if one.kind in ("rollout.ended", "rollout.node"):
        state = _PHASES.get(str(one.data.get("phase", "")), "busy")
    return Happened(
        number=one.number,
        time=one.time,
        kind=one.kind,
        state=state,
        word=_WORDS[state],
        text=one.message,
        node=one.node,
        rollout=_number(one.data.get("rollout")),
        revision=_number(one.data.get("revision")),
    )


def audit_of(found: Iterable[AuditView]) -> tuple[Audited, ...]:
    """Records, in their order."""
    return tuple(_audited(one) for one in found)


def _audited(one: AuditView) -> Audited:
    state, word = _OUTCOMES.get(one.outcome, ("unknown", one.outcome))
    return Audited(
        number=one.number,
        time=one.time,
        who=one.actor.removeprefix("user:"),
        action=one.action,
        target=one.target,
        source=one.source,
        state=state,
        word=word,
        before=_indented(one.before),
        after=_indented(one.after),
    )


def _indented(text: str) -> str:
    if not text:
        return ""
    try:
        told = json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    except ValueError:  # cut short where it was too long to be kept
        told = text
    return told[:_LONGEST]


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
