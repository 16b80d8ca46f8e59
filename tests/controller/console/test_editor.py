"""The editor's pages without a browser: who may what, the plan, the merge, the door, and what completion is told."""

from __future__ import annotations

import asyncio
import json
import re

import httpx
import pytest
from tests.controller.console.world import HERE, URL, World, part, world
from tests.controller.operations.agents import report
from tests.controller.operations.world import MORE_WEIGHT, SPEC, end_rollout

from holdfast.controller.console.assets import assets
from holdfast.controller.console.pages import HEADERS
from holdfast.controller.console.pictures.editor import NAMES, first_spec, language
from holdfast.controller.console.pictures.edits import told_apart
from holdfast.controller.console.views import editor as views
from holdfast.findings import Finding, Severity
from holdfast.protocol.api.revisions import Applied
from holdfast.rollout.records import RolloutStore
from holdfast.spec.load import parse_spec
from holdfast.spec.schema import json_schema
from holdfast.store.models import Role

EDITOR = f"{HERE}/editor"
HOSTILE = "</textarea><script>alert(1)</script>'\"{{ 7*7 }}"


async def over(made: World, rollout: int) -> None:
    """A rollout has ended, so that another one may begin."""
    await end_rollout(made.desk, Applied.model_construct(rollout=rollout))


async def digest_in(answer: httpx.Response) -> dict[str, str]:
    """What the form that applies a plan holds."""
    return dict(re.findall(r'<input type="hidden" name="(digest|hazard)" value="([^"]*)">', answer.text))


async def applied(client: httpx.AsyncClient, made: World, spec: str, base: int, message: str = "") -> httpx.Response:
    """A text, planned and applied as the page does it."""
    plan = await client.post(f"{EDITOR}/plan", data={"spec": spec, "base": base}, headers=part(client))
    assert plan.status_code == 200, plan.text
    asked = {"spec": spec, "base": base, "message": message, **await digest_in(plan)}
    return await client.post(f"{EDITOR}/apply", data=asked, headers=part(client))


def test_it_is_planned_applied_and_its_rollout_comes_along() -> None:
    async def story() -> None:
        async with world() as made:
            await over(made, 1)
            client = await made.browser()
            page = await client.get(EDITOR)
            assert page.headers["content-security-policy"] == HEADERS["content-security-policy"]
            assert "web01:80   # the old one" in page.text
            done = await applied(client, made, MORE_WEIGHT, 1, "more")
            assert "Applied as revision 2" in done.text
            assert 'id="rollout-now"' in done.text
            assert "/rollouts/2/now?inside=true" in done.text
            assert "<h1" not in done.text
            content = await made.context.store.cluster("shop").revisions.content(2)
            assert content is not None
            assert content.spec == MORE_WEIGHT
            again = await client.get(f"{HERE}/rollouts/2/now", params={"inside": "true"}, headers=part(client))
            assert "<h2" in again.text
            assert "<h1" in (await client.get(f"{HERE}/rollouts/2/now", headers=part(client))).text

    asyncio.run(story())


def test_a_node_that_does_not_answer_need_not_be_waited_for() -> None:
    async def story() -> None:
        async with world() as made:
            await over(made, 1)
            await report(made.desk, "lb01")
            client = await made.browser()
            plan = await client.post(f"{EDITOR}/plan", data={"spec": MORE_WEIGHT, "base": 1}, headers=part(client))
            assert re.findall('name="without" type="checkbox" value="([a-z0-9]+)"', plan.text) == ["lb02"]
            asked = {"spec": MORE_WEIGHT, "base": 1, "without": "lb02", **await digest_in(plan)}
            done = await client.post(f"{EDITOR}/apply", data=asked, headers=part(client))
            assert "Applied as revision 2" in done.text
            found = await RolloutStore(made.context.store, "shop").rollout(2)
            assert found is not None
            assert found.record.options.without == ("lb02",)

    asyncio.run(story())


def test_a_spec_that_says_the_same_is_planned_where_nodes_run_something_else() -> None:
    async def story() -> None:
        async with world() as made:  # its nodes do not run revision 1 yet
            client = await made.browser()
            change = {"kind": "change_server", "section": "pools", "entry": "app", "server": "web01:80"}
            for path, form in (("editor", {"spec": SPEC}), ("edit", {**change, "address": "web01:80"})):
                plan = await client.post(f"{HERE}/{path}/plan", data={**form, "base": 1}, headers=part(client))
                assert plan.status_code == 200, plan.text
                assert "Nothing is different" not in plan.text
                assert "2 nodes change" in plan.text
                assert "Apply as revision 2" in plan.text

    asyncio.run(story())


