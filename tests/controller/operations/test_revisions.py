"""A spec becomes a revision and a rollout in one commit, or nothing; what is outdated comes back with both diffs."""

from __future__ import annotations

import asyncio

import pytest
from tests.controller.operations.world import (
    MORE_SERVERS,
    MORE_WEIGHT,
    SPEC,
    VERSION_2,
    end_rollout,
    new_desk,
    request,
    run,
)

from holdfast.compile.lock import Lock
from holdfast.controller.operations import history, revisions
from holdfast.controller.operations.compiling import UNKNOWN_SECRET, choices_of
from holdfast.controller.operations.proposals import propose
from holdfast.controller.operations.told import hazard_class
from holdfast.errors import NotFound, Outdated, PlanRefused, SpecError
from holdfast.plan import Hazard
from holdfast.protocol.api.base import HAZARDS, worse_than
from holdfast.protocol.api.revisions import RollbackRequest
from holdfast.rollout.records import RolloutStore


def test_a_first_proposal_says_what_every_node_gets_and_writes_nothing() -> None:
    async def story() -> None:
        desk = await new_desk()
        found = await propose(desk, "shop", SPEC, 0)
        assert {node.node: node.kind for node in found.plan.nodes} == {"lb01": "new", "lb02": "new"}
        assert found.newest == 0
        assert "+cluster: shop" in found.spec_diff
        assert await desk.store.cluster("shop").revisions.newest_number() == 0
        assert (await desk.store.audit.numbers()).last == 1  # that the cluster was made

    run(story())


def test_applied_it_is_a_revision_with_lock_rollout_audit_and_event_in_one_commit() -> None:
    async def story() -> None:
        desk = await new_desk()
        before = (await desk.store.locks.get("shop"),)
        applied = await revisions.apply(desk, "shop", request(SPEC, 0, "the beginning"))
        assert before == (None,)
        assert (applied.revision.number, applied.revision.author, applied.rollout) == (1, "ada", 1)
        found = await RolloutStore(desk.store, "shop").rollout(1)
        assert found is not None
        assert found.record.revision == 1
        assert (await choices_of(desk, "shop")).lock.vrids.keys() == {"www"}
        detail = await history.show(desk.store, "shop", 1)
        assert detail.spec == SPEC
        assert "vrids" in detail.lock
        audit = await desk.store.audit.newest()
        assert (audit[0].record.action, audit[0].record.target) == ("revision.apply", "revision 1")
        assert (audit[0].record.source, audit[0].record.actor) == ("192.0.2.7", "user:ada")
        kinds = {one.record.kind for one in await desk.store.events.newest()}
        assert {"revision.made", "rollout.proposed"} <= kinds

    run(story())


def test_the_same_spec_again_makes_no_revision() -> None:
    async def story() -> None:
        desk = await new_desk()
        await end_rollout(desk, await revisions.apply(desk, "shop", request(SPEC, 0)))
        again = await revisions.apply(desk, "shop", request(SPEC, 1))
        assert (again.revision.number, again.rollout, again.plan.changed) == (1, None, False)

    run(story())


def test_a_comment_alone_is_a_revision_without_a_rollout() -> None:
    async def story() -> None:
        desk = await new_desk()
        await end_rollout(desk, await revisions.apply(desk, "shop", request(SPEC, 0)))
        found = await revisions.apply(desk, "shop", request(f"# shop\n{SPEC}", 1))
        assert (found.revision.number, found.rollout) == (2, None)

    run(story())


def test_a_change_made_on_an_old_revision_is_refused_with_both_diffs() -> None:
    async def story() -> None:
        desk = await new_desk()
        await end_rollout(desk, await revisions.apply(desk, "shop", request(SPEC, 0)))
        await end_rollout(desk, await revisions.apply(desk, "shop", request(MORE_WEIGHT, 1)))
        with pytest.raises(Outdated) as refused:
            await revisions.apply(desk, "shop", request(MORE_SERVERS, 1))
        assert "+      - {address: 'web02:80', weight: 3}" in refused.value.theirs
        assert "web01:81" not in refused.value.theirs
        assert "+      - web01:81" in refused.value.yours
        assert (refused.value.expected, refused.value.present) == (1, 2)
        assert "holdfast diff 1 2" in refused.value.hint

    run(story())


@pytest.mark.parametrize("base", [3, 99])
def test_a_base_that_there_never_was_is_called_so(base: int) -> None:
    """A number mistyped, or a store that was restored from a dump of before."""

    async def story() -> None:
        desk = await new_desk()
        await end_rollout(desk, await revisions.apply(desk, "shop", request(SPEC, 0)))
        await end_rollout(desk, await revisions.apply(desk, "shop", request(MORE_WEIGHT, 1)))
        with pytest.raises(NotFound, match=f"shop has no revision {base} that this could be made from") as refused:
            await revisions.apply(desk, "shop", request(MORE_SERVERS, base))
        assert "the newest is 2" in refused.value.hint

    run(story())


