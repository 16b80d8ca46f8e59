"""Events and audit records as pages show them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from difflib import unified_diff
from typing import Literal

from holdfast.protocol.api.events import AuditView, EventView
from holdfast.sentences import Sentence, from_data

from ..words import N_
from .actions import did
from .diffs import Diff, diff_of

State = Literal["ok", "warning", "bad", "unknown", "off", "busy"]

# What can be chosen: a word for it, and the kinds of events that it means.
TOPICS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "all": (N_("everything"), ()),
    "holders": (N_("who holds what"), ("vrrp.", "vip.", "move.")),
    "rollouts": (N_("rollouts"), ("rollout.",)),
    "revisions": (N_("revisions"), ("revision.",)),
    "overrides": (N_("overrides and maintenance"), ("override.", "maintenance.")),
    "nodes": (N_("nodes and drift"), ("node.",)),
    "servers": (N_("servers down and up"), ("server.",)),
}
ACTIONS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "all": (N_("everything"), ()),
    "changes": (N_("revisions and rollouts"), ("revision.", "rollout.", "lock.")),
    "overrides": (N_("overrides and maintenance"), ("override.", "maintenance.", "group.")),
    "nodes": (N_("nodes let in and shut out"), ("node.",)),
}
# Of the whole installation, there is more to choose from.
WHOLE_ACTIONS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    **ACTIONS,
    "users": (N_("users and API tokens"), ("user.", "token.")),
    "logins": (N_("logins and sessions"), ("login", "logout", "session.")),
    "installation": (N_("clusters, store and authorities"), ("cluster.", "store.", "authority.")),
}
OUTCOMES: Mapping[str, str] = {
    "": N_("any"), "done": N_("done"), "refused": N_("refused"), "failed": N_("failed"),
}  # fmt: skip
_STATES: Mapping[str, State] = {
    "vrrp.holds": "ok", "vrrp.left": "off", "vip.moved": "ok", "move.undone": "warning",
    "node.drift": "warning", "node.drift_gone": "ok",
    "node.drift_corrected": "ok", "node.joined": "ok", "node.revoked": "warning",
    "maintenance.on": "warning", "maintenance.off": "ok", "rollout.paused": "warning",
    "server.down": "bad", "server.up": "ok",
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
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
_NUMBERED = re.compile(r"(revision|rollout) ([1-9][0-9]{0,11})")
_NODE = re.compile(rf"({_NAME})(?=$|[:,])")
_COUNTED = re.compile(r"(revision|rollout|rehearsal) ([1-9][0-9]{0,11})")
_COUNTS: Mapping[str, Callable[[str], Sentence]] = {
    "revision": lambda number: Sentence("revision %(number)s", number=number),
    "rollout": lambda number: Sentence("rollout %(number)s", number=number),
    "rehearsal": lambda number: Sentence("rehearsal %(number)s", number=number),
}
_BY = re.compile(rf"({_NAME}), by ({_NAME})")
_SESSIONS = re.compile(r"([0-9]{1,9}) sessions")
_FIXED: Mapping[str, str] = {
    one: one for one in (Sentence("the whole store"), Sentence("the first certificate authority"))
}
_SESSION = re.compile(rf"({_NAME}): all but this one")
_LONGEST = 100_000  # characters of one side of a record: it is kept shorter than that


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
class Link:
    """Where a thing is: a route with its values, what is asked there, and where on the page."""

    route: str
    values: Mapping[str, object] = field(default_factory=dict)
    query: Mapping[str, object] = field(default_factory=dict)
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Audited:
    """An audit record. `did` is its action in words; `link` leads to what it is about.

    `says_more`: what was before and after is known.
    """

    number: int
    time: datetime
    who: str
    action: str
    did: str
    target: str
    cluster: str | None
    source: str
    state: State
    word: str
    link: Link | None
    says_more: bool


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
        text=from_data(one.data.get("said")) or one.message,
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
        did=did(one.action),
        target=named(one.target),
        cluster=one.cluster,
        source=one.source,
        state=state,
        word=word,
        link=link_of(one.action, one.target, one.cluster),
        says_more=bool(one.before or one.after),
    )


def audited_of(one: AuditView) -> Audited:
    """One record."""
    return _audited(one)


def named(target: str) -> str:
    """What a record is about, as the sentence that it is where it is no name alone."""
    if found := _COUNTED.fullmatch(target):
        return _COUNTS[found[1]](found[2])
    if found := _BY.fullmatch(target):
        return Sentence("%(what)s, by %(who)s", what=found[1], who=found[2])
    if found := _SESSIONS.fullmatch(target):
        return Sentence("%(n)s sessions", n=found[1])
    if found := _SESSION.fullmatch(target):
        return Sentence("%(owner)s: all but this one", owner=found[1])
    return _FIXED.get(target, target)


def link_of(action: str, target: str, cluster: str | None) -> Link | None:
    """Where the thing is that a record is about; None where there is no page of it."""
    kind = action.partition(".")[0]
    if kind == "user":
        return Link("console_users")
    if kind == "token":
        return Link("console_tokens")
    if cluster is None:
        return None
    numbered = _NUMBERED.fullmatch(target)
    if numbered:
        return Link(f"console_{numbered[1]}", {"cluster": cluster, "number": int(numbered[2])})
    node = _NODE.match(target)
    if kind in ("node", "maintenance") and node:
        return Link("console_node", {"cluster": cluster, "node": node[1]})
    if kind == "override":
        return Link("console_servers", {"cluster": cluster}, {"q": target})
    if kind == "group" and node:
        return Link("console_addresses", {"cluster": cluster}, anchor=f"#group-{node[1]}")
    return Link("console_overview", {"cluster": cluster}) if kind == "cluster" else None


def change_of(one: AuditView) -> Diff:
    """What was before and after, as a difference of indented JSON."""
    sides = (_indented(one.before).splitlines(), _indented(one.after).splitlines())
    return diff_of("\n".join(unified_diff(*sides, n=10_000, lineterm="")))


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
