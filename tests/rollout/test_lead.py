"""Rollouts over the store, with agents in memory: every end, and what people see on the way."""

from __future__ import annotations

import asyncio
import hashlib
import json
import zlib
from typing import Any

import pytest
from tests.rollout.agents import PAIR, Agents, revision_of
from tests.rollout.bundles import bundle
from tests.rollout.virtual import run

from holdfast.errors import LeaseLost, PlanRefused, StateForbids, UsageError
from holdfast.plan import Hazard
from holdfast.protocol import Progress
from holdfast.rollout import carry
from holdfast.rollout.decide import NodePhase
from holdfast.rollout.lead import run_rollout
from holdfast.rollout.propose import find_rollout, list_rollouts, propose_rollout, wish
from holdfast.rollout.records import RolloutOptions, RolloutPhase, RolloutRecord, Wish
from holdfast.sentences import Sentence
from holdfast.store.holding import Held
from holdfast.store.memory import MemoryEngine
from holdfast.store.port import Put
from holdfast.store.store import Store


async def leader(store: Store, name: str = "one") -> Held:
    held = await store.holdings.acquire("leader", name, 3600)
    assert held is not None
    return held


async def cluster(groups: Any = PAIR, **changes: Any) -> Agents:
    """A cluster whose nodes have joined and run revision 1; lb01 holds everything."""
    store = await Store.open(MemoryEngine())
    agents = Agents(store, {"www": "lb01"})
    await agents.enrol(*groups)
    held = await leader(store)
    async with agents.there():
        done = await roll(agents, held, 1, revision_of("one", groups))
    assert done.phase is RolloutPhase.SUCCEEDED
    await store.holdings.release(held)
    agents.log.clear()
    agents.most_busy.clear()
    for name, value in changes.items():
        setattr(agents, name, value)
    return agents


async def roll(agents: Agents, held: Held, revision: int, bundles: Any, **options: Any) -> RolloutRecord:
    made = await propose_rollout(
        agents.store, "shop", revision=revision, bundles=bundles, author="ann", options=RolloutOptions(**options)
    )
    return await run_rollout(agents.store, "shop", made.id, held)


async def second(agents: Agents, groups: Any = PAIR, **options: Any) -> RolloutRecord:
    """Revision 2 of a cluster that runs revision 1."""
    async with agents.there():
        return await roll(agents, await leader(agents.store), 2, revision_of("two", groups), **options)


def phases(record: RolloutRecord) -> dict[str, NodePhase]:
    return {node: state.phase for node, state in record.nodes.items()}


def test_the_holder_comes_last_and_all_four_states_of_each_node_are_told() -> None:
    async def scenario() -> None:
        agents = await cluster()
        record = await second(agents)
        assert (record.phase, record.base, record.reason) == (RolloutPhase.SUCCEEDED, 1, "")
        assert agents.log == ["lb02 2", "lb01 2"]
        assert frozenset({"lb01", "lb02"}) not in agents.most_busy
        assert {state.progress for state in record.nodes.values()} == {Progress.VERIFIED}
        events = [one.record for one in await agents.store.events.oldest(limit=1000)]
        told = [json.loads(e.data)["progress"] for e in events if e.node == "lb01" and e.kind == "rollout.node"]
        assert told[0] is None
        assert told[-1] == "verified"
        kept = [one.record.state for one in await agents.kept.cluster.report_history("lb01").oldest()]
        assert kept == ["accepted", "written", "applied", "verified"] * 2
        assert {one.record.revision for one in await agents.kept.assignments.all()} == {2}
        assert (await agents.kept.head())[0].running is None

    run(scenario())


def test_a_refusal_puts_everything_back_and_says_node_program_and_line() -> None:
    async def scenario() -> None:
        agents = await cluster(refuses={("lb01", 2)})
        record = await second(agents)
        assert record.phase is RolloutPhase.PUT_BACK
        assert phases(record) == {"lb01": NodePhase.FAILED, "lb02": NodePhase.PUT_BACK}
        assert (record.reason, record.hint) == ("lb01: nginx refused line 7", "mend line 7")
        assert record.nodes["lb01"].program_line == "unknown directive"
        assert agents.log == ["lb02 2", "lb02 1"]
        # The one that refused must not find the new state when its agent starts again.
        assert {one.record.digest for one in await agents.kept.assignments.all()} == {
            each.digest for each in revision_of("one", PAIR).values()
        }

    run(scenario())