def test_of_many_who_apply_at_once_one_gets_in_and_the_others_get_both_diffs() -> None:
    async def story() -> None:
        desk = await new_desk()
        specs = [SPEC.replace("weight: 2", f"weight: {number}") for number in range(3, 9)]
        ends = await asyncio.gather(
            *(revisions.apply(desk, "shop", request(spec, 0)) for spec in specs), return_exceptions=True
        )
        won = [one for one in ends if not isinstance(one, BaseException)]
        lost = [one for one in ends if isinstance(one, BaseException)]
        assert len(won) == 1
        assert all(isinstance(one, Outdated | PlanRefused) for one in lost), lost
        assert await desk.store.cluster("shop").revisions.newest_number() == 1

    run(story())


def test_back_to_an_old_revision_is_a_new_one_with_the_same_bytes() -> None:
    async def story() -> None:
        desk = await new_desk()
        await end_rollout(desk, await revisions.apply(desk, "shop", request(SPEC, 0)))
        first = await history.node_files(desk, "shop", 1, "lb01")
        await end_rollout(desk, await revisions.apply(desk, "shop", request(MORE_WEIGHT, 1)))
        assert (await history.node_files(desk, "shop", 2, "lb01")).digest != first.digest
        back = await revisions.rollback(desk, "shop", RollbackRequest(revision=1, base=2))
        assert (back.revision.number, back.revision.rollback_of, back.rollout) == (3, 1, 3)
        assert back.revision.message == "back to revision 1"
        assert (await history.node_files(desk, "shop", 3, "lb01")).digest == first.digest
        with pytest.raises(Outdated):
            await revisions.rollback(desk, "shop", RollbackRequest(revision=1, base=2))
        with pytest.raises(NotFound, match="no revision 9"):
            await revisions.rollback(desk, "shop", RollbackRequest(revision=9, base=3))

    run(story())


def test_what_going_back_would_do_is_planned_against_what_the_nodes_are_to_run() -> None:
    async def story() -> None:
        desk = await new_desk()
        await end_rollout(desk, await revisions.apply(desk, "shop", request(SPEC, 0)))
        await end_rollout(desk, await revisions.apply(desk, "shop", request(MORE_WEIGHT, 1)))
        found = await revisions.plan_rollback(desk, "shop", 1)
        assert (found.newest, [node.node for node in found.plan.nodes]) == (2, ["lb01", "lb02"])
        assert "+      - {address: 'web02:80', weight: 2}" in found.spec_diff
        assert "+++ revision 1" in found.spec_diff
        assert not (await revisions.plan_rollback(desk, "shop", 2)).plan.changed
        assert await desk.store.cluster("shop").revisions.newest_number() == 2
        with pytest.raises(NotFound, match="no revision 9"):
            await revisions.plan_rollback(desk, "shop", 9)

    run(story())


def test_mistakes_are_told_with_the_name_of_the_callers_file() -> None:
    async def story() -> None:
        desk = await new_desk()
        broken = request(SPEC.replace("to: app", "to: nowhere"), 0).model_copy(update={"file": "prod.yaml"})
        with pytest.raises(SpecError) as refused:
            await revisions.apply(desk, "shop", broken)
        where = refused.value.findings[0].location
        assert where is not None
        assert where.file == "prod.yaml"
        with pytest.raises(SpecError, match="another cluster"):
            await propose(desk, "shop", SPEC.replace("cluster: shop", "cluster: other"))
        with pytest.raises(NotFound, match="no cluster 'other'"):
            await propose(desk, "other", SPEC)

    run(story())


def test_a_forbidden_hazard_refuses_it_before_anything_is_written() -> None:
    async def story() -> None:
        desk = await new_desk()
        await end_rollout(desk, await revisions.apply(desk, "shop", request(SPEC, 0)))
        with pytest.raises(PlanRefused, match="not allowed"):
            await revisions.apply(desk, "shop", request(MORE_WEIGHT, 1, forbidden=("reload",)))
        assert await desk.store.cluster("shop").revisions.newest_number() == 1

    run(story())


def test_while_a_rollout_goes_on_there_is_no_other() -> None:
    async def story() -> None:
        desk = await new_desk()
        await revisions.apply(desk, "shop", request(SPEC, 0))
        with pytest.raises(PlanRefused, match="rollout 1 of revision 1"):
            await revisions.apply(desk, "shop", request(MORE_WEIGHT, 1))
        kept = await revisions.apply(desk, "shop", request(MORE_WEIGHT, 1).model_copy(update={"rollout": False}))
        assert (kept.revision.number, kept.rollout) == (2, None)

    run(story())


