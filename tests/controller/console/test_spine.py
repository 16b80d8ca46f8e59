"""What all pages have in common: coming in, headers, errors, languages, what strangers get."""

from __future__ import annotations

import asyncio
import hashlib
import html
import re

import httpx
import pytest
from fastapi.routing import APIRoute
from tests.controller.console.world import HERE, part, world
from tests.controller.test_permissions_of_operations import filled, gates
from tests.controller.world import PASSWORD

from holdfast.controller.callers import Allowed
from holdfast.controller.console import live
from holdfast.controller.console.assets import FOLDER, assets
from holdfast.controller.console.navigation import PAGES
from holdfast.controller.console.pictures.home import card_of
from holdfast.controller.console.problems import inner_path
from holdfast.controller.console.routes import OPEN, ROUTERS
from holdfast.controller.identity import Action
from holdfast.controller.identity.permissions import TABLE, Scope
from holdfast.controller.operations import clusters, status
from holdfast.protocol.api.clusters import ClusterRequest, ClusterView
from holdfast.protocol.api.nodes import NodeSummary
from holdfast.protocol.api.status import ClusterStatus, ServerHealth, ServiceHealth
from holdfast.store.models import Role
from holdfast.store.store import Store

ROUTES = {route.name: route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)}


def test_every_route_asks_for_one_permission() -> None:
    """As the API's operations do; and nothing that writes can be asked for by a link."""
    assert sum(len(router.routes) for router in ROUTERS) == len(ROUTES), "two routes have one name, or one is no page"
    assert ROUTES.keys() >= OPEN
    for name, route in ROUTES.items():
        (method,) = route.methods
        assert not route.include_in_schema, name
        assert method in ("GET", "POST"), name
        found = list(gates(route.dependant))
        if name in OPEN:
            assert not found, name
            continue
        (gate,) = found
        assert isinstance(gate, Allowed), name
        if TABLE[gate.action][0] is Scope.CLUSTER:
            assert "{cluster}" in route.path or gate.anywhere, name
        if method == "POST":
            assert gate.action is not Action.READ, name


def test_strangers_see_nothing_but_the_way_in() -> None:
    """Every page leads to the login; nothing that writes is done, and none tells whether a cluster is there."""

    async def story() -> None:
        async with world() as made:
            stranger = made.stranger()
            for name, route in ROUTES.items():
                if name in OPEN:
                    continue
                (method,) = route.methods
                for cluster in ("shop", "nowhere"):
                    answer = await stranger.request(method, filled(route.path, cluster))
                    assert answer.status_code == 303, f"{name}: {answer.status_code}"
                    assert answer.headers["location"].startswith("/console/login"), name

    asyncio.run(story())


def test_writes_need_the_header_of_our_own_pages() -> None:
    async def story() -> None:
        async with world() as made:
            client = await made.browser(Role.ADMIN)
            right = client.headers.pop("X-CSRF-Token")
            for name, route in ROUTES.items():
                if "POST" in route.methods and name not in OPEN:
                    answer = await client.post(filled(route.path, "shop"), headers=part(client))
                    assert answer.status_code == 403, f"{name}: {answer.status_code}"
                    assert "forged" in answer.text, name
            assert (await client.get(f"{HERE}/")).status_code == 200
            client.headers["X-CSRF-Token"] = right
            answer = await client.post("/console/logout", headers=part(client))
            assert (answer.status_code, answer.headers["hx-redirect"]) == (200, "/console/login")
            assert (await client.get(f"{HERE}/")).status_code == 303

    asyncio.run(story())


def test_strangers_log_in_and_come_back_to_where_they_wanted() -> None:
    async def story() -> None:
        async with world() as made:
            await (await made.browser()).aclose()
            (name,) = [one.name for one in await made.context.store.users.all() if one.name != "admin"]
            stranger = made.stranger()
            answer = await stranger.get(f"{HERE}/")
            assert answer.headers["location"] == "/console/login?next=%2Fconsole%2Fclusters%2Fshop%2F"
            page = await stranger.get(answer.headers["location"])
            assert 'name="next" value="/console/clusters/shop/"' in page.text
            sent = {"name": name, "password": PASSWORD, "next": f"{HERE}/"}
            answer = await stranger.post("/console/login", data=sent)
            assert (answer.status_code, answer.headers["location"]) == (303, f"{HERE}/")
            assert (await stranger.get(f"{HERE}/")).status_code == 200
            assert (await stranger.get("/console/login")).headers["location"] == "/console/"
            assert (await stranger.get("/console/")).headers["location"] == f"{HERE}/"

    asyncio.run(story())


