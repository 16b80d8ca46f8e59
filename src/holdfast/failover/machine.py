"""A cluster on a clock of its own: the world changes, keepalived on every node reacts, until nothing moves any more.

A port of what 2.2.7 does in vrrp_scheduler.c and vrrp_track.c: a change of priority moves a running timer, a fault of
one member is the fault of its sync group. Timers that end together end in the order of the places.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

from .clock import Clock
from .elections import MOST_STEPS_EACH, Elections
from .hearing import hears
from .model import Cluster, Place, World
from .router import NEVER, Cause, Ranked, Router, State
from .standing import Standing, standing

_MOST_CHANGES_EACH = 60


class Machine(Elections):
    """All instances of a cluster in a world. Not shared: `copy()` before trying something out.

    `late` holds nodes back: seconds by which each one's timers fire late, to see whether the outcome hangs on that.
    """

    def __init__(self, cluster: Cluster, world: World | None = None, late: Mapping[str, float] | None = None) -> None:
        super().__init__(cluster, world or World())
        self._clock.late = self.late = dict(late or {})
        for name in cluster.nodes:
            if self.world.runs(name):
                self._start(name)

    def copy(self, late: Mapping[str, float] | None = None) -> Machine:
        """Another machine in the same state; its clock and its record of changes start anew."""
        nowhere = replace(self.world, dead=frozenset(self.cluster.nodes))
        other = Machine(self.cluster, nowhere, self.late if late is None else late)
        other.world, other.changes, other.ranked = self.world, [], []
        other._routers = {place: replace(router) for place, router in self._routers.items()}
        other._clock = Clock(other._routers, other.late)
        for router in other._routers.values():
            other._clock.set(router, router.expires - self.now)
            router.preempt_at = None if router.preempt_at is None else router.preempt_at - self.now
        other._groups = {key: replace(group) for key, group in self._groups.items()}
        other._join_groups()
        return other

    @classmethod
    def held_by(cls, cluster: Cluster, world: World, active: Iterable[Place]) -> Machine:
        """A machine in which these instances hold, as far as they may; all others stand by or are in FAULT."""
        machine = cls(cluster, world)
        for place in active:
            router = machine._routers[place]
            if router.state is State.STANDBY:
                router.state = router.wants = State.ACTIVE
                machine._clock.set(router, 0.0)
        for group in machine._groups.values():
            if all(machine._routers[place].state is State.ACTIVE for place in group.members):
                group.state = State.ACTIVE
        return machine

    # What is seen from outside

    def state(self, place: Place) -> State:
        """What the instance at a place is now."""
        return self._routers[place].state

    def standing(self, place: Place) -> Standing:
        """Its priority and what keeps it from holding, as its trackers have it now."""
        return standing(self.cluster.nodes[place[0]], self._routers[place].config, self.world)

    def states(self) -> dict[Place, State]:
        """All of them."""
        return {place: router.state for place, router in self._routers.items()}

    def priority(self, place: Place) -> int:
        """The priority that the instance would advertise now."""
        return self._routers[place].priority

    # What happens from outside

    def enter(self, world: World) -> None:
        """The world is another one from now on; what the nodes see of that at once takes its course."""
        before, self.world = self.world, world
        self._last = self.now
        for name in self.cluster.nodes:
            ran, runs = before.runs(name), world.runs(name)
            if ran and not runs:
                self._stop(name, orderly=name in world.stopped)
            elif runs and not ran:
                self._start(name)
        self._deliver()
        for place, router in self._routers.items():
            if router.state is not State.DOWN:
                self._look(place)
        self._deliver()

    def align(self) -> None:
        """Every master advertises right now: whatever strikes next, strikes at the worst moment."""
        for router in self._routers.values():
            if router.state is State.ACTIVE:
                self._timeout(router)
        self._deliver()

    def advance(self, until: float) -> None:
        """Let time pass."""
        for _ in range(MOST_STEPS_EACH * (len(self._routers) + 1)):
            router = self._clock.next()
            if router is None or self._clock.due(router) > until:
                break
            self._step(router)
        self.now = max(self.now, until)

    def settle(self) -> bool:
        """Let time pass until nothing changes any more; False if that never is."""
        most = _MOST_CHANGES_EACH * (len(self._routers) + 1) + len(self.changes)
        for _ in range(MOST_STEPS_EACH * (len(self._routers) + 1)):
            router = self._clock.next()
            if router is None:
                return True
            rest = self._clock.horizon_s
            pending = [r.preempt_at for r in self._clock.delayed if r.preempt_at and r.state is State.STANDBY]
            ahead = [at for at in pending if at > self.now]
            if ahead and self.now > self._last + rest and min(ahead) > self.now + rest:
                self._jump(min(ahead) - self.now)
                continue
            if self._clock.due(router) > max([self._last, *pending]) + rest:
                return True
            if len(self.changes) > most:
                return False
            self._step(router)
        return False

    # The clock

    def _step(self, router: Router) -> None:
        due = self._clock.due(router)
        for waiting in self._clock.delayed:
            # The last advert that a delay still lets count comes just before its end: the longest wait there can be.
            if waiting.preempt_at and self.now < waiting.preempt_at <= due and waiting.state is State.STANDBY:
                self.now = math.nextafter(waiting.preempt_at, 0.0)
                self.align()
                self.now = waiting.preempt_at
                return
        self.now = due
        self._timeout(router)
        self._deliver()

    def _jump(self, seconds: float) -> None:
        """Nothing but adverts would be sent in this time: every timer is moved along."""
        step = seconds * 0.999
        self.now += step
        self._clock.move(step)

    # What trackers do

    def _look(self, place: Place) -> None:
        """Trackers of an instance are looked at anew."""
        router = self._routers[place]
        now = self.standing(place)
        was, router.faults = router.faults, now.faults
        if not router.owner and router.config.owner:
            now = replace(now, priority=router.priority)
        if router.priority != now.priority:
            self.ranked.append(Ranked(self.now, place, router.priority, now.priority, now.losses))
            before, router.priority = router.down_s, now.priority
            router.down_s = router.full_s
            self._clock.changed()
            if router.state is State.STANDBY:
                self._clock.set(router, router.expires + router.down_s - before)
            self._last = self.now
        if now.faults and not was:
            self._down(router)
        elif was and not now.faults:
            self._up(router, was)

    def _down(self, router: Router) -> None:
        router.wants = State.FAULT
        if router.state is State.ACTIVE:
            self._leave_active(router, Cause.LOST, router.faults)
        else:
            self._leave_fault(router, Cause.LOST, router.faults)
        group = router.group
        if group is not None and group.state is not State.FAULT:
            self._sync_fault(group, router)

    def _up(self, router: Router, was: tuple[str, ...]) -> None:
        router.wants = State.STANDBY
        self._learn(router, router.config.advert_s)
        router.down_s = router.full_s
        group = router.group
        if group is not None and any(self._routers[place].faults for place in group.members):
            return
        self._leave_fault(router, Cause.REGAINED, was)
        if group is not None:
            self._sync_standby(group, router)

    # Nodes

    def _start(self, name: str) -> None:
        node = self.cluster.nodes[name]
        mine = [router for place, router in self._routers.items() if place[0] == name]
        for router in mine:
            now = self.standing(router.place)
            router.owner, router.priority, router.faults = router.config.owner, now.priority, now.faults
            router.master_advert_s, router.preempt_at, router.master = router.config.advert_s, None, None
            router.waits = Cause.STARTED
        self._clock.changed()
        faulted = {router.place for router in mine if router.faults}
        for key, group in self._groups.items():
            if key[0] == name:
                members = [self._routers[place] for place in group.members]
                owners = all(router.owner for router in members)
                group.state = State.FAULT if faulted & set(group.members) else State.STANDBY
                if owners and group.state is State.STANDBY:
                    group.state = State.ACTIVE
                if group.state is State.FAULT:
                    faulted |= set(group.members)
        for router in mine:
            self._begin(router, router.place in faulted, node.startup_delay_s)

    def _begin(self, router: Router, faulted: bool, delay_s: float) -> None:
        group = router.group
        router.wants = State.FAULT if faulted else State.STANDBY
        about = router.faults or ("sync group",)
        self._become(router, router.wants, Cause.LOST if faulted else Cause.STARTED, about if faulted else ())
        at_once = router.owner and (group is None or group.state is State.ACTIVE)
        router.down_s = 1e-6 if at_once else router.full_s
        self._arm(router)
        self._clock.set(router, router.expires + delay_s)

    def _stop(self, name: str, *, orderly: bool) -> None:
        mine = [router for place, router in self._routers.items() if place[0] == name]
        for router in mine:
            if orderly and router.state is State.ACTIVE:
                self._farewell(router)
        for router in mine:
            self._become(router, State.DOWN, Cause.STOPPED if orderly else Cause.DIED, (name,))
            self._clock.set(router, NEVER)
            router.faults = ()

    def _farewell(self, router: Router) -> None:
        """The last advert of one that ends in order; the world already has it as stopped, so it is sent by hand."""
        alive = replace(self.world, stopped=self.world.stopped - {router.place[0]})
        for place in self._same[router.place]:
            listens = self._routers[place].state in (State.STANDBY, State.ACTIVE)
            if listens and hears(self.cluster, alive, router.place, place):
                self._queue.append((router.place, place, 0, router.config.advert_s))
