"""A transport over nodes that exist in memory only: each call can be made to fail."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from holdfast.bundle import Bundle
from holdfast.errors import RolloutFailed
from holdfast.protocol import (
    ApplyReport,
    Failure,
    GroupFacts,
    MoveReport,
    NodeStatus,
    Outcome,
    OverrideReport,
    Overrides,
    ServiceFacts,
)


@dataclass
class FakeTransport:
    """Remembers what every node runs; `refuses` and `unreachable` name nodes that do not play along."""

    running: dict[str, list[Bundle]]
    holders: dict[str, str | None]
    refuses: set[str] = field(default_factory=set)
    unreachable: set[str] = field(default_factory=set)
    loses: dict[str, str] = field(default_factory=dict)  # node → group that it loses when a bundle is applied
    hold: dict[tuple[str, str], int] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    dead_services: set[str] = field(default_factory=set)
    fault: set[str] = field(default_factory=set)  # keepalived of these nodes cannot hold a group, and says so
    unable: set[str] = field(default_factory=set)  # the same, and nobody knows
    preempts: bool = True
    follows: dict[str, tuple[str, ...]] = field(default_factory=dict)  # node → its controllers
    overrides: dict[str, Overrides] = field(default_factory=dict)
    _moved: threading.Event = field(default_factory=threading.Event)

    def apply(self, node: str, bundle: Bundle, *, adopt: bool = False) -> ApplyReport:
        self._reach(node)
        self.order.append(f"apply {node}")
        if node in self.refuses:
            failure = Failure(message="nginx refused line 7", hint="mend line 7")
            return ApplyReport(node=node, outcome=Outcome.ROLLED_BACK, digest=bundle.digest, failure=failure)
        self.running.setdefault(node, []).append(bundle)
        if node in self.loses:
            self.holders[self.loses[node]] = None
        return ApplyReport(node=node, outcome=Outcome.COMMITTED, digest=bundle.digest)

    def roll_back(self, node: str) -> ApplyReport:
        self._reach(node)
        self.order.append(f"put back {node}")
        self.running[node].pop()
        return ApplyReport(node=node, outcome=Outcome.COMMITTED, digest=self.running[node][-1].digest)

    def status(self, node: str) -> NodeStatus:
        self._reach(node)
        overridden = self.overrides.get(node, Overrides()).servers
        controllers = self.follows.get(node, ())
        if not self.running.get(node):
            return NodeStatus(node=node, controllers=controllers, overrides=overridden)
        groups = tuple(
            GroupFacts(
                group=e.group,
                vrid=e.vrid,
                holds=self.holders.get(e.group) == node,
                hold=self.hold.get((node, e.group), 0),
                fault=node in self.fault,
            )
            for e in self.running[node][-1].expected.vrrp
        )
        services = tuple(
            ServiceFacts(service=service, running=node not in self.dead_services)
            for service in self.running[node][-1].services
        )
        return NodeStatus(node=node, groups=groups, services=services, controllers=controllers, overrides=overridden)

    def keep_overrides(self, node: str, overrides: Overrides) -> None:
        self._reach(node)
        self.order.append(f"keep {len(overrides.servers)} overrides on {node}")
        self.overrides[node] = overrides

    def move(self, node: str, group: str) -> MoveReport:
        self._reach(node)
        self.order.append(f"move {group} from {node}")
        self.hold[(node, group)] = -254
        self._elect(group)
        self._moved.set()
        return MoveReport(group=group, moved=True, held_back_s=0.1)

    def release(self, node: str, group: str) -> None:
        self._reach(node)
        self.order.append(f"release {group} on {node}")
        self.hold[(node, group)] = 0
        self._elect(group)

    def override(self, node: str, overrides: Overrides | None) -> OverrideReport:
        return OverrideReport(node=node, done=True)

    def release_when_given_up(self, node: str, group: str, within_s: float) -> MoveReport:
        """Waits for the move that another thread makes."""
        given_up = self._moved.wait(timeout=60)
        if given_up:
            self.release(node, group)
        return MoveReport(group=group, moved=given_up)

    def _elect(self, group: str) -> None:
        able = [
            (expected.priority, node)
            for node, bundles in self.running.items()
            for expected in bundles[-1].expected.vrrp
            if expected.group == group
            and not self.hold.get((node, group))
            and node not in self.unreachable | self.fault | self.unable
        ]
        stays = not self.preempts and self.holders.get(group) in {node for _, node in able}
        if not stays:
            self.holders[group] = max(able)[1] if able else None

    def _reach(self, node: str) -> None:
        if node in self.unreachable:
            raise RolloutFailed(f"{node} cannot be reached", "is it up?")
