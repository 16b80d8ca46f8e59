"""Losses one by one: the same as asking how the instance stands in a world in which that is lost."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.failover.model import HIGHEST, OWNER, Instance, Node, Tracker, Watch, Watched, World
from holdfast.failover.standing import Reckoning, standing

_NAMES = st.sampled_from(["a", "b", "c"])
_TRACKERS = st.builds(
    Tracker, st.sampled_from(Watched), _NAMES, st.integers(-254, 254), reverse=st.booleans(), ignored=st.booleans()
)
_FILES = st.builds(Watch, st.just(Watched.FILE), _NAMES, well=st.integers(-3, 3), lost=st.integers(-300, 300))
_INSTANCES = st.builds(
    Instance,
    name=st.just("www"),
    vrid=st.just(1),
    interface=st.just("eth0"),
    priority=st.sampled_from([1, 100, HIGHEST, OWNER]),
    addresses=st.just(("10.0.0.3",)),
    trackers=st.lists(_TRACKERS, max_size=5).map(tuple),
    blocked=st.sampled_from(["", "a script that cannot run"]),
)


@settings(max_examples=300, deadline=None)
@given(_INSTANCES, st.lists(_FILES, max_size=2).map(tuple), st.sampled_from(Watched), _NAMES)
def test_each_loss_is_reckoned_as_in_its_world(
    instance: Instance, watches: tuple[Watch, ...], kind: Watched, name: str
) -> None:
    node = Node("lb1", instances=(instance,), watches=watches)
    reckoned = Reckoning(node, instance)
    assert reckoned.healthy == standing(node, instance, World()).priority
    lost = World(failed=frozenset({("lb1", kind, name)}))
    if kind is Watched.INTERFACE:
        lost = World(links=frozenset({("lb1", name)}))
    there = standing(node, instance, lost)
    assert reckoned.without(kind, name) == (there.priority, bool(there.faults))