def test_a_node_that_runs_neither_state_is_waited_for_before_others_go_back() -> None:
    async def scenario() -> None:
        agents = await cluster(breaks={("lb01", 2)})
        record = await second(agents)
        assert record.phase is RolloutPhase.PUT_BACK
        assert phases(record) == {"lb01": NodePhase.PUT_BACK, "lb02": NodePhase.PUT_BACK}
        assert record.reason == "lb01: the agent ended with broken"
        assert record.nodes["lb01"].detail == record.reason
        agents.breaks.add(("lb01", 1))
        agents.breaks.add(("lb01", 3))
        agents.running["lb01"] = revision_of("other", PAIR)["lb01"]
        await agents.store.engine.revoke((await agents.store.holdings.present.all())[0].lease)
        async with agents.there():
            again = await roll(agents, await leader(agents.store), 3, revision_of("three", PAIR))
        assert again.phase is RolloutPhase.FAILED
        assert phases(again) == {"lb01": NodePhase.BROKEN, "lb02": NodePhase.PUT_BACK}

    run(scenario())


def test_who_does_not_put_back_leaves_what_is_done() -> None:
    async def scenario() -> None:
        agents = await cluster(refuses={("lb01", 2)})
        record = await second(agents, put_back=False)
        assert record.phase is RolloutPhase.FAILED
        assert phases(record) == {"lb01": NodePhase.FAILED, "lb02": NodePhase.VERIFIED}
        assert agents.log == ["lb02 2"]

    run(scenario())


def test_a_group_that_should_have_stayed_takes_the_change_back() -> None:
    async def scenario() -> None:
        agents = await cluster(loses={"lb01": "www"})
        record = await second(agents)
        assert record.phase is RolloutPhase.PUT_BACK
        assert agents.log == ["lb02 2", "lb01 2", "lb01 1", "lb02 1"]
        assert "lost www" in record.reason
        kept = (await find_rollout(agents.store, "shop", record.id)).record.reason
        assert isinstance(kept, Sentence)
        assert kept.values == {"node": "lb01", "groups": "www"}

    run(scenario())


def test_a_node_that_does_not_answer_refuses_the_rollout_before_anything_is_touched() -> None:
    async def scenario() -> None:
        agents = await cluster(silent={"lb02"})
        record = await second(agents)
        assert record.phase is RolloutPhase.REFUSED
        assert "lb02: its agent did not answer" in record.reason
        assert agents.log == []
        # … unless it is said to be away: then it is not waited for, and finds its state when it comes.
        assert (await agents.store.holdings.holder("leader")) is not None
        async with agents.there():
            await agents.store.engine.revoke((await agents.store.holdings.present.all())[0].lease)
            made = await roll(agents, await leader(agents.store), 3, revision_of("three", PAIR), without=("lb02",))
        assert made.phase is RolloutPhase.SUCCEEDED
        assert agents.log == ["lb01 3"]
        away = await agents.kept.assignments.get("lb02")
        assert away is not None
        assert away.record.revision == 3

    run(scenario())


def test_a_node_that_falls_silent_in_the_middle_is_lost_and_finds_its_old_state() -> None:
    async def scenario() -> None:
        agents = await cluster()
        held = await leader(agents.store)

        async def falls_silent() -> None:
            async with agents.kept.assignments.watch() as updates:
                async for update in updates:
                    if any(found and found.record.revision == 2 for _, found in update.items):
                        agents.silent.add("lb01")
                        return

        async with agents.there():
            falling = asyncio.create_task(falls_silent())
            record = await roll(agents, held, 2, revision_of("two", PAIR))
            await falling
        assert record.phase is RolloutPhase.FAILED
        assert phases(record) == {"lb01": NodePhase.LOST, "lb02": NodePhase.PUT_BACK}
        present = await agents.kept.assignments.get("lb01")
        assert present is not None
        assert present.record.revision == 1

    run(scenario())


def test_a_report_that_got_lost_is_asked_for() -> None:
    async def scenario() -> None:
        agents = await cluster(mute={"lb01"})
        record = await second(agents)
        assert record.phase is RolloutPhase.SUCCEEDED

    run(scenario())


def test_a_node_on_which_somebody_works_by_hand_refuses_it_before_anything_is_touched() -> None:
    async def scenario() -> None:
        agents = await cluster(paused={"lb01"})  # the second in turn
        record = await second(agents)
        assert record.phase is RolloutPhase.REFUSED
        assert record.reason.startswith("lb01: its agent is paused")
        assert record.reason.endswith("no node was touched")
        assert "--without lb01" in record.hint
        assert agents.log == []

    run(scenario())


