"""What-if: chosen by links, played by the model of failover, drawn in the overview's picture; outages first."""

from __future__ import annotations

import asyncio
import re
import time
from datetime import UTC, datetime
from html import unescape

import pytest
from tests.controller.console.test_overview import MANY
from tests.controller.console.world import CLUSTER, HERE, part, world
from tests.controller.operations.world import SPEC

from holdfast.controller.console.pictures.layout import drawn
from holdfast.controller.console.pictures.whatif import (
    MOST_SERVERS,
    asked_of,
    choices_of,
    picture_of,
    singles_of,
    toggles_of,
)
from holdfast.controller.operations.whatif import Played, _worked, worst_first
from holdfast.errors import UsageError
from holdfast.failover.result import Verdict
from holdfast.protocol.api.whatif import WhatIfView
from holdfast.spec.load import parse_spec
from holdfast.store.models import Role

NOW = datetime(2026, 11, 21, tzinfo=UTC)
ODD = "<img src=x onerror=alert(1)>"
APART = """
holdfast: 1
cluster: shop
networks: {front: {cidr: 10.0.0.0/24}}
nodes: {lb01: 10.0.0.5, lb02: 10.0.0.6, hap01: 10.0.0.21, hap02: 10.0.0.22}
vrrp:
  www: {addresses: [10.0.0.3/24], nodes: [lb01, lb02], vrid: 51}
  mail: {addresses: [10.0.0.4/24], nodes: [hap01, hap02], vrid: 52}
virtual_servers:
  shop: {on: 'www:80', forward: nat, servers: ['10.0.0.31:80'], check: {tcp: true}}
  smtp: {on: 'mail:25', forward: nat, servers: ['10.0.0.32:25'], check: {tcp: true}}
"""
UNWATCHED = SPEC.replace(", keeps_while: [{process: nginx}]", "")  # nginx dies, and the address stays with it


def played(spec: str, *fail: str, depth: int = 1) -> Played:
    """A what-if of a spec."""
    loaded = parse_spec(spec, "spec")
    return _worked(1, loaded.spec, (spec,), {}, fail, depth)


def test_the_picture_is_as_it_would_be() -> None:
    found = played(SPEC, "lb01")
    assert found.report.asked is not None
    picture = picture_of(found, found.report.asked, NOW)
    (group,) = picture.groups
    assert group.holders == ("lb02",)
    assert {one.node: one.word for one in group.members} == {
        "lb01": "cannot hold them now", "lb02": "holds the addresses",
    }  # fmt: skip
    assert (group.state, group.word) == ("warning", "held, and nobody could take over")
    states = {one.name: (one.state, one.word) for one in picture.machines}
    assert states["lb01"] == ("bad", "fails")
    assert states["lb02"] == ("ok", "well")
    assert drawn(picture).edges
    (edge,) = picture.proxies
    assert [one.state for one in edge.nodes] == ["bad", "ok"]


def test_a_failed_service_and_a_failed_server_are_shown_where_they_are() -> None:
    found = played(SPEC, "nginx@lb01", "web01")
    assert found.report.asked is not None
    picture = picture_of(found, found.report.asked, NOW)
    assert {one.name: one.word for one in picture.machines}["lb01"] == "something on it fails"
    assert [(one.name, one.state) for one in picture.pools[0].servers] == [("web01:80", "bad"), ("web02:80", "ok")]
    assert (picture.pools[0].state, picture.pools[0].word) == ("warning", "fewer servers")
    assert [title for title, _ in asked_of(found.report.asked, found.report.steps).steps] == ["nginx@lb01", "web01"]


def test_an_outage_is_one_in_the_picture_too() -> None:
    found = played(SPEC, "lb01", "lb02")
    assert found.report.asked is not None
    picture = picture_of(found, found.report.asked, NOW)
    assert (picture.groups[0].state, picture.groups[0].word) == ("bad", "outage: nobody serves")
    told = asked_of(found.report.asked, found.report.steps)
    assert (told.harmful, told.endings[0].left) == (True, 0)
    gone = played(SPEC, "web01", "web02")
    assert gone.report.asked is not None
    assert picture_of(gone, gone.report.asked, NOW).pools[0].state == "bad"


def test_a_group_that_the_failure_does_not_touch_is_as_it_was() -> None:
    """Of pairs of nodes that have nothing to do with each other, only one is played."""
    found = played(APART, "lb01", "lb02")
    assert found.report.asked is not None
    picture = picture_of(found, found.report.asked, NOW)
    states = {one.name: (one.state, one.holders) for one in picture.groups}
    assert states == {"www": ("bad", ()), "mail": ("ok", ("hap01",))}
    assert {one.name: one.state for one in picture.services} == {"shop": "bad", "smtp": "ok"}


