"""Pages of nodes: what they show to whom, maintenance, letting in and shutting out."""

from __future__ import annotations

import asyncio
import html
import re

import httpx
from tests.controller.console.world import HERE, World, part, world
from tests.controller.operations.agents import Members, report
from tests.controller.operations.world import end_rollout

from holdfast.controller.operations import history
from holdfast.protocol import Drift, DriftKind, JoinToken, LogLine, MachineFacts
from holdfast.protocol.api.plans import PlanView
from holdfast.protocol.api.revisions import Applied
from holdfast.store.models import Event, OverrideKind, Role

HOSTILE = "<script>alert(1)</script>\"'"


async def _reporting(made: World) -> Members:
    """The first rollout has ended, and both balancers report."""
    listed = await history.history(made.context.store, "shop")
    await end_rollout(made.desk, Applied(revision=listed.revisions[0], rollout=1, plan=PlanView(changed=True)))
    members = Members(made.desk, "www", ["lb01", "lb02"])
    now = made.desk.now()
    drift = Drift(kind=DriftKind.FILE, what=f"/etc/x {HOSTILE}", diff=f"@@ -1 +1 @@\n-a\n+b {HOSTILE}\n", since=now)
    for node in ("lb01", "lb02"):
        await report(
            made.desk, node, status=members.status(node), agent_version="0.1",
            machine=MachineFacts(hostname=f"{node}.example", kernel="6.1", programs={"keepalived": "2.2.7"}),
            log=(LogLine(time=now, level="warning", text=f"said {HOSTILE}"),),
            drift=(drift,) if node == "lb01" else (),
        )  # fmt: skip
    return members


async def _get(client: httpx.AsyncClient, path: str) -> str:
    answer = await client.get(f"{HERE}{path}")
    assert answer.status_code == 200, answer.text
    assert "<script>alert" not in answer.text
    return answer.text


def test_the_list_says_how_every_node_is() -> None:
    async def story() -> None:
        async with world() as made:
            text = await _get(await made.browser(Role.VIEWER), "/nodes")
            assert "never reported" in text
            assert "0 of 2 connected" in text
            await _reporting(made)
            viewer = await _get(await made.browser(Role.VIEWER), "/nodes/table")
            assert "2 of 2 connected" in viewer
            assert "1 difference" in viewer
            admin = await _get(await made.browser(Role.ADMIN), "/nodes")
            assert f'hx-get="{HERE}/nodes/invite"' in admin
            assert f'hx-get="{HERE}/nodes/invite"' not in await _get(await made.browser(), "/nodes")

    asyncio.run(story())


def test_a_node_with_all_that_is_known_of_it() -> None:
    async def story() -> None:
        async with world() as made:
            await _reporting(made)
            moved = Event(
                time=made.desk.now(), kind="vrrp.holds", cluster="shop", node="lb01", message="lb01 holds www"
            )
            await made.context.store.events.append(moved)
            text = await _get(await made.browser(), "/nodes/lb01")
            for said in ("lb01.example", "2.2.7", "holds it", "lb01 holds www", "said &lt;script&gt;", "Maintenance…"):
                assert said in text, said
            assert '<td class="line-sign">+</td>' in text
            viewer = await _get(await made.browser(Role.VIEWER), "/nodes/lb01")
            assert "Maintenance…" not in viewer
            assert "Shut out…" not in viewer
            assert (await (await made.browser()).get(f"{HERE}/nodes/lb09")).status_code == 404

    asyncio.run(story())


