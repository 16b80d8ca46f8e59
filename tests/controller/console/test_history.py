"""Events and audit: looked for by time, people, things and results; linked, compared, and told as JSON."""

from __future__ import annotations

import asyncio
import html
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.controller.console.world import CLUSTER, HERE, World, part, world

from holdfast import controller
from holdfast.controller.console.pictures.actions import DID
from holdfast.controller.console.pictures.history import Link, change_of, link_of, named
from holdfast.controller.console.words import words_of
from holdfast.controller.identity import audited
from holdfast.controller.identity.certificates import Standing
from holdfast.protocol.api.events import AuditView
from holdfast.store.models import Event, Role
from holdfast.store.port import Put

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
EVIL = "<img src=x onerror=alert(1)>'\"{{7*7}}"


@pytest.mark.parametrize(
    ("action", "target", "cluster", "link"),
    [
        ("revision.apply", "revision 7", "shop", Link("console_revision", {"cluster": "shop", "number": 7})),
        ("rollout.pause", "rollout 3", "shop", Link("console_rollout", {"cluster": "shop", "number": 3})),
        ("node.revoke", "lb01: stolen", "shop", Link("console_node", {"cluster": "shop", "node": "lb01"})),
        ("node.join", "lb01, by ada", "shop", Link("console_node", {"cluster": "shop", "node": "lb01"})),
        ("node.join", "(unknown) x", "shop", None),
        ("maintenance.on", "lb01", "shop", Link("console_node", {"cluster": "shop", "node": "lb01"})),
        ("override.set", "web01:80", "shop", Link("console_servers", {"cluster": "shop"}, {"q": "web01:80"})),
        ("group.move", "www", "shop", Link("console_addresses", {"cluster": "shop"}, anchor="#group-www")),
        ("user.change", "ada", None, Link("console_users")),
        ("token.create", "ci (hfa_x)", None, Link("console_tokens")),
        ("login", "ada", None, None),
        ("store.dump", "the whole store", None, None),
    ],
)
def test_a_record_leads_to_its_thing(action: str, target: str, cluster: str | None, link: Link | None) -> None:
    assert link_of(action, target, cluster) == link


def test_before_and_after_are_a_difference() -> None:
    before, after = '{"clusters":null,"role":"viewer"}', '{"clusters":null,"role":"admin"}'
    told = AuditView(number=1, time=NOW, actor="user:ada", action="user.change", target="x", before=before, after=after)
    change = change_of(told)
    assert (change.added, change.removed) == (1, 1)
    assert [line.changed for line in change.lines if line.kind == "add"] == ["admin"]
    assert "null" in "".join(line.head for line in change.lines if line.kind == "same")
    assert change_of(told.model_copy(update={"before": ""})).removed == 0
    assert change_of(told.model_copy(update={"after": "{cut sh"})).added == 1


async def filled(made: World) -> None:
    """Records and events of several people, things and times."""
    store = made.context.store
    for number, (actor, action, target, outcome) in enumerate(
        [
            ("user:ada", "override.set", "web01:80", "done"),
            ("user:bea", "group.move", "www", "refused"),
            ("user:ada token:ci", "revision.apply", "revision 7", "done"),
            ("user:bea", "override.end", EVIL, "failed"),
        ]
    ):
        time = NOW + timedelta(hours=number)
        after = {"why": EVIL, "number": number}
        await store.audit.append(
            audited(time, actor, action, target, after=after, cluster=CLUSTER, outcome=outcome)  # type: ignore[arg-type]
        )
        await store.events.append(
            Event(
                time=time, kind="vip.moved" if number % 2 else "node.drift", cluster=CLUSTER, node="lb01", message=EVIL
            )
        )
    await store.audit.append(audited(NOW, "user:ada", "user.change", "otto", before={"role": 1}, after={"role": 2}))


def targets(text: str) -> list[str]:
    """What the rows of a page are about."""
    cells = re.findall(r'data-label="What it is about" class="words">(.*?)</td>', text)
    return [html.unescape(re.sub(r"<[^>]+>", "", cell)) for cell in cells]


