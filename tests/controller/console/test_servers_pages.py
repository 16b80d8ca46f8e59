"""The pages of virtual servers, virtual IPs and edits: what they offer, what they do, and what they refuse."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine
from html import unescape
from typing import Any

import httpx
import pytest
from tests.controller.console.world import HERE, World, part, world
from tests.controller.operations.agents import Members, report, row, table
from tests.controller.operations.world import end_rollout

from holdfast.controller.console.views import overriding, pool_servers, servers
from holdfast.protocol import OverrideKind
from holdfast.protocol.api.revisions import Applied
from holdfast.spec.load import parse_spec
from holdfast.store.models import Role

SPEC = """\
holdfast: 1
cluster: shop
networks: {front: {cidr: 10.9.0.0/24}}
nodes: {lb01: 10.9.0.5, lb02: 10.9.0.6, rs01: 10.9.0.21, rs02: 10.9.0.22}
vrrp:
  www: {addresses: [10.9.0.3/24], nodes: [lb01, lb02], vrid: 51}
virtual_servers:
  shop:
    on: www:80
    forward: dr
    check: {http: /healthz, every: 3s}
    servers:
      - rs01:80   # the old one
      - rs02:80
  api: {on: 'www:443', forward: dr, servers: ['rs01:443']}
pools:
  app: {servers: ['rs01:8080', 'rs02:8080']}