def test_what_no_node_has_to_change_for_waits_for_the_end_of_a_rollout_too() -> None:
    """Nodes that were not told yet would get the older revision, although the newest is another one."""

    async def story() -> None:
        desk = await new_desk()
        await end_rollout(desk, await revisions.apply(desk, "shop", request(SPEC, 0)))
        await revisions.apply(desk, "shop", request(MORE_WEIGHT, 1))
        with pytest.raises(PlanRefused, match="rollout 2 of revision 2 by user:ada has not ended"):
            await revisions.rollback(desk, "shop", RollbackRequest(revision=1, base=2))
        with pytest.raises(PlanRefused, match="has not ended"):
            await revisions.apply(desk, "shop", request(SPEC, 2))
        assert await desk.store.cluster("shop").revisions.newest_number() == 2
        kept = await revisions.apply(desk, "shop", request(SPEC, 2).model_copy(update={"rollout": False}))
        assert kept.rollout is None

    run(story())


def test_secrets_are_sealed_in_the_store_and_masked_in_every_answer() -> None:
    async def story() -> None:
        desk = await new_desk()
        proposed = await propose(desk, "shop", VERSION_2, 0)
        assert UNKNOWN_SECRET not in proposed.model_dump_json()
        applied = await revisions.apply(desk, "shop", request(VERSION_2, 0))
        secret = (await choices_of(desk, "shop")).secrets.vrrp["www"]
        assert len(secret) == 8
        assert secret != UNKNOWN_SECRET
        files = await history.node_files(desk, "shop", 1, "lb01")
        assert any("auth_pass ********" in file.content for file in files.files)
        diff = await history.revision_diff(desk, "shop", 1, 1)
        shown = [applied, files, diff, await history.show(desk.store, "shop", 1)]
        assert not [one for one in shown if secret in one.model_dump_json()]
        record = await desk.store.locks.get("shop")
        assert record is not None
        assert secret not in record.record.model_dump_json()
        audit = [one.record.model_dump_json() for one in await desk.store.audit.newest()]
        assert not [one for one in audit if secret in one]

    run(story())


def test_two_revisions_are_compared_as_text_as_files_and_as_a_plan() -> None:
    async def story() -> None:
        desk = await new_desk()
        await end_rollout(desk, await revisions.apply(desk, "shop", request(SPEC, 0)))
        await revisions.apply(desk, "shop", request(MORE_WEIGHT, 1))
        found = await history.revision_diff(desk, "shop", 1, 2)
        assert "-      - {address: 'web02:80', weight: 2}" in found.spec_diff
        assert {one.node for one in found.nodes} == {"lb01", "lb02"}
        assert "weight=3" in found.nodes[0].files[0].diff
        assert found.plan.hazard == "reload"
        assert (await history.revision_diff(desk, "shop", 2, 1)).plan.changed

    run(story())


def test_what_is_dropped_is_compiled_again() -> None:
    async def story() -> None:
        desk = await new_desk()
        await revisions.apply(desk, "shop", request(VERSION_2, 0))
        kept = await history.node_files(desk, "shop", 1, "lb01")
        bundles = desk.store.cluster("shop").collection("revision-bundles", Lock)  # by name alone
        entry = await desk.store.engine.get(bundles.key(f"{1:012d}"))
        assert entry is not None
        await bundles.delete(f"{1:012d}", entry.version)
        assert (await history.node_files(desk, "shop", 1, "lb01")).digest == kept.digest

    run(story())


def test_history_goes_in_pages() -> None:
    async def story() -> None:
        desk = await new_desk()
        for number in range(5):
            comment = request(f"# {number}\n{SPEC}", number).model_copy(update={"rollout": False})
            await revisions.apply(desk, "shop", comment)
        first = await history.history(desk.store, "shop", limit=2)
        assert [one.number for one in first.revisions] == [5, 4]
        assert (first.newest, first.before) == (5, 4)
        second = await history.history(desk.store, "shop", before=first.before, limit=3)
        assert [one.number for one in second.revisions] == [3, 2, 1]
        assert second.before is None

    run(story())


def test_classes_of_hazards_are_ranked_by_the_api_as_by_plans() -> None:
    """What was shown as the worst of a plan must not be refused as worse than itself, nor what it ranks above."""
    assert [hazard_class(one) for one in sorted(Hazard, key=lambda one: one.rank)] == list(HAZARDS)
    assert worse_than("moves-a-vip") == ("drops-connections",)
    assert worse_than(None) == HAZARDS
