"""Users, sessions and API tokens on pages: who sees them, what is shown once, and that everything is audited."""

from __future__ import annotations

import asyncio
import html
import json
import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from tests.controller.console.world import CLUSTER, World, part, world
from tests.controller.world import PASSWORD, login

from holdfast.controller.console.pictures.people import roles_up_to, tokens_of, users_of
from holdfast.controller.identity import Person
from holdfast.store.models import AuditRecord, Role, Token, User

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
EARLIER = NOW - timedelta(days=40)
_SECRET = re.compile(r'<pre id="secret">([^<]+)</pre>')
EVIL = "<img src=x onerror=alert(1)>'\"{{7*7}}"


def user(name: str, role: Role = Role.ADMIN, **more: object) -> User:
    fields = {"password_hash": "$argon2id$" + "x" * 30, "created": NOW, "password_changed": NOW, **more}
    return User.model_validate({"name": name, "role": role, **fields})


def token(name: str, days: float, **more: object) -> Token:
    fields = {"digest": "0" * 64, "prefix": f"hfa_{name}", "purpose": "api", "owner": "ada", "role": Role.VIEWER}
    made = {"created": NOW - timedelta(days=30), "expires": NOW + timedelta(days=days), **more}
    return Token.model_validate({"name": name, **fields, **made})


def test_the_last_administrator_of_everything_is_known() -> None:
    one = users_of([user("ada"), user("bo", clusters=("shop",)), user("cy", disabled=True)], {"ada": 2}, (), "ada")
    assert [(each.name, each.last, each.me, each.sessions) for each in one] == [
        ("ada", True, True, 2),
        ("bo", False, False, 0),
        ("cy", False, False, 0),
    ]
    assert not any(each.last for each in users_of([user("ada"), user("bo")], {}, (), "ada"))


def test_tokens_that_end_soon_come_first_and_those_that_ended_last() -> None:
    rows = tokens_of(
        [
            token("over", -1),
            token("fine", 90),
            token("soon", 3),
            token("gone", 50, revoked=NOW),
            token("short", 1, created=NOW),
            token("idle", 60, owner="bo"),
            token("left", 70, owner="cy"),
            token("older", 80, owner="dan"),
        ],
        NOW,
        [user("ada", created=EARLIER), user("bo", created=EARLIER, disabled=True), user("dan")],
    )
    assert [(one.name, one.state, one.word) for one in rows] == [
        ("soon", "warning", "ends soon"),
        ("short", "ok", "good"),
        ("fine", "ok", "good"),
        ("over", "off", "expired"),
        ("gone", "off", "revoked"),
        ("idle", "off", "its owner is disabled"),
        ("left", "off", "its owner was removed"),
        ("older", "off", "its owner was removed"),
    ]


def test_a_token_that_may_shut_people_out_is_marked() -> None:
    scoped = token("hr", 60, role=Role.ADMIN, scopes=("users",))
    assert [one.users for one in tokens_of([scoped, token("ci", 90, role=Role.ADMIN)], NOW, [user("ada")])] == [
        True,
        False,
    ]


def test_a_token_may_have_ones_own_role_or_a_lesser_one() -> None:
    assert roles_up_to(Person("ada", Role.OPERATOR)) == ("viewer", "operator")


def shown(answer: httpx.Response) -> str:
    """What an answer shows this once."""
    assert answer.status_code == 200, answer.text
    found = _SECRET.search(answer.text)
    assert found, answer.text
    return html.unescape(found[1])


async def last(made: World, action: str) -> AuditRecord:
    """The newest record of an action."""
    return next(one.record for one in await made.context.store.audit.newest(limit=50) if one.record.action == action)


