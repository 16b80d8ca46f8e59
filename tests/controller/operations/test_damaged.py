"""Records that are not understood: named, what they hold up, cleared or said anew; nothing else waits for them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.controller.operations.agents import Members, enrol, report, row, table
from tests.controller.operations.test_overrides import _desk
from tests.controller.operations.world import MORE_WEIGHT, VERSION_2, end_rollout, new_desk, request, run
from tests.controller.operations.world import SPEC as SHOP

from holdfast.controller.operations import clusters, damaged, happened, history, overrides, revisions, status
from holdfast.controller.operations.desk import Desk
from holdfast.controller.operations.leaving import would_move
from holdfast.errors import Conflict, NotFound, PlanRefused, StoreDamaged
from holdfast.protocol import Progress
from holdfast.protocol.api.clusters import ClusterRequest
from holdfast.protocol.api.damaged import ClearRequest
from holdfast.protocol.api.overrides import OverrideRequest, OverrideWord
from holdfast.rollout.bundles import Bundles, revision_name
from holdfast.rollout.decide import NodePhase
from holdfast.rollout.propose import find_rollout, list_rollouts
from holdfast.rollout.records import RolloutStore, rollout_name
from holdfast.store.collection import Collection
from holdfast.store.port import Put

NAME = "drained/rs01:80"


async def damage(desk: Desk, name: str = NAME, value: bytes = b'{"later": 1}') -> None:
    key = desk.store.cluster("shop").overrides.key(name)
    await desk.store.engine.commit([], [Put(key, value)])


def test_a_damaged_override_is_named_with_whom_it_concerns_and_nothing_else_fails() -> None:
    async def story() -> None:
        desk = await _desk()
        await report(desk, "lb01", overrides=table("lb01", row("rs01-80")))
        await report(desk, "lb02", overrides=table("lb02", row("rs02-80")))
        await damage(desk)
        (listed,) = (await damaged.damaged(desk, "shop")).records
        assert (listed.kind, listed.name, listed.clearable) == ("override", NAME, True)
        told = await status.status(desk.store, "shop")
        (said,) = [one for one in told.trouble if NAME in one]
        assert "lb01 get" in said
        assert "lb02" not in said
        assert (await overrides.overrides(desk.store, "shop")).damaged == (NAME,)
        assert await would_move(desk, "shop", "lb01")

    run(story())


def test_it_is_cleared_once_and_the_audit_keeps_what_it_was() -> None:
    async def story() -> None:
        desk = await _desk()
        await damage(desk)
        (listed,) = (await damaged.damaged(desk, "shop")).records
        with pytest.raises(Conflict):
            await damaged.clear(desk, "shop", ClearRequest(kind="override", name=NAME, version=listed.version + 1))
        await damaged.clear(desk, "shop", ClearRequest(kind="override", name=NAME, version=listed.version))
        assert (await damaged.damaged(desk, "shop")).records == ()
        last = (await desk.store.audit.newest())[0].record
        assert (last.action, last.actor) == ("damaged.clear", "user:ada")
        assert "later" in last.before
        with pytest.raises(NotFound):
            await damaged.clear(desk, "shop", ClearRequest(kind="override", name=NAME))

    run(story())


def test_what_is_sound_and_what_there_is_no_record_of_is_not_cleared() -> None:
    async def story() -> None:
        desk = await _desk()
        asked = OverrideRequest(wait_s=0)
        await overrides.set_override(desk, "shop", OverrideWord.DRAINED, "rs01:80", asked)
        with pytest.raises(PlanRefused, match="is understood"):
            await damaged.clear(desk, "shop", ClearRequest(kind="override", name=NAME))
        with pytest.raises(NotFound, match="no records of the kind"):
            await damaged.clear(desk, "shop", ClearRequest(kind="user", name="ada"))

    run(story())


async def cleared(desk: Desk, kind: str, name: str) -> str:
    """One that is listed, cleared; what was said of it."""
    (listed,) = (await damaged.damaged(desk, "shop")).records
    assert (listed.kind, listed.name, listed.clearable) == (kind, name, True)
    done = await damaged.clear(desk, "shop", ClearRequest(kind=kind, name=name, version=listed.version))
    assert done.then == listed.then
    assert (await damaged.damaged(desk, "shop")).records == ()
    assert (await desk.store.audit.newest(limit=1))[0].record.target == f"{kind} {name}"
    return done.then


async def running() -> tuple[Desk, RolloutStore]:
    """Revision 1 runs on both nodes, and they say so."""
    desk = await new_desk()
    await enrol(desk, "lb01", "lb02")
    await end_rollout(desk, await revisions.apply(desk, "shop", request(SHOP, 0)))
    await well(desk)
    return desk, RolloutStore(desk.store, "shop")


async def well(desk: Desk) -> None:
    """Each node runs what it was told."""
    members = Members(desk, "www", ["lb01", "lb02"])
    for one in await RolloutStore(desk.store, "shop").assignments.all():
        said = members.status(one.name).model_copy(update={"digest": one.record.digest})
        revision = one.record.revision
        await report(desk, one.name, status=said, revision=revision, progress=Progress.VERIFIED, agent_version="1")


async def overwritten(desk: Desk, records: Collection[Any], name: str) -> None:
    await desk.store.engine.commit([], [Put(records.key(name), b'{"later": 1}')])


@pytest.mark.parametrize("kind", ["node", "assignment", "report", "rollout"])
def test_of_a_damaged_record_a_cluster_is_told_and_the_rest_of_it_is_seen(kind: str) -> None:
    async def story() -> None:
        desk, kept = await running()
        known = desk.store.cluster("shop")
        places = {"node": known.nodes, "assignment": kept.assignments, "report": known.reports}
        name = "lb01" if kind in places else rollout_name(1)
        await overwritten(desk, places.get(kind, kept.rollouts), name)
        told = await status.status(desk.store, "shop")
        said = f"the {kind} {name} in the store is not understood: see holdfast damaged list"
        assert said in told.trouble
        assert "lb01: it has never joined" not in told.trouble
        assert {one.node: one.wanted for one in told.nodes}["lb02"] == 1
        assert await list_rollouts(desk.store, "shop") == [] if kind == "rollout" else True

    run(story())


def test_a_node_whose_record_is_cleared_has_to_join_anew_and_the_cluster_goes_on() -> None:
    async def story() -> None:
        desk, _ = await running()
        await overwritten(desk, desk.store.cluster("shop").nodes, "lb01")
        with pytest.raises(StoreDamaged) as refused:
            await revisions.apply(desk, "shop", request(MORE_WEIGHT, 1))
        assert "holdfast damaged list" in refused.value.hint
        assert "has to join anew" in await cleared(desk, "node", "lb01")
        applied = await revisions.apply(desk, "shop", request(MORE_WEIGHT, 1))
        found = await find_rollout(desk.store, "shop", applied.rollout or 0)
        assert {node: one.phase for node, one in found.record.nodes.items()} == {
            "lb01": NodePhase.AWAY,
            "lb02": NodePhase.WAITING,
        }

    run(story())


@pytest.mark.parametrize("progress", [Progress.VERIFIED, Progress.REFUSED])
def test_in_place_of_a_damaged_assignment_comes_what_the_node_says_it_runs(progress: Progress) -> None:
    """Else the node would go back to nothing at all, should the next rollout be put back."""

    async def story() -> None:
        desk, kept = await running()
        before = await kept.assignments.get("lb01")
        assert before is not None
        if progress is Progress.REFUSED:  # it was told revision 2, and runs the first one
            await end_rollout(desk, await revisions.apply(desk, "shop", request(MORE_WEIGHT, 1)))
            said = Members(desk, "www", ["lb01"]).status("lb01").model_copy(update={"digest": before.record.digest})
            await report(desk, "lb01", status=said, revision=2, progress=progress, agent_version="1")
        last = (await kept.head())[0].last_number
        await overwritten(desk, kept.assignments, "lb01")
        assert "revision 1, which it runs" in await cleared(desk, "assignment", "lb01")
        after = await kept.assignments.get("lb01")
        assert after is not None
        assert (after.record.revision, after.record.digest) == (1, before.record.digest)
        assert after.record.number == last + 1 == (await kept.head())[0].last_number

    run(story())


def test_where_nobody_knows_what_a_node_runs_its_damaged_assignment_goes() -> None:
    async def story() -> None:
        desk, kept = await running()
        await report(desk, "lb01", agent_version="1")
        await overwritten(desk, kept.assignments, "lb01")
        assert "nobody knows what lb01 runs" in await cleared(desk, "assignment", "lb01")
        assert await kept.assignments.get("lb01") is None
        applied = await revisions.apply(desk, "shop", request(SHOP, 1))
        assert applied.rollout is not None

    run(story())


@pytest.mark.parametrize("too", ["report", "bundles of its revision"])
def test_a_damaged_assignment_is_listed_and_goes_where_what_would_tell_is_damaged_too(too: str) -> None:
    async def story() -> None:
        desk, kept = await running()
        known = desk.store.cluster("shop")
        await overwritten(desk, kept.assignments, "lb01")
        if too == "report":
            await overwritten(desk, known.reports, "lb01")
        else:
            await overwritten(desk, Bundles(desk.store, "shop").revisions, revision_name(1))
        listed = (await damaged.damaged(desk, "shop")).records
        assert {one.kind for one in listed} == {"assignment", *(["report"] if too == "report" else [])}
        done = await damaged.clear(desk, "shop", ClearRequest(kind="assignment", name="lb01"))
        assert "nobody knows what lb01 runs" in done.then

    run(story())


def test_only_what_can_be_cleared_is_said_to_be() -> None:
    async def story() -> None:
        desk, _ = await running()
        bundles = Bundles(desk.store, "shop").revisions
        await overwritten(desk, bundles, revision_name(1))
        with pytest.raises(StoreDamaged) as refused:
            await bundles.get(revision_name(1))
        assert "restore a dump" in refused.value.hint
        assert "damaged list" not in refused.value.hint

    run(story())


def test_a_damaged_rollout_that_has_not_ended_is_let_go_and_another_may_begin() -> None:
    async def story() -> None:
        desk, kept = await running()
        await revisions.apply(desk, "shop", request(MORE_WEIGHT, 1))
        await overwritten(desk, kept.rollouts, rollout_name(2))
        with pytest.raises(StoreDamaged):
            await revisions.apply(desk, "shop", request(SHOP, 2))
        assert "it ends where it is" in await cleared(desk, "rollout", rollout_name(2))
        head, _ = await kept.head()
        assert (head.running, head.last_rollout) == (None, 2)
        assert (await revisions.apply(desk, "shop", request(VERSION_2, 2))).rollout == 3

    run(story())


def test_of_a_damaged_rollout_that_has_ended_only_the_history_is_lost() -> None:
    async def story() -> None:
        desk, kept = await running()
        await overwritten(desk, kept.rollouts, rollout_name(1))
        assert await cleared(desk, "rollout", rollout_name(1)) == "what is known of that rollout; it has ended"
        assert await list_rollouts(desk.store, "shop") == []

    run(story())


def test_status_reads_no_older_rollout_than_the_last_one() -> None:
    """There may be two hundred, and each tells of every node."""

    async def story() -> None:
        desk, kept = await running()
        await end_rollout(desk, await revisions.apply(desk, "shop", request(MORE_WEIGHT, 1)))
        await well(desk)
        await overwritten(desk, kept.rollouts, rollout_name(1))
        assert (await status.status(desk.store, "shop")).trouble == ()
        assert [one.kind for one in (await damaged.damaged(desk, "shop")).records] == ["rollout"]

    run(story())


@pytest.mark.parametrize("anew", ["drain", "resume"])
def test_who_says_anew_what_is_so_of_its_server_has_mended_it(anew: str) -> None:
    async def story() -> None:
        desk = await _desk()
        await damage(desk)
        if anew == "drain":
            asked = OverrideRequest(wait_s=0)
            await overrides.set_override(desk, "shop", OverrideWord.DRAINED, "rs01:80", asked)
        else:
            await overrides.clear_override(desk, "shop", OverrideWord.ANY, "rs01:80", wait_s=0)
        found = await overrides.overrides(desk.store, "shop")
        assert found.damaged == ()
        assert [one.target for one in found.overrides] == (["rs01:80"] if anew == "drain" else [])

    run(story())


def test_of_another_server_it_counts_as_out_when_somebody_asks_who_is_left() -> None:
    async def story() -> None:
        desk = await _desk()
        await damage(desk)
        asked = OverrideRequest(wait_s=0)
        with pytest.raises(PlanRefused, match="only server left"):
            await overrides.set_override(desk, "shop", OverrideWord.DRAINED, "rs02:80", asked)

    run(story())


@pytest.mark.parametrize("ended", [True, False])
def test_a_damaged_head_is_told_and_counted_anew_and_rollouts_go_on_from_there(ended: bool) -> None:
    async def story() -> None:
        desk, kept = await running()
        applied = await revisions.apply(desk, "shop", request(MORE_WEIGHT, 1))
        if ended:
            await end_rollout(desk, applied)
            await well(desk)
        before, _ = await kept.head()
        await overwritten(desk, kept.heads, kept.HEAD)
        told = await status.status(desk.store, "shop")
        assert "the rollout-head head in the store is not understood: see holdfast damaged list" in told.trouble
        assert [one.id for one in await list_rollouts(desk.store, "shop")] == [2, 1]
        with pytest.raises(StoreDamaged) as refused:
            await revisions.apply(desk, "shop", request(VERSION_2, 2))
        assert "holdfast damaged list" in refused.value.hint
        assert "it is counted anew" in await cleared(desk, "rollout-head", "head")
        assert (await kept.head())[0] == before
        if ended:
            assert (await revisions.apply(desk, "shop", request(VERSION_2, 2))).rollout == 3

    run(story())


@pytest.mark.parametrize("too", ["assignment", "rollout"])
def test_a_damaged_head_is_cleared_before_what_needs_a_number_of_it(too: str) -> None:
    async def story() -> None:
        desk, kept = await running()
        before, _ = await kept.head()
        await overwritten(desk, kept.heads, kept.HEAD)
        name = "lb01" if too == "assignment" else rollout_name(1)
        await overwritten(desk, kept.assignments if too == "assignment" else kept.rollouts, name)
        listed = {one.kind: one.clearable for one in (await damaged.damaged(desk, "shop")).records}
        assert listed == {"rollout-head": True, too: False}
        with pytest.raises(PlanRefused, match="cannot be cleared yet"):
            await damaged.clear(desk, "shop", ClearRequest(kind=too, name=name))
        await damaged.clear(desk, "shop", ClearRequest(kind="rollout-head", name="head"))
        await cleared(desk, too, name)
        head, _ = await kept.head()
        assert (head.running, head.last_rollout) == (None, 1)
        assert head.last_number >= before.last_number
        assert (await revisions.apply(desk, "shop", request(MORE_WEIGHT, 1))).rollout == 2

    run(story())


def test_a_damaged_record_of_a_cluster_hides_neither_it_nor_another_and_is_written_anew() -> None:
    async def story() -> None:
        desk, _ = await running()
        await clusters.make_cluster(desk, ClusterRequest(name="other"))
        await overwritten(desk, desk.store.clusters, "shop")
        listed = {one.name: one for one in (await clusters.clusters(desk.store)).clusters}
        assert listed.keys() == {"other", "shop"}
        assert (listed["shop"].newest, listed["shop"].created) == (1, None)
        assert "not understood" in listed["shop"].damaged
        told = await status.status(desk.store, "shop")
        assert "the cluster shop in the store is not understood: see holdfast damaged list" in told.trouble
        assert (await damaged.damaged(desk, "other")).records == ()
        with pytest.raises(NotFound):
            await damaged.clear(desk, "other", ClearRequest(kind="cluster", name="shop"))
        assert "written anew" in await cleared(desk, "cluster", "shop")
        assert (await clusters.cluster(desk.store, "shop")).damaged == ""

    run(story())


def test_what_is_overridden_is_listed_although_a_report_is_damaged() -> None:
    async def story() -> None:
        desk, _ = await running()
        await overwritten(desk, desk.store.cluster("shop").reports, "lb01")
        assert "lb01" in (await overrides.overrides(desk.store, "shop")).silent

    run(story())


@pytest.mark.parametrize("number", [1, 2])
def test_a_damaged_revision_hides_no_other_and_is_written_anew_as_it_was(number: int) -> None:
    async def story() -> None:
        desk, _ = await running()
        asked = request(MORE_WEIGHT, 1).model_copy(update={"message": "a heavier one"})
        await end_rollout(desk, await revisions.apply(desk, "shop", asked))
        known = desk.store.cluster("shop").revisions
        before = await known.get(number)
        await overwritten(desk, known.headings, str(number))
        listed = await history.history(desk.store, "shop")
        assert [one.number for one in listed.revisions] == [3 - number]
        (bad,) = listed.damaged
        assert (bad.number, "holdfast damaged list" in bad.hint) == (number, True)
        told = await status.status(desk.store, "shop")
        said = f"the revision {number} in the store is not understood: see holdfast damaged list"
        assert (said in told.trouble) == (number == 2)  # nothing waits for an older one
        assert [one.node for one in told.nodes] == ["lb01", "lb02"]
        assert "written anew" in await cleared(desk, "revision", str(number))
        assert await known.get(number) == before

    run(story())


def test_of_a_damaged_newest_revision_the_next_is_made_all_the_same() -> None:
    async def story() -> None:
        desk, _ = await running()
        await overwritten(desk, desk.store.cluster("shop").revisions.headings, "1")
        assert (await revisions.apply(desk, "shop", request(MORE_WEIGHT, 1))).revision.number == 2

    run(story())


def test_a_damaged_revision_of_which_the_audit_says_nothing_is_written_anew_from_what_it_holds() -> None:
    async def story() -> None:
        desk, _ = await running()
        known = desk.store.cluster("shop").revisions
        before = await known.get(1)
        for number in range(1, (await desk.store.audit.numbers()).last + 1):
            await desk.store.engine.commit([], [Put(desk.store.audit.key(number), b"{")])
        await overwritten(desk, known.headings, "1")
        assert "not known any more" in await cleared(desk, "revision", "1")
        after = await known.get(1)
        assert before is not None
        assert after is not None
        assert (after.digest, after.warnings, after.author) == (before.digest, before.warnings, "unknown")

    run(story())


def test_a_revision_whose_content_is_damaged_too_cannot_be_written_anew() -> None:
    async def story() -> None:
        desk, _ = await running()
        known = desk.store.cluster("shop").revisions
        await overwritten(desk, known.headings, "1")
        await desk.store.engine.commit([], [Put("cluster/shop/revision-content/000000000001", b"{")])
        (listed,) = (await damaged.damaged(desk, "shop")).records
        assert (listed.clearable, "restore a dump" in listed.then) == (False, True)

    run(story())


def test_damaged_events_and_audit_records_are_told_among_the_others() -> None:
    async def story() -> None:
        desk, _ = await running()
        seen = await happened.happened(desk.store, "shop")
        kept = (await happened.audited(desk.store, "shop")).records
        event, record = seen.events[1].number, kept[0].number
        await desk.store.engine.commit([], [Put(desk.store.events.key(event), b"{")])
        await desk.store.engine.commit([], [Put(desk.store.audit.key(record), b"{")])
        now = await happened.happened(desk.store, "shop")
        assert [one.number for one in now.events] == [one.number for one in seen.events if one.number != event]
        assert [one.number for one in now.damaged] == [event]
        listed = await happened.audited(desk.store, None)
        assert [one.number for one in listed.damaged] == [record]
        assert {one.number for one in kept} - {one.number for one in listed.records} == {record}
        since = happened.Wanted(since=desk.now())
        assert (await happened.audited(desk.store, "shop", since)).damaged

    run(story())


def test_what_is_damaged_and_no_node_is_not_listed_as_one() -> None:
    async def story() -> None:
        desk, kept = await running()
        await overwritten(desk, kept.heads, kept.HEAD)
        await overwritten(desk, desk.store.clusters, "shop")
        assert [one.node for one in (await status.status(desk.store, "shop")).nodes] == ["lb01", "lb02"]

    run(story())