def test_a_node_on_which_somebody_begins_to_work_by_hand_stops_it() -> None:
    async def scenario() -> None:
        agents = await cluster(pauses_meanwhile={"lb02"})
        record = await second(agents)
        assert record.phase is RolloutPhase.PUT_BACK
        assert "somebody works on this node by hand" in record.reason
        assert agents.log == []

    run(scenario())


async def paused(store: Store) -> RolloutRecord:
    """The rollout, once it waits for somebody to look at its first node."""
    while not (found := await list_rollouts(store, "shop"))[0].paused:
        await asyncio.sleep(0.01)
    return found[0]


def test_it_waits_behind_the_first_node_until_somebody_has_looked() -> None:
    async def scenario() -> None:
        agents = await cluster()
        held = await leader(agents.store)
        async with agents.there():
            going = asyncio.create_task(roll(agents, held, 2, revision_of("two", PAIR), pause_after_first=True))
            found = await paused(agents.store)
            assert agents.log == ["lb02 2"]
            assert not going.done()
            await wish(agents.store, "shop", found.id, Wish.GO_ON)
            record = await going
        assert record.phase is RolloutPhase.SUCCEEDED
        assert agents.log == ["lb02 2", "lb01 2"]
        with pytest.raises(StateForbids, match="has ended"):
            await wish(agents.store, "shop", record.id, Wish.STOP)

    run(scenario())


@pytest.mark.parametrize(("wanted", "log"), [(Wish.STOP, ["lb02 2"]), (Wish.PUT_BACK, ["lb02 2", "lb02 1"])])
def test_a_paused_rollout_can_be_stopped(wanted: Wish, log: list[str]) -> None:
    async def scenario() -> None:
        agents = await cluster()
        held = await leader(agents.store)
        async with agents.there():
            going = asyncio.create_task(roll(agents, held, 2, revision_of("two", PAIR), pause_after_first=True))
            found = await paused(agents.store)
            await wish(agents.store, "shop", found.id, wanted)
            record = await going
        assert record.phase is (RolloutPhase.FAILED if wanted is Wish.STOP else RolloutPhase.PUT_BACK)
        assert record.reason == "it was stopped"
        assert agents.log == log

    run(scenario())


def test_what_is_damaged_in_the_store_ends_the_rollout_that_needs_it_and_says_so() -> None:
    """It used to be tried again and again: neither this one nor any later rollout of the cluster came to an end."""

    async def scenario() -> None:
        agents = await cluster()
        held = await leader(agents.store)
        async with agents.there():
            going = asyncio.create_task(roll(agents, held, 2, revision_of("two", PAIR), pause_after_first=True))
            found = await paused(agents.store)
            key = agents.kept.assignments.key("lb01")
            sound = await agents.store.engine.get(key)
            assert sound is not None
            await agents.store.engine.commit([], [Put(key, b"{}")])
            await wish(agents.store, "shop", found.id, Wish.GO_ON)
            record = await going
            assert record.phase is RolloutPhase.FAILED
            assert f"{key} in the store is not understood" in record.reason
            assert "restore a dump" in record.hint
            assert agents.log == ["lb02 2"]
            await agents.store.engine.commit([], [Put(key, sound.value)])
            again = await roll(agents, held, 3, revision_of("three", PAIR))
            assert again.phase is RolloutPhase.SUCCEEDED

    run(scenario())


def test_a_damaged_bundle_refuses_a_rollout_once_and_is_compiled_again_for_the_next() -> None:
    """As one that is lost: what has to be compiled again is what the store does not have."""

    async def scenario() -> None:
        agents = await cluster()
        old = revision_of("one", PAIR)["lb02"]
        piece = agents.bundles._pieces.key(f"{old.digest}/000")
        assert await agents.store.engine.get(piece) is not None
        await agents.store.engine.commit([], [Put(piece, b'{"data":"eA=="}')])
        held = await leader(agents.store)
        async with agents.there():
            record = await roll(agents, held, 2, revision_of("two", PAIR))
            assert record.phase is RolloutPhase.REFUSED
            assert f"the bundle {old.digest[:12]} in the store is not whole" in record.reason
            assert agents.log == []
            assert not await agents.bundles.has(old.digest)
            assert await agents.store.engine.get(piece) is None
            await agents.bundles.keep(1, old)  # as the controller does before each rollout
            assert (await roll(agents, held, 3, revision_of("three", PAIR))).phase is RolloutPhase.SUCCEEDED

    run(scenario())