def test_a_user_is_made_changed_shut_out_and_removed() -> None:
    async def story() -> None:
        async with world() as made:
            client = await made.browser(Role.ADMIN)

            async def post(path: str, **form: object) -> httpx.Response:
                return await client.post(f"/console/users/{path}", data=form, headers=part(client))

            form = (await client.get("/console/users/add", headers=part(client))).text
            assert f'value="{CLUSTER}"' in form
            answer = await post("add", name="otto", role="operator", limits="some", clusters=CLUSTER)
            once = shown(answer)
            assert "changed:people" in answer.headers["hx-trigger"]
            assert once not in (await client.get("/console/users")).text
            told = await last(made, "user.create")
            assert (told.target, json.loads(told.after)["clusters"]) == ("otto", [CLUSTER])
            assert once not in told.after
            otto = made.stranger()
            await login(otto, "otto", once)
            body = {"old": once, "new": PASSWORD}
            assert (await otto.put("/api/v1/session/password", json=body)).status_code == 204
            await login(otto, "otto", PASSWORD)

            answer = await post("otto/change", role="viewer", limits="all")
            assert "otto was changed" in answer.headers["hx-trigger"]
            told = await last(made, "user.change")
            assert (json.loads(told.before)["role"], json.loads(told.after)["role"]) == ("operator", "viewer")
            assert (await otto.get("/api/v1/session")).json()["clusters"] is None

            assert (await post("otto/sessions/end")).status_code == 200
            assert (await otto.get("/api/v1/session")).status_code == 401
            await login(otto, "otto", PASSWORD)
            assert (await post("otto/disable")).status_code == 200
            assert (await otto.get("/api/v1/session")).status_code == 401
            assert "disabled" in (await client.get("/console/users/table", headers=part(client))).text
            assert (await post("otto/enable")).status_code == 200
            again = shown(await post("otto/password"))
            assert again != once
            assert (await post("otto/remove")).status_code == 200
            assert await made.context.store.users.get("otto") is None
            for path in ("otto/change", "otto/disable", "otto/password", "otto/remove", "otto/sessions/end"):
                assert (await post(path, role="viewer")).status_code == 404, path

    asyncio.run(story())


def test_who_changes_a_user_does_not_undo_what_another_has_changed_meanwhile() -> None:
    async def story() -> None:
        async with world() as made:
            client = await made.browser(Role.ADMIN)
            path = "/console/users/otto/change"
            await client.post("/console/users/add", data={"name": "otto", "role": "admin"}, headers=part(client))
            seen = re.search(r'name="version" value="(\d+)"', (await client.get(path, headers=part(client))).text)
            assert seen
            asked = {"role": "viewer", "limits": "some", "clusters": CLUSTER, "version": seen[1]}
            assert (await client.post(path, data=asked, headers=part(client))).status_code == 200
            late = await client.post(path, data={**asked, "role": "admin"}, headers=part(client))
            assert (late.status_code, "meanwhile" in late.text) == (409, True)
            found = await made.context.store.users.get("otto")
            assert found
            assert found.record.role is Role.VIEWER

    asyncio.run(story())


def test_the_list_of_tokens_says_which_may_shut_people_out_in_both_languages() -> None:
    async def story() -> None:
        async with world() as made_here:
            here = await made_here.browser(Role.ADMIN)
            made = await here.post("/api/v1/tokens", json={"name": "hr", "role": "admin", "scopes": ["users"]})
            assert made.status_code == 201, made.text
            assert "may remove users" in (await here.get("/console/tokens")).text
            chinese = await here.get("/console/tokens", headers={"Accept-Language": "zh"})
            assert "可移除用户" in chinese.text

    asyncio.run(story())


def test_a_session_is_no_token_of_a_program() -> None:
    async def story() -> None:
        async with world() as made:
            client = await made.browser(Role.ADMIN)
            (session,) = [one.value for one in client.cookies.jar if "session" in one.name]
            program = made.stranger(authorization=f"Bearer {session}")
            answer = await program.get("/api/v1/session", headers={"accept": "application/json"})
            assert (answer.status_code, answer.json()["error"]["message"]) == (401, "a session is no API token")
            assert (await client.get("/api/v1/session")).status_code == 200

    asyncio.run(story())


def test_mistakes_in_forms_are_told_and_the_last_administrator_stays() -> None:
    async def story() -> None:
        async with world() as made:
            client = await made.browser(Role.ADMIN)
            others = [one for one in await made.context.store.users.all() if one.record.role is Role.ADMIN]
            me = next(one.name for one in others if one.name != "admin")

            async def post(path: str, **form: object) -> httpx.Response:
                return await client.post(f"/console/users/{path}", data=form, headers=part(client))

            answer = await post("add", name="otto", limits="some")
            assert (answer.status_code, "no cluster was ticked" in answer.text) == (400, True)
            answer = await post("add", name=EVIL)
            assert answer.status_code == 400
            assert "<img" not in answer.text
            answer = await post("add", name=me)
            assert "there is a user" in answer.text
            await made.context.store.users.delete("admin", next(one.version for one in others if one.name == "admin"))
            assert "the last one" in (await client.get("/console/users")).text
            for path, form in (("remove", {}), ("disable", {}), ("change", {"role": "viewer"})):
                answer = await post(f"{me}/{path}", **form)
                assert answer.status_code == 403, path
                assert "last administrator" in answer.text
            answer = await post(f"{me}/change", role="admin", limits="some", clusters=CLUSTER)
            assert answer.status_code == 403

    asyncio.run(story())