def test_strangers_come_back_to_what_they_asked_for_whatever_it_is_called() -> None:
    """With what was searched for; and no address that somebody invents breaks the way in."""

    async def story() -> None:
        async with world() as made:
            await (await made.browser()).aclose()
            (name,) = [one.name for one in await made.context.store.users.all() if one.name != "admin"]
            stranger = made.stranger()
            answer = await stranger.get("/console/clusters/中/?group=web&x=中")
            assert answer.headers["location"].isascii()
            page = await stranger.get(answer.headers["location"])
            (back,) = re.findall(r'name="next" value="(/console/clusters/[^"]*)"', page.text)
            sent = {"name": name, "password": PASSWORD, "next": html.unescape(back)}
            answer = await stranger.post("/console/login", data=sent)
            wanted = "/console/clusters/%E4%B8%AD/?group=web&x=%E4%B8%AD"
            assert (answer.status_code, answer.headers["location"]) == (303, wanted)
            odd = await stranger.post("/console/preferences", data={"theme": "dark", "next": "/console/中"})
            assert (odd.status_code, odd.headers["location"]) == (303, "/console/%E4%B8%AD")
            raw = {"name": name, "password": PASSWORD, "next": "/console/中?x=中"}
            answer = await made.stranger().post("/console/login", data=raw)
            assert (answer.status_code, answer.headers["location"]) == (303, "/console/%E4%B8%AD?x=%E4%B8%AD")
            assert answer.cookies
            assert (await made.stranger().get("/console/login?next=http://[")).status_code == 200
            asked = part(stranger, "http://[")
            assert (await made.stranger().get(f"{HERE}/now", headers=asked)).headers["hx-redirect"] == "/console/login"

    asyncio.run(story())


def test_a_wrong_password_is_told_and_counted() -> None:
    async def story() -> None:
        async with world() as made:
            stranger = made.stranger(**{"accept-language": "zh"})
            sent = {"name": "admin", "password": "wrong <b>"}
            seen = [await stranger.post("/console/login", data=sent) for _ in range(12)]
            assert seen[0].status_code == 401
            assert "用户名或密码错误" in seen[0].text
            assert 'value="admin"' in seen[0].text
            assert "wrong" not in seen[0].text
            assert seen[-1].status_code == 429
            assert "失败次数过多" in seen[-1].text
            assert int(seen[-1].headers["retry-after"]) > 0

    asyncio.run(story())


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "", "origin": "https://evil.example"}, 403),
        ({"sec-fetch-site": "", "origin": "null"}, 403),
        ({"sec-fetch-site": "", "origin": "http://["}, 403),
        ({"sec-fetch-site": "", "origin": "https://console.test"}, 401),
        ({"sec-fetch-site": "same-origin"}, 401),
    ],
)
def test_another_sites_form_logs_nobody_in(headers: dict[str, str], status: int) -> None:
    async def story() -> None:
        async with world(None) as made:
            stranger = made.stranger(**headers)
            assert (await stranger.post("/console/login", data={"name": "a", "password": "b"})).status_code == status
            wished = await stranger.post("/console/preferences", data={"theme": "dark"})
            assert wished.status_code == (303 if status == 401 else 403)

    asyncio.run(story())


def test_language_and_theme_are_kept_and_rendered_by_the_server() -> None:
    async def story() -> None:
        async with world() as made:
            client = await made.browser()
            page = await client.get(f"{HERE}/")
            assert '<html lang="en">' in page.text
            assert '<html lang="zh-CN">' in (await client.get(f"{HERE}/", headers={"accept-language": "zh-CN"})).text
            searched = await client.get(f"{HERE}/events?what=a%20b%26c&since=%22%3E")
            assert f'name="next" value="{HERE}/events?what=a%20b%26c&amp;since=%22%3E"' in searched.text
            asked = {"language": "zh", "next": f"{HERE}/events?what=a%20b%26c"}
            answer = await client.post("/console/preferences", data=asked)
            assert (answer.status_code, answer.headers["location"]) == (303, f"{HERE}/events?what=a%20b%26c")
            asked = {"language": "zh", "next": f"{HERE}/"}
            answer = await client.post("/console/preferences", data=asked)
            assert (answer.status_code, answer.headers["location"]) == (303, f"{HERE}/")
            await client.post("/console/preferences", data={"theme": "dark"})
            page = await client.get(f"{HERE}/", headers={"accept-language": "en"})
            assert '<html lang="zh-CN" data-theme="dark">' in page.text
            assert "总览" in page.text
            assert page.headers["content-language"] == "zh-CN"
            wrong = await client.post("/console/preferences", data={"theme": "pink"})
            assert wrong.status_code == 400

    asyncio.run(story())


