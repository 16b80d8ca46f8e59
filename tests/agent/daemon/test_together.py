"""A state that changes together with others: staged, and not a step further without the word, whatever happens."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from tests.agent.daemon.stand_in import KEY, Site, bundle, desired, order, site, until
from tests.agent.daemon.test_agent import ended, run
from tests.waiting import wait_until

from holdfast.agent.daemon import decide
from holdfast.agent.daemon import pause as pausing
from holdfast.agent.daemon.decide import Known, Same, Told
from holdfast.agent.daemon.word import Word
from holdfast.errors import ApplyError
from holdfast.protocol import Desired, Fence, Progress, Together

pytestmark = pytest.mark.whole


def staged(number: int, value: str, *, go: bool = False, within_s: float = 300) -> Desired:
    return desired(number, bundle(value)).model_copy(update={"together": Together(go=go, within_s=within_s)})


async def waiting(one: Site, number: int) -> None:
    """Until a report says so."""
    await until(lambda: ended(one, number, Progress.WRITTEN), "staged and judged")


def dropped(one: Site) -> str:
    """Why the last state was refused."""
    applied = one.first.last.applied
    assert applied is not None
    assert applied.failure is not None
    return applied.failure.message


async def begun(one: Site) -> None:
    """It runs revision 1."""
    one.first.lines = [desired(1, bundle("1")).model_dump_json().encode()]
    one.start()
    await until(lambda: ended(one, 1))


def test_it_goes_with_the_word_and_not_before(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with site(tmp_path) as one:
            await begun(one)
            generation = one.work.applier().generations.current()
            await one.first.push(staged(2, "0"))
            await waiting(one, 2)
            await one.first.push(order(7))
            await until(lambda: bool(one.first.answers), "asked, it says that it waits")
            assert (one.first.answers[0].heeds_word, one.first.answers[0].waiting) == (True, staged(2, "0").fence)
            assert one.work.applier().generations.current() == generation
            assert not ended(one, 2, Progress.APPLIED)
            await one.first.push(staged(2, "0", go=True))
            await until(lambda: ended(one, 2))
            assert one.work.applier().generations.current() != generation
            await one.first.push(order(8))
            await until(lambda: len(one.first.answers) == 2)
            assert one.first.answers[1].waiting is None

    run(scenario())


def test_what_replaces_it_drops_it_and_is_what_runs(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with site(tmp_path) as one:
            await begun(one)
            await one.first.push(staged(2, "0"))
            await waiting(one, 2)
            await one.first.push(desired(3, bundle("1")))
            await until(lambda: ended(one, 3))
            assert one.host.sysctls[KEY] == "1"
            seen = len(one.first.reports)
            await one.first.push(staged(2, "0", go=True))  # a leader that was paused
            await until(lambda: len(one.first.reports) > seen, "it says what it goes by")
            assert one.first.last.revision == 3
            assert not ended(one, 2, Progress.APPLIED)

    run(scenario())


def test_without_a_word_it_is_dropped_in_the_end_and_the_word_is_too_late_then(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with site(tmp_path) as one:
            await begun(one)
            await one.first.push(staged(2, "0", within_s=0.2))
            await until(lambda: ended(one, 2, Progress.REFUSED))
            assert "no word to go came within" in dropped(one)
            assert one.host.sysctls[KEY] == "1"
            seen = len(one.first.reports)
            await one.first.push(staged(2, "0", go=True), desired(1, bundle("1")))
            await until(lambda: len(one.first.reports) > seen, "what it goes by now")
            assert not ended(one, 2, Progress.APPLIED)

    run(scenario())


def test_after_a_restart_it_stages_anew_and_waits_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with site(tmp_path) as one:
            await begun(one)
            await one.first.push(staged(2, "0"))
            await waiting(one, 2)
            await one.stop()
            assert one.host.sysctls[KEY] == "1"
            one.first.lines = [staged(2, "0").model_dump_json().encode()]
            one.first.reports.clear()
            one.first.streams.clear()
            one.start()
            await waiting(one, 2)
            assert not ended(one, 2, Progress.APPLIED)
            await one.first.push(staged(2, "0", go=True))
            await until(lambda: ended(one, 2), "it goes")
            assert one.host.sysctls[KEY] == "0"

    run(scenario())


def test_a_word_that_came_before_a_crash_holds_with_no_controller_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a kill between the word and what follows: what is on the disk is gone on with."""

    async def scenario() -> None:
        async with site(tmp_path) as one:
            await begun(one)
            await one.first.push(staged(2, "0"))
            await waiting(one, 2)
            agent = one.agent
            assert agent is not None
            monkeypatch.setattr(decide, "may_go_on", lambda *_: False)  # the thread is not that far yet
            await one.first.push(staged(2, "0", go=True))
            read = agent.state.wanted.read
            await until(lambda: (found := read("shop", "lb01").desired) is not None and not decide.waits(found))
            await one.first.stop()
            await one.stop()
            monkeypatch.undo()
            assert one.host.sysctls[KEY] == "1"
            again = one.start()
            await until(lambda: again.known.progress is Progress.VERIFIED)
            assert one.host.sysctls[KEY] == "0"

    run(scenario())


