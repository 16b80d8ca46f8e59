"""The picture of a cluster: what is drawn, where, what is wrong first, and nothing green that nobody has verified."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace

import pytest
from tests.controller.console.test_servers import NOW, heard, override, row, situation, with_part
from tests.controller.console.world import CLUSTER, HERE, part, world
from tests.controller.operations.agents import report

from holdfast.controller.console.pictures.layout import Box, Folded, drawn, shown_marks
from holdfast.controller.console.pictures.overview import Mark, Picture, Row, focused, overview_of
from holdfast.controller.console.pictures.trouble import problems_of, worst
from holdfast.controller.console.pictures.values import brief, coded, fitted, id_of, number, rate
from holdfast.controller.operations import clusters
from holdfast.controller.operations.situation import Situation
from holdfast.protocol.api.clusters import ClusterRequest
from holdfast.protocol.api.rollouts import RolloutView
from holdfast.protocol.api.status import ServiceHealth
from holdfast.protocol.realtime import Requests
from holdfast.sentences import Sentence
from holdfast.spec.load import parse_spec

MANY = """
holdfast: 1
cluster: large
networks: {front: {cidr: 10.9.0.0/16}}
nodes: {lb01: 10.9.0.5, lb02: 10.9.0.6}
vrrp:
  one: {addresses: [10.9.0.3/16], nodes: [lb01, lb02], vrid: 51}
  two: {addresses: [10.9.0.4/16], nodes: [lb02, lb01], vrid: 52}
virtual_servers:
""" + "".join(
    f"  service-{n}: {{on: '{'one' if n % 2 else 'two'}:{1000 + n}', forward: nat, check: {{tcp: true}}, servers: ["
    + ", ".join(f"'10.9.{n}.{k}:80'" for k in range(1, 11)) + "]}\n"
    for n in range(1, 51)
)  # fmt: skip

POOLED = """
holdfast: 1
cluster: shop
networks: {front: {cidr: 10.9.0.0/24}}
nodes: {lb01: 10.9.0.5, lb02: 10.9.0.6}
vrrp: {www: {addresses: [10.9.0.3/24], nodes: [lb01, lb02], vrid: 51}}
pools: {app: {servers: ['10.9.0.21:8080']}}
sites: {shop: {hosts: [www.example.com], routes: [{to: app}]}}
proxies: {edge: {engine: nginx, nodes: [lb01, lb02], listeners: [{on: 'www:80', sites: [shop]}]}}
"""


TIERS = """
holdfast: 1
cluster: shop
networks: {front: {cidr: 10.9.0.0/24}}
nodes: {lb01: 10.9.0.5, lb02: 10.9.0.6, hap01: 10.9.0.7}
vrrp: {www: {addresses: [10.9.0.3/24], nodes: [lb01, lb02], vrid: 51}}
virtual_servers: {shop: {on: 'www:80', forward: dr, servers: ['hap01:80', '10.9.0.99:80'], check: {tcp: true}}}
pools: {app: {servers: ['10.9.0.21:8080']}}
sites: {shop: {hosts: [www.example.com], routes: [{to: app}]}}
proxies: {edge: {engine: nginx, nodes: [hap01], listeners: [{on: 'www:80', sites: [shop]}]}}
"""
PAST = """
holdfast: 1
cluster: shop
networks: {front: {cidr: 10.9.0.0/24}}
nodes: {lb01: 10.9.0.5, lb02: 10.9.0.6, hap01: 10.9.0.7, hap02: 10.9.0.8}
vrrp:
  www: {addresses: [10.9.0.3/24], nodes: [lb01, lb02], vrid: 51}
  web: {addresses: [10.9.0.4/24], nodes: [hap01, hap02], vrid: 52}
