"""What becomes of messages, whatever their order: fences never go backwards, a pause keeps everything as it is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.agent.daemon import decide
from holdfast.agent.daemon.decide import ENDS, Accepted, Ignored, Known, Same, Work
from holdfast.protocol import (
    ApplyReport,
    Desired,
    Fence,
    Order,
    Outcome,
    OverrideKind,
    OverrideReport,
    Overrides,
    Progress,
    ServerOverride,
    Verb,
    WeighedServer,
)

STORES = ("ab" * 16, "cd" * 16)
NOBODY = Known("shop", "lb01")
OVERRIDES = (
    Overrides(),
    Overrides(servers=(ServerOverride(server="10.0.0.7:80", kind=OverrideKind.DRAINED),)),
)


@st.composite
def desireds(draw: st.DrawFn, stores: int = 2) -> Desired:
    number, epoch = draw(st.integers(0, 4)), draw(st.integers(1, 3))
    return Desired(
        fence=Fence(store_id=STORES[draw(st.integers(0, stores - 1))], epoch=epoch, number=number),
        cluster=draw(st.sampled_from(("shop", "shop", "shop", "bank"))),
        node=draw(st.sampled_from(("lb01", "lb01", "lb01", "lb02"))),
        revision=number,
        digest=draw(st.sampled_from(("0", "1"))) * 64,
        overrides=draw(st.sampled_from(OVERRIDES)),
    )


def report(outcome: Outcome, digest: str = "0" * 64) -> ApplyReport:
    return ApplyReport(node="lb01", outcome=outcome, digest=digest)


def position(known: Known) -> tuple[int, int]:
    assert known.desired is not None
    return (known.desired.fence.epoch, known.desired.fence.number)


@given(st.lists(st.tuples(desireds(), st.sampled_from((None, *Outcome)), st.booleans()), max_size=20))
@settings(max_examples=150, deadline=None)
def test_whatever_comes_the_agent_never_goes_back(story: list[tuple[Desired, Outcome | None, bool]]) -> None:
    known = NOBODY
    for message, outcome, paused in story:
        known = replace(known, paused=paused)
        before = known
        taken = decide.take(known, message)
        if isinstance(taken, Ignored):
            assert taken.why
        else:
            known = taken.known
            assert known.desired is not None
            assert known.desired.bundle is None
            assert known.desired.overrides == message.overrides
            assert (known.cluster, known.node) == (message.cluster, message.node)
        if before.desired is not None:
            assert known.desired is not None
            assert known.desired.fence.store_id == before.desired.fence.store_id
            assert position(known) >= position(before)
            if isinstance(taken, Accepted):
                assert position(known) > position(before)
                assert known.progress is Progress.ACCEPTED
            elif isinstance(taken, Same):
                assert known.progress is before.progress
                assert known.desired.digest == before.desired.digest
        if known.paused:
            assert decide.due(known) is Work.NOTHING
        elif known.desired is not None and known.progress not in ENDS:
            assert decide.due(known) is Work.APPLY
        if outcome is not None and known.desired is not None and decide.due(known) is Work.APPLY:
            known = decide.ended(known, known.desired, report(outcome))
            assert (decide.due(known) is Work.APPLY) == (outcome is Outcome.BROKEN)


@given(desireds(stores=1), desireds(stores=1), st.sampled_from(tuple(Outcome)))
@settings(max_examples=100, deadline=None)
def test_an_attempt_that_was_overtaken_ends_nothing_but_itself(old: Desired, new: Desired, outcome: Outcome) -> None:
    first = decide.take(NOBODY, old)
    if not isinstance(first, Accepted):
        return
    second = decide.take(first.known, new)
    if isinstance(second, Accepted):
        assert decide.ended(second.known, old, report(outcome)) == second.known


@given(desireds(stores=1), desireds(stores=1))
@settings(max_examples=100, deadline=None)
def test_the_order_in_which_two_arrive_does_not_matter(one: Desired, other: Desired) -> None:
    if one.fence == other.fence:
        return

    def after(*messages: Desired) -> Known:
        known = NOBODY
        for each in messages:
            taken = decide.take(known, each)
            known = known if isinstance(taken, Ignored) else taken.known
        return known

    assert after(one, other) == after(other, one)


def test_overrides_alone_are_due_once() -> None:
    desired = Desired(
        fence=Fence(store_id=STORES[0], epoch=1, number=1), cluster="shop", node="lb01", revision=1, digest="0" * 64
    )
    known = replace(NOBODY, desired=desired, progress=Progress.VERIFIED, overridden=Overrides())
    assert decide.due(known) is Work.NOTHING
    taken = decide.take(known, desired.model_copy(update={"overrides": OVERRIDES[1]}))
    assert isinstance(taken, Same)
    assert decide.due(taken.known) is Work.OVERRIDE
    assert decide.due(replace(taken.known, paused=True)) is Work.NOTHING
    assert decide.due(replace(taken.known, overridden=OVERRIDES[1])) is Work.NOTHING


@pytest.mark.parametrize(
    ("number", "epoch", "group", "paused", "verb", "waited", "refused"),
    [
        (1, 1, "www", False, Verb.MOVE, 0.0, ""),
        (0, 1, "www", False, Verb.MOVE, 0.0, "was replaced"),
        (5, 2, "www", False, Verb.MOVE, 0.0, ""),
        (1, 1, None, False, Verb.HOLD, 0.0, "names no VRRP group"),
        (1, 1, None, False, Verb.STATUS, 0.0, ""),
        (0, 1, None, False, Verb.STATUS, 99.0, ""),
        (1, 1, "www", True, Verb.MOVE, 0.0, "by hand"),
        (1, 1, "www", True, Verb.STATUS, 0.0, ""),
        (1, 1, "www", False, Verb.RELEASE, 10.5, "busy for 10.5 s"),
    ],
)
def test_orders(
    number: int, epoch: int, group: str | None, paused: bool, verb: Verb, waited: float, refused: str
) -> None:
    desired = Desired(
        fence=Fence(store_id=STORES[0], epoch=1, number=1), cluster="shop", node="lb01", revision=1, digest="0" * 64
    )
    known = replace(NOBODY, desired=desired, progress=Progress.VERIFIED, paused=paused)
    order = Order(
        fence=Fence(store_id=STORES[0], epoch=epoch, number=number), id="0" * 32, verb=verb, group=group, within_s=10
    )
    found = decide.refusal(known, order, waited)
    assert (found is not None) == bool(refused)
    assert found is None or refused in found.message


def test_an_order_of_another_store_is_refused_and_one_before_anything_was_wanted_is_not() -> None:
    order = Order(
        fence=Fence(store_id=STORES[1], epoch=9, number=9), id="0" * 32, verb=Verb.RELEASE, group="www", within_s=10
    )
    assert decide.refusal(NOBODY, order) is None
    desired = Desired(
        fence=Fence(store_id=STORES[0], epoch=1, number=1), cluster="shop", node="lb01", revision=1, digest="0" * 64
    )
    assert decide.refusal(replace(NOBODY, desired=desired), order) is not None


def test_a_pause_is_shown_while_something_waits_for_its_end() -> None:
    assert decide.shown(replace(NOBODY, paused=True)) is None
    assert decide.shown(replace(NOBODY, paused=True, progress=Progress.ACCEPTED)) is Progress.PAUSED
    assert decide.shown(replace(NOBODY, paused=True, progress=Progress.VERIFIED)) is Progress.VERIFIED
    assert decide.shown(replace(NOBODY, progress=Progress.WRITTEN)) is Progress.WRITTEN


@pytest.mark.parametrize(
    ("kind", "opened", "persistent", "wanted"),
    [
        (OverrideKind.DRAINED, 3, 0, True),
        (OverrideKind.DRAINED, 0, 2, True),
        (OverrideKind.DRAINED, 0, 0, False),
        (OverrideKind.DRAINED, None, 0, False),
        (OverrideKind.SUSPENDED, 1, 0, True),
        (OverrideKind.WEIGHT, 9, 0, False),
        (None, 9, 0, False),
    ],
)
def test_a_server_that_is_being_emptied_is_looked_at_often(
    kind: OverrideKind | None, opened: int | None, persistent: int, wanted: bool
) -> None:
    server = WeighedServer(
        virtual_server="web", source="web", server="10.0.0.7:80", kind=kind, open=opened, persistent=persistent
    )
    found = replace(NOBODY, override_report=OverrideReport(node="lb01", done=True, servers=(server,)))
    assert decide.empties(found) is wanted
    assert not decide.empties(NOBODY)


@pytest.mark.parametrize(
    ("looked_s", "told_s", "wanted"), [(0.0, 0.0, 1.0), (0.02, 0.05, 1.0), (0.5, 0.0, 5.0), (0.0, 2.0, 20.0)]
)
def test_counting_takes_a_tenth_of_the_time_at_most(looked_s: float, told_s: float, wanted: float) -> None:
    assert decide.count_again_s(looked_s, told_s) == pytest.approx(wanted)


def test_a_director_says_why_it_did_not_carry_overrides_out() -> None:
    assert decide.not_overridden(NOBODY, "the disk is full") == NOBODY
    told = decide.not_overridden(
        replace(NOBODY, override_report=OverrideReport(node="lb01", done=True)), "the disk is full"
    )
    assert told.override_report is not None
    assert (told.override_report.done, told.override_report.detail) == (False, "the disk is full")