def test_a_page_allows_nothing_that_is_not_ours() -> None:
    async def story() -> None:
        async with world() as made:
            client = await made.browser()
            page = await client.get(f"{HERE}/")
            policy = page.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
            assert "unsafe" not in policy
            assert page.headers["cache-control"] == "no-store"
            assert page.headers["cross-origin-opener-policy"] == "same-origin"
            assert page.headers["x-content-type-options"] == "nosniff"
            assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|https?://(?!www\.w3)", page.text)
            links = re.findall(r'(?:src|href)="([^"]*)"', page.text)
            assert links
            assert all(link.startswith(("/console/", "#")) for link in links), links
            for link in [one for one in links if "/static/" in one]:
                file = await client.get(link.split("#")[0])
                assert (file.status_code, file.headers["cache-control"]) == (
                    200, "public, max-age=31536000, immutable"
                )  # fmt: skip
            assert (await client.get("/console/static/console.js")).headers["cache-control"] == "no-cache"
            assert (await client.get("/console/static/../pages.py")).status_code == 404
            assert (await client.get("/console/static/%2e%2e/pages.py")).status_code == 404

    asyncio.run(story())


def test_errors_are_pages_and_boxes() -> None:
    async def story() -> None:
        async with world() as made:
            client = await made.browser()
            page = await client.get("/console/clusters/nowhere/")
            assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
            assert "there is no cluster &#39;nowhere&#39;" in page.text
            box = await client.get("/console/clusters/nowhere/", headers=part(client))
            assert box.status_code == 404
            assert "<html" not in box.text
            assert "there is no cluster" in box.text
            assert (await client.get("/console/nothing")).status_code == 404
            assert (await client.get("/console/clusters/%3Cb%3E/")).status_code == 404
            assert "<b>" not in (await client.get("/console/clusters/%3Cb%3E/")).text
            limited = await made.browser(Role.VIEWER, ("other",))
            refused = await limited.get(f"{HERE}/")
            assert refused.status_code == 403
            assert ">shop<" not in refused.text

    asyncio.run(story())


def test_a_part_that_needs_a_login_leads_there_and_back() -> None:
    async def story() -> None:
        async with world() as made:
            stranger = made.stranger()
            answer = await stranger.get(f"{HERE}/now", headers=part(stranger))
            assert (answer.status_code, answer.headers["hx-redirect"]) == (
                200, "/console/login?next=%2Fconsole%2Fclusters%2Fshop%2F&over=asked"
            )  # fmt: skip
            assert "Log in to go on where you were." in (await stranger.get(answer.headers["hx-redirect"])).text
            stream = await stranger.get(f"{HERE}/changes", headers={"accept": "text/event-stream"})
            assert stream.status_code == 401
            followed = await stranger.get(f"{HERE}/", headers={"sec-fetch-site": "cross-site"})
            assert (followed.status_code, "http-equiv" in followed.text) == (200, True)

    asyncio.run(story())


def test_who_sent_something_after_the_session_was_over_is_told_that_it_was_not_done() -> None:
    async def story() -> None:
        async with world() as made:
            stranger = made.stranger()
            answer = await stranger.post(
                f"{HERE}/nodes/lb01/maintenance", data={"why": "a disk"}, headers=part(stranger)
            )
            led = answer.headers["hx-redirect"]
            assert led == "/console/login?next=%2Fconsole%2Fclusters%2Fshop%2F&over=sent"
            assert "What you sent last was not done." in (await stranger.get(led)).text
            assert "not done" not in (await stranger.get("/console/login?next=%2Fconsole%2F")).text

    asyncio.run(story())


def test_who_has_to_choose_a_password_sees_nothing_else() -> None:
    async def story() -> None:
        async with world() as made:
            assert made.context.doors.first_password is not None
            first = made.context.doors.first_password.get_secret_value()
            client = made.stranger()
            answer = await client.post("/console/login", data={"name": "admin", "password": first, "next": f"{HERE}/"})
            assert answer.headers["location"] == "/console/password"
            assert (await client.get(f"{HERE}/")).headers["location"] == "/console/password"
            page = await client.get("/console/password")
            assert "Choose a password of your own" in page.text
            (csrf,) = re.findall(r'"X-CSRF-Token": "([0-9a-f]{64})"', page.text)
            client.headers["X-CSRF-Token"] = csrf
            await _chosen(client, first)

    async def _chosen(client: httpx.AsyncClient, first: str) -> None:
        sent = {"old": first, "new": " spaces count ", "again": "spaces count"}
        assert (await client.post("/console/password", data=sent, headers=part(client))).status_code == 400
        sent["again"] = sent["new"]
        answer = await client.post("/console/password", data=sent, headers=part(client))
        assert answer.headers["hx-redirect"] == "/console/login?over=changed"
        assert "Your password is changed" in (await client.get(answer.headers["hx-redirect"])).text
        assert (
            await client.post("/console/login", data={"name": "admin", "password": "spaces count"})
        ).status_code == 401
        answer = await client.post("/console/login", data={"name": "admin", "password": " spaces count "})
        assert answer.headers["location"] == "/console/"

    asyncio.run(story())


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("/console/clusters/shop/", "/console/clusters/shop/"),
        ("https://here/console/x?y=1#z", "/console/x?y=1"),
        ("http://[", ""),
        ("/console/中?group=中", "/console/中?group=中"),
        ("//evil.example/console/", "/console/"),
        ("https://evil.example/", ""),
        ("/console", ""),
        ("/consolex/", ""),
        ("/\\evil.example/console/", ""),
        ("javascript:alert(1)", ""),
        ("/console/\r\nSet-Cookie: x", ""),
        ("/console/" + "x" * 3000, ""),
        ("", ""),
    ],
)
def test_where_somebody_comes_back_to_is_one_of_our_pages(address: str, path: str) -> None:
    assert inner_path(address) == path


