"""VRRP groups and their virtual IPs: who holds them, who could, in which order, and what depends on that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from holdfast.protocol import GroupFacts
from holdfast.protocol.api.nodes import NodeSummary
from holdfast.spec.checks import Tracker
from holdfast.spec.cluster import ClusterSpec
from holdfast.spec.resolve_lvs import group_of
from holdfast.spec.values import format_duration
from holdfast.spec.vrrp import PreemptAfter, VrrpGroup

from ...operations.situation import Situation
from ..words import N_

# What a member does, and with which mark that is shown.
MEMBER_STATES = {
    N_("holds the addresses"): "ok",
    N_("standby"): "standby",
    N_("holds them beside another"): "bad",
    N_("holds a part of it"): "bad",
    N_("cannot hold them now"): "warning",
    N_("gave them up on purpose"): "off",
    N_("in maintenance"): "off",
    N_("cannot be asked"): "unknown",
    N_("has not reported"): "unknown",
    N_("not applied yet"): "unknown",
}


@dataclass(frozen=True, slots=True)
class Member:
    """A node that may hold a group. `place` counts from 1, the one that is preferred to all others."""

    node: str
    place: int
    priority: int | None
    word: str
    seen: datetime | None
    holds: bool

    @property
    def state(self) -> str:
        """With which mark it is shown."""
        return MEMBER_STATES[self.word]

    @property
    def could_take(self) -> bool:
        """Whether a move to it may go well, as far as is known now."""
        return self.word in ("standby", "gave them up on purpose")


@dataclass(frozen=True, slots=True)
class GroupAddress:
    """A virtual IP; `name` is empty where the spec gives it none."""

    name: str
    address: str
    interface: str
    missing_on: tuple[str, ...]  # nodes that hold the group, or a part of it, and do not carry it


@dataclass(frozen=True, slots=True)
class Group:
    """A VRRP group. `users` are the services behind its addresses: (kind, name)."""

    name: str
    vrid: int | None
    addresses: tuple[GroupAddress, ...]
    members: tuple[Member, ...]
    holders: tuple[str, ...]
    preempts: bool
    preempt_after: str
    adverts: str
    advertise_every: str
    hold_back: str
    trackers: tuple[tuple[str, str | int], ...]
    users: tuple[tuple[str, str], ...]
    word: str
    state: str

    @property
    def takers(self) -> tuple[Member, ...]:
        """Who could hold it instead."""
        return tuple(one for one in self.members if one.could_take)

    @property
    def best(self) -> Member:
        """The node that is preferred."""
        return self.members[0]

    @property
    def away(self) -> bool:
        """Whether somebody gave it up on purpose, so that it is not with whom the spec prefers."""
        return any(one.word == "gave them up on purpose" for one in self.members)

    @property
    def words(self) -> str:
        """What a filter finds it by."""
        members = (one.node for one in self.members)
        users = (name for _, name in self.users)
        return " ".join((self.name, *(one.address for one in self.addresses), *members, *users)).lower()


def groups_of(seen: Situation) -> tuple[Group, ...]:
    """Every VRRP group of the newest spec, in its order."""
    if seen.spec is None:
        return ()
    return tuple(group_picture(seen, seen.spec, name) for name in seen.spec.vrrp)


def group_picture(seen: Situation, spec: ClusterSpec, name: str) -> Group:
    """One of them; `name` is in the spec."""
    group = spec.vrrp[name]
    summaries = {one.node: one for one in seen.told.nodes}
    facts = {node: found for node in group.members if (found := _facts(seen, node, name)) is not None}
    members = tuple(
        _member(seen, group, node, place, summaries.get(node), facts.get(node))
        for place, node in enumerate(group.members, 1)
    )
    holders = tuple(one.node for one in members if one.holds)
    if len(holders) > 1:
        members = tuple(replace(one, word="holds them beside another") if one.holds else one for one in members)
    word, state = _status(members, holders)
    return Group(
        name=name,
        vrid=group.vrid or next((one.vrid for one in facts.values()), None),
        addresses=tuple(_addresses(group, {one.node: facts[one.node] for one in members if _carries(one)})),
        members=members,
        holders=holders,
        preempts=group.preempts,
        preempt_after=format_duration(group.preempt.after) if isinstance(group.preempt, PreemptAfter) else "",
        adverts=group.adverts,
        advertise_every=format_duration(group.advertise_every),
        hold_back=format_duration(group.hold_back),
        trackers=tuple(_tracker(one) for one in group.keeps_while),
        users=tuple(_users(spec, name)),
        word=word,
        state=state,
    )


def _facts(seen: Situation, node: str, group: str) -> GroupFacts | None:
    heard = seen.heard.get(node)
    status = heard.report.status if heard else None
    return next((one for one in status.groups if one.group == group), None) if status else None


def _running(seen: Situation, node: str) -> bool:
    heard = seen.heard.get(node)
    status = heard.report.status if heard else None
    return bool(status and status.services) and all(one.running for one in status.services) if status else False


def _member(
    seen: Situation, group: VrrpGroup, node: str, place: int, summary: NodeSummary | None, facts: GroupFacts | None
) -> Member:
    heard, running = seen.heard.get(node), _running(seen, node)
    blind = heard is not None and heard.report.status is None
    connected = summary is not None and summary.connected
    return Member(
        node=node,
        place=place,
        priority=group.nodes[node] if isinstance(group.nodes, dict) else None,
        word=_member_word(summary, facts, running, blind),
        seen=summary.seen if summary else None,
        holds=connected and facts is not None and facts.holds,
    )


def _member_word(summary: NodeSummary | None, facts: GroupFacts | None, running: bool, blind: bool) -> str:
    if summary is None or summary.seen is None:
        return "has not reported"
    if not summary.connected or blind:
        return "cannot be asked"
    if facts is None:
        return "not applied yet"
    if facts.holds:
        return "holds the addresses"
    if facts.present:
        return "holds a part of it"
    if summary.maintenance:
        return "in maintenance"
    if facts.hold != 0:
        return "gave them up on purpose"
    return "standby" if running else "cannot hold them now"


def _status(members: tuple[Member, ...], holders: tuple[str, ...]) -> tuple[str, str]:
    """(word, mark) of a group: held is only what somebody is known to hold."""
    if len(holders) > 1:
        return N_("two holders"), "bad"
    if any(one.word == "holds a part of it" for one in members):
        return (N_("held, and a part of it by another node") if holders else N_("held in part")), "bad"
    asked = [one for one in members if one.word not in ("cannot be asked", "has not reported")]
    if not holders:
        if any(one.word == "not applied yet" for one in asked):
            return "not applied yet", "unknown"
        if len(asked) < len(members):
            return N_("nobody is known to hold it"), "unknown" if not asked else "warning"
        return N_("nobody holds it"), "bad"
    if not any(one.word in ("standby", "gave them up on purpose") for one in members):
        return N_("held, and nobody could take over"), "warning"
    return N_("held"), "ok"


def _carries(one: Member) -> bool:
    return one.holds or one.word == "holds a part of it"


def _addresses(group: VrrpGroup, carrying: dict[str, GroupFacts]) -> Iterable[GroupAddress]:
    for name, one in group.addresses.items():
        missing = tuple(
            node
            for node, facts in carrying.items()
            if str(one.ip) in {held.address.partition("/")[0] for held in facts.missing}
        )
        yield GroupAddress("" if name.isdigit() else name, str(one.address), one.interface or "", missing)


def _tracker(one: Tracker) -> tuple[str, str | int]:
    """(what a holder must have, what losing it means): a word of the spec, or the weight that is lost."""
    value = getattr(one, one.kind)
    target = f"{value.address}:{value.port}{value.path}" if one.kind == "http" else str(value)
    loss = one.on_loss if one.weight is None else one.weight
    return f"{one.kind} {target}", loss


def _users(spec: ClusterSpec, name: str) -> Iterable[tuple[str, str]]:
    for virtual in spec.virtual_servers:
        if group_of(spec, virtual) == name:
            yield "virtual_server", virtual
    for key, proxy in spec.proxies.items():
        if any(one.on.group == name for one in proxy.listeners):
            yield "proxy", key