def test_maintenance_shows_what_would_move_and_then_moves_it() -> None:
    async def story() -> None:
        async with world() as made:
            members = await _reporting(made)
            client = await made.browser()
            dialog = await client.get(f"{HERE}/nodes/lb01/maintenance", headers=part(client))
            assert "moves to lb02" in dialog.text
            async with members.listening():
                for odd in ("nan", "inf", "-1"):
                    wrong = {"why": "", "hours": odd}
                    answer = await client.post(f"{HERE}/nodes/lb01/maintenance", data=wrong, headers=part(client))
                    assert answer.status_code == 400, odd
                sent = {"why": f"kernel {HOSTILE}", "hours": "2"}
                answer = await client.post(f"{HERE}/nodes/lb01/maintenance", data=sent, headers=part(client))
                assert answer.status_code == 200, answer.text
                assert "www \\u2192 lb02" in answer.headers["hx-trigger"]
                (one,) = await made.context.store.cluster("shop").overrides.all()
                assert (one.record.kind, one.record.target) == (OverrideKind.MAINTENANCE, "lb01")
                assert one.record.until is not None
                assert (one.record.until - one.record.since).total_seconds() > 7000
                assert "kernel &lt;script&gt;" in await _get(client, "/nodes/lb01")
                answer = await client.post(f"{HERE}/nodes/lb02/maintenance", data={}, headers=part(client))
                assert answer.status_code == 422
                assert "lb02 is needed" in answer.text
                answer = await client.post(f"{HERE}/nodes/lb01/maintenance/end", headers=part(client))
                assert answer.status_code == 200, answer.text
            assert await made.context.store.cluster("shop").overrides.all() == ()
            viewer = await made.browser(Role.VIEWER)
            answer = await viewer.post(f"{HERE}/nodes/lb01/maintenance", data={}, headers=part(viewer))
            assert answer.status_code == 403

    asyncio.run(story())


def test_an_invitation_is_one_line_to_paste_and_its_token_lets_that_node_in() -> None:
    async def story() -> None:
        async with world() as made:
            admin = await made.browser(Role.ADMIN)
            dialog = await admin.get(f"{HERE}/nodes/invite?node=lb03", headers=part(admin))
            assert 'value="lb03"' in dialog.text
            answer = await admin.post(f"{HERE}/nodes/invite", data={"node": "lb03"}, headers=part(admin))
            assert answer.status_code == 200, answer.text
            shown = re.search(r'<pre id="join-command">(.*?)</pre>', answer.text)
            assert shown is not None
            command = html.unescape(shown[1])
            assert re.fullmatch(
                r"echo hfj1:shop:lb03:\S+ \| sudo holdfast agent join - --controller https://console\.test", command
            )
            assert JoinToken.parse(command.split()[1]).node == "lb03"
            audit = (await made.context.store.audit.newest(limit=1))[0].record
            assert JoinToken.parse(command.split()[1]).secret not in audit.model_dump_json()
            wrong = await admin.post(f"{HERE}/nodes/invite", data={"node": HOSTILE}, headers=part(admin))
            assert wrong.status_code == 400
            assert "<script>" not in wrong.text
            operator = await made.browser()
            answer = await operator.post(f"{HERE}/nodes/invite", data={"node": "lb03"}, headers=part(operator))
            assert answer.status_code == 403

    asyncio.run(story())


def test_a_node_is_shut_out_after_it_was_said_what_that_does() -> None:
    async def story() -> None:
        async with world() as made:
            await _reporting(made)
            admin, operator = await made.browser(Role.ADMIN), await made.browser()
            dialog = await admin.get(f"{HERE}/nodes/lb01/revoke", headers=part(admin))
            assert "What runs there goes on" in dialog.text
            assert "It holds www now." in dialog.text
            answer = await operator.post(f"{HERE}/nodes/lb01/revoke", data={}, headers=part(operator))
            assert answer.status_code == 403
            answer = await admin.post(f"{HERE}/nodes/lb01/revoke", data={"why": "sold"}, headers=part(admin))
            assert answer.status_code == 200
            found = await made.context.store.cluster("shop").nodes.get("lb01")
            assert found is not None
            assert found.record.revoked is not None
            assert "shut out" in await _get(admin, "/nodes")
            answer = await admin.post(f"{HERE}/nodes/lb09/revoke", data={}, headers=part(admin))
            assert answer.status_code == 404

    asyncio.run(story())