"""
BOTH = SPEC.replace("forward: dr, servers: ['rs01:443']", "forward: nat, servers: ['rs01:80', 'rs02:80']")
MARKUP = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """No director answers here: there is nothing to wait for."""
    for module in (overriding, pool_servers, servers):
        monkeypatch.setattr(module, "WAIT_S", 0.0)


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


async def alive(made: World, kind: OverrideKind | None = None, weight: int | None = 1) -> None:
    """lb01 holds the addresses, and both directors tell their tables."""
    first = row("rs01-80", kind, weight).model_copy(update={"active": 1234})
    rows = (first, row("rs02-80"), row("rs01-443", source="api"))
    group, running = {"group": "www", "vrid": 51}, [{"service": "keepalived", "running": True}]
    for node in ("lb01", "lb02"):
        status = {"groups": [group | {"holds": node == "lb01"}], "services": running}
        await report(made.desk, node, overrides=table(node, *rows, holds=node == "lb01"), status=status)


async def got(client: httpx.AsyncClient, path: str) -> str:
    answer = await client.get(f"{HERE}{path}")
    assert answer.status_code == 200, answer.text
    return unescape(answer.text)


def words(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text))


def test_the_table_says_what_is_meant_and_what_is_seen() -> None:
    async def story() -> None:
        async with world(SPEC) as made:
            await alive(made)
            client = await made.browser()
            said = words(await got(client, "/servers"))
            for wanted in ("10.9.0.3:80", "in service", "lb01", "3s", "wlc", "dr", "tcp", "1,234", "http /healthz"):
                assert wanted in said
            assert "none: nobody asks the servers" in said
            assert "Pool app" in said
            one = words(await got(client, "/servers/shop"))
            assert "As each director sees it" in one
            addresses = words(await got(client, "/addresses"))
            assert "holds the addresses" in addresses
            assert (await client.get(f"{HERE}/servers/other")).status_code == 404
            answer = await client.get(f"{HERE}/servers", headers={"accept-language": "zh-CN"})
            assert "虚拟服务器" in answer.text

    run(story())


def test_without_a_revision_pages_say_what_to_do() -> None:
    async def story() -> None:
        async with world(None) as made:
            client = await made.browser(Role.ADMIN)
            await client.post("/api/v1/clusters", json={"name": "shop"})
            assert "holdfast apply cluster.yaml" in await got(client, "/servers")
            assert "No virtual IP" in await got(client, "/addresses")
            answer = await client.get(f"{HERE}/edit", params={"kind": "add_virtual_server"})
            assert "has no revision yet" in answer.text

    run(story())


def test_a_viewer_is_offered_nothing_and_may_do_nothing() -> None:
    async def story() -> None:
        async with world(SPEC) as made:
            await alive(made)
            viewer = await made.browser(Role.VIEWER)
            text = await got(viewer, "/servers") + await got(viewer, "/addresses")
            for offered in ("Drain", "Suspend", "Edit", "Delete", "Add a", "Move…"):
                assert not re.search(rf"{offered}\b" if offered.isalpha() else offered, words(text))  # Editor is a page
            form = {"kind": "drained", "server": "rs01:80"}
            for path, data in (
                ("/servers/shop/override", form),
                ("/servers/shop/resume", {"server": "rs01:80"}),
                ("/addresses/www/move", {"node": "lb02"}),
                ("/edit/apply", {"edit": "{}", "base": "1", "digest": "0" * 64}),
            ):
                answer = await viewer.post(f"{HERE}{path}", data=data, headers=part(viewer))
                assert answer.status_code == 403, path
            assert not await made.context.store.cluster("shop").overrides.all()

    run(story())


def test_nothing_is_done_without_the_header_that_pages_send() -> None:
    async def story() -> None:
        async with world(SPEC) as made:
            client = await made.browser()
            del client.headers["X-CSRF-Token"]
            answer = await client.post(f"{HERE}/servers/shop/resume", data={"server": "rs01:80"}, headers=part(client))
            assert answer.status_code == 403

    run(story())


def test_a_server_is_drained_watched_and_resumed() -> None:
    async def story() -> None:
        async with world(SPEC) as made:
            await alive(made)
            client = await made.browser()
            dialog = await got(client, "/servers/shop/override?kind=drained&server=rs01:80")
            assert "Drain rs01:80" in dialog
            assert "1,234" in dialog.replace("1234", "1,234")
            form = {"kind": "drained", "server": "rs01:80", "why": "new <disk>", "minutes": "60"}
            answer = await client.post(f"{HERE}/servers/shop/override", data=form, headers=part(client))
            assert answer.status_code == 200, answer.text
            assert "its agent has not said since" in unescape(answer.text)
            (kept,) = [one.record for one in await made.context.store.cluster("shop").overrides.all()]
            assert (kept.kind, kept.target, kept.why, kept.virtual_server) == ("drained", "rs01:80", "new <disk>", None)
            assert kept.until is not None
            assert (kept.until - kept.since).total_seconds() == pytest.approx(3600, abs=5)
            said = await client.get(f"{HERE}/servers")
            assert "new &lt;disk&gt;" in said.text
            assert "being drained" in words(said.text)
            await alive(made, OverrideKind.DRAINED, 0)
            said = words(await got(client, "/servers"))
            assert "drained 3 connections left" in said
            assert "60" not in words(await got(client, "/servers/shop/emptying?server=rs01:80&began=60"))
            assert 'max="60"' in await got(client, "/servers/shop/emptying?server=rs01:80&began=60")
            answer = await client.post(f"{HERE}/servers/shop/resume", data={"server": "rs01:80"}, headers=part(client))
            assert answer.status_code == 200
            assert not await made.context.store.cluster("shop").overrides.all()

    run(story())


def test_what_was_decided_here_and_everywhere_is_resumed_in_one_go() -> None:
    async def story() -> None:
        async with world(BOTH) as made:
            await alive(made)
            client = await made.browser()
            for scope in ("everywhere", "here"):
                form = {"kind": "weight", "server": "rs01:80", "weight": "3", "scope": scope}
                answer = await client.post(f"{HERE}/servers/shop/override", data=form, headers=part(client))
                assert answer.status_code == 200, answer.text
            assert len(await made.context.store.cluster("shop").overrides.all()) == 2
            assert "Resume in all 2 that have it" in words(await got(client, "/servers"))
            answer = await client.post(f"{HERE}/servers/shop/resume", data={"server": "rs01:80"}, headers=part(client))
            assert answer.status_code == 200, answer.text
            assert not await made.context.store.cluster("shop").overrides.all()

    run(story())


def test_an_empty_server_is_said_to_be_so_by_who_holds_it_alone() -> None:
    async def story() -> None:
        async with world(SPEC) as made:
            await alive(made)
            client = await made.browser()
            form = {"kind": "drained", "server": "rs01:80"}
            await client.post(f"{HERE}/servers/shop/override", data=form, headers=part(client))
            first = row("rs01-80", OverrideKind.DRAINED, 0).model_copy(update={"open": 0})
            status = {"groups": [{"group": "www", "vrid": 51, "holds": False}]}
            for node in ("lb01", "lb02"):
                await report(made.desk, node, overrides=table(node, first, holds=False), status=status)
            said = words(await got(client, "/servers/shop/emptying?server=rs01:80"))
            assert "Nobody who holds its addresses can be asked" in said
            assert "It is empty" not in said
            status["groups"][0]["holds"] = True
            await report(made.desk, "lb01", overrides=table("lb01", first, holds=True), status=status)
            assert "It is empty" in words(await got(client, "/servers/shop/emptying?server=rs01:80"))

    run(story())


def test_what_nobody_would_be_left_for_is_asked_once_more() -> None:
    async def story() -> None:
        async with world(SPEC) as made:
            await alive(made)
            client = await made.browser()
            form = {"kind": "suspended", "server": "rs01:443", "why": "away"}
            answer = await client.post(f"{HERE}/servers/api/override", data=form, headers=part(client))
            assert answer.status_code == 200
            assert "Nobody would be left to answer" in answer.text
            assert 'name="force"' in answer.text
            assert 'value="away"' in answer.text
            assert not await made.context.store.cluster("shop").overrides.all()
            forced = form | {"force": "true"}
            answer = await client.post(f"{HERE}/servers/api/override", data=forced, headers=part(client))
            assert answer.status_code == 200
            assert len(await made.context.store.cluster("shop").overrides.all()) == 1

    run(story())


def test_a_weight_is_set_for_a_while_and_one_that_is_none_is_refused() -> None:
    async def story() -> None:
        async with world(SPEC) as made:
            await alive(made)
            client = await made.browser()
            form = {"kind": "weight", "server": "rs01:80", "weight": "7"}
            answer = await client.post(f"{HERE}/servers/shop/override", data=form, headers=part(client))
            assert answer.status_code == 200
            (kept,) = [one.record for one in await made.context.store.cluster("shop").overrides.all()]
            assert (kept.kind, kept.weight) == ("weight", 7)
            for wrong in ({"weight": "0"}, {"weight": ""}, {"kind": "maintenance"}, {"server": "rs09:80"}):
                answer = await client.post(f"{HERE}/servers/shop/override", data=form | wrong, headers=part(client))
                assert 400 <= answer.status_code < 500, wrong

    run(story())


def test_a_group_is_moved_and_the_last_that_could_hold_it_is_refused() -> None:
    async def story() -> None:
        async with world(SPEC) as made:
            client = await begun(made)
            await alive(made)
            dialog = words(await got(client, "/addresses/www/move"))
            assert "lb02 standby" in dialog
            members = Members(made.desk, "www", ["lb01", "lb02"])
            async with members.listening():
                answer = await client.post(f"{HERE}/addresses/www/move", data={"node": "lb02"}, headers=part(client))
                assert answer.status_code == 200, answer.text
                assert "lb02 holds it now; before, it was lb01" in words(answer.text)
                members.down.add("lb01")
                answer = await client.post(f"{HERE}/addresses/www/move", data={}, headers=part(client))
                assert answer.status_code == 422
                assert "notice-bad" in answer.text

    run(story())


def hidden(text: str) -> dict[str, str]:
    """The fields of the form that applies."""
    found = text[text.index("apply-form") :]
    return {
        name: unescape(value) for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', found)
    }


async def begun(made: World) -> httpx.AsyncClient:
    """The first rollout has ended, so that another one may begin."""
    await end_rollout(made.desk, Applied.model_construct(rollout=1))
    return await made.browser()


async def planned(client: httpx.AsyncClient, **form: str) -> httpx.Response:
    return await client.post(f"{HERE}/edit/plan", data={"base": "1", **form}, headers=part(client))


async def applied(client: httpx.AsyncClient, plan: httpx.Response, **more: str) -> httpx.Response:
    assert plan.status_code == 200, plan.text
    return await client.post(f"{HERE}/edit/apply", data=hidden(plan.text) | more, headers=part(client))


async def newest(made: World) -> tuple[int, str, str]:
    """Number, message and text of the newest revision."""
    known = made.context.store.cluster("shop").revisions
    number = await known.newest_number()
    revision, content = await known.get(number), await known.content(number)
    assert revision is not None
    assert content is not None
    return number, revision.message, content.spec


WEIGHT = {"kind": "change_server", "entry": "shop", "server": "rs01:80", "address": "rs01:80", "weight": "3"}


def test_an_edit_shows_its_plan_and_becomes_a_revision_with_its_rollout() -> None:
    async def story() -> None:
        async with world(SPEC) as made:
            client = await begun(made)
            form = await got(client, "/edit?kind=change_server&entry=shop&server=rs01:80")
            assert 'value="rs01:80"' in form
            plan = await planned(client, **WEIGHT)
            said = words(unescape(plan.text))
            assert "+ - {address: rs01:80, weight: 3} # the old one" in said
            assert "In this order" in said
            assert "1 finding that was there before" in said or "findings that were there before" in said
            answer = await applied(client, plan, message="it is faster now")
            assert answer.headers["hx-push-url"] == f"{HERE}/rollouts/2"
            number, message, text = await newest(made)
            assert (number, message) == (2, "it is faster now")
            assert text == SPEC.replace("- rs01:80 ", "- {address: rs01:80, weight: 3} ")

    run(story())


@pytest.mark.parametrize(
    ("form", "old", "new", "message"),
    [
        ({"kind": "add_server", "entry": "api", "address": "rs02:443"}, "['rs01:443']", "['rs01:443', rs02:443]",
         "rs02:443 added to api"),
        ({"kind": "remove_server", "entry": "shop", "server": "rs02:80"}, "      - rs02:80\n", "",
         "rs02:80 removed from shop"),
        ({"kind": "change_virtual_server", "entry": "shop", "on": "www:80", "check": "http", "target": "/healthz",
          "every": "5s", "scheduler": "wrr"}, None, None, "virtual server shop changed"),
        ({"kind": "remove_virtual_server", "entry": "api"},
         "  api: {on: 'www:443', forward: dr, servers: ['rs01:443']}\n", "", "virtual server api removed"),
        ({"kind": "add_virtual_server", "entry": "dns", "on": "www:53", "protocol": "udp", "check": "dns",
          "target": ".", "servers": "rs01:53 2\nrs02:53"}, None, None, "virtual server dns added"),
        ({"kind": "add_server", "section": "pools", "entry": "app", "address": "10.9.0.30:8080", "backup": "true"},
         "'rs02:8080']", "'rs02:8080', {address: 10.9.0.30:8080, backup: true}]", "10.9.0.30:8080 added to app"),
    ],
)  # fmt: skip
def test_every_kind_of_edit_is_applied(form: dict[str, str], old: str | None, new: str | None, message: str) -> None:
    async def story() -> None:
        async with world(SPEC) as made:
            client = await begun(made)
            opened = await client.get(f"{HERE}/edit", params={k: v for k, v in form.items() if k in _ADDRESS})
            assert opened.status_code == 200, opened.text
            plan = await planned(client, **form)
            answer = await applied(client, plan)
            assert answer.status_code == 200, answer.text
            number, told, text = await newest(made)
            assert (number, told) == (2, message)
            if old is not None and new is not None:
                assert text == SPEC.replace(old, new)
            elif form["entry"] == "dns":
                made_of = parse_spec(text).spec.virtual_servers["dns"]
                assert [(one.written, one.weight) for one in made_of.servers] == [("rs01:53", 2), ("rs02:53", 1)]
                assert (made_of.protocol, made_of.check and made_of.check.dns) == ("udp", ".")
            else:
                changed = SPEC.replace("every: 3s", "every: 5s")
                assert text == changed.replace("      - rs02:80\n", "      - rs02:80\n    scheduler: wrr\n")

    run(story())


_ADDRESS = ("kind", "section", "entry", "server")


def test_an_edit_of_an_old_revision_is_refused_with_both_diffs() -> None:
    async def story() -> None:
        async with world(SPEC) as made:
            client = await begun(made)
            plan = await planned(client, **WEIGHT)
            theirs = await made.applied(SPEC.replace("every: 3s", "every: 9s"), 1)
            await end_rollout(made.desk, theirs)
            assert "Revision 2 was made meanwhile" in words(await got(client, "/edit/fresh?base=1"))
            assert "On revision 2, the newest" in words(await got(client, "/edit/fresh?base=2"))
            for late in (await applied(client, plan), await planned(client, **WEIGHT)):
                assert late.status_code == 409
                said = words(unescape(late.text))
                assert "every: 9s" in said
                assert "+ - {address: rs01:80, weight: 3}" in said
            assert (await newest(made))[0] == 2

    run(story())


def test_only_what_was_planned_is_applied_and_mistakes_are_told() -> None:
    async def story() -> None:
        async with world(SPEC) as made:
            client = await begun(made)
            plan = await planned(client, **WEIGHT)
            other = hidden(plan.text)["edit"].replace('"weight":3', '"weight":4')
            answer = await applied(client, plan, edit=other)
            assert (answer.status_code, "not what was planned" in answer.text) == (400, True)
            answer = await applied(client, plan, edit="{")
            assert answer.status_code == 400
            nothing = await planned(client, **(WEIGHT | {"weight": "1"}))
            assert "Nothing is different" in nothing.text
            wrong = await planned(client, kind="add_server", entry="shop", address="nobody:80")
            assert wrong.status_code == 422
            assert "nobody" in wrong.text
            assert (await planned(client, kind="add_server", entry="shop")).status_code == 400
            assert (await planned(client, kind="remove_server", entry="api", server="rs01:443")).status_code == 422
            assert (await client.get(f"{HERE}/edit?kind=change_server&entry=shop&server=x")).status_code == 404
            assert (await newest(made))[0] == 1

    run(story())


def test_what_people_typed_is_never_markup() -> None:
    async def story() -> None:
        async with world(SPEC) as made:
            await alive(made)
            client = await begun(made)
            form = {"kind": "drained", "server": "rs01:80", "why": MARKUP}
            told = [(await client.post(f"{HERE}/servers/shop/override", data=form, headers=part(client))).text]
            for field in [
                "address",
                "entry",
                "on",
                "persistence",
                "target",
                "hook_up",
                "sorry",
                "scheduler",
                "servers",
            ]:
                for kind in ("add_server", "add_virtual_server", "change_virtual_server"):
                    known = {"kind": kind, "entry": "shop", "check": "http"}
                    answer = await planned(client, **(known | {field: MARKUP}))
                    told.append(answer.text)
            plan = await planned(client, **WEIGHT)
            told.append((await applied(client, plan, message=MARKUP)).text)
            for path in ("/servers", "/servers/shop", "/addresses", "/edit/fresh?base=1", f"/servers/{MARKUP}"):
                told.append((await client.get(f"{HERE}{path}")).text)
            told.append((await client.get(f"{HERE}/servers", params={"open": MARKUP})).text)
            for query in ({"entry": MARKUP}, {"entry": "shop", "server": MARKUP}):
                told.append((await client.get(f"{HERE}/edit", params={"kind": "change_server"} | query)).text)
            assert not [text for text in told if MARKUP in text]

    run(story())


@pytest.mark.whole
def test_five_hundred_servers_stay_small_and_open_one_by_one() -> None:
    servers = "".join(
        f"  vs{n:02}: {{on: 'www:{8000 + n}', forward: dr, check: {{tcp: true}}, servers: ["
        + ", ".join(f"'10.9.0.{20 + m}:{8000 + n}'" for m in range(10)) + "]}\n"
        for n in range(50)
    )  # fmt: skip
    spec = SPEC[: SPEC.index("virtual_servers:")] + "virtual_servers:\n" + servers

    async def story() -> None:
        async with world(spec) as made:
            client = await made.browser()
            whole = await client.get(f"{HERE}/servers")
            assert whole.text.count('aria-expanded="false"') == 50
            assert len(whole.content) < 200_000
            one = await client.get(f"{HERE}/parts/servers", params={"open": ["vs03"]}, headers=part(client))
            assert one.text.count('aria-expanded="true"') == 1
            assert "10.9.0.29:8003" in one.text
            assert "open=-" in one.text

    run(story())