def test_the_audit_is_looked_through() -> None:
    async def story() -> None:
        async with world() as made:
            client = await made.browser(Role.ADMIN)
            await filled(made)

            async def found(**query: str) -> list[str]:
                answer = await client.get(f"{HERE}/audit", params=query)
                assert answer.status_code == 200, answer.text
                assert "<img" not in answer.text
                return targets(answer.text)

            assert (await found())[:4] == [EVIL, "revision 7", "www", "web01:80"]
            page = (await client.get(f"{HERE}/audit")).text
            assert page.count('data-label="Cluster"') == 0, "it is the one whose page this is"
            assert f'href="{HERE}/events"' in page.partition("</header>")[2]
            assert await found(by="BEA") == [EVIL, "www"]
            assert await found(by="ci") == ["revision 7"]
            assert await found(topic="overrides") == [EVIL, "www", "web01:80"]
            assert await found(result="refused") == ["www"]
            assert await found(thing="WEB01") == ["web01:80"]
            assert await found(thing="group.move") == ["www"]
            assert await found(since="2026-05-01T13:00:00Z", until="2026-05-01T14:30:00Z") == ["revision 7", "www"]
            assert await found(since="2026-05-01T15:00+01:00", until="2026-05-01T14:30") == ["revision 7"]
            for wrong in ("yesterday", "9999-99-99", "0001-01-01T00:00:00+14:00"):
                answer = await client.get(f"{HERE}/audit", params={"since": wrong})
                assert answer.status_code in (200, 400), wrong
            row = (await client.get(f"{HERE}/audit/list", params={"by": "bea"}, headers=part(client))).text
            number = re.findall(r"/audit/([0-9]+)\"", row)[-1]
            record = await client.get(f"{HERE}/audit/{number}", headers=part(client))
            assert "<img" not in record.text
            assert "line-add" in record.text
            assert (await client.get(f"{HERE}/audit/99999999", headers=part(client))).status_code == 404

    asyncio.run(story())


def test_what_is_of_no_cluster_is_in_the_audit_of_everything_alone() -> None:
    async def story() -> None:
        async with world() as made:
            client = await made.browser(Role.ADMIN)
            await filled(made)
            whole = await client.get("/console/audit", params={"topic": "users", "by": "ada"})
            assert targets(whole.text) == ["otto"]
            number = re.findall(r"/console/audit/([0-9]+)\"", whole.text)[0]
            assert (await client.get(f"/console/audit/{number}", headers=part(client))).status_code == 200
            assert (await client.get(f"{HERE}/audit/{number}", headers=part(client))).status_code == 404
            limited = await made.browser(Role.ADMIN, (CLUSTER,))
            assert (await limited.get(f"{HERE}/audit")).status_code == 200
            assert (await limited.get(f"/console/audit/{number}", headers=part(limited))).status_code == 403

    asyncio.run(story())


def test_the_same_comes_as_json_from_the_api() -> None:
    async def story() -> None:
        async with world() as made:
            client = await made.browser(Role.ADMIN)
            await filled(made)
            query = {
                "topic": "overrides",
                "by": "bea",
                "since": "2026-05-01T12:30Z",
                "result": "failed",
                "thing": "img",
            }
            for page, count in ((f"{HERE}/audit", 1), ("/console/audit", 1), (f"{HERE}/events", None)):
                text = (await client.get(page, params=query)).text
                link = re.search(r'href="(/api/v1/[^"]+)"', text)
                assert link, page
                answer = await client.get(html.unescape(link[1]))
                assert answer.status_code == 200, answer.text
                assert count is None or len(answer.json()["records"]) == count, answer.text
            api = f"/api/v1/clusters/{CLUSTER}"
            told = await client.get(f"{api}/audit", params={"action": ["override.", "group.move"], "outcome": "done"})
            assert [one["target"] for one in told.json()["records"]] == ["web01:80"]
            told = await client.get(
                f"{api}/events", params={"kind": "vip.", "since": NOW.isoformat(), "until": "2026-05-02T00:00Z"}
            )
            assert len(told.json()["events"]) == 2
            for wrong in ({"outcome": "good"}, {"since": "2026-05-01T12:30"}, {"action": "x" * 90}):
                assert (await client.get(f"{api}/audit", params=wrong)).status_code == 422, wrong

    asyncio.run(story())


