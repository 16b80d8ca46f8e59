"""Pages of revisions and rollouts: what they show to whom, and what can be done there."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from typing import Any

import httpx
from tests.controller.console.world import HERE, World, part, world
from tests.controller.operations.agents import report
from tests.controller.operations.world import MORE_SERVERS, MORE_WEIGHT, end_rollout

from holdfast.controller.operations import clusters, history
from holdfast.protocol import Progress
from holdfast.protocol.api.clusters import ClusterRequest
from holdfast.protocol.api.plans import PlanView
from holdfast.protocol.api.revisions import Applied
from holdfast.rollout.decide import NodePhase
from holdfast.rollout.records import RolloutPhase, RolloutStore, Wish, rollout_name
from holdfast.store.models import Role

HOSTILE = "<script>alert(1)</script>\"'"


async def _two_revisions(made: World) -> None:
    """Revision 1 is there; 2 has another weight, and both are verified."""
    await _ended(made, 1)
    applied = await made.applied(MORE_WEIGHT, 1, message=f"more weight {HOSTILE}")
    await end_rollout(made.desk, applied)


async def _ended(made: World, number: int) -> None:
    listed = await history.history(made.context.store, "shop")
    await end_rollout(made.desk, Applied(revision=listed.revisions[0], rollout=number, plan=PlanView(changed=True)))


async def _change_rollout(made: World, number: int, **fields: Any) -> None:
    kept = RolloutStore(made.context.store, "shop")
    found = await kept.rollout(number)
    assert found is not None
    await kept.rollouts.replace(rollout_name(number), found.record.model_copy(update=fields), found.version)


async def _get(client: httpx.AsyncClient, path: str) -> str:
    answer = await client.get(f"{HERE}{path}")
    assert answer.status_code == 200, answer.text
    assert "<script>alert" not in answer.text
    return answer.text


def test_the_list_says_who_when_why_and_what_became_of_it() -> None:
    async def story() -> None:
        async with world() as made:
            await _two_revisions(made)
            text = await _get(await made.browser(), "/revisions")
            assert "more weight &lt;script&gt;" in text
            assert "verified everywhere" in text
            assert f'href="{HERE}/revisions/1/diff/2"' in text
            assert f'href="{HERE}/revisions/1/rollback"' in text
            assert f'href="{HERE}/revisions/2/rollback"' not in text  # the newest one is not gone back to
            viewer = await _get(await made.browser(Role.VIEWER), "/revisions")
            assert "/rollback" not in viewer
            assert "No older revision" in await _get(await made.browser(), "/revisions?before=1")

    asyncio.run(story())


def test_without_a_revision_the_list_says_how_one_is_made() -> None:
    async def story() -> None:
        async with world(None) as made:
            await clusters.make_cluster(made.desk, ClusterRequest(name="shop"))
            assert "holdfast apply cluster.yaml" in await _get(await made.browser(), "/revisions")

    asyncio.run(story())


def test_a_revision_is_shown_with_its_lines_and_the_files_of_its_nodes() -> None:
    async def story() -> None:
        async with world() as made:
            await _two_revisions(made)
            client = await made.browser(Role.VIEWER)
            text = await _get(client, "/revisions/2")
            assert '<span class="yaml-key">cluster:</span>' in text
            assert f'href="{HERE}/revisions/2/nodes/lb01"' in text
            assert "more weight &lt;script&gt;" in text
            files = await _get(client, "/revisions/2/nodes/lb01")
            assert "keepalived.conf" in files
            assert "nginx.conf" in files
            assert (await client.get(f"{HERE}/revisions/9")).status_code == 404
            assert (await client.get(f"{HERE}/revisions/2/nodes/lb09")).status_code == 404

    asyncio.run(story())


def test_two_revisions_are_compared_with_signs_and_not_by_colour_alone() -> None:
    async def story() -> None:
        async with world() as made:
            await _two_revisions(made)
            client = await made.browser(Role.VIEWER)
            answer = await client.get(f"{HERE}/revisions/compare?old=1&new=2")
            assert (answer.status_code, answer.headers["location"]) == (303, f"{HERE}/revisions/1/diff/2")
            text = await _get(client, "/revisions/1/diff/2")
            assert '<td class="line-sign">+</td>' in text
            assert '<td class="line-sign">−</td>' in text
            assert "weight: <mark>3</mark>}" in text
            assert "2 nodes change" in text
            assert "The text is the same." in await _get(client, "/revisions/2/diff/2")

    asyncio.run(story())


def test_a_rollback_shows_its_plan_first_and_leads_to_its_rollout() -> None:
    async def story() -> None:
        async with world() as made:
            await _two_revisions(made)
            client = await made.browser()
            text = await _get(client, "/revisions/1/rollback")
            assert "comes back as revision 3" in text
            assert "In this order" in text
            assert 'name="base" value="2"' in text
            hazard = re.search('name="hazard" value="([a-z-]+)"', text)
            assert hazard
            assert await made.context.store.cluster("shop").revisions.newest_number() == 2
            sent = {"base": "2", "message": f"yesterday {HOSTILE}", "put_back": "true", "pause_after_first": "true"}
            # Nodes run something else by now, so that it is worse than what was shown.
            answer = await client.post(f"{HERE}/revisions/1/rollback", data=sent | {"hazard": ""}, headers=part(client))
            assert (answer.status_code, "hazards that are not allowed" in answer.text) == (422, True), answer.text
            assert await made.context.store.cluster("shop").revisions.newest_number() == 2
            sent["hazard"] = hazard[1]
            answer = await client.post(f"{HERE}/revisions/1/rollback", data=sent, headers=part(client))
            assert (answer.status_code, answer.headers["hx-redirect"]) == (200, f"{HERE}/rollouts/3")
            found = await RolloutStore(made.context.store, "shop").rollout(3)
            assert found is not None
            options = found.record.options
            assert (options.put_back, options.pause_after_first, found.record.message) == (
                True, True, f"yesterday {HOSTILE}",
            )  # fmt: skip
            assert "yesterday &lt;script&gt;" in await _get(client, "/rollouts/3")
            audit = await made.context.store.audit.newest(limit=1)
            assert (audit[0].record.action, audit[0].record.outcome) == ("revision.rollback", "done")

    asyncio.run(story())


def test_a_rollout_need_not_wait_for_nodes_that_do_not_answer_or_are_paused() -> None:
    async def story() -> None:
        async with world() as made:
            await _two_revisions(made)
            await report(made.desk, "lb01")
            client = await made.browser()
            text = await _get(client, "/revisions/1/rollback")
            assert re.findall('name="without" type="checkbox" value="([a-z0-9]+)"', text) == ["lb02"]
            assert "Do not wait for lb02: its agent does not answer" in text
            await report(made.desk, "lb02")
            assert 'name="without"' not in await _get(client, "/revisions/1/rollback")
            await report(made.desk, "lb01", paused=True)
            text = await _get(client, "/revisions/1/rollback")
            assert "Do not wait for lb01: its agent is paused" in text
            hazard = re.search('name="hazard" value="([a-z-]+)"', text)
            assert hazard
            sent = {"base": "2", "hazard": hazard[1], "without": ["lb01"]}
            answer = await client.post(f"{HERE}/revisions/1/rollback", data=sent, headers=part(client))
            assert answer.headers["hx-redirect"] == f"{HERE}/rollouts/3", answer.text
            found = await RolloutStore(made.context.store, "shop").rollout(3)
            assert found is not None
            assert found.record.options.without == ("lb01",)
            assert {node: state.phase for node, state in found.record.nodes.items()} == {
                "lb01": NodePhase.AWAY, "lb02": NodePhase.WAITING,
            }  # fmt: skip

    asyncio.run(story())


def test_a_rollback_that_somebody_else_was_faster_than_shows_both_sides() -> None:
    async def story() -> None:
        async with world() as made:
            await _two_revisions(made)
            client = await made.browser()
            await end_rollout(made.desk, await made.applied(MORE_SERVERS, 2))
            answer = await client.post(f"{HERE}/revisions/1/rollback", data={"base": "2"}, headers=part(client))
            assert answer.status_code == 409
            assert "revision 3 is the newest" in answer.text
            assert "web01:81" in answer.text

    asyncio.run(story())


def test_who_may_not_roll_back_is_refused_and_so_is_a_forged_request() -> None:
    async def story() -> None:
        async with world() as made:
            await _two_revisions(made)
            viewer = await made.browser(Role.VIEWER)
            assert (await viewer.get(f"{HERE}/revisions/1/rollback")).status_code == 403
            answer = await viewer.post(f"{HERE}/revisions/1/rollback", data={"base": "2"}, headers=part(viewer))
            assert answer.status_code == 403
            client = await made.browser()
            del client.headers["X-CSRF-Token"]
            answer = await client.post(f"{HERE}/revisions/1/rollback", data={"base": "2"}, headers=part(client))
            assert answer.status_code == 403
            assert await made.context.store.cluster("shop").revisions.newest_number() == 2

    asyncio.run(story())


def test_a_rollout_shows_every_step_of_every_node_and_what_refused() -> None:
    async def story() -> None:
        async with world() as made:
            kept = await RolloutStore(made.context.store, "shop").rollout(1)
            assert kept is not None
            refused = kept.record.nodes["lb01"].model_copy(
                update={
                    "phase": NodePhase.FAILED,
                    "progress": Progress.REFUSED,
                    "detail": "nginx refuses its files",
                    "program_line": f'nginx: [emerg] unknown directive "serverr" {HOSTILE}',
                    "hint": "mend it",
                }
            )
            nodes = {**kept.record.nodes, "lb01": refused}
            await _change_rollout(
                made, 1, nodes=nodes, phase=RolloutPhase.FAILED, reason="lb01: nginx refuses", ended=datetime.now(UTC)
            )
            text = await _get(await made.browser(Role.VIEWER), "/rollouts/1")
            assert "nginx: [emerg] unknown directive" in text
            assert "step-failed" in text
            assert "/rollouts/1/stop" not in text

    asyncio.run(story())


def test_a_rollout_says_for_whom_it_waits() -> None:
    """A node that is dead is told nothing and refuses nothing: without a word, nobody knows why nothing happens."""

    async def story() -> None:
        async with world() as made:
            kept = await RolloutStore(made.context.store, "shop").rollout(1)
            assert kept is not None
            told = {
                name: one.model_copy(update={"phase": NodePhase.WAITING}) for name, one in kept.record.nodes.items()
            }
            await _change_rollout(made, 1, nodes=told)
            client = await made.browser()
            text = await _get(client, "/rollouts/1")
            (said,) = re.findall("No answer from: ([^<]*)", text)
            assert {"lb01", "lb02"} <= set(said.split(", "))  # they have joined, and never said anything
            assert "changed:status from:body" in text  # it goes as soon as they answer
            await _change_rollout(made, 1, phase=RolloutPhase.FAILED, ended=datetime.now(UTC))
            assert "No answer from" not in await _get(client, "/rollouts/1")

    asyncio.run(story())


def test_a_paused_rollout_is_continued_or_stopped_by_who_may() -> None:
    async def story() -> None:
        async with world() as made:
            await _change_rollout(made, 1, phase=RolloutPhase.PAUSED)
            viewer, client = await made.browser(Role.VIEWER), await made.browser()
            text = await _get(viewer, "/rollouts/1")
            assert "/rollouts/1/continue" not in text
            assert "It waits for an operator" in text  # who only looks is not told to do it
            assert (await viewer.post(f"{HERE}/rollouts/1/continue", headers=part(viewer))).status_code == 403
            assert f'hx-post="{HERE}/rollouts/1/continue"' in await _get(client, "/rollouts/1")
            answer = await client.post(f"{HERE}/rollouts/1/continue", headers=part(client))
            assert answer.status_code == 200
            assert "changed:rollouts" in answer.headers["hx-trigger"]
            found = await RolloutStore(made.context.store, "shop").rollout(1)
            assert found is not None
            assert found.record.confirmed
            dialog = await client.get(f"{HERE}/rollouts/1/stop", headers=part(client))
            assert 'name="put_back"' in dialog.text
            sent = {"put_back": "true", "why": "wrong pool"}
            assert (await client.post(f"{HERE}/rollouts/1/stop", data=sent, headers=part(client))).status_code == 200
            found = await RolloutStore(made.context.store, "shop").rollout(1)
            assert found is not None
            assert found.record.wish is Wish.PUT_BACK
            actions = [one.record.action for one in await made.context.store.audit.newest(limit=2)]
            assert actions == ["rollout.stop", "rollout.continue"]

    asyncio.run(story())