def test_the_clusters_are_asked_for_again_and_say_what_the_overview_says(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        async with world() as made:
            await clusters.make_cluster(made.desk, ClusterRequest(name="other"))
            client = await made.browser()
            page = await client.get("/console/")
            (again,) = re.findall(r'class="part" data-taken="[^"]+" hx-get="([^"]+)" hx-trigger="every 10s"', page.text)
            cards = await client.get(again, headers=part(client))
            assert (cards.status_code, "<html" in cards.text) == (200, False)
            assert all(f'<span class="card-title">{name}</span>' in cards.text for name in ("shop", "other"))
            limited = await made.browser(Role.VIEWER, ("other",))
            read: list[str] = []
            status_of = status.status

            async def counted(store: Store, cluster: str) -> ClusterStatus:
                read.append(cluster)
                return await status_of(store, cluster)

            monkeypatch.setattr(status, "status", counted)
            monkeypatch.setattr(live, "_MOMENT_S", 3600.0)
            for browser in (client, limited, await made.browser(Role.VIEWER), client):
                assert (await browser.get(again, headers=part(browser))).status_code == 200
            assert read == []  # however many show them: it was read a moment ago
            monkeypatch.setattr(live, "_MOMENT_S", -1.0)
            assert (await client.get(again, headers=part(client))).status_code == 200
            assert sorted(read) == ["other", "shop"]
            assert ">shop<" not in (await limited.get(again, headers=part(limited))).text

    asyncio.run(story())


def test_a_cluster_with_servers_that_are_down_is_not_without_trouble() -> None:
    view = ClusterView.model_construct(name="shop", description="", newest=1)
    servers = tuple(ServerHealth(name=f"web{number}", up=number == 0) for number in range(10))
    service = ServiceHealth(name="app", kind="pool", servers=servers)
    node = NodeSummary.model_construct(node="lb01", connected=True)
    told = ClusterStatus.model_construct(ok=True, nodes=(node,), services=(service,))
    card = card_of(view, told)
    assert (card.state, card.troubles) == ("warning", 1)
    drained = service.model_copy(update={"servers": (ServerHealth(name="web1", up=False, override="drained"),)})
    assert card_of(view, told.model_copy(update={"services": (drained,)})).state == "ok"
    assert card_of(view, None).state == "unknown"


def test_the_root_is_the_console_and_every_page_of_the_header_is_there() -> None:
    async def story() -> None:
        async with world() as made:
            client = await made.browser()
            assert (await client.get("/")).headers["location"] == "/console/"
            for entry in PAGES:
                page = await client.get(ROUTES[entry.route].path.format(cluster="shop"))
                assert page.status_code == 200, entry
                assert page.text.count('aria-current="page"') == 1, entry

    asyncio.run(story())


def test_what_others_made_has_its_licence_beside_it() -> None:
    told = (FOLDER / "vendor" / "README.txt").read_text()
    for path in (FOLDER / "vendor").glob("*.js"):
        assert path.name in told
    assert {path.name for path in (FOLDER / "vendor").glob("LICENSE-*")} == {
        "LICENSE-codemirror.txt",
        "LICENSE-htmx.txt",
        "LICENSE-idiomorph.txt",
    }
    bundled = (FOLDER / "vendor" / "codemirror.min.js").read_bytes()
    assert hashlib.sha256(bundled).hexdigest() in told
    editors = ("vendor/codemirror.min.js", "vendor/LICENSE-codemirror.txt", "pages/editor.js", "pages/outline.js")
    assert sum(len(one.packed) for name, one in assets().items() if name not in editors) < 60_000  # on other pages