virtual_servers: {shop: {on: 'www:80', forward: nat, servers: ['10.9.0.21:80'], check: {tcp: true}}}
pools: {app: {servers: ['10.9.0.21:8080']}}
sites: {shop: {hosts: [www.example.com], routes: [{to: app}]}}
proxies: {edge: {engine: nginx, nodes: [hap01, hap02], listeners: [{on: 'web:80', sites: [shop]}]}}
"""


def both() -> Situation:
    """Two balancers that have said that all is well."""
    rows = (row("rs01-80"), row("rs02-80"), row("rs01-80", source="dns"), row("10.9.0.99-53", source="dns"))
    return situation(heard("lb01", *rows), heard("lb02", *rows, holds=False))


def test_everything_of_the_spec_is_in_the_picture() -> None:
    picture = overview_of(both())
    assert [one.name for one in picture.groups] == ["www"]
    assert [(one.name, one.state) for one in picture.machines] == [
        ("lb01", "ok"), ("lb02", "ok"), ("rs01", "unknown"), ("rs02", "unknown"),
    ]  # fmt: skip
    assert picture.machines[0].roles == ("director", "nginx")
    assert [(one.kind, one.name, one.group) for one in (*picture.services, *picture.pools)] == [
        ("virtual_server", "shop", "www"), ("virtual_server", "dns", "www"), ("virtual_server", "many", "www"),
        ("pool", "app", ""), ("pool", "plain", ""),
    ]  # fmt: skip
    assert picture.services[1].where == "10.9.0.3:53/udp"
    (edge,) = picture.proxies
    assert (edge.groups, edge.pools, [one.name for one in edge.nodes]) == (("www",), ("app", "plain"), ["lb01", "lb02"])
    assert picture.services[0].state == "ok"
    assert picture.services[0].per_s == 2


def test_what_nobody_has_said_is_green_nowhere() -> None:
    picture = overview_of(situation())
    assert {one.state for one in picture.servers} == {"unknown"}
    assert {one.state for one in picture.groups} == {"unknown"}
    assert {one.state for one in picture.machines} == {"unknown"}
    checked_by_nobody = overview_of(both()).services[1]
    assert {one.state for one in checked_by_nobody.servers} == {"unknown"}


def test_all_is_well_only_if_there_is_no_server_of_which_nobody_knows() -> None:
    picture = overview_of(both())
    assert picture.problems == ()
    assert (picture.state, picture.not_known > 0) == ("unknown", True)
    known = [replace(one, servers=()) for one in (*picture.services, *picture.pools)]
    assert replace(picture, services=tuple(known), pools=()).state == "ok"


def test_a_group_of_which_another_node_has_a_part_is_wrong() -> None:
    picture = overview_of(situation(heard("lb01", row("rs01-80")), with_part("lb02")))
    (found,) = picture.problems
    assert (found.tone, found.kind, found.name) == ("bad", "group", "www")
    assert found.text == "www: some of its addresses are on lb02"
    assert picture.state == "bad"


def test_what_leads_to_a_pool_leads_to_where_it_is() -> None:
    async def story() -> None:
        async with world(POOLED) as made:
            client = await made.browser()
            (found,) = set(re.findall(r'href="[^"]*/servers#(pool-[^"]*)"', (await client.get(f"{HERE}/")).text))
            assert f'id="{found}"' in (await client.get(f"{HERE}/servers")).text

    asyncio.run(story())


def test_without_a_spec_there_are_the_nodes_alone() -> None:
    picture = overview_of(replace(both(), spec=None))
    assert [one.name for one in picture.machines] == ["lb01", "lb02"]
    assert (picture.groups, picture.services, picture.proxies, picture.pools) == ((), (), (), ())
    assert drawn(picture).edges == ()


def test_the_worst_comes_first_and_leads_to_what_it_is_about() -> None:
    seen = both()
    told = seen.told.model_copy(
        update={
            "trouble": (
                Sentence("%(node)s: %(what)s", node="lb02", what=Sentence("it has never joined")),
                Sentence("nobody holds %(group)s", group="www"),
                Sentence("rollout %(rollout)s of revision %(revision)s failed", rollout=7, revision=3),
                Sentence("virtual server %(virtual_server)s has no server that is up", virtual_server="shop"),
                "something else",
            ),
            "services": (ServiceHealth(name="shop", kind="virtual_server"),),
            "rollout": RolloutView(id=8, cluster="shop", revision=4, phase="running", created=NOW),
        }
    )
    down = [Mark(f"rs{n:02}:80", "bad", "down") for n in range(6)] + [Mark("rs09:80", "ok", "in service")]
    found = problems_of(told, [("virtual_server", "shop", down), ("virtual_server", "dns", down), ("pool", "x", ())])
    assert [(one.tone, one.kind, one.name) for one in found] == [
        ("bad", "group", "www"), ("bad", "rollout", "7"), ("bad", "virtual_server", "shop"), ("bad", "", ""),
        ("warning", "node", "lb02"), ("warning", "virtual_server", "dns"), ("busy", "rollout", "8"),
    ]  # fmt: skip
    assert found[5].text == "dns: 6 of 7 servers are down: rs00:80, rs01:80, rs02:80, rs03:80 …"
    assert worst(one.tone for one in found) == "bad"
    assert worst(()) == "ok"


@pytest.mark.parametrize(("phase", "tone"), [("put back", "warning"), ("refused", "warning"), ("failed", "bad")])
def test_a_rollout_that_left_all_as_it_was_hurts_nobody(phase: str, tone: str) -> None:
    said = Sentence("rollout %(rollout)s of revision %(revision)s was put back", rollout=7, revision=3)
    last = RolloutView(id=7, cluster="shop", revision=3, phase=phase, created=NOW, ended=NOW)
    (found,) = problems_of(both().told.model_copy(update={"trouble": (said,), "rollout": last}), ())
    assert (found.tone, found.kind, found.name) == (tone, "rollout", "7")


def test_a_rollout_that_waits_for_somebody_wants_a_look() -> None:
    waits = RolloutView(id=8, cluster="shop", revision=4, phase="paused", created=NOW)
    (found,) = problems_of(both().told.model_copy(update={"trouble": (), "rollout": waits}), ())
    assert (found.tone, found.name) == ("warning", "8")
    assert found.text == "rollout 8 of revision 4 waits for somebody to continue it"


def test_every_way_says_what_goes_there_as_far_as_it_is_known() -> None:
    """Connections as the holder's kernel counts them, requests as proxies do: of nodes that can be heard."""
    rows = (row("hap01-80", per_s=120), row("10.9.0.99-80", per_s=30))
    counted = {"hap01": Requests(total=7.5, pools={"app": 7.25}), "lb01": Requests(pools={"other": 3})}

    def rates(requests: Mapping[str, Requests]) -> list[tuple[str, float]]:
        nodes = [heard("lb01", *rows), heard("lb02", *rows, holds=False), heard("hap01", holds=False)]
        said = [replace(one, report=one.report.model_copy(update={"requests": requests[one.report.node]}))
                if one.report.node in requests else one for one in nodes]  # fmt: skip
        drawing = drawn(overview_of(replace(situation(*said), spec=parse_spec(TIERS).spec)))
        return sorted((one.what, one.per_s) for one in drawing.edges if one.per_s is not None)

    connections = [("connections", 120.0), ("connections", 150.0), ("connections", 150.0)]
    assert rates({}) == connections
    assert rates(counted) == [*connections, ("requests", 7.25)]


