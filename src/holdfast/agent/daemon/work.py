"""What the agent does to its node: applies, overrides, follows orders. Blocking: it runs in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from holdfast.agent import move, overrides, overriding, status
from holdfast.agent.admission.check import admit
from holdfast.agent.applier import Applier, Tell
from holdfast.agent.down import Down, Logged, downs, logged
from holdfast.agent.lock import exclusive
from holdfast.agent.policy import load_policy
from holdfast.agent.probes.install import install_probes
from holdfast.agent.services.base import Node
from holdfast.agent.services.logs import LogTail
from holdfast.agent.steps import failure, translated
from holdfast.bundle import Bundle, Service
from holdfast.errors import ApplyError, HoldfastError, UsageError
from holdfast.findings import Finding
from holdfast.protocol import (
    Answer,
    ApplyReport,
    Desired,
    MoveReport,
    NodeStatus,
    Order,
    Outcome,
    OverrideReport,
    Overrides,
    Verb,
)
from holdfast.sentences import Sentence

_PATIENCE_S = 60.0


def _judge(bundle: Bundle) -> tuple[Finding, ...]:
    return admit(bundle, load_policy())


class Work:
    """On one node. `judge` and `prepare` are the applier's."""

    def __init__(
        self,
        node: Node,
        judge: Callable[[Bundle], tuple[Finding, ...]] = _judge,
        prepare: Callable[[], object] = install_probes,
    ) -> None:
        self.node = node
        self._judge, self._prepare = judge, prepare

    def applier(self, tell: Tell = lambda progress: None) -> Applier:
        """A new one: it keeps nothing between two attempts but what is on the disk."""
        return Applier(self.node, self._judge, prepare=lambda: self._prepare(), tell=tell)

    def apply(self, bundle: Bundle, desired: Desired, tell: Tell) -> ApplyReport:
        """Bring the node to `bundle`, with the overrides that came with it. What goes wrong is in the report."""
        try:
            self._wait_for_turn()
            with translated():
                overrides.keep(self.node.places, desired.overrides)
            return self.applier(tell).apply(bundle, desired.adopt)
        except HoldfastError as error:
            return _broken(desired, error)

    def correct(self, adopt: bool) -> ApplyReport:
        """Apply what is in use once more, moving aside what was changed by hand if `adopt`. Raises ApplyError."""
        self._wait_for_turn()
        applier = self.applier()
        bundle = applier.generations.bundle(applier.generations.current())
        if bundle is None:
            raise ApplyError("there is no generation in use on this node", "apply a bundle")
        return applier.apply(bundle, adopt)

    def override(self, wanted: Overrides) -> OverrideReport | None:
        """Carry these out; None on a node without servers to override. Raises ApplyError, TableUnreadable."""
        self._wait_for_turn()
        applier = self.applier()
        interrupted = applier.end_interrupted()
        if interrupted is not None and interrupted.outcome is Outcome.BROKEN:
            raise ApplyError(
                interrupted.failure.message if interrupted.failure else "an attempt that was interrupted is in the way"
            )
        with translated(), exclusive(self.node.places):
            return overriding.carry_out(self.node, applier.generations, wanted)

    def overrides_now(self) -> OverrideReport | None:
        """How they are; None on a node without servers to override. Raises ApplyError, TableUnreadable."""
        return overriding.report_now(self.node, self.applier().generations)

    def downs_now(self, found: OverrideReport) -> tuple[tuple[Down, ...], Mapping[tuple[str, str], Logged]]:
        """The servers of a report that their checks took out, and what keepalived's log says. Raises ApplyError."""
        generations = self.applier().generations
        bundle = generations.bundle(generations.current())
        if bundle is None or len(found.servers) != sum(len(one.servers) for one in bundle.expected.virtual_servers):
            return (), {}  # another generation since
        with translated():
            tail = LogTail(self.node.places, Service.KEEPALIVED, {})
            return downs(found, overrides.weighted_now(self.node.places, bundle), bundle), logged(tail.lines())

    def _wait_for_turn(self, patience_s: float = _PATIENCE_S) -> None:
        """A command that somebody runs on the node by hand may take its time: that is no failure. Raises ApplyError."""
        with translated(), exclusive(self.node.places, patience_s):
            return

    def status(self) -> NodeStatus:
        """The node as it is. Raises ApplyError."""
        with translated():
            return status.node_status(self.node)

    def recover(self) -> ApplyReport | None:
        """End what a crash cut off. Raises ApplyError."""
        return self.applier().end_interrupted()

    def follow(self, order: Order, name: str) -> Answer:
        """Carry an order out; what goes wrong is in the answer."""
        try:
            if order.verb is Verb.STATUS:
                return Answer(order=order.id, node=name, status=self.status())
            return Answer(order=order.id, node=name, moved=self._on_group(order))
        except HoldfastError as error:
            return Answer(order=order.id, node=name, failure=failure(error))

    def _on_group(self, order: Order) -> MoveReport:
        self._wait_for_turn(min(order.within_s, _PATIENCE_S))
        applier = self.applier()
        applier.end_interrupted()
        with translated(), exclusive(self.node.places):
            bundle = applier.generations.bundle(applier.generations.current())
            if order.group is None:
                raise UsageError(Sentence("the order to %(verb)s names no VRRP group", verb=order.verb))
            group = status.group(bundle, order.group)
            match order.verb:
                case Verb.HOLD:
                    return move.hold(self.node, group)
                case Verb.RELEASE:
                    return move.release(self.node, group)
                case Verb.RELEASE_WHEN_GIVEN_UP:
                    return move.release_when_given_up(self.node, group, order.within_s)
                case _:
                    directs = bundle is not None and any(
                        each.group == group.group for each in bundle.expected.virtual_servers
                    )
                    return move.move(self.node, group, None, directs=directs)  # as long as the group says


def _broken(desired: Desired, error: HoldfastError) -> ApplyReport:
    return ApplyReport(node=desired.node, outcome=Outcome.BROKEN, digest=desired.digest, failure=failure(error))
