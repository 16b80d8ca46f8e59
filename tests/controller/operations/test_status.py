"""A cluster at one glance, from what agents last said."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from tests.controller.operations.agents import Members, enrol, report, row, table
from tests.controller.operations.world import MORE_WEIGHT, SPEC, Clock, end_rollout, new_desk, request, run
from tests.disk import fill, small_disk

from holdfast.controller.identity.sealing import KeyFileSealer
from holdfast.controller.operations import clusters, revisions, status
from holdfast.controller.operations.desk import Desk
from holdfast.errors import NotFound
from holdfast.protocol import Drift, DriftKind, Fence, Progress
from holdfast.protocol.api.clusters import ClusterRequest
from holdfast.rollout.records import RolloutPhase, RolloutStore, rollout_name
from holdfast.sentences import Sentence
from holdfast.store.models import Presence
from holdfast.store.sqlite import SqliteEngine
from holdfast.store.store import Store


async def _applied(spec: str, base: int, desk: Desk) -> None:
    await end_rollout(desk, await revisions.apply(desk, "shop", request(spec, base)))


async def _all_well(desk: Desk) -> None:
    members = Members(desk, "www", ["lb01", "lb02"])
    assigned = {one.name: one.record for one in await RolloutStore(desk.store, "shop").assignments.all()}
    for node, one in assigned.items():
        said = members.status(node).model_copy(update={"digest": one.digest})
        await report(
            desk, node, status=said, revision=one.revision, progress=Progress.VERIFIED, agent_version="0.1",
            overrides=table(node, row("web01-80"), holds=node == "lb01"),
        )  # fmt: skip


async def _well() -> Desk:
    """Both nodes run the first revision, and say so."""
    desk = await new_desk()
    await enrol(desk, "lb01", "lb02")
    await _applied(SPEC, 0, desk)
    await _all_well(desk)
    return desk


def test_all_is_well() -> None:
    async def story() -> None:
        desk = await _well()
        found = await status.status(desk.store, "shop")
        assert (found.ok, found.trouble, found.newest) == (True, (), 1)
        assert {one.node: (one.wanted, one.running, one.behind) for one in found.nodes} == {
            "lb01": (1, 1, 0),
            "lb02": (1, 1, 0),
        }
        assert [(one.group, one.holders) for one in found.groups] == [("www", ("lb01",))]
        assert [(one.kind, one.name, one.servers[0].up) for one in found.services] == [("virtual_server", "shop", True)]
        assert found.rollout is not None
        assert found.rollout.phase == "succeeded"

    run(story())


def test_what_is_wrong_is_said_with_its_node() -> None:
    async def story() -> None:
        desk = await new_desk()
        await enrol(desk, "lb01")
        await _applied(SPEC, 0, desk)
        await _all_well(desk)
        await _applied(MORE_WEIGHT, 1, desk)
        drift = Drift(kind=DriftKind.FILE, what="/etc/holdfast/nginx/nginx.conf", diff="-a\n+b\n", since=desk.now())
        clock = desk.store.clock
        assert isinstance(clock, Clock)
        clock.wall += timedelta(minutes=10)
        await report(desk, "lb01", progress=Progress.BROKEN, revision=2, drift=(drift,), paused=True)
        found = await status.status(desk.store, "shop")
        assert not found.ok
        said = " | ".join(found.trouble)
        assert "lb01: revision 2 was broken" in said
        assert "lb01: its agent is paused" in said
        assert "nginx.conf differs" in said
        assert "lb02: it has never joined" in said
        assert "nobody is known to hold www: lb02 cannot be asked" in said
        node = await status.node(desk.store, "shop", "lb01")
        assert (node.node.behind, node.node.drift, node.report is not None) == (2, 1, True)

    run(story())


def test_a_node_that_was_shut_out_is_missed_only_while_it_has_something_to_run() -> None:
    async def story() -> None:
        desk = await new_desk()
        await enrol(desk, "lb01", "lb02", "lb03")  # lb03 is in no spec
        await _applied(SPEC, 0, desk)
        await _all_well(desk)
        nodes = desk.store.cluster("shop").nodes
        for name, trouble in (("lb03", ()), ("lb02", ("lb02: its certificate was revoked",))):
            found = await nodes.get(name)
            assert found is not None
            revoked = found.record.model_copy(update={"revoked": desk.now()})
            await nodes.replace(name, revoked, found.version)
            assert (await status.status(desk.store, "shop")).trouble == trouble

    run(story())


def test_a_node_that_refuses_what_it_runs_already_is_as_it_should_be() -> None:
    """It was to go back after a failed rollout, refused that for a file in the way, and the file is gone meanwhile."""

    async def story() -> None:
        desk = await _well()
        before = (await status.node(desk.store, "shop", "lb01")).report
        assert before is not None
        for progress, trouble in ((Progress.REFUSED, ()), (Progress.BROKEN, ("lb01: revision 1 was broken",))):
            await report(
                desk, "lb01", status=before.status, revision=before.revision, progress=progress,
                agent_version="0.1", overrides=before.overrides,
            )  # fmt: skip
            assert (await status.status(desk.store, "shop")).trouble == trouble
        await report(desk, "lb01", revision=1, progress=Progress.REFUSED, agent_version="0.1", status=None)
        assert "lb01: revision 1 was refused" in (await status.status(desk.store, "shop")).trouble

    run(story())


@pytest.mark.parametrize(
    ("phase", "said"),
    [
        (RolloutPhase.REFUSED, ("rollout 1 of revision 1 was refused",)),
        (RolloutPhase.PUT_BACK, ("rollout 1 of revision 1 was put back",)),
        (RolloutPhase.FAILED, ("rollout 1 of revision 1 failed",)),
        (RolloutPhase.SUCCEEDED, ()),
    ],
)
def test_a_last_rollout_that_did_not_bring_the_newest_revision_is_told(
    phase: RolloutPhase, said: tuple[str, ...]
) -> None:
    """Also one that touched no node: else all looks as if the newest revision ran."""

    async def story() -> None:
        desk = await _well()
        kept = RolloutStore(desk.store, "shop")
        found = await kept.rollout(1)
        assert found is not None
        ended = found.record.model_copy(update={"phase": phase})
        await kept.rollouts.replace(rollout_name(1), ended, found.version)
        assert (await status.status(desk.store, "shop")).trouble == said

    run(story())


def test_why_a_rollout_ended_badly_is_told_with_it() -> None:
    async def story() -> None:
        desk = await _well()
        kept = RolloutStore(desk.store, "shop")
        found = await kept.rollout(1)
        assert found is not None
        why = Sentence("%(node)s: its agent did not answer within %(n)s s", node="lb02", n=9)
        ended = found.record.model_copy(update={"phase": RolloutPhase.PUT_BACK, "reason": why})
        await kept.rollouts.replace(rollout_name(1), ended, found.version)
        (said,) = (await status.status(desk.store, "shop")).trouble
        assert said == "rollout 1 of revision 1 was put back: lb02: its agent did not answer within 9 s"
        assert isinstance(said, Sentence)
        assert said.values["rollout"] == 1  # a page leads there

    run(story())


def test_a_rollout_that_was_put_back_is_no_trouble_once_a_newer_revision_is_what_runs() -> None:
    """Somebody has taken the change back: no node had to change for it, so there is no later rollout."""

    async def story() -> None:
        desk = await new_desk()
        await enrol(desk, "lb01", "lb02")
        await _applied(SPEC, 0, desk)
        await _all_well(desk)
        kept = RolloutStore(desk.store, "shop")
        await revisions.apply(desk, "shop", request(MORE_WEIGHT, 1))
        found = await kept.rollout(2)
        assert found is not None
        ended = found.record.model_copy(update={"phase": RolloutPhase.PUT_BACK, "ended": desk.now()})
        await kept.rollouts.replace(rollout_name(2), ended, found.version)
        head, version = await kept.head()
        await kept.heads.replace(kept.HEAD, head.model_copy(update={"running": None}), version)
        assert (await status.status(desk.store, "shop")).trouble == ("rollout 2 of revision 2 was put back",)
        back = await revisions.apply(desk, "shop", request(SPEC, 2))
        assert back.rollout is None
        assert (await status.status(desk.store, "shop")).trouble == ()

    run(story())


@pytest.mark.lab
def test_where_the_store_takes_no_writes_that_is_told_before_nodes_are_called_silent(tmp_path: Path) -> None:
    """Agents report, but nothing of it can be kept: without this all of them would seem to have gone at once."""

    async def story(disk: Path) -> None:
        clock = Clock()
        engine = await SqliteEngine.open(disk / "store.db")
        store = await Store.open(engine, clock)
        desk = Desk(store, KeyFileSealer(b"k" * 32), "user:ada")
        await clusters.make_cluster(desk, ClusterRequest(name="shop"))
        await enrol(desk, "lb01", "lb02")
        await _applied(SPEC, 0, desk)
        await _all_well(desk)
        fill(disk)
        clock.wall += timedelta(seconds=90)
        (first, *others) = (await status.status(store, "shop")).trouble
        assert first.startswith("the store takes no writes, and so nothing that nodes say is kept: ")
        assert "the disk is full" in first
        assert others[0] == "lb01: its agent has been silent for 90 s"
        await engine.close()

    with small_disk(tmp_path / "disk", 24) as disk:
        run(story(disk))


def test_what_an_agent_has_put_right_is_no_trouble() -> None:
    async def story() -> None:
        desk = await _well()
        before = (await status.node(desk.store, "shop", "lb01")).report
        assert before is not None
        mended = Drift(kind=DriftKind.FILE, what="/etc/x", diff="-a\n+b\n", since=desk.now(), corrected=True)
        await report(
            desk, "lb01", status=before.status, revision=before.revision, progress=before.progress,
            agent_version="0.1", overrides=before.overrides, drift=(mended,),
        )  # fmt: skip
        found = await status.status(desk.store, "shop")
        assert (found.ok, found.trouble, found.nodes[0].drift) == (True, (), 0)
        assert (await status.configuration(desk.store, "shop", "lb01")).drift == ()

    run(story())


def test_what_is_live_on_a_node() -> None:
    async def story() -> None:
        desk = await new_desk()
        await enrol(desk, "lb01")
        await _applied(SPEC, 0, desk)
        with pytest.raises(NotFound, match="nobody knows what runs on lb01") as unknown:
            await status.configuration(desk.store, "shop", "lb01")
        assert "holdfast show 1 --node lb01" in unknown.value.hint
        await _all_well(desk)
        found = await status.configuration(desk.store, "shop", "lb01")
        assert any(file.path.endswith("nginx.conf") for file in found.files)
        with pytest.raises(NotFound, match="no node 'lb77'"):
            await status.node(desk.store, "shop", "lb77")

    run(story())


def test_a_cluster_without_anything() -> None:
    async def story() -> None:
        desk = await new_desk()
        found = await status.status(desk.store, "shop")
        assert (found.ok, found.nodes, found.revision) == (True, (), None)
        assert (await status.nodes(desk.store, "shop")).nodes == ()

    run(story())


def test_an_agent_that_is_connected_and_does_not_report_any_more_is_not_believed() -> None:
    """Its connection may live in the kernel while the agent itself is stuck."""

    async def story() -> None:
        desk = await _well()
        for node in ("lb01", "lb02"):
            present = Presence(node=node, controller="one", since=desk.now())
            await desk.store.cluster("shop").presences.create(node, present)
        clock = desk.store.clock
        assert isinstance(clock, Clock)
        clock.wall += timedelta(seconds=100)  # it says something once a minute
        found = await status.status(desk.store, "shop")
        assert (found.ok, found.groups[0].holders) == (True, ("lb01",))
        clock.wall += timedelta(seconds=60)
        found = await status.status(desk.store, "shop")
        assert [one.connected for one in found.nodes] == [False, False]
        assert found.groups[0].holders == ()
        assert "lb01: its agent has been silent for 3 min" in found.trouble

    run(story())


def test_a_node_that_follows_a_later_life_of_the_store_is_no_well_one() -> None:
    """The store was restored from a dump elsewhere, and this controller still runs on the old one: nobody obeys it."""

    async def story() -> None:
        desk = await new_desk()
        await enrol(desk, "lb01", "lb02")
        await _applied(SPEC, 0, desk)
        await _all_well(desk)
        identity = desk.store.identity
        for node, later in (("lb01", 0), ("lb02", 1)):
            fence = Fence(store_id=identity.store_id, epoch=identity.epoch + later, number=1)
            said = Members(desk, "www", ["lb01", "lb02"]).status(node)
            await report(desk, node, status=said, fence=fence, revision=1, agent_version="0.1")
        told = [one for one in (await status.status(desk.store, "shop")).trouble if "store" in one]
        assert told == ["lb02: its agent follows a later life of this store, restored elsewhere, and ignores this one"]

    run(story())


def test_a_node_whose_agent_cannot_look_is_no_holder_and_no_well_one() -> None:
    async def story() -> None:
        desk = await _well()
        await report(desk, "lb01", revision=1, progress=Progress.VERIFIED, agent_version="0.1")
        found = await status.status(desk.store, "shop")
        assert "lb01: its agent cannot say how the node is: see the agent's log" in found.trouble
        assert found.groups[0].holders == ()

    run(story())


def test_a_report_from_the_future_does_not_make_a_silent_node_look_connected() -> None:
    """The controller's clock was an hour ahead when it came, and is right again."""

    async def story() -> None:
        desk = await new_desk()
        await enrol(desk, "lb01")
        await report(desk, "lb01", desk.now() + timedelta(hours=1))
        (node,) = (await status.nodes(desk.store, "shop")).nodes
        assert not node.connected
        assert "its last report came before this machine's clock was put back" in node.trouble

    run(story())