def test_balancers_that_are_proxies_say_how_many_requests_they_get() -> None:
    seen = situation(heard("lb01"), heard("lb02", holds=False))
    counted = Requests(total=12.0, pools={"app": 11.5})
    there = {name: replace(one, report=one.report.model_copy(update={"requests": counted}))
             for name, one in seen.heard.items()}  # fmt: skip
    picture = overview_of(replace(seen, spec=parse_spec(POOLED).spec, heard=there))
    assert picture.pools[0].per_s == 23.0
    assert sorted(one.per_s for one in drawn(picture).edges if one.per_s is not None) == [12.0, 12.0, 23.0]


def test_two_holders_are_two_broken_edges() -> None:
    seen = both()
    double = situation(heard("lb01", row("rs01-80")), heard("lb02", row("rs01-80")))
    assert [one.kind for one in drawn(overview_of(seen)).edges].count("broken") == 0
    edges = drawn(overview_of(double)).edges
    assert [one.kind for one in edges].count("broken") >= 2
    nobody = situation(heard("lb01", holds=False), heard("lb02", holds=False))
    assert drawn(overview_of(nobody)).edges[0].kind == "broken"


def _boxes(picture: Picture) -> list[Box]:
    drawing = drawn(picture)
    placed = [*drawing.groups, *drawing.machines, *drawing.proxies]
    rows = [one for frame in (*drawing.services, *drawing.pools) for one in frame.rows]
    return [drawing.clients, *(one.box for one in (*placed, *rows))]


