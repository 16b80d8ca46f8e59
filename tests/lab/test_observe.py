"""The observer against real namespaces: who carries an address, who answers for it, and what it must not disturb."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lab.segment import VIP, VIP6, Segment, missing_programs, segment
from tests.waiting import wait_until

from holdfast.lab.observe import Observer, Probe
from holdfast.lab.observe_probe import NOBODY, answer, open_probe, question
from holdfast.lab.observe_timeline import overlaps, total, who_at

pytestmark = pytest.mark.lab
LATE_S = 1.0  # by which a busy machine may see what happens


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Segment]:
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    if missing := missing_programs():
        pytest.skip(f"not installed: {', '.join(missing)}")
    with segment(tmp_path) as made:
        yield made


@pytest.fixture
def observer(wire: Segment) -> Iterator[Observer]:
    nodes = {name: wire.netns(name) for name in ("one", "two")}
    macs = {wire.mac(name): name for name in nodes}
    with Observer(nodes, wire.netns("client"), macs) as made:
        made.probe([Probe(VIP, "eth0"), Probe(VIP6, "eth0")])
        time.sleep(0.3)
        yield made


def answers(observer: Observer, *who: str) -> None:
    """Until these answer for the addresses, and nobody else."""

    def all_of_them() -> bool:
        lines = observer.timelines([VIP, VIP6]).values()
        return all(who_at(line.answered, time.monotonic() - 0.06) == who for line in lines)

    wait_until(all_of_them)


def test_a_move_with_a_moment_of_two_holders(wire: Segment, observer: Observer) -> None:
    wire.hold("one")
    answers(observer, "one")
    began = time.monotonic()
    wire.hold("two")
    held = time.monotonic()
    time.sleep(0.5)
    before_drop = time.monotonic()
    wire.drop("one")
    dropped = time.monotonic()
    answers(observer, "two")
    for address in (VIP, VIP6):
        line = observer.timelines([address])[address]
        assert who_at(line.carried, began - 0.05) == ("one",)
        assert who_at(line.carried, time.monotonic() - 0.02) == ("two",)
        ((start, end),) = overlaps(line.carried)
        assert began <= start <= held + LATE_S
        assert before_drop - 0.01 <= end <= dropped + LATE_S
        # What the segment answers agrees, as finely as it is asked.
        assert total(overlaps(line.answered)) == pytest.approx(end - start, abs=LATE_S)
        assert who_at(line.answered, time.monotonic() - 0.06) == ("two",)
    assert observer.holders([VIP]) == {VIP: ("two",)}


def test_a_node_that_is_cut_off_carries_but_is_not_heard(wire: Segment, observer: Observer) -> None:
    wire.hold("one")
    answers(observer, "one")
    cut = time.monotonic()
    wire.cable("one", plugged=False)
    unplugged = time.monotonic()
    answers(observer)
    line = observer.timelines([VIP])[VIP]
    now = time.monotonic() - 0.06
    assert who_at(line.carried, now) == ("one",)
    assert who_at(line.reachable, now) == ()
    assert who_at(line.answered, now) == ()
    assert cut - 0.1 <= line.reachable[-1].end <= unplugged + LATE_S
    wire.cable("one", plugged=True)
    wait_until(lambda: observer.holders([VIP]) == {VIP: ("one",)})


def test_a_crash_and_a_boot_are_followed(wire: Segment, observer: Observer) -> None:
    wire.hold("one")
    wait_until(lambda: observer.holders([VIP]) == {VIP: ("one",)})
    crashed = time.monotonic()
    wire.crash("one")
    gone = time.monotonic()
    wait_until(lambda: observer.holders([VIP]) == {VIP: ()})
    wire.boot("one")
    time.sleep(0.2)
    begun = time.monotonic()
    wire.hold("one")
    held = time.monotonic()
    wait_until(lambda: observer.holders([VIP]) == {VIP: ("one",)})
    first, second = observer.timelines([VIP])[VIP].carried
    assert crashed - 0.1 <= first.end <= gone + LATE_S
    assert begun - 0.1 <= second.start <= held + LATE_S


def test_what_users_send_and_get_is_not_read(wire: Segment) -> None:
    with open_probe(wire.netns("client"), "eth0") as probe:
        wire.run("client", "curl", "-s", "-m1", "http://10.91.0.2/")  # refused, but it asks, sends and receives
        with pytest.raises(BlockingIOError):
            probe.recv(2048)
        for address in ("10.91.0.2", "fd91::2"):
            probe.send(question(address))
            probe.settimeout(10.0)
            frame = probe.recv(2048)
            found = answer(frame)
            assert frame[:6] == NOBODY
            assert found is not None
            assert (found.address, found.mac) == (address, wire.mac("one"))


def test_asking_does_not_repair_the_clients_neighbour_entry(wire: Segment, observer: Observer) -> None:
    wire.hold("one")
    wire.run("client", "curl", "-s", "-m1", f"http://{VIP}/")  # refused, but resolved

    def entry() -> str:
        shown = wire.run("client", "ip", "neighbour", "show", VIP).stdout
        return shown.split("lladdr ")[1].split()[0]

    assert entry() == wire.mac("one")
    wire.hold("two", announce=False)
    wire.drop("one")
    time.sleep(1.5)  # the kernel ignores changes within a second of the last one
    assert who_at(observer.timelines([VIP])[VIP].answered, time.monotonic() - 0.06) == ("two",)
    assert entry() == wire.mac("one"), "a user would still send to the old holder, and so must the client"
    assert "two" not in str(wire.run("client", "ip", "neighbour").stdout)