def test_what_is_said_more_often_than_before_is_new_and_what_is_cut_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    remark = Finding(code="X001", severity=Severity.INFO, message="a remark")
    other = remark.model_copy(update={"code": "X002"})
    assert told_apart([remark, other, remark, remark], [remark, remark]) == ([other, remark], [remark, remark])

    async def story() -> None:
        async with world() as made:
            client = await made.browser()
            plan = await client.post(f"{EDITOR}/plan", data={"spec": MORE_WEIGHT, "base": 1}, headers=part(client))
            assert "and 3 more" in plan.text
            assert "and 7 more" in plan.text

    monkeypatch.setattr(views, "told_apart", lambda *_: ([remark] * 53, [remark] * 57))
    asyncio.run(story())


def test_what_was_not_planned_is_not_applied() -> None:
    async def story() -> None:
        async with world() as made:
            client = await made.browser()
            plan = await client.post(f"{EDITOR}/plan", data={"spec": MORE_WEIGHT, "base": 1}, headers=part(client))
            asked = {"spec": MORE_WEIGHT + "# more\n", "base": 1, **await digest_in(plan)}
            refused = await client.post(f"{EDITOR}/apply", data=asked, headers=part(client))
            assert refused.status_code == 400
            assert "not what was planned" in refused.text
            without = await client.post(
                f"{EDITOR}/apply", data={**asked, "spec": MORE_WEIGHT}, headers={"X-CSRF-Token": ""}
            )
            assert without.status_code == 403
            assert await made.context.store.cluster("shop").revisions.newest_number() == 1

    asyncio.run(story())


def test_what_others_made_meanwhile_is_told_and_brought_together() -> None:
    async def story() -> None:
        async with world() as made:
            client = await made.browser()
            mine = SPEC.replace("# ours", "# ours and mine")
            await over(made, 1)
            await made.applied(MORE_WEIGHT, 1, message="theirs")
            await over(made, 2)
            fresh = await client.get(f"{EDITOR}/fresh", params={"base": 1}, headers=part(client))
            assert "Revision 2 was made meanwhile" in fresh.text
            refused = await client.post(f"{EDITOR}/plan", data={"spec": mine, "base": 1}, headers=part(client))
            assert refused.status_code == 409
            assert "weight: 3" in refused.text
            assert "ours and mine" in refused.text
            both = await client.post(f"{EDITOR}/merge", data={"spec": mine, "base": 1}, headers=part(client))
            assert 'data-merged-base="2"' in both.text
            text = re.search(r'<textarea id="merged-text"[^>]*>\n(.*)</textarea>', both.text, re.DOTALL)
            assert text is not None
            merged = text[1].replace("&#39;", "'")
            assert "# ours and mine" in merged
            assert "weight: 3" in merged
            assert (await applied(client, made, merged, 2)).status_code == 200
            same = SPEC.replace("weight: 2", "weight: 4")
            clash = await client.post(f"{EDITOR}/merge", data={"spec": same, "base": 1}, headers=part(client))
            assert "1 place was changed by both" in clash.text

    asyncio.run(story())


def test_who_only_looks_may_plan_and_not_apply_and_texts_are_escaped() -> None:
    async def story() -> None:
        async with world() as made:
            await over(made, 1)
            await made.applied(f"{MORE_WEIGHT}# {HOSTILE}\n", 1, message=HOSTILE)
            viewer = await made.browser(Role.VIEWER)
            page = await viewer.get(EDITOR)
            assert "<script>alert" not in page.text
            assert "{{ 7*7 }}" in page.text
            plan = await viewer.post(
                f"{EDITOR}/plan", data={"spec": SPEC + f"# {HOSTILE}", "base": 2}, headers=part(viewer)
            )
            assert plan.status_code == 200
            assert "<script>alert" not in plan.text
            assert "apply-form" not in plan.text
            asked = {"spec": SPEC, "base": 2, "digest": "0" * 64}
            assert (await viewer.post(f"{EDITOR}/apply", data=asked, headers=part(viewer))).status_code == 403
            told = await viewer.post("/api/v1/clusters/shop/lint", json={"spec": SPEC.replace("nginx", HOSTILE)})
            assert told.status_code == 200
            assert told.json()["findings"]
            stranger = made.stranger()
            assert (await stranger.post("/api/v1/clusters/shop/lint", json={"spec": SPEC})).status_code == 401

    asyncio.run(story())