def test_single_failures_that_are_outages_come_first() -> None:
    found = played(UNWATCHED)
    rows, left_out = singles_of(found.report.singles)
    harmful = [one.harmful for one in rows]
    assert harmful[0]
    assert harmful == sorted(harmful, reverse=True)
    assert left_out == 0
    assert worst_first(found.report.singles)[0].verdict is Verdict.NOBODY
    assert not any(one.harmful for one in singles_of(played(SPEC).report.singles)[0])


def test_what_is_chosen_is_in_the_address_in_its_order_and_taken_back_by_it() -> None:
    chips = choices_of(played(SPEC, "lb01", "web01"))
    assert [one.title for one in chips.chosen] == ["lb01", "web01"]
    assert chips.chosen[0].query == (("fail", "web01"),)
    second = next(chip for name, found in chips.nodes if name == "lb02" for chip in found if chip.title == "lb02")
    assert second.query == (("fail", "lb01"), ("fail", "web01"), ("fail", "lb02"))
    assert toggles_of(chips)["lb02"] == second.query
    assert toggles_of(chips)["web01"] == (("fail", "lb01"),)
    kinds = {chip.kind for _, found in chips.nodes for chip in found}
    assert kinds == {"node", "service", "link", "keepalived ends"}
    with pytest.raises(UsageError):
        played(SPEC, "nobody")


def test_fifty_virtual_servers_and_five_hundred_servers_are_chosen_from_and_drawn() -> None:
    found = played(MANY.replace("cluster: large", "cluster: shop"))
    rows, left_out = singles_of(found.report.singles)
    assert left_out == 500 - MOST_SERVERS
    assert len(rows) < 100
    assert len(choices_of(found).servers) == 400
    began = time.process_time()
    assert found.report.normal is not None
    assert len(picture_of(found, found.report.normal, NOW).servers) == 500
    assert time.process_time() - began < 10


def test_the_page_is_reached_by_a_link_and_a_viewer_may_look() -> None:
    async def story() -> None:
        async with world() as made:
            client = await made.browser(Role.VIEWER)
            plain = (await client.get(f"{HERE}/whatif")).text
            assert "No single failure is an outage" in plain
            assert 'href="/console/clusters/shop/whatif?fail=lb01"' in plain
            text = (await client.get(f"{HERE}/whatif?fail=lb01&fail=nginx%40lb02")).text
            assert "outage: nobody serves" in text
            assert re.search(r"lb01</strong>|lb01", text)
            assert "fail=lb01&fail=nginx%40lb02&fail=web01" in unescape(text)
            now = await client.get(f"{HERE}/whatif/now?fail=lb01", headers=part(client))
            assert 'id="whatif"' in now.text
            assert "<html" not in now.text
            assert "Pairs that do harm" in (await client.get(f"{HERE}/whatif?pairs=true")).text
            odd = await client.get(f"{HERE}/whatif", params={"fail": ODD})
            assert odd.status_code == 400
            assert ODD not in odd.text
            assert (await client.get(f"{HERE}/whatif?" + "&".join(["fail=lb01"] * 9))).status_code == 404
            chinese = await client.get(f"{HERE}/whatif", headers={"accept-language": "zh"})
            assert "没有会造成服务中断的单点故障" in chinese.text

    asyncio.run(story())


def test_without_a_revision_there_is_nothing_to_try() -> None:
    from holdfast.controller.operations import clusters
    from holdfast.protocol.api.clusters import ClusterRequest

    async def story() -> None:
        async with world(None) as made:
            await clusters.make_cluster(made.desk, ClusterRequest(name=CLUSTER))
            client = await made.browser()
            assert "There is nothing to try" in (await client.get(f"{HERE}/whatif")).text
            assert (await client.get(f"/api/v1/clusters/{CLUSTER}/whatif")).status_code == 404

    asyncio.run(story())


def test_the_api_says_the_same() -> None:
    async def story() -> None:
        async with world() as made:
            client = await made.browser(Role.VIEWER)
            answer = await client.get(f"/api/v1/clusters/{CLUSTER}/whatif", params={"fail": ["lb01", "nginx@lb02"]})
            told = WhatIfView.model_validate_json(answer.content)
            assert told.asked is not None
            assert (told.asked.harmful, told.asked.verdict) == (True, "nobody serves")
            assert [one.title for one in told.steps] == ["lb01", "nginx@lb02"]
            whole = WhatIfView.model_validate_json((await client.get(f"/api/v1/clusters/{CLUSTER}/whatif")).content)
            assert "lb01" in {one.title for one in whole.singles}
            assert {"eth0@lb01", "keepalived@lb01"} & {one.title for one in whole.possible}

    asyncio.run(story())
