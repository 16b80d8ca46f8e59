"""keepalived's elections: what an instance does on an advert, at the end of a timer, and with its sync group.

A port of what 2.2.7 does in vrrp.c, vrrp_scheduler.c and vrrp_sync.c, its peculiarities included: who ignores an advert
keeps its timer, a sync group takes over only once all of its members want to. Adverts take no time.
"""

from __future__ import annotations

from collections import deque

from .clock import Clock
from .hearing import believes, hears, outranks
from .model import Cluster, Place, World
from .router import BY_MASTER, NEVER, Cause, Change, Group, Ranked, Router, State

MOST_STEPS_EACH = 4_000  # per instance: beyond it nothing will ever come to rest

_Packet = tuple[Place, Place, int, float]  # sender, receiver, priority, the sender's advert interval


class Elections:
    """The instances of all nodes at one moment; `now` is moved by whoever owns the clock."""

    def __init__(self, cluster: Cluster, world: World) -> None:
        self.cluster, self.world = cluster, world
        self.now = 0.0
        self.changes: list[Change] = []
        self.ranked: list[Ranked] = []
        self._last = 0.0
        self._queue: deque[_Packet] = deque()
        self._routers = {place: Router(place, cluster.instance(place)) for place in cluster.places}
        self._clock = Clock(self._routers)
        self._same = _same_group(cluster)
        self._heard_in = self.world
        self._heard: dict[Place, tuple[Place, ...]] = {}
        self._groups: dict[tuple[str, str], Group] = {}
        for node in cluster.nodes.values():
            mine: dict[int, list[Place]] = {}
            for name, at in node.place_of_group.items():
                mine.setdefault(at, []).append((node.name, name))
            for at, group in enumerate(node.sync_groups):
                if at in mine:
                    self._groups[(node.name, group.name)] = Group(group, tuple(mine[at]))
        self._join_groups()

    def _join_groups(self) -> None:
        """Every instance knows its sync group, and every group how many of its members want to be active."""
        for group in self._groups.values():
            members = [self._routers[place] for place in group.members]
            group.willing = sum(router.wants is State.ACTIVE for router in members)
            for router in members:
                router.group = group

    # Adverts

    def _send(self, router: Router, priority: int) -> None:
        for place in self._audience(router.place):
            if self._routers[place].state in (State.STANDBY, State.ACTIVE):
                self._queue.append((router.place, place, priority, router.config.advert_s))

    def _audience(self, sender: Place) -> tuple[Place, ...]:
        """Whom its adverts reach; asked once a world, since a world never changes."""
        if self._heard_in is not self.world:
            self._heard_in, self._heard = self.world, {}
        if sender not in self._heard:
            near = (place for place in self._same[sender] if hears(self.cluster, self.world, sender, place))
            self._heard[sender] = tuple(near)
        return self._heard[sender]

    def _deliver(self) -> None:
        for _ in range(MOST_STEPS_EACH * (len(self._routers) + 1)):
            if not self._queue:
                return
            sender, receiver, priority, advert_s = self._queue.popleft()
            router = self._routers[receiver]
            if router.state is State.STANDBY:
                self._as_standby(router, sender, priority, advert_s)
                self._sync(State.STANDBY, router)
            elif router.state is State.ACTIVE:
                if self._as_active(router, sender, priority, advert_s):
                    self._leave_active(router, Cause.OUTRANKED)
                self._sync(State.ACTIVE, router)
            else:
                continue
            if router.state is not State.ACTIVE or router.config.answers_lower:
                self._arm(router)
        self._queue.clear()  # two that answer each other without end: neither learns anything new

    def _as_standby(self, router: Router, sender: Place, priority: int, advert_s: float) -> None:
        config = router.config
        addresses = not (config.reads_foreign_addresses and router.master == sender)
        if not believes(config, self._routers[sender].config, addresses=addresses):
            router.down_s = max(0.0, router.expires - self.now)
        elif priority == 0:
            router.down_s = config.skew_s(router.priority, router.master_advert_s)
            router.waits = Cause.GIVEN_UP
        elif not config.preempt or priority >= router.priority or self._delayed(router):
            if config.version == 3:
                self._learn(router, advert_s)
            router.down_s = router.full_s
            router.master, router.waits = sender, Cause.SILENCE
            self._delay(router, priority)
            router.wants = State.STANDBY
        else:
            router.master, router.waits = sender, Cause.WAITED if config.preempt_delay_s else Cause.OUTRANKS
            router.down_s = max(0.0, router.expires - self.now)

    def _delayed(self, router: Router) -> bool:
        """Whether preemption waits: its delay runs, or has yet to begin."""
        delay = router.config.preempt_delay_s
        return bool(delay) and (router.preempt_at is None or router.preempt_at > self.now)

    def _delay(self, router: Router, priority: int) -> None:
        if not router.config.preempt_delay_s:
            return
        if priority >= router.priority:
            router.preempt_at = None
        elif router.preempt_at is None:
            router.preempt_at = self.now + router.config.preempt_delay_s

    def _as_active(self, router: Router, sender: Place, priority: int, advert_s: float) -> bool:
        """Whether the instance must give way."""
        config, other = router.config, self._routers[sender].config
        if not believes(config, other, addresses=True):
            return False
        better = priority > router.priority or (priority == router.priority and outranks(other, config))
        if priority == 0 or (config.answers_higher and better):
            self._send(router, router.priority)
        if priority == 0:
            return False
        if priority == router.priority and router.owner and other.source != config.source:
            router.priority, router.owner = 254, False  # two owners: keepalived lowers its own priority
            self._clock.changed()
        better = priority > router.priority or (priority == router.priority and outranks(other, config))
        worse = priority < router.priority or (priority == router.priority and outranks(config, other))
        if worse and config.answers_lower:
            self._send(router, router.priority)
        if better:
            if config.version == 3:
                self._learn(router, advert_s)
            router.wants, router.master = State.STANDBY, sender
        return better

    def _learn(self, router: Router, advert_s: float) -> None:
        """How often its master advertises."""
        if router.master_advert_s != advert_s:
            router.master_advert_s = advert_s
            self._clock.changed()

    # Timers and states

    def _arm(self, router: Router) -> None:
        if router.state is State.ACTIVE:
            self._clock.set(router, self.now + router.config.advert_s)
        elif router.state is State.STANDBY:
            self._clock.set(router, self.now + router.down_s)
        else:
            self._clock.set(router, NEVER)

    def _timeout(self, router: Router) -> None:
        before = router.state
        if before is State.STANDBY:
            router.wants = State.ACTIVE
            self._go_active(router, router.waits)
        elif before is State.ACTIVE:
            self._send(router, router.priority)
        self._sync(before, router)
        self._arm(router)

    def _become(self, router: Router, state: State, cause: Cause, about: tuple[str, ...] = ()) -> None:
        if router.state is not state:
            if not about and cause in BY_MASTER and router.master:
                about = (router.master[0],)
            self.changes.append(Change(self.now, router.place, router.state, state, cause, about))
            self._last = self.now
        router.state = state

    def _go_active(self, router: Router, cause: Cause) -> None:
        if not self._group_may(router):
            router.wants = State.ACTIVE
            return
        self._become(router, State.ACTIVE, cause)
        self._arm(router)
        self._send(router, router.priority)

    def _leave_active(self, router: Router, cause: Cause, about: tuple[str, ...] = ()) -> None:
        """From ACTIVE to what it wants: STANDBY or FAULT."""
        if router.wants is State.STANDBY:
            router.preempt_at = None
        else:
            self._send(router, 0)
        self._become(router, router.wants, cause, about)
        router.down_s = router.full_s
        router.waits = Cause.SILENCE
        self._arm(router)

    def _leave_fault(self, router: Router, cause: Cause, about: tuple[str, ...] = ()) -> None:
        """From FAULT (or into it from STANDBY) to what it wants."""
        if router.wants is State.ACTIVE:
            self._go_active(router, cause)
        else:
            if router.wants is State.FAULT and router.state is State.ACTIVE:
                self._send(router, 0)
            self._become(router, router.wants, cause, about)
            if router.state is State.STANDBY:
                router.preempt_at = None
        self._learn(router, router.config.advert_s)
        router.down_s = router.full_s
        router.waits = Cause.SILENCE
        self._arm(router)

    # Sync groups

    def _group_may(self, router: Router) -> bool:
        """A group takes over only when all of its members want to; until then the one that does waits again."""
        group = router.group
        if group is None or group.state is State.ACTIVE:
            return True
        if group.willing - (router.wants is State.ACTIVE) == len(group.members) - 1:
            return True
        router.down_s = router.full_s
        self._arm(router)
        return False

    def _sync(self, before: State, router: Router) -> None:
        """The transitions that move the rest of the group."""
        group = router.group
        if group is None:
            return
        if router.state is State.ACTIVE:
            self._sync_active(group, router)
        elif before is State.ACTIVE and router.state is State.STANDBY:
            self._sync_standby(group, router)

    def _sync_active(self, group: Group, router: Router) -> None:
        if group.state is State.ACTIVE or not self._group_may(router):
            return
        for place in group.members:
            other = self._routers[place]
            if place != router.place and other.state is not State.ACTIVE:
                other.wants = State.ACTIVE
                self._go_active(other, Cause.SYNC)
        group.state = State.ACTIVE

    def _sync_standby(self, group: Group, router: Router) -> None:
        if group.state is State.STANDBY:
            return
        for place in group.members:
            other = self._routers[place]
            if place == router.place or other.state is State.STANDBY:
                continue
            other.wants = State.STANDBY
            if other.state is State.FAULT:
                self._leave_fault(other, Cause.SYNC)
            else:
                self._leave_active(other, Cause.SYNC)
        group.state = State.STANDBY

    def _sync_fault(self, group: Group, router: Router) -> None:
        for place in group.members:
            other = self._routers[place]
            if place == router.place or other.state is State.FAULT:
                continue
            other.wants = State.FAULT
            if other.state is State.ACTIVE:
                self._leave_active(other, Cause.SYNC)
            else:
                self._leave_fault(other, Cause.SYNC)
        group.state = State.FAULT


def _same_group(cluster: Cluster) -> dict[Place, tuple[Place, ...]]:
    """Place → the others that might hear it, links aside: nothing else need be asked for each advert."""
    found: dict[tuple[int, int, bool], list[Place]] = {}
    for place in cluster.places:
        instance = cluster.instance(place)
        found.setdefault((instance.vrid, instance.family, bool(instance.peers)), []).append(place)
    return {place: tuple(other for other in same if other != place) for same in found.values() for place in same}