def test_a_bundle_that_a_newer_controller_wrote_is_never_dropped_by_an_older_one() -> None:
    """Controllers are upgraded one by one: what this one does not understand is what nodes run."""

    async def scenario() -> None:
        agents = await cluster()
        old = revision_of("one", PAIR)["lb02"]
        newer = json.dumps(json.loads(old.to_json()) | {"later": 1}).encode()
        digest = hashlib.sha256(newer).hexdigest()
        await agents.bundles._write(digest, [zlib.compress(newer)])
        head = agents.bundles._heads.key(digest)
        value = b'{"revision":1,"pieces":1,"size":%d}' % len(newer)
        await agents.store.engine.commit([], [Put(head, value)])
        at = await agents.kept.assignments.get("lb02")
        assert at is not None
        await agents.kept.assignments.replace("lb02", at.record.model_copy(update={"digest": digest}), at.version)
        held = await leader(agents.store)
        async with agents.there():
            record = await roll(agents, held, 2, revision_of("two", PAIR))
            assert (record.phase, agents.log) == (RolloutPhase.REFUSED, [])
            assert f"the bundle {digest[:12]} in the store is not understood" in record.reason
            assert "update this controller" in record.hint
            assert await agents.bundles.text(digest) == newer.decode()
            later = value[:-1] + b',"packed":"zstd"}'
            await agents.store.engine.commit([], [Put(head, later)])
            record = await roll(agents, held, 3, revision_of("three", PAIR))
            assert (record.phase, agents.log) == (RolloutPhase.REFUSED, [])
            assert f"{head} in the store is not understood" in record.reason
            found = await agents.store.engine.get(head)
            assert found is not None
            assert found.value == later

    run(scenario())


def test_what_is_whole_by_now_is_not_dropped_as_damaged() -> None:
    async def scenario() -> None:
        agents = await cluster()
        digest = revision_of("one", PAIR)["lb02"].digest
        await agents.bundles.drop_damaged(digest)
        assert await agents.bundles.get(digest) is not None

    run(scenario())


def test_one_that_succeeded_says_no_reason_for_a_failure() -> None:
    """Stopped when nothing was left to do: each node runs what it should, and nobody may read that it was stopped."""

    async def scenario() -> None:
        agents = await cluster()
        record = await second(agents)
        stopped = record.model_copy(update={"reason": "stopped by ann", "hint": "ask ann", "wish": Wish.STOP})
        changed = carry.finished(stopped, True, agents.store.clock.now())
        assert (changed.record.reason, changed.record.hint) == ("", "")
        assert changed.events[0].message.endswith("succeeded")
        assert carry.finished(stopped, False, agents.store.clock.now()).record.reason == "stopped by ann"

    run(scenario())


def test_who_mistypes_a_node_that_is_away_is_told_before_anything_waits_for_it() -> None:
    async def scenario() -> None:
        agents = await cluster()
        options = RolloutOptions(without=("lb20",))
        with pytest.raises(UsageError, match="there is no node lb20") as refused:
            await propose_rollout(
                agents.store, "shop", revision=2, bundles=revision_of("two", PAIR), author="ann", options=options
            )
        assert "lb01, lb02" in refused.value.hint
        assert (await agents.kept.head())[0].running is None

    run(scenario())


def test_only_one_rollout_of_a_cluster_goes_on() -> None:
    async def scenario() -> None:
        agents = await cluster()
        await propose_rollout(agents.store, "shop", revision=2, bundles=revision_of("two", PAIR), author="ann")
        with pytest.raises(PlanRefused, match="rollout 2 of revision 2 by ann has not ended"):
            await propose_rollout(agents.store, "shop", revision=3, bundles=revision_of("three", PAIR), author="bob")
        # Two that come at the same moment: one gets in.
        assert (await agents.kept.head())[0].running == 2

    run(scenario())


def test_a_forbidden_hazard_refuses_it() -> None:
    async def scenario() -> None:
        agents = await cluster()
        record = await second(agents, forbidden=(Hazard.RELOAD,))
        assert record.phase is RolloutPhase.REFUSED
        assert agents.log == []

    run(scenario())


def test_members_that_have_to_change_in_one_moment_do() -> None:
    async def scenario() -> None:
        agents = await cluster()
        changed = {node: bundle(node, "two", groups, vrid=77) for node, groups in PAIR.items()}
        async with agents.there():
            record = await roll(agents, await leader(agents.store), 2, changed)
        assert record.phase is RolloutPhase.SUCCEEDED, record.reason
        assert [batch.at_once for batch in record.batches] == [True]
        assert frozenset({"lb01", "lb02"}) in agents.most_busy

    run(scenario())