@pytest.mark.parametrize(("role", "limits"), [(Role.VIEWER, None), (Role.OPERATOR, None), (Role.ADMIN, (CLUSTER,))])
def test_only_who_manages_users_sees_them(role: Role, limits: tuple[str, ...] | None) -> None:
    async def story() -> None:
        async with world() as made:
            client = await made.browser(role, limits)
            for path in ("/console/users", "/console/audit", "/console/users/add"):
                assert (await client.get(path)).status_code == 403, path
            account = (await client.get("/console/account")).text
            assert 'href="/console/users"' not in account
            assert 'href="/console/audit"' not in account
            assert (await client.post("/console/users/admin/remove", headers=part(client))).status_code == 403

    asyncio.run(story())


def test_a_token_is_made_used_and_revoked() -> None:
    async def story() -> None:
        async with world() as made:
            client = await made.browser(Role.OPERATOR, (CLUSTER,))
            form = (await client.get("/console/tokens/add", headers=part(client))).text
            assert 'value="operator"' in form
            assert 'value="admin"' not in form
            assert 'value="all"' not in form
            asked = {"name": EVIL, "role": "operator", "days": "7", "limits": "some", "clusters": CLUSTER}
            secret = shown(await client.post("/console/tokens/add", data=asked, headers=part(client)))
            prefix = secret[:12]
            page = (await client.get("/console/tokens")).text
            assert prefix in page
            assert secret not in page
            assert "<img" not in page
            assert "never" in page
            program = made.stranger(authorization=f"Bearer {secret}")
            assert (await program.get("/api/v1/session")).json()["clusters"] == [CLUSTER]
            assert "never" not in (await client.get("/console/tokens/table", headers=part(client))).text
            for wrong in ({"role": "admin"}, {"limits": "all"}, {"days": "400"}, {"days": "0"}, {"name": ""}):
                answer = await client.post("/console/tokens/add", data={**asked, **wrong}, headers=part(client))
                assert answer.status_code in (400, 403), wrong
            other = await made.browser(Role.VIEWER)
            assert prefix not in (await other.get("/console/tokens")).text
            path = f"/console/tokens/{prefix}/revoke"
            assert (await other.post(path, headers=part(other))).status_code == 404
            assert (await client.get(path, headers=part(client))).status_code == 200
            assert (await client.post(path, headers=part(client))).status_code == 200
            assert (await program.get("/api/v1/session")).status_code == 401
            assert (await last(made, "token.revoke")).target == prefix

    asyncio.run(story())


def test_a_token_that_removes_users_is_made_by_who_may_and_for_an_admin_alone() -> None:
    async def story() -> None:
        async with world() as made:
            admin, operator = await made.browser(Role.ADMIN), await made.browser(Role.OPERATOR)
            assert 'name="scopes"' in (await admin.get("/console/tokens/add", headers=part(admin))).text
            assert 'name="scopes"' not in (await operator.get("/console/tokens/add", headers=part(operator))).text
            asked = {"name": "directory", "role": "admin", "days": "7", "limits": "all", "scopes": "users"}
            lesser = await admin.post("/console/tokens/add", data={**asked, "role": "operator"}, headers=part(admin))
            assert lesser.status_code == 400
            assert "the role admin" in lesser.text
            secret = shown(await admin.post("/console/tokens/add", data=asked, headers=part(admin)))
            plain = shown(await admin.post("/console/tokens/add", data={**asked, "scopes": []}, headers=part(admin)))
            for token, status in ((secret, 200), (plain, 403)):
                program = made.stranger(authorization=f"Bearer {token}")
                assert (await program.get("/api/v1/users")).status_code == status
            assert "may remove users" in (await admin.get("/console/tokens")).text

    asyncio.run(story())


def test_ones_own_sessions_are_shown_and_ended() -> None:
    async def story() -> None:
        async with world() as made:
            client = await made.browser(Role.VIEWER)
            (me,) = [one.name for one in await made.context.store.users.all() if one.name.startswith("viewer")]
            others = [made.stranger(), made.stranger()]
            for each in others:
                await login(each, me, PASSWORD)
            page = (await client.get("/console/account")).text
            prefixes = set(re.findall(r'id="session-(hfs_[a-z2-7]{8})"', page))
            assert len(prefixes) == 3
            mine = str(client.cookies["__Host-holdfast-session"])[:12] if client.cookies else ""
            one = next(prefix for prefix in sorted(prefixes) if prefix != mine)
            path = f"/console/account/sessions/{one}/end"
            stranger = await made.browser(Role.VIEWER)
            assert (await stranger.post(path, headers=part(stranger))).status_code == 404
            assert (await client.post(path, headers=part(client))).status_code == 200
            answer = await client.post("/console/account/sessions/end-others", headers=part(client))
            assert "1 other session was ended" in answer.headers["hx-trigger"]
            assert (await client.get("/console/account")).status_code == 200
            assert [(await each.get("/api/v1/session")).status_code for each in others] == [401, 401]

    asyncio.run(story())
