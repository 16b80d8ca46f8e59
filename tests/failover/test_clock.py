"""Timers that are kept in order end as those that are searched through one by one; many instances take little time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.failover import elections, machine
from holdfast.failover.clock import Clock
from holdfast.failover.machine import Machine
from holdfast.failover.model import Cluster, Place, World
from holdfast.failover.play import after, begin
from holdfast.failover.router import NEVER, Router
from holdfast.keepalived.parse import parse
from holdfast.keepalived.to_failover import cluster_of

from .generated import Case, generate


class Searching(Clock):
    """Looks at every timer whenever it is asked, and remembers nothing."""

    def next(self) -> Router | None:
        router = min(self._routers, key=self.due, default=None)
        return router if router is not None and router.expires < NEVER else None

    @property
    def horizon_s(self) -> float:
        waits = (router.full_s + router.config.advert_s for router in self._routers if router.expires < NEVER)
        return 2 * max(waits, default=0.0)


def played(case: Case) -> list[object]:
    """Every change of every way in which a case begins, and goes on after its events."""
    outcomes = begin(case.cluster)
    found: list[object] = [(outcome.changes, outcome.settled) for outcome in outcomes]
    for event in case.events:
        outcomes = tuple(way for outcome in outcomes[:3] for way in after(outcome.machine, event.world))
        found += [(outcome.changes, outcome.settled, outcome.states) for outcome in outcomes]
    return found


@pytest.mark.parametrize("seed", range(300, 330))
def test_it_goes_as_if_every_timer_were_looked_at(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = generate(seed, tmp_path)
    quick = played(case)
    assert quick
    for module in (elections, machine):
        monkeypatch.setattr(module, "Clock", Searching)
    assert played(case) == quick


def synced(instances: int) -> Cluster:
    """Two nodes with this many instances in one sync group."""
    names = [f"V{number}" for number in range(1, instances + 1)]
    group = "vrrp_sync_group all {\n group {\n" + "".join(f"  {name}\n" for name in names) + " }\n}\n"
    texts = {}
    for node, priority in (("lb1", 150), ("lb2", 100)):
        blocks = (
            f"vrrp_instance V{at} {{\n interface eth{at % 4}\n virtual_router_id {at % 250 + 1}\n priority {priority}\n"
            f" virtual_ipaddress {{\n  10.{at // 250}.{at % 250}.3/24\n }}\n}}\n"
            for at in range(1, instances + 1)
        )
        texts[node] = parse(group + "".join(blocks), node)
    return cluster_of(texts)


def _works_s(instances: int) -> float:
    cluster = synced(instances)
    began = time.process_time()
    held = Machine(cluster)
    assert held.settle()
    for outcome in after(held, World(dead=frozenset({"lb1"}))):
        assert {str(state) for (node, _), state in outcome.states.items() if node == "lb2"} == {"active"}
    return time.process_time() - began


@pytest.mark.whole
def test_a_large_sync_group_takes_time_by_its_size() -> None:
    """Four times as large, six times as long on a quiet machine; a plan of 200 once took 27 s."""
    small, large = (min(_works_s(size) for _ in range(3)) for size in (60, 240))
    assert large < 3.0
    assert large < 12 * max(small, 0.02), f"{small:.2f} s for 60 instances, {large:.2f} s for 240"


class Counted(tuple[Place, ...]):
    """The members of a sync group, and how often one of them was looked at."""

    looks = 0

    def __iter__(self) -> Iterator[Place]:
        for place in super().__iter__():
            Counted.looks += 1
            yield place


def test_whether_all_of_a_sync_group_want_to_be_active_is_counted_and_not_asked_of_each_by_each() -> None:
    size = 120
    held = Machine(synced(size))
    assert held.settle()
    for group in held._groups.values():
        group.members = Counted(group.members)
    outcomes = list(after(held, World(dead=frozenset({"lb1"}))))
    assert all(str(state) == "active" for one in outcomes for (node, _), state in one.states.items() if node == "lb2")
    assert 0 < Counted.looks / len(outcomes) < 20 * size
