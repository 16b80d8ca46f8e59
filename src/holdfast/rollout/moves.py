"""A planned move as a record: what was asked of nodes, so that whoever leads next can finish or undo it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Annotated

from pydantic import AwareDatetime, Field

from holdfast.protocol import SafeName, Verb
from holdfast.store.models import Number, Record, Who

_MOST_HELD = 10_000


class MoveKind(StrEnum):
    """What somebody wants; the values are what the audit calls it, but for BACK."""

    MOVE = "group.move"
    BACK = "group.back"
    MAINTENANCE_ON = "maintenance.on"
    MAINTENANCE_OFF = "maintenance.off"


class HeldBack(Record):
    """A node that was asked to give a group up, and not to hold it until it is released. `held`: it was the holder."""

    node: SafeName
    group: SafeName
    held: bool = False

    def same(self, other: HeldBack) -> bool:
        """Whether both are about the same group on the same node."""
        return (self.node, self.group) == (other.node, other.group)


Pairs = Annotated[tuple[HeldBack, ...], Field(max_length=_MOST_HELD)]


class MoveRecord(Record):
    """Of each cluster at most one: written before the first order, gone with the commit that says how it ended.

    `target` is a group or, of maintenance, a node. `held` are those who gave something up because of this, and did not
    before; each is written with the order that asks for it. `owed` are to be released once their agents answer: that
    is decided, and with `decided` it is all that is left. `quiet`: no agent is busy with an order of it any more.
    `epoch` is the store's: after a restoration nobody knows what has happened since.
    """

    epoch: Number
    kind: MoveKind
    target: SafeName
    wanted: SafeName | None = None  # who shall hold the group
    began: bool = False  # it is this that took the node out
    who: Who
    since: AwareDatetime
    held: Pairs = ()
    owed: Pairs = ()
    decided: bool = False
    quiet: bool = False

    def ordered(self, node: str, verb: Verb, group: str, before: Collection[tuple[str, str]]) -> MoveRecord:
        """With an order that is about to be given; `before`: who was held back before this, and stays so."""
        one = HeldBack(node=node, group=group, held=verb is Verb.MOVE)
        if verb not in (Verb.MOVE, Verb.HOLD) or (node, group) in before:
            return self
        if any(each.same(one) and (each.held or not one.held) for each in self.held):
            return self
        rest = tuple(each for each in self.held if not each.same(one))
        owed = tuple(each for each in self.owed if not each.same(one))
        return self.model_copy(update={"held": (*rest, one), "owed": owed})

    def released(self, node: str, group: str) -> MoveRecord:
        """With a node that may hold the group again."""
        gone = HeldBack(node=node, group=group)
        held = tuple(each for each in self.held if not each.same(gone))
        owed = tuple(each for each in self.owed if not each.same(gone))
        return self.model_copy(update={"held": held, "owed": owed})


@dataclass(frozen=True)
class Member:
    """A node that may hold a group, as its agent says it is now."""

    holds: bool
    held_back: bool
    preempts: bool = True


Seen = Mapping[str, Mapping[str, Member]]  # by group, then by node: those that answered


class Ending(Enum):
    """What becomes of a move whose controller is gone."""

    DONE = auto()  # it had happened: only its end was not told
    UNDONE = auto()  # everything is to be as it was before
    GO_ON = auto()  # what is left of it can be done now
    LOOK_AGAIN = auto()  # not known yet


@dataclass(frozen=True)
class Verdict:
    """`release`: who may hold again; `holder`: who has the group that was moved."""

    ending: Ending
    release: tuple[HeldBack, ...] = ()
    holder: str | None = None


def verdict(record: MoveRecord, seen: Seen, *, in_maintenance: Collection[str], under_way: bool) -> Verdict:
    """What becomes of a move that was cut off, by how its nodes are now.

    `under_way`: an agent may still be busy with an order of before. Addresses that nobody holds are worse than ones
    that did not move: whoever gave them up may hold them again.
    """
    match record.kind:
        case MoveKind.MOVE:
            return _of_move(record, seen.get(record.target, {}), under_way=under_way)
        case MoveKind.BACK:
            return Verdict(Ending.GO_ON if seen.get(record.target) else Ending.LOOK_AGAIN)
        case MoveKind.MAINTENANCE_ON:
            return _of_maintenance(record, seen, in_maintenance)
        case MoveKind.MAINTENANCE_OFF:
            there = any(record.target in members for members in seen.values())
            return Verdict(Ending.GO_ON if there or not seen else Ending.LOOK_AGAIN)


def _of_move(record: MoveRecord, members: Mapping[str, Member], *, under_way: bool) -> Verdict:
    holders = [node for node, one in members.items() if one.holds]
    if not members or len(holders) > 1:
        return Verdict(Ending.LOOK_AGAIN)
    if not holders:
        busy = under_way and not _given_up(record, members)
        return Verdict(Ending.LOOK_AGAIN) if busy else Verdict(Ending.UNDONE, record.held)
    holder = holders[0]
    asked = [one for one in record.held if one.node == holder]
    if asked and asked[0].held and under_way and not members[holder].held_back:
        return Verdict(Ending.LOOK_AGAIN)  # it may give the group up in a moment
    if asked or (not any(one.held for one in record.held) and holder != record.wanted):
        return Verdict(Ending.UNDONE, record.held, holder)
    if record.wanted in (None, holder):
        return Verdict(Ending.DONE, () if members[holder].preempts else record.held, holder)
    # It went to somebody else: as in a move that is seen to its end, who stepped back for another is let go.
    rivals = tuple(one for one in record.held if not one.held or not members[holder].preempts)
    return Verdict(Ending.DONE, rivals, holder)


def _given_up(record: MoveRecord, members: Mapping[str, Member]) -> bool:
    """Whether who held the group has done as it was asked, as far as it can be asked now."""
    asked = [members[one.node] for one in record.held if one.held and one.node in members]
    return bool(asked) and all(one.held_back for one in asked)


def _of_maintenance(record: MoveRecord, seen: Seen, in_maintenance: Collection[str]) -> Verdict:
    given_up = {one.group for one in record.held}
    orphaned = any(not any(one.holds for one in seen.get(group, {}).values()) for group in given_up)
    if record.target not in in_maintenance or orphaned:
        return Verdict(Ending.UNDONE, record.held)
    if seen and not any(record.target in members for members in seen.values()):
        return Verdict(Ending.LOOK_AGAIN)
    return Verdict(Ending.GO_ON)