@pytest.mark.parametrize("seen", [both(), replace(both(), spec=parse_spec(MANY).spec)], ids=["small", "large"])
def test_nothing_lies_on_anything_else_or_outside(seen: Situation) -> None:
    picture = overview_of(seen)
    boxes, drawing = _boxes(picture), drawn(picture)
    assert len(boxes) >= 5
    for place, one in enumerate(boxes):
        assert one.x >= 0
        assert one.x + one.width <= drawing.width
        assert one.y >= 0
        assert one.y + one.height <= drawing.height
        for other in boxes[:place]:
            apart = one.x >= other.x + other.width or other.x >= one.x + one.width
            assert apart or one.y >= other.y + other.height or other.y >= one.y + one.height, (one, other)


def test_fifty_virtual_servers_and_five_hundred_servers_stay_readable() -> None:
    picture = overview_of(replace(both(), spec=parse_spec(MANY).spec))
    assert (len(picture.services), len(picture.servers)) == (50, 500)
    drawing = drawn(picture)
    assert {frame.title for frame in drawing.services} == {"one", "two"}
    assert all(one.short for frame in drawing.services for one in frame.rows)
    assert drawing.height < 1000
    alone = drawn(focused(picture, "one"))
    assert alone.height < 900
    assert [one.title for one in alone.services] == ["one"]


def _many(states: Mapping[int, str]) -> Picture:
    """Fifty virtual servers of which some are not well."""
    picture = overview_of(replace(both(), spec=parse_spec(MANY).spec))
    rows = tuple(replace(one, state=states.get(n, "ok")) for n, one in enumerate(picture.services))
    return replace(picture, services=rows)


def test_of_many_those_with_trouble_stand_first_in_their_frame_with_their_servers() -> None:
    drawing = drawn(_many({30: "bad", 3: "warning"}))
    first, second = (frame.rows for frame in drawing.services)
    assert [one.thing.state for one in first[:2]] == ["bad", "ok"]
    assert [one.thing.state for one in second[:2]] == ["warning", "ok"]
    assert (first[0].short, first[1].short) == (False, True)
    assert first[0].box.width > 2 * first[1].box.width
    assert sum(len(frame.rows) for frame in drawing.services) == 50


def test_where_all_is_wrong_the_picture_stays_short() -> None:
    drawing = drawn(_many(dict.fromkeys(range(50), "bad")))
    assert sum(not one.short for frame in drawing.services for one in frame.rows) == 8
    assert drawing.height < 1700


def test_hundreds_of_virtual_servers_are_folded_but_for_those_with_trouble() -> None:
    picture = _many({})
    rows = [replace(one, name=f"{one.name}-{n}", state="ok") for n in range(10) for one in picture.services]
    rows[99], rows[499] = replace(rows[99], state="bad"), replace(rows[499], state="warning")
    drawing = drawn(replace(picture, services=tuple(rows)))
    shown = [one.thing for frame in drawing.services for one in frame.rows]
    folded = [one for one in shown if isinstance(one, Folded)]
    assert {rows[99].name, rows[499].name} <= {one.name for one in shown if isinstance(one, Row)}
    assert len(shown) <= 122
    assert len(shown) - len(folded) + sum(len(one.rows) for one in folded) == 500
    assert drawing.height < 2500


def test_what_is_to_be_typed_is_marked_and_stays_text() -> None:
    assert coded("write `weight 0`, or `a<b>`") == "write <code>weight 0</code>, or <code>a&lt;b&gt;</code>"
    assert coded("<b>`") == "&lt;b&gt;`"


def test_of_too_many_the_worst_are_shown() -> None:
    marks = [Mark(str(n), "ok", "") for n in range(200)] + [Mark("x", "bad", ""), Mark("y", "unknown", "")]
    assert [one.name for one in shown_marks(marks, 3)] == ["x", "y", "0"]
    assert len(shown_marks(marks[:5], 10)) == 5


