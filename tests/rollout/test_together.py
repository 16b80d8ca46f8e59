"""Nodes that have to change in one moment: all of them are staged and judged first, or none of them changes."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.rollout.agents import PAIR, Agents, revision_of
from tests.rollout.bundles import bundle
from tests.rollout.test_interrupted import Died, Mortal
from tests.rollout.test_lead import cluster, leader, phases, roll
from tests.rollout.virtual import run

from holdfast.bundle import Bundle
from holdfast.errors import PlanRefused
from holdfast.protocol import Progress
from holdfast.rollout.decide import (
    Apply,
    CheckHolders,
    Go,
    NodePhase,
    Pause,
    PutBack,
    RolloutState,
    Stop,
    Wait,
    decide,
)
from holdfast.rollout.hearing import Patience
from holdfast.rollout.lead import run_rollout
from holdfast.rollout.propose import list_rollouts, propose_rollout, wish
from holdfast.rollout.records import RolloutPhase, RolloutRecord, Wish
from holdfast.rollout.waves import MOST_TOGETHER, batches
from holdfast.store.memory import MemoryEngine
from holdfast.store.store import Store

OLD = revision_of("one", PAIR)
NEW = {node: bundle(node, "two", groups, vrid=77) for node, groups in PAIR.items()}  # they do not hear each other then


async def second(agents: Agents) -> RolloutRecord:
    async with agents.there():
        return await roll(agents, await leader(agents.store), 2, NEW)


def runs(agents: Agents, wanted: dict[str, Bundle]) -> bool:
    return {node: one.digest for node, one in agents.running.items()} == {n: b.digest for n, b in wanted.items()}


async def is_told(agents: Agents, wanted: dict[str, Bundle]) -> bool:
    """Whether nobody finds anything else when it comes back."""
    told = {one.name: one.record for one in await agents.kept.assignments.all()}
    return all(
        told[node].digest == one.digest and (told[node].go or not told[node].together) for node, one in wanted.items()
    )


def test_each_waits_until_all_are_ready_and_then_all_go() -> None:
    async def scenario() -> None:
        agents = await cluster()
        record = await second(agents)
        assert record.phase is RolloutPhase.SUCCEEDED, record.reason
        assert sorted(agents.log) == ["lb01 2", "lb02 2"]
        assert agents.too_early == []
        assert [(batch.at_once, batch.groups, batch.checked) for batch in record.batches] == [(True, ("www",), True)]
        assert runs(agents, NEW)
        assert await is_told(agents, NEW)
        events = [one.record.message for one in await agents.store.events.oldest(limit=1000)]
        ready, word = "lb01: is ready, and waits for the others", "lb02: is given the word to go"
        assert events.index(ready) < events.index(word)

    run(scenario())


def test_one_that_refuses_keeps_all_others_as_they_are() -> None:
    async def scenario() -> None:
        agents = await cluster(refuses={("lb01", 2)})
        record = await second(agents)
        assert record.phase is RolloutPhase.PUT_BACK
        assert phases(record) == {"lb01": NodePhase.FAILED, "lb02": NodePhase.PUT_BACK}
        assert record.reason == "lb01: nginx refused line 7"
        assert agents.log == []
        assert runs(agents, OLD)
        assert await is_told(agents, OLD)

    run(scenario())


def test_one_that_falls_silent_keeps_all_others_as_they_are() -> None:
    async def scenario() -> None:
        agents = await cluster(dies={("lb01", 2)})
        record = await second(agents)
        assert record.phase is RolloutPhase.FAILED
        assert phases(record) == {"lb01": NodePhase.LOST, "lb02": NodePhase.PUT_BACK}
        assert agents.log == []
        assert runs(agents, OLD)
        assert await is_told(agents, OLD)

    run(scenario())


def test_one_whose_agent_begins_anew_is_waited_for_again() -> None:
    async def scenario() -> None:
        agents = await cluster(restarts={"lb01"})
        record = await second(agents)
        assert record.phase is RolloutPhase.SUCCEEDED, record.reason
        assert agents.too_early == []
        assert runs(agents, NEW)

    run(scenario())


def test_one_that_died_while_it_was_ready_is_noticed_before_the_word() -> None:
    async def scenario() -> None:
        agents = await cluster(dies_ready={"lb01"})
        record = await second(agents)
        assert phases(record) == {"lb01": NodePhase.LOST, "lb02": NodePhase.PUT_BACK}
        assert agents.log == []
        assert runs(agents, OLD)

    run(scenario())


@pytest.mark.parametrize("late_s", [5, 5000], ids=["late", "never"])
def test_a_word_that_reaches_only_one_comes_again_or_takes_that_one_back(late_s: float) -> None:
    async def scenario() -> None:
        agents = await cluster(unhearing={"lb01"})

        async def hears_late() -> None:
            while "lb02 2" not in agents.log:  # ends: it has heard the word
                await asyncio.sleep(0.5)
            await asyncio.sleep(late_s)
            agents.unhearing.clear()
            agents._words["lb01"].set()

        hearing = asyncio.create_task(hears_late())
        record = await second(agents)
        hearing.cancel()
        if late_s == 5:
            assert record.phase is RolloutPhase.SUCCEEDED, record.reason
            assert runs(agents, NEW)
        else:
            assert record.reason == "the word to go did not reach lb01 within 20 s"
            assert agents.log == ["lb02 2", "lb02 1"]
            assert runs(agents, OLD)
            assert await is_told(agents, OLD)

    run(scenario())


def test_many_that_are_silent_are_waited_for_no_longer_than_one() -> None:
    """All of one moment are asked at once: while nobody knows of them, others wait with what they have staged."""
    names = tuple(f"lb{number:02d}" for number in range(MOST_TOGETHER))
    old = {one: bundle(one, "one", (("www", 200),), peers=tuple({*names} - {one})) for one in names}
    new = {one: bundle(one, "two", (("www", 200),), vrid=77, peers=tuple({*names} - {one})) for one in names}

    async def scenario() -> None:
        store = await Store.open(MemoryEngine())
        agents = Agents(store, {"www": "lb01"})
        await agents.enrol(*names)
        held = await leader(store)
        async with agents.there():
            assert (await roll(agents, held, 1, old, at_a_time=30)).phase is RolloutPhase.SUCCEEDED
            agents.dies = {(node, 2) for node in names if node != "lb00"}
            begun = asyncio.get_running_loop().time()
            record = await roll(agents, held, 2, new)
            took_s = asyncio.get_running_loop().time() - begun
        lost = [node for node, phase in phases(record).items() if phase is NodePhase.LOST]
        assert len(lost) == len(names) - 1
        assert phases(record)["lb00"] is NodePhase.PUT_BACK
        patience = Patience()
        assert took_s < patience.accept_s + 2 * patience.ask_s

    run(scenario())


def test_reports_that_get_lost_are_asked_for() -> None:
    async def scenario() -> None:
        agents = await cluster(mute={"lb01", "lb02"})
        record = await second(agents)
        assert record.phase is RolloutPhase.SUCCEEDED, record.reason
        assert agents.too_early == []
        assert runs(agents, NEW)

    run(scenario())


def test_two_holders_afterwards_take_all_back_in_one_moment() -> None:
    async def scenario() -> None:
        agents = await cluster(both_hold={2})
        record = await second(agents)
        assert record.phase is RolloutPhase.PUT_BACK
        assert "'www' is held by" in record.reason
        assert set(phases(record).values()) == {NodePhase.PUT_BACK}
        assert sorted(agents.log[:2]) == ["lb01 2", "lb02 2"]
        assert sorted(agents.log[2:]) == ["lb01 1", "lb02 1"]
        assert agents.too_early == []
        assert runs(agents, OLD)
        assert await is_told(agents, OLD)

    run(scenario())


def test_on_the_way_back_one_that_is_silent_holds_nobody_up_and_finds_its_old_state() -> None:
    async def scenario() -> None:
        agents = await cluster(both_hold={2}, dies={("lb01", 1)})
        record = await second(agents)
        assert record.phase is RolloutPhase.FAILED
        assert phases(record) == {"lb01": NodePhase.LOST, "lb02": NodePhase.PUT_BACK}
        assert agents.log[2:] == ["lb02 1"]
        assert await is_told(agents, OLD)

    run(scenario())


def test_nobody_holding_a_group_that_somebody_held_takes_all_back() -> None:
    async def scenario() -> None:
        agents = await cluster(loses={"lb01": "www"})
        record = await second(agents)
        assert record.phase is RolloutPhase.PUT_BACK
        assert "nobody holds 'www'" in record.reason
        # … but where nobody held it before, it is not the change that took it away.
        agents.holders["www"] = None
        await agents.store.engine.revoke((await agents.store.holdings.present.all())[0].lease)
        async with agents.there():
            again = await roll(
                agents, await leader(agents.store), 3, {n: bundle(n, "3", g, vrid=78) for n, g in PAIR.items()}
            )
        assert again.phase is RolloutPhase.SUCCEEDED, again.reason

    run(scenario())


def test_an_agent_that_would_not_wait_refuses_it_before_anything_is_touched() -> None:
    async def scenario() -> None:
        agents = await cluster(deaf={"lb02"})
        record = await second(agents)
        assert record.phase is RolloutPhase.REFUSED
        assert "the agent of lb02 is too old to wait for the others; no node was touched" in record.reason
        assert "on lb02 first" in record.hint
        assert agents.log == []
        # What goes node by node needs no such agent.
        await agents.store.engine.revoke((await agents.store.holdings.present.all())[0].lease)
        async with agents.there():
            again = await roll(agents, await leader(agents.store), 3, revision_of("three", PAIR))
        assert again.phase is RolloutPhase.SUCCEEDED

    run(scenario())


@pytest.mark.parametrize("wanted", [Wish.STOP, Wish.PUT_BACK])
def test_stopped_while_some_wait_nobody_goes(wanted: Wish) -> None:
    async def scenario() -> None:
        agents = await cluster(dies={("lb01", 2)})
        held = await leader(agents.store)
        async with agents.there():
            going = asyncio.create_task(roll(agents, held, 2, NEW))
            while "lb02" not in agents.waiting:  # ends: it waits for lb01, which will not come
                await asyncio.sleep(0.01)
            agents.silent.clear()
            agents.dies.clear()
            await wish(agents.store, "shop", (await list_rollouts(agents.store, "shop"))[0].id, wanted)
            record = await going
        assert record.phase is RolloutPhase.PUT_BACK
        assert agents.log == []
        assert runs(agents, OLD)

    run(scenario())


def test_too_many_for_one_commit_are_refused() -> None:
    from holdfast.plan import make_plan

    names = [f"n{number:02d}" for number in range(31)]
    peers = {name: tuple(other for other in names if other != name) for name in names}
    old, new = (
        {name: bundle(name, "x", (("www", 250 - at),), vrid=vrid, peers=peers[name]) for at, name in enumerate(names)}
        for vrid in (51, 77)
    )
    with pytest.raises(
        PlanRefused, match="31 nodes would have to change in one moment, because of www; 30 is the most"
    ):
        batches(make_plan(old, new), {})


async def interrupted(dies_at: int, *, after: bool, **changes: object) -> tuple[Agents, RolloutRecord, bool]:
    """The rollout, whose leader dies at a commit, and its successor; whether it died at all."""
    agents = await cluster(**changes)
    engine = agents.store.engine
    assert isinstance(engine, MemoryEngine)
    made = await propose_rollout(agents.store, "shop", revision=2, bundles=NEW, author="ann")
    held = await leader(agents.store)
    mortal = Mortal(engine, dies_at, after, Died())
    store = Store(mortal, agents.store.clock, agents.store.identity)  # type: ignore[arg-type]  # passes everything on
    async with agents.there():
        try:
            record = await run_rollout(store, "shop", made.id, held)
        except Died:
            await agents.store.holdings.release(held)
            await asyncio.sleep(12)  # until somebody else leads
            record = await run_rollout(agents.store, "shop", made.id, await leader(agents.store, "two"))
    return agents, record, mortal.commits >= dies_at


@pytest.mark.parametrize(
    ("changes", "ends", "wanted", "stride"),
    [
        ({}, RolloutPhase.SUCCEEDED, NEW, 1),
        # A twentieth of what all unit tests take, so not in make check.
        pytest.param({"both_hold": {2}}, RolloutPhase.PUT_BACK, OLD, 2, marks=pytest.mark.whole),
        ({"refuses": {("lb01", 2)}}, RolloutPhase.PUT_BACK, OLD, 3),
        ({"restarts": {"lb01"}}, RolloutPhase.SUCCEEDED, NEW, 3),
        ({"dies": {("lb01", 2)}}, RolloutPhase.FAILED, OLD, 5),
        ({"dies_ready": {"lb01"}}, RolloutPhase.FAILED, OLD, 5),
    ],
    ids=["goes well", "two holders", "one refuses", "one restarts", "one dies", "one dies when it is ready"],
)
def test_a_leader_may_die_at_every_step(
    changes: dict[str, set[object]], ends: RolloutPhase, wanted: dict[str, Bundle], stride: int
) -> None:
    """After each commit, which is before the next one. Where others have most steps in common, some of them."""
    dies_at, died = 1 - stride, True
    while died:  # ends: a rollout takes a bounded number of commits
        dies_at += stride
        assert dies_at < 120
        agents, record, died = run(
            interrupted(dies_at, after=True, **{name: set(value) for name, value in changes.items()})
        )
        assert record.phase is ends, f"at commit {dies_at}: {record.reason}"
        assert agents.too_early == [], f"at commit {dies_at}"
        assert runs(agents, wanted), f"at commit {dies_at}"
        counts = {line: agents.log.count(line) for line in agents.log}
        assert set(counts.values()) <= {1}, f"nobody changes twice: at commit {dies_at}"
        assert Progress.PAUSED not in {state.progress for state in record.nodes.values()}
    assert dies_at > 10  # there was something to interrupt


# ---- the decision alone: every state that can be reached ------------------------------------------------------------

_PAIR, _THIRD = ("a", "b"), ("c",)
_BECOMES = {
    NodePhase.STAGING: (NodePhase.READY, NodePhase.VERIFIED, NodePhase.FAILED, NodePhase.LOST, NodePhase.PUTTING_BACK),
    NodePhase.READY: (NodePhase.STAGING, NodePhase.LOST),
    NodePhase.APPLYING: (NodePhase.VERIFIED, NodePhase.FAILED, NodePhase.LOST, NodePhase.PUTTING_BACK),
    NodePhase.STAGING_BACK: (NodePhase.READY_BACK, NodePhase.PUT_BACK, NodePhase.PUTTING_BACK, NodePhase.LOST),
    NodePhase.READY_BACK: (NodePhase.STAGING_BACK, NodePhase.PUTTING_BACK, NodePhase.LOST),
    NodePhase.PUTTING_BACK: (NodePhase.PUT_BACK, NodePhase.LOST, NodePhase.BROKEN),
}


def _steps(state: RolloutState) -> list[RolloutState]:
    """Whatever can come of a state: what is decided is done, and every node that is on its way comes anywhere."""
    step = decide(state)
    everybody = (*_PAIR, *_THIRD)
    after: list[RolloutState] = []
    match step:
        case Stop() | Pause():
            assert not state.those(everybody, *_BECOMES), "it ends while somebody is on its way, or waits"
            there = state.those(_PAIR, NodePhase.VERIFIED, NodePhase.REGRESSED)
            assert there in ((), _PAIR), "members with two states would both hold"
            assert not state.those(_PAIR, NodePhase.REGRESSED)
        case Apply(nodes=nodes, together=together):
            assert together == (nodes == _PAIR)
            assert state.those(everybody, *_BECOMES) == ()
            phase = NodePhase.STAGING if together else NodePhase.APPLYING
            after.append(_all(state, nodes, phase))
        case PutBack(nodes=nodes, together=together):
            had = {state.phases[node] for node in nodes}
            dropped = had <= {NodePhase.STAGING, NodePhase.READY}
            assert dropped or had <= {NodePhase.VERIFIED, NodePhase.REGRESSED}
            pair = {state.phases[node] for node in _PAIR}
            split = set(nodes) <= set(_PAIR) and pair != {NodePhase.VERIFIED}
            assert dropped or split or state.put_back_on_failure
            assert together == (len(nodes) == 2 and not dropped)
            after.append(_all(state, nodes, NodePhase.STAGING_BACK if together else NodePhase.PUTTING_BACK))
        case Go(nodes=nodes):
            here = {state.phases[node] for node in _PAIR}
            if NodePhase.READY in here:  # forward: all, or those that run it already
                assert here <= {NodePhase.READY, NodePhase.VERIFIED}
                after.append(_all(state, nodes, NodePhase.APPLYING))
            else:
                assert not here & {NodePhase.STAGING_BACK, NodePhase.APPLYING, NodePhase.PUTTING_BACK}
                after.append(_all(state, nodes, NodePhase.PUTTING_BACK))
        case CheckHolders(batch=batch):
            assert batch == 0
            assert {state.phases[node] for node in _PAIR} == {NodePhase.VERIFIED}
            after += [replace(state, unchecked=frozenset()), _all(state, _PAIR, NodePhase.REGRESSED)]
        case Wait(nodes=nodes):
            assert nodes
    for node in everybody:
        after += [state.with_phase(node, phase) for phase in _BECOMES.get(state.phases[node], ())]
    return after


def _all(state: RolloutState, nodes: tuple[str, ...], phase: NodePhase) -> RolloutState:
    for node in nodes:
        state = state.with_phase(node, phase)
    return state


@pytest.mark.parametrize("put_back", [True, False])
@pytest.mark.parametrize("halts", [False, True])
def test_in_no_state_that_can_be_reached_one_goes_without_the_other(put_back: bool, halts: bool) -> None:
    first = RolloutState(
        (_PAIR, _THIRD),
        dict.fromkeys((*_PAIR, *_THIRD), NodePhase.WAITING),
        put_back,
        together=frozenset({0}),
        unchecked=frozenset({0}),
    )
    seen: set[tuple[object, ...]] = set()
    todo = [first]
    while todo:  # ends: there are so many states
        state = todo.pop()
        key = (tuple(sorted(state.phases.items())), state.unchecked, state.halted)
        if key in seen:
            continue
        seen.add(key)
        todo += _steps(state)
        if halts and not state.halted:
            todo.append(replace(state, halted=True))
    ends = {key[0] for key in seen}
    assert len(ends) > 60