def test_somebody_who_begins_to_work_by_hand_drops_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with site(tmp_path) as one:
            await begun(one)
            await one.first.push(staged(2, "0"))
            await waiting(one, 2)
            pausing.pause(one.work.node.places, "anna", "a new cable", None)
            await until(lambda: ended(one, 2, Progress.REFUSED))
            assert "by hand" in dropped(one)
            assert one.host.sysctls[KEY] == "1"

    run(scenario())


def test_the_word_is_never_taken_back_nor_the_need_of_one() -> None:
    there = Fence(store_id="ab" * 16, epoch=1, number=4)
    plain = Desired(fence=there, cluster="shop", node="lb01", revision=4, digest="0" * 64)
    without, word = (plain.model_copy(update={"together": Together(go=go)}) for go in (False, True))
    waits = Known("shop", "lb01", without, Progress.WRITTEN)
    taken = decide.take(waits, plain)  # by a controller of an older version
    assert isinstance(taken, Same)
    assert decide.waiting(taken.known, without, 0) == there
    told = decide.take(waits, word)
    assert isinstance(told, Told)
    assert decide.may_go_on(told.known, without, 10_000)
    later = decide.take(told.known, without)  # by a controller that has not heard of it yet
    assert isinstance(later, Same)
    assert decide.may_go_on(later.known, without, 0)
    with pytest.raises(ApplyError, match="no word to go came within 300 s"):
        decide.may_go_on(waits, without, 300)
    with pytest.raises(ApplyError, match="was replaced"):
        decide.may_go_on(
            replace(waits, desired=plain.model_copy(update={"fence": there.model_copy(update={"number": 5})})),
            without,
            0,
        )


def test_who_waited_longer_than_it_may_does_not_say_that_it_waits() -> None:
    """Before anybody has dropped it: the word would come too late, so nobody may be given it."""
    held = staged(2, "0", within_s=300)
    known, now = Known("shop", "lb01", held, Progress.WRITTEN), [0.0]
    word = Word(lambda: known, lambda: now[0])
    assert word.waiting is None

    def waits() -> None:
        with pytest.raises(ApplyError):
            word.wait(held)

    thread = threading.Thread(target=waits)
    thread.start()
    try:
        wait_until(lambda: word.waiting == held.fence)
        now[0] = 300.0
        assert word.waiting is None
    finally:
        word.end()
        thread.join()
    assert word.waiting is None


def test_what_needs_no_word_goes_on_though_a_later_state_waits_for_its_end() -> None:
    """A node that is told another state more often than it can judge one would never get anywhere."""
    plain, later = desired(2, bundle("0")), desired(3, bundle("1"))
    assert decide.may_go_on(Known("shop", "lb01", later, Progress.ACCEPTED), plain, 0)
