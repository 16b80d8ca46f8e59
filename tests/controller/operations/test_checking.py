"""A spec is checked while it is typed: mistakes are findings, a large one is checked elsewhere, the newest counts."""

from __future__ import annotations

import asyncio

import pytest
from tests.controller.operations.world import SPEC, VERSION_2, new_desk

from holdfast.compile.lock import Lock, Secrets
from holdfast.controller.operations import checking
from holdfast.controller.operations.clusters import make_cluster
from holdfast.controller.operations.compiling import Choices
from holdfast.controller.turns import Turns
from holdfast.errors import Conflict, NotFound
from holdfast.findings import Finding, Severity
from holdfast.protocol.api.clusters import ClusterRequest
from holdfast.protocol.api.lints import MOST_FINDINGS, LintRequest, LintView

NOTHING = Choices(Lock(cluster="shop"), Secrets(cluster="shop"))
BIG = SPEC + "# " + "x" * 30_000 + "\n"


def findings(text: str, choices: Choices = NOTHING) -> list[tuple[str, str, int]]:
    """What is said of a spec: code, severity, line."""
    found = checking.findings_of(text, "spec", "shop", choices, True)
    return [(one.code, one.severity.value, one.location.line if one.location else 0) for one in found]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("cluster: shop   # ours", "cluster: [shop", 3),  # no YAML
        ("engine: nginx", "engine: apache", 16),  # not in the enumeration
        ("to: app", "to: apps", 14),  # no such pool
        ("cluster: shop ", "cluster: else ", 2),  # another cluster's
    ],
)
def test_each_kind_of_mistake_is_a_finding_at_its_line(old: str, new: str, line: int) -> None:
    assert old in SPEC
    (first, *_) = findings(SPEC.replace(old, new))
    assert first[1:] == (Severity.ERROR.value, line)


def test_what_lint_says_of_what_would_be_compiled_is_told_at_the_specs_line() -> None:
    slow = "{on: 'www:81', forward: dr, servers: [web01:81], check: {tcp: true, every: 2s, timeout: 5s}}"
    assert ("CHECK103", "warning", 18) in findings(f"{SPEC}virtual_servers:\n  slow: {slow}\n")


def test_no_number_of_remarks_hides_a_mistake_and_all_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    remark = Finding(code="X001", severity=Severity.INFO, message="a remark")
    mistake = Finding(code="X002", severity=Severity.ERROR, message="a mistake")
    every = (*(remark for _ in range(20_000)), mistake)
    found = checking.told_of(every)
    assert found.findings == (mistake, *every[: MOST_FINDINGS - 1])
    assert found.count == 20_001
    monkeypatch.setattr(checking, "findings_of", lambda *_: every)
    document = checking.document_of(LintRequest(spec=SPEC), "shop", NOTHING, True)
    assert checking.found_of(checking.answer_of(document)) == found

    async def story() -> None:
        desk = await new_desk()
        told = await checking.check(desk, Turns(), "shop", LintRequest(spec=SPEC))
        assert (told.findings, told.left_out) == (found.findings, 20_001 - MOST_FINDINGS)

    asyncio.run(story())


def test_no_secret_is_given_to_who_checks() -> None:
    chosen = Choices(Lock(cluster="shop"), Secrets(cluster="shop", vrrp={"www": "abcdefgh"}))
    hidden = checking.nameless(chosen)
    assert "abcdefgh" not in repr(hidden.secrets.vrrp)
    document = checking.document_of(LintRequest(spec=VERSION_2), "shop", hidden, True)
    assert b"abcdefgh" not in document
    assert findings(VERSION_2, hidden) == findings(VERSION_2, chosen)


