"""A planned switchover of one VRRP group: never from the last node that could hold it, never with a lost request."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from holdfast.errors import HoldfastError, PlanRefused, RolloutFailed
from holdfast.protocol import Bundle, GroupFacts, MoveReport, NodeStatus, VrrpExpectation
from holdfast.sentences import Sentence

from .transport import Mover

TAKEN_OVER_WITHIN_S = 10.0
_POLL_S = 0.1


@dataclass(frozen=True)
class Switchover:
    """How a group changed hands. `report` is the old holder's own."""

    group: str
    before: str | None
    after: str
    report: MoveReport | None


@dataclass(frozen=True)
class _Member:
    node: str
    expected: VrrpExpectation
    status: NodeStatus

    @property
    def facts(self) -> GroupFacts:
        return next(facts for facts in self.status.groups if facts.group == self.expected.group)

    @property
    def could_hold(self) -> bool:
        """As of NodeStatus."""
        return self.status.could_hold(self.expected.group)


def refuse_imported(bundles: Mapping[str, Bundle], asked: Iterable[str]) -> None:
    """PlanRefused where one of these groups keeps the shape of its import: it has no hold file to move it by."""
    wanted = set(asked)
    for bundle in bundles.values():
        for kept in bundle.expected.imported:
            addresses = {held.address.partition("/")[0] for held in kept.addresses}
            if wanted & {kept.group, *addresses}:
                raise PlanRefused(
                    Sentence(
                        "'%(group)s' keeps the shape of its import, which has no hold file: it cannot be moved",
                        group=kept.group,
                    ),
                    "give it Holdfast's own shape first: `holdfast import steps SPEC --write`, then apply each step",
                )


class Switch:
    """Moves one group of a running cluster."""

    def __init__(
        self,
        transport: Mover,
        bundles: Mapping[str, Bundle],
        group: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._transport, self._group, self._clock, self._sleep = transport, group, clock, sleep
        self._expected = {
            node: expected
            for node, bundle in bundles.items()
            for expected in bundle.expected.vrrp
            if expected.group == group
        }
        if not self._expected:
            refuse_imported(bundles, [group])
            known = sorted({expected.group for bundle in bundles.values() for expected in bundle.expected.vrrp})
            raise PlanRefused(
                Sentence("there is no VRRP group '%(group)s'", group=group),
                Sentence("known: %(known)s", known=", ".join(known)),
            )

    def away(self) -> Switchover:
        """Move the group from its holder to the best other node, and keep it away until `back`.

        PlanRefused if no other node could hold it. If nobody takes over all the same, the holder gets it back, and it
        is RolloutFailed. Where nobody may preempt, nothing has to keep it away afterwards.
        """
        members = self._members()
        holder = self._holder(members)
        heirs = [m for m in members if m.node != holder.node and m.could_hold]
        if not heirs:
            raise PlanRefused(
                Sentence(
                    "no other node could hold '%(group)s' now, so %(node)s keeps it",
                    group=self._group,
                    node=holder.node,
                ),
                "bring its peer up, see why keepalived there is in FAULT, or release it, before you move the group",
            )
        for heir in heirs:
            # It may hold the group already; but so it also forgets clients that it lost when it last gave the group up.
            self._transport.release(heir.node, self._group)
        report = self._transport.move(holder.node, self._group)
        try:
            after = self._taken_over({m.node for m in heirs})
        except RolloutFailed as error:
            raise self._had_again(holder.node, error) from None
        if not holder.expected.preempts:
            self._release([holder.node])
        return Switchover(self._group, holder.node, after, report)

    def back(self) -> Switchover:
        """Let every node hold the group again; if a better one takes it, it does so without a lost request."""
        members = self._members()
        kept_away = [member.node for member in members if member.facts.hold != 0]
        holder = next((member for member in members if member.facts.holds), None)
        best = max(members, key=lambda member: member.expected.priority)
        returns = best.node in kept_away and best.expected.preempts
        if holder is None or best.node == holder.node or not returns:
            self._release(kept_away)
            return Switchover(self._group, holder.node if holder else None, self._taken_over(set(self._expected)), None)
        report = self._hand_over(holder, best)
        try:
            after = self._taken_over({best.node})
        finally:
            self._release([holder.node, *(node for node in kept_away if node != best.node)])
        return Switchover(self._group, holder.node, after, report)

    def _hand_over(self, holder: _Member, heir: _Member) -> MoveReport:
        """The heir may take the group only once no answer is on its way at the holder, and should at once then.

        So it listens for the holder's last advert. Released before, it would preempt; later, new connections would
        wait on for as long as it takes to reach it.
        """
        within_s = holder.expected.hold_back_at_most_ms / 1000 + TAKEN_OVER_WITHIN_S
        with ThreadPoolExecutor(max_workers=1) as waiter:
            released = waiter.submit(self._transport.release_when_given_up, heir.node, self._group, within_s)
            report = self._transport.move(holder.node, self._group)
            if not released.result().moved:
                self._release([heir.node])
        return report

    def _had_again(self, old: str, error: RolloutFailed) -> RolloutFailed:
        """Nobody took over: a group that nobody holds is worse than one that was not moved. What to say of that."""
        by_hand = Sentence("let it hold it again, on the node: holdfast-agent release %(group)s", group=self._group)
        try:
            self._transport.release(old, self._group)
            after = self._taken_over(set(self._expected))
        except HoldfastError as failed:
            said = Sentence(
                "%(why)s, and %(node)s does not have it again: %(failed)s",
                why=error.message,
                node=old,
                failed=failed.message,
            )
            return RolloutFailed(said, by_hand)
        log = "read keepalived's log on the node that should have"
        return RolloutFailed(Sentence("%(why)s: %(node)s has it again", why=error.message, node=after), log)

    def _release(self, nodes: list[str]) -> None:
        for node in nodes:
            self._transport.release(node, self._group)

    def _members(self) -> list[_Member]:
        members = []
        for node, expected in self._expected.items():
            try:
                status = self._transport.status(node)
            except HoldfastError:
                continue  # a node that cannot be asked cannot take over either
            if any(facts.group == self._group for facts in status.groups):
                members.append(_Member(node, expected, status))
        if not members:
            raise RolloutFailed(
                Sentence("no node of '%(group)s' could be asked", group=self._group), "are its nodes up?"
            )
        return members

    def _holder(self, members: list[_Member]) -> _Member:
        holding = [member for member in members if member.facts.holds]
        if len(holding) == 1:
            return holding[0]
        names = ", ".join(member.node for member in holding) or "nobody"
        raise PlanRefused(
            Sentence(
                "'%(group)s' is held by %(names)s: a move needs exactly one holder", group=self._group, names=names
            ),
            "see what is wrong first",
        )

    def _taken_over(self, heirs: set[str]) -> str:
        """The heir that holds the group, as soon as one does."""
        deadline = self._clock() + TAKEN_OVER_WITHIN_S
        while self._clock() < deadline:
            for member in self._members():
                if member.node in heirs and member.facts.holds:
                    return member.node
            self._sleep(_POLL_S)
        raise RolloutFailed(
            Sentence("nobody took '%(group)s' over within %(s)s s", group=self._group, s=f"{TAKEN_OVER_WITHIN_S:.0f}"),
            Sentence("let a node have it, on that node: holdfast-agent release %(group)s", group=self._group),
        )