@pytest.mark.parametrize("length", [0, 30_000])  # a longer one is checked by another process
def test_what_is_wrong_is_said_in_the_language_of_the_page(length: int) -> None:
    async def story() -> None:
        async with world() as made:
            await over(made, 1)
            viewer = await made.browser(Role.VIEWER)
            asked = {"spec": SPEC.replace("nginx", "apache") + "#" * length}
            for language, message in (("en", "'apache' is not known here"), ("zh", "此处不认识 'apache'")):
                headers = {**part(viewer), "accept": "application/json", "accept-language": language}
                told = await viewer.post(f"{EDITOR}/lint", data=asked, headers=headers)
                assert told.status_code == 200
                (found,) = [one for one in told.json()["findings"] if one["code"] == "SPEC003"]
                assert found["message"] == message
                assert not found["foreign"]
            stranger = made.stranger()
            refused = await stranger.post(f"{EDITOR}/lint", data={"spec": SPEC}, headers={"accept": "application/json"})
            assert refused.status_code == 401
            assert refused.json()["error"]["message"]

    asyncio.run(story())


def test_a_cluster_without_a_revision_begins_with_something_that_stands() -> None:
    assert parse_spec(first_spec("shop")).spec.cluster == "shop"

    async def story() -> None:
        async with world(None) as made:
            from holdfast.controller.operations import clusters
            from holdfast.protocol.api.clusters import ClusterRequest

            await clusters.make_cluster(made.desk, ClusterRequest(name="shop"))
            client = await made.browser()
            assert "this will be the first" in (await client.get(EDITOR)).text
            done = await applied(client, made, first_spec("shop"), 0)
            assert "Applied as revision 1" in done.text

    asyncio.run(story())


def test_a_form_with_a_whole_spec_may_be_large_and_others_not() -> None:
    async def story() -> None:
        async with world() as made:
            client = await made.browser()
            large = SPEC + "# " + "x" * 3_000_000 + "\n"
            told = await client.post(f"{EDITOR}/plan", data={"spec": large, "base": 1}, headers=part(client))
            assert told.status_code == 200
            other = await client.post(f"{HERE}/edit/plan", data={"entry": "x" * 3_000_000}, headers=part(client))
            assert other.status_code == 400

    asyncio.run(story())


@pytest.mark.whole
@pytest.mark.parametrize(
    ("language", "said"), [("en", "spec is longer than 8,000,000"), ("zh", "超过 8,000,000 个字符")]
)
def test_a_spec_that_is_too_long_is_refused_with_the_bound(language: str, said: str) -> None:
    async def story() -> None:
        async with world() as made:
            client = await made.browser()
            assert '"longest": 8000000' in (await client.get(EDITOR)).text
            asked = {"spec": SPEC + "#" * 8_000_000, "base": 1}
            headers = {**part(client), "accept-language": language}
            told = await client.post(f"{EDITOR}/plan", data=asked, headers=headers)
            assert told.status_code == 400
            assert said in told.text

    asyncio.run(story())


def test_what_completion_knows_is_small_packed_and_kept() -> None:
    async def story() -> None:
        async with world() as made:
            client = await made.browser(Role.VIEWER)
            page = await client.get(EDITOR)
            settings = re.search(r"data-settings='([^']*)'", page.text)
            assert settings is not None
            address = json.loads(settings[1])["language"]
            found = await client.get(address)
            assert "immutable" in found.headers["cache-control"]
            assert found.headers["content-encoding"] == "gzip"
            assert found.json()["schema"]["properties"]["vrrp"]
            assert (await made.stranger().get(address)).status_code in (303, 401)
            named = re.findall(r'(?:src|href)="/console/static/([^?"#]+)', page.text)
            weight = len(page.content) + len(language().packed) + sum(len(assets()[one].packed) for one in set(named))
            assert "vendor/codemirror.min.js" in named
            assert weight < 300_000
            overview = await client.get(f"{HERE}/")
            assert "codemirror" not in overview.text
            assert URL not in page.text

    asyncio.run(story())


@pytest.mark.parametrize(("place", "what"), NAMES)
def test_names_go_where_the_schema_has_something(place: str, what: str) -> None:
    """A field that is renamed is noticed here."""
    schema = json_schema()

    def whole(node: dict[str, object]) -> list[dict[str, object]]:
        reference = node.get("$ref")
        inner = [schema["$defs"][str(reference).removeprefix("#/$defs/")]] if reference else []
        inner += node.get("anyOf", [])  # type: ignore[operator]
        return [node, *(one for each in inner for one in whole(each))]

    nodes = whole(schema)
    for step in place.split("."):
        found = []
        for node in nodes:
            if step == "[]":
                found += [node["items"]] if "items" in node else []
            elif step in ("*", "@"):
                found += list(node.get("patternProperties", {}).values())  # type: ignore[attr-defined]
            else:
                found += [node["properties"][step]] if step in node.get("properties", {}) else []  # type: ignore[index, operator]
        nodes = [one for each in found for one in whole(each)]  # type: ignore[arg-type]
        assert nodes, f"{place}: nothing at {step}"
    assert what in {"server", "group", *schema["properties"]}