def test_a_large_spec_is_checked_by_another_process_with_the_same_result() -> None:
    from tests.controller.console.world import world

    async def story() -> None:
        async with world() as made:
            wrong = BIG.replace("engine: nginx", "engine: apache")
            told = [
                await checking.check(made.desk, made.context.turns, "shop", LintRequest(spec=text))
                for text in (SPEC.replace("engine: nginx", "engine: apache"), wrong)
            ]
            assert [one.complete for one in told] == [True, True]
            assert told[0].findings == told[1].findings
            assert told[1].findings[0].severity is Severity.ERROR
            with pytest.raises(NotFound):
                await checking.check(made.desk, made.context.turns, "else", LintRequest(spec=SPEC))

    asyncio.run(story())


def test_a_process_that_is_superseded_or_takes_too_long_ends_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.controller.console.world import world

    async def story() -> None:
        async with world() as made:
            asked = LintRequest(spec=BIG)
            older = asyncio.create_task(checking.check(made.desk, made.context.turns, "shop", asked))
            while not made.context.turns._running:
                await asyncio.sleep(0)
            newer = await checking.check(made.desk, made.context.turns, "shop", LintRequest(spec=SPEC))
            assert newer.complete
            with pytest.raises(Conflict):
                await older
            monkeypatch.setattr(checking, "_WITHIN_S", 0.0)
            late: LintView = await checking.check(made.desk, made.context.turns, "shop", asked)
            assert not late.complete
            assert not late.findings

    asyncio.run(story())


def test_who_looks_at_two_clusters_has_both_checked() -> None:
    async def story() -> None:
        desk = await new_desk()
        await make_cluster(desk, ClusterRequest(name="depot"))
        turns = Turns(1)
        async with turns.turn("somebody else"):
            other = SPEC.replace("cluster: shop", "cluster: depot")
            both = [
                asyncio.create_task(checking.check(desk, turns, cluster, LintRequest(spec=spec)))
                for cluster, spec in (("shop", SPEC), ("depot", other))
            ]
            while len(turns._waiting) < 2 and not any(one.done() for one in both):
                await asyncio.sleep(0)
        assert [one.complete for one in await asyncio.gather(*both)] == [True, True]

    asyncio.run(asyncio.wait_for(story(), 60))


def test_a_person_has_one_turn_and_one_that_waits_and_others_come_between() -> None:
    async def story() -> None:
        turns = Turns(1)
        order: list[str] = []
        go = asyncio.Event()

        async def work(who: str, what: str) -> None:
            async with turns.turn(who) as newer:
                order.append(what)
                await go.wait()
                order.append(f"{what}{' superseded' if newer.is_set() else ''} done")

        tasks = []
        for who, what in (("ada", "a1"), ("ada", "a2"), ("bob", "b1"), ("ada", "a3")):
            tasks.append(asyncio.create_task(work(who, what)))
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        with pytest.raises(Conflict):
            await tasks[1]
        go.set()
        await asyncio.gather(tasks[0], *tasks[2:])
        assert order == ["a1", "a1 superseded done", "b1", "b1 done", "a3", "a3 done"]
        assert (turns._free, turns._waiting, turns._running) == (1, {}, {})

    asyncio.run(story())


@pytest.mark.parametrize("moment", ["waiting", "given"])
def test_who_does_not_wait_any_more_keeps_nobody_from_a_turn(moment: str) -> None:
    async def story() -> None:
        turns = Turns(1)
        over = asyncio.Event()

        async def hold() -> None:
            async with turns.turn("ada"):
                await over.wait()

        async def take() -> None:
            async with turns.turn("bob"):
                raise AssertionError("nobody waits for it")

        holding, waiting = asyncio.create_task(hold()), asyncio.create_task(take())
        for _ in range(3):
            await asyncio.sleep(0)
        if moment == "given":
            over.set()
            await asyncio.sleep(0)
            assert holding.done()
            assert not waiting.done()
            assert set(turns._running) == {"bob"}  # who has not run yet
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        over.set()
        await holding
        async with turns.turn("eve"):
            pass
        assert turns._free == 1

    asyncio.run(story())