def test_an_override_is_off_and_no_problem() -> None:
    drained = row("rs01-80", 0, kind="drained", wanted=0)
    seen = situation(heard("lb01", drained, row("rs02-80")), overrides=(override(),))
    picture = overview_of(seen)
    assert [one.state for one in picture.services[0].servers] == ["off", "ok"]
    assert picture.problems == ()


@pytest.mark.parametrize(
    ("text", "most", "shown"),
    [("shop", 4, "shop"), ("shops", 4, "sho…"), ("虚拟服务器", 6, "虚拟…"), ("虚拟", 4, "虚拟"), ("", 3, "")],
)
def test_texts_fit(text: str, most: int, shown: str) -> None:
    assert fitted(text, most) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (0.25, "0.2"),
        (9.96, "10"),
        (10.4, "10"),
        (999, "999"),
        (1234, "1.2k"),
        (52_300, "52k"),
        (3.1e6, "3.1M"),
    ],
)
def test_beside_a_line_rates_are_short(value: float, shown: str) -> None:
    assert brief(value) == shown


def test_a_way_past_a_column_can_be_followed_between_its_frames() -> None:
    """Balancers that are proxies themselves lead past virtual servers of others."""
    drawing = drawn(overview_of(replace(both(), spec=parse_spec(PAST).spec)))
    edge = f"H{drawing.services[0].box.x + drawing.services[0].box.width:.0f}"
    past = [one for one in drawing.edges if edge in one.path]
    assert len(past) == 2
    for one in past:
        height = float(one.path.split("H")[0].split(" ")[-1])
        assert all(not frame.box.y <= height <= frame.box.y + frame.box.height for frame in drawing.services)


def test_who_directs_nothing_is_no_director() -> None:
    roles = {one.name: one.roles for one in overview_of(replace(both(), spec=parse_spec(PAST).spec)).machines}
    assert roles["lb01"] == ("director",)
    assert roles["hap01"] == ("nginx",)


def test_ids_are_safe_and_their_own() -> None:
    assert id_of("shop", "web01") == "shop-web01"
    assert id_of("web01:80") != id_of("web01.80")
    assert re.fullmatch(r"[A-Za-z0-9-]+", id_of("<script>", "'\" x"))
    assert (number(None), number(1234567), rate(None), rate(15000)) == ("–", "1,234,567", "–", "15.0 k")


def test_the_page_is_whole_in_both_languages_and_the_part_is_the_same() -> None:
    async def story() -> None:
        async with world() as made:
            await report(made.desk, "lb01", agent_version="1")
            client = await made.browser()
            page = await client.get(f"{HERE}/")
            assert page.status_code == 200
            assert "<svg" in page.text
            assert "lb01" in page.text
            assert 'hx-get="/console/clusters/shop/now"' in page.text
            chinese = await client.get(f"{HERE}/now", headers={**part(client), "accept-language": "zh"})
            assert chinese.status_code == 200
            assert chinese.text.lstrip().startswith("<section")
            assert "虚拟 IP" in chinese.text
            assert "Virtual IPs" not in chinese.text
            alone = await client.get(f"{HERE}/?group=www")
            assert 'hx-get="/console/clusters/shop/now?group=www"' in alone.text
            assert (await client.get(f"{HERE}/?group=nothing")).status_code == 200

    asyncio.run(story())


def test_a_cluster_without_a_revision_says_so() -> None:
    async def story() -> None:
        async with world(None) as made:
            client = await made.browser()
            assert "There is no cluster yet" in (await client.get("/console/")).text
            await clusters.make_cluster(made.desk, ClusterRequest(name=CLUSTER))
            page = await client.get(f"{HERE}/")
            assert page.status_code == 200
            assert "There is nothing to draw yet" in page.text
            await clusters.make_cluster(made.desk, ClusterRequest(name="other"))
            listed = await client.get("/console/")
            assert listed.status_code == 200
            assert "nothing is known" in listed.text

    asyncio.run(story())