def test_events_are_looked_through() -> None:
    async def story() -> None:
        async with world() as made:
            client = await made.browser(Role.VIEWER)
            await filled(made)

            async def count(**query: str) -> int:
                text = (await client.get(f"{HERE}/events", params=query)).text
                assert "<img" not in text
                return len(re.findall(r'id="event-[0-9]+"', text))

            everything = await count()
            assert await count(thing="lb01", since="2026-05-01T12:00Z", until="2026-05-01T16:00Z") == 4
            assert await count(topic="holders", since="2026-05-01T12:00Z", until="2026-05-01T14:00Z") == 1
            assert await count(thing="nothing has this name") == 0
            assert everything >= 4

    asyncio.run(story())


_KINDS = "user|token|session|node|override|revision|rollout|group|maintenance|rehearsal|cluster|authority|store|damaged"


def test_what_was_done_is_told_in_words() -> None:
    """Every action that the controller's code names; events have a sentence of their own."""
    folder = Path(controller.__file__).parent
    named = {"login", "logout", *(f"certificate.{how.value}" for how in (Standing.NEWER, Standing.ADOPTED))}
    for path in folder.rglob("*.py"):
        if path.relative_to(folder).parts[0] != "console":
            named |= set(re.findall(rf'"((?:{_KINDS})\.[a-z_]+)"', path.read_text()))
    events = {
        "node.drift", "node.drift_corrected", "node.drift_gone", "node.joined", "node.revoked", "revision.made",
        "rollout.halted", "rollout.node",
    }  # fmt: skip
    rehearsals = {"cluster.yaml", "rehearsal.begun", "rehearsal.ended", "rehearsal.json", "rehearsal.step"}
    assert named - set(DID) - events - rehearsals == set()
    assert set(DID) - named == set()


def test_damaged_records_are_shown_among_the_others_with_what_to_do() -> None:
    async def story() -> None:
        async with world() as made:
            client = await made.browser(Role.ADMIN)
            await filled(made)
            store, shop = made.context.store, made.context.store.cluster(CLUSTER)
            last = (await store.events.numbers()).last
            for key in (store.events.key(last - 1), store.audit.key(1), shop.revisions.headings.key("1")):
                await store.engine.commit([], [Put(key, b"{")])
            for path, number, other in (
                (f"{HERE}/events", last - 1, f'id="event-{last}"'),
                ("/console/audit", 1, 'data-label="Action"'),
                (f"{HERE}/revisions", 1, 'id="revisions-list"'),
            ):
                answer = await client.get(path)
                assert answer.status_code == 200, path
                text = html.unescape(answer.text)
                assert f"Record {number} is damaged" in text, path
                assert "or restore a dump" in text
                assert other in text
            answer = await client.get(f"{HERE}/revisions", headers={"accept-language": "zh"})
            assert "记录 1 已损坏" in answer.text
            assert "恢复一份转储" in answer.text

    asyncio.run(story())


def test_what_a_record_is_about_is_said_in_the_language_of_the_page() -> None:
    targets = ("rollout 3", "lb1, by ann", "12 sessions", "ann: all but this one")
    said = {one: words_of("zh").name(named(one)) for one in targets}
    assert said == {
        "rollout 3": "发布 3",
        "lb1, by ann": "lb1，由 ann 邀请",
        "12 sessions": "12 个会话",
        "ann: all but this one": "ann：除此之外的全部",
    }
    assert words_of("zh").name(named("the whole store")) == "整个存储"
    for name in ("maintenance", "web", "node: why", "revision 0"):  # a name stays what it is, also where it is a word
        assert words_of("zh").name(named(name)) == name