def test_nodes_that_share_no_group_change_at_a_time_as_far_as_the_operator_allows() -> None:
    groups = {
        "a1": (("a", 250),), "a2": (("a", 245),), "b1": (("b", 250),), "b2": (("b", 245),), "c1": (("c", 250),),
        "c2": (("c", 245),),
    }  # fmt: skip

    async def scenario() -> None:
        agents = await cluster(groups)
        agents.holders.update({"a": "a1", "b": "b1", "c": "c1"})
        record = await second(agents, groups, at_a_time=2)
        assert record.phase is RolloutPhase.SUCCEEDED
        assert [batch.nodes for batch in record.batches] == [("a2", "b2"), ("c2",), ("a1", "b1"), ("c1",)]
        assert max(len(busy) for busy in agents.most_busy) == 2
        assert not any({node[0] + "1", node[0] + "2"} <= busy for busy in agents.most_busy for node in busy)

    run(scenario())


def test_many_nodes_at_a_time_take_several_commits_and_the_record_tells_all() -> None:
    groups = {f"n{number:02d}": ((f"g{number:02d}", 250),) for number in range(40)}

    async def scenario() -> None:
        agents = await cluster(groups)
        record = await second(agents, groups, at_a_time=40)
        assert record.phase is RolloutPhase.SUCCEEDED, record.reason
        assert [len(batch.nodes) for batch in record.batches] == [40]
        assert {state.progress for state in record.nodes.values()} == {Progress.VERIFIED}
        assert len(agents.log) == 40

    run(scenario())


def test_one_that_was_stopped_before_it_began_touches_nothing() -> None:
    async def scenario() -> None:
        agents = await cluster()
        made = await propose_rollout(agents.store, "shop", revision=2, bundles=revision_of("two", PAIR), author="ann")
        await wish(agents.store, "shop", made.id, Wish.STOP)
        async with agents.there():
            record = await run_rollout(agents.store, "shop", made.id, await leader(agents.store))
        assert (record.phase, record.reason) == (RolloutPhase.REFUSED, "it was stopped before it began")
        assert agents.log == []

    run(scenario())


def test_a_bundle_that_is_gone_refuses_the_rollout() -> None:
    async def scenario() -> None:
        agents = await cluster()
        made = await propose_rollout(agents.store, "shop", revision=2, bundles=revision_of("two", PAIR), author="ann")
        heads = agents.bundles._heads
        found = await heads.get(made.nodes["lb01"].new)
        assert found is not None
        await heads.delete(found.name, found.version)
        async with agents.there():
            record = await run_rollout(agents.store, "shop", made.id, await leader(agents.store))
        assert record.phase is RolloutPhase.REFUSED
        assert "is not in the store" in record.reason

    run(scenario())


def test_a_new_node_that_has_not_joined_is_not_waited_for_and_one_that_leaves_is_emptied() -> None:
    async def scenario() -> None:
        agents = await cluster()
        groups = {"lb01": PAIR["lb01"], "lb03": (("www", 245),)}
        async with agents.there():
            record = await roll(agents, await leader(agents.store), 2, revision_of("one", groups))
            assert record.phase is RolloutPhase.SUCCEEDED, record.reason
            assert phases(record) == {"lb02": NodePhase.VERIFIED, "lb03": NodePhase.AWAY}
            assert agents.running["lb02"].services == ()
            # lb01 did not change, and is of the new revision all the same; lb03 finds its state when it joins.
            revisions = {one.name: one.record.revision for one in await agents.kept.assignments.all()}
            assert revisions == {"lb01": 2, "lb02": 2, "lb03": 2}

    run(scenario())


def test_who_lost_the_lead_writes_nothing_more() -> None:
    async def scenario() -> None:
        agents = await cluster()
        held = await leader(agents.store)
        made = await propose_rollout(agents.store, "shop", revision=2, bundles=revision_of("two", PAIR), author="ann")
        await agents.store.holdings.release(held)
        other = await leader(agents.store, "two")
        async with agents.there():
            with pytest.raises(LeaseLost, match="somebody else"):
                await run_rollout(agents.store, "shop", made.id, held)
            assert agents.log == []
            assert (await find_rollout(agents.store, "shop", made.id)).record.phase is RolloutPhase.PROPOSED
            assert (await run_rollout(agents.store, "shop", made.id, other)).phase is RolloutPhase.SUCCEEDED

    run(scenario())
