"""What the table of virtual servers says: as directors see them, and never better than they are known to be."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.bundle import HeldAddress
from holdfast.controller.console.pictures.addresses import Group, groups_of
from holdfast.controller.console.pictures.proxies import PoolRow, pools_of, proxies_of
from holdfast.controller.console.pictures.servers import VirtualRow, rows_of
from holdfast.controller.operations.reports import Heard
from holdfast.controller.operations.situation import Situation
from holdfast.protocol import (
    AgentReport,
    GroupFacts,
    NodeStatus,
    OverrideKind,
    OverrideReport,
    PoolFacts,
    ServerFacts,
    Service,
    ServiceFacts,
    WeighedServer,
)
from holdfast.protocol.api.nodes import NodeSummary
from holdfast.protocol.api.overrides import OverrideView, OverrideWord
from holdfast.protocol.api.status import AddressView, ClusterStatus
from holdfast.spec.load import parse_spec

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SPEC = """
holdfast: 1
cluster: shop
networks: {front: {cidr: 10.9.0.0/24}}
nodes: {lb01: 10.9.0.5, lb02: 10.9.0.6, rs01: 10.9.0.21, rs02: 10.9.0.22}
vrrp:
  www:
    addresses: {shop: 10.9.0.3/24, extra: 10.9.0.4/24}
    nodes: {lb01: 150, lb02: 100}
    vrid: 51
    preempt: {after: 15s}
    keeps_while: [{process: nginx, on_loss: yield}, {http: 127.0.0.1:8080/healthz}]
virtual_servers:
  shop:
    on: www:80
    forward: dr
    scheduler: {name: sh, flags: [port]}
    persistence: 10m
    check: {http: /healthz, every: 3s, timeout: 2s, retry_every: 500ms, fall: 4, port: 8080}
    servers: ['rs01:80', {address: 'rs02:80', weight: 3}]
    hooks: {up: tell-me, down: wake-me}
    sorry: 10.9.0.50:80
  dns: {on: 'www.shop:53', protocol: udp, forward: nat, servers: ['rs01:80', '10.9.0.99:53']}
  many: {on: 'www.shop:8000-8010', forward: dr, servers: [rs01]}
pools:
  app: {servers: ['rs01:8080', 'rs02:8080'], check: {http: /}}
  plain: {servers: ['rs01:8081']}
sites:
  shop: {hosts: [www.example.com], routes: [
    {path: /a, method: GET, to: {app: 90, plain: 10}}, {redirect: 'https://{host}{uri}'}]}
proxies:
  edge: {engine: nginx, nodes: [lb01, lb02], listeners: [{on: 'www:81', sites: [shop]}]}
notify: {email: {from: lb@example.com, to: [ops@example.com]}, on: [server_down]}
"""
LOADED = parse_spec(SPEC).spec


def row(server: str, weight: int | None = 1, source: str = "shop", **fields: object) -> WeighedServer:
    known = {"virtual_server": source, "source": source, "server": server, "weight": weight, "wanted": weight}
    return WeighedServer.model_validate(known | {"active": 5, "inactive": 2, "per_s": 1} | fields)


def heard(node: str, *rows: WeighedServer, holds: bool = True, pools: tuple[PoolFacts, ...] = ()) -> Heard:
    missing = (HeldAddress(address="10.9.0.4/24", interface="eth0"),) if holds else ()
    facts = GroupFacts(group="www", vrid=51, holds=holds, missing=missing)
    running = (ServiceFacts(service=Service.KEEPALIVED, running=True),)
    report = OverrideReport(
        node=node, done=True, servers=tuple(one.model_copy(update={"holds": holds}) for one in rows)
    )
    status = NodeStatus(node=node, services=running, groups=(facts,), pools=pools)
    return Heard(NOW, AgentReport(node=node, time=NOW, status=status, overrides=report))


def situation(*told: Heard, overrides: tuple[OverrideView, ...] = (), silent: tuple[str, ...] = ()) -> Situation:
    by_node = {one.report.node: one for one in told}
    holders = tuple(
        node for node, one in by_node.items()
        if node not in silent and one.report.status is not None and one.report.status.groups[0].holds
    )  # fmt: skip
    nodes = tuple(NodeSummary(node=node, seen=NOW, connected=node not in silent, enrolled=NOW) for node in by_node)
    group = AddressView(group="www", addresses=(), members=("lb01", "lb02"), holders=holders)
    told_now = ClusterStatus(
        cluster="shop", time=NOW, ok=True, nodes=nodes, groups=(group,), overrides=overrides, newest=1
    )
    return Situation(told_now, LOADED, by_node)


def override(kind: str = "drained", server: str = "rs01:80", **fields: object) -> OverrideView:
    known = {"kind": OverrideWord(kind), "target": server, "who": "ada", "since": NOW}
    return OverrideView.model_validate(known | fields)


def shop(seen: Situation) -> VirtualRow:
    return rows_of(seen)[0]


def test_a_virtual_server_says_all_that_its_spec_says() -> None:
    found = shop(situation())
    assert found.endpoints == ("10.9.0.3:80", "10.9.0.4:80")
    assert rows_of(situation())[2].endpoints == ("10.9.0.3:8000-8010",)
    assert (found.group, found.directors, found.silent) == ("www", ("lb01", "lb02"), ("lb01", "lb02"))
    assert (found.protocol, found.scheduler, found.forward, found.persistence) == ("tcp", "sh port", "dr", "10m")
    assert found.check is not None
    assert (found.check.question, found.check.every, found.check.timeout) == ("http /healthz", "3s", "2s")
    assert (found.check.retries, found.check.retry_every, found.check.port) == (4, "500ms", 8080)
    assert (found.hook_up, found.hook_down, found.mail_up, found.mail_down) == ("tell-me", "wake-me", False, True)
    assert (found.mail_to, found.sorry, found.quorum) == (("ops@example.com",), "10.9.0.50:80", 1)
    one, other = found.servers
    assert (one.written, one.addresses, one.weight, one.elsewhere) == ("rs01:80", ("10.9.0.21",), 1, 1)
    assert (other.weight, other.elsewhere) == (3, 0)
    assert "10.9.0.21" in found.words


def test_what_nobody_has_said_is_not_known_and_never_green() -> None:
    found = shop(situation())
    assert (found.state, found.word) == ("unknown", "not known")
    assert {one.state for one in found.servers} == {"unknown"}
    silent = shop(situation(heard("lb01", row("rs01-80"), row("rs02-80")), silent=("lb01",)))
    assert (silent.state, silent.word) == ("unknown", "not known")
    assert {one.word for one in silent.servers} == {"not known"}
    assert silent.active is None


def test_the_holders_counts_count() -> None:
    standby = heard("lb02", row("rs01-80", active=100), row("rs02-80", active=100), holds=False)
    found = shop(situation(heard("lb01", row("rs01-80", active=7), row("rs02-80")), standby))
    assert (found.state, found.word, found.holders, found.up) == ("ok", "in service", ("lb01",), 2)
    assert (found.active, found.inactive, found.per_s) == (12, 4, 2)


@pytest.mark.parametrize(
    ("weights", "state", "word", "words"),
    [
        ((1, None), "warning", "some servers are down", ("in service", "down")),
        ((1, 0), "warning", "some servers are down", ("in service", "down")),
        ((None, None), "warning", "sorry server answers", ("down", "down")),
    ],
)
def test_a_server_that_its_check_took_out_is_down(
    weights: tuple[int | None, ...], state: str, word: str, words: tuple[str, ...]
) -> None:
    found = shop(situation(heard("lb01", row("rs01-80", weights[0]), row("rs02-80", weights[1]))))
    assert (found.state, found.word, tuple(one.word for one in found.servers)) == (state, word, words)


def test_without_a_check_nothing_is_verified_and_a_server_that_no_director_knows_is_not_applied() -> None:
    seen = situation(heard("lb01", row("rs01-80", source="dns")))
    found = rows_of(seen)[1]
    assert (found.state, found.word) == ("unknown", "not checked")
    assert [one.word for one in found.servers] == ["not checked", "not applied yet"]
    assert (shop(seen).state, shop(seen).word) == ("unknown", "not applied yet")


def test_a_server_with_several_entries_in_the_table_is_in_service_where_all_are() -> None:
    rows = (row("rs01-80"), row("rs01-80", None), row("rs02-80"), row("rs02-80"))
    one, other = shop(situation(heard("lb01", *rows))).servers
    assert (one.word, other.word) == ("partly down", "in service")
    assert other.holder is not None
    assert (other.holder.active, other.weight_now) == (10, 1)


@pytest.mark.parametrize(
    ("kind", "weight", "shown", "word"),
    [
        ("drained", 0, "drained", "drained"),
        ("drained", 0, None, "being drained"),
        ("drained", 1, "drained", "being drained"),
        ("suspended", None, "suspended", "suspended"),
        ("suspended", 1, None, "being changed"),
        ("weight", 9, "weight", "in service"),
        ("weight", None, "weight", "down"),
    ],
)
def test_what_somebody_decided_is_done_once_the_holders_kernel_shows_it(
    kind: str, weight: int | None, shown: str | None, word: str
) -> None:
    kinds = OverrideKind(shown) if shown else None
    table = heard("lb01", row("rs01-80", weight, kind=kinds, open=3, as_wanted=True), row("rs02-80"))
    decided = override(kind, weight=9 if kind == "weight" else None)
    one = shop(situation(table, overrides=(decided,))).servers[0]
    assert (one.word, one.override, one.open) == (word, decided, 3)


def _drained(node: str, holds: bool, weight: int = 0, **fields: object) -> Heard:
    """A director that has heard of the drain; who does not hold the addresses counts none."""
    first = row("rs01-80", weight, kind=OverrideKind.DRAINED, wanted=0, **{"open": 0, "as_wanted": True} | fields)
    return heard(node, first, row("rs02-80"), holds=holds)


def test_a_server_is_empty_only_if_its_holder_says_so() -> None:
    standby, told = _drained("lb02", False), (override(),)
    one = shop(situation(_drained("lb01", True, open=3), standby, overrides=told, silent=("lb01",))).servers[0]
    assert (one.word, one.holder, one.open, one.is_empty) == ("drained", None, None, False)
    full = shop(situation(_drained("lb01", True, open=3), standby, overrides=told)).servers[0]
    assert (full.word, full.open, full.is_empty) == ("drained", 3, False)
    going = shop(situation(_drained("lb01", True, weight=1, as_wanted=False), standby, overrides=told)).servers[0]
    assert (going.word, going.open, going.is_empty) == ("being drained", 0, False)
    empty = shop(situation(_drained("lb01", True), standby, overrides=told)).servers[0]
    assert (empty.word, empty.open, empty.is_empty) == ("drained", 0, True)


def test_a_server_about_which_something_was_decided_everywhere_says_so() -> None:
    told = (override("weight", weight=2, virtual_server="shop"), override("suspended"))
    one, other = shop(situation(heard("lb01"), overrides=told)).servers
    assert (one.override, one.everywhere, other.everywhere) == (told[0], True, False)
    assert not shop(situation(heard("lb01"), overrides=told[:1])).servers[0].everywhere
    assert not shop(situation(heard("lb01"), overrides=(override("maintenance"),))).servers[0].everywhere


@pytest.mark.parametrize(
    ("fields", "checked", "fresh", "state"),
    [
        ({}, True, True, "ok"),
        ({}, False, True, "unknown"),
        ({}, True, False, "unknown"),
        ({"as_wanted": False}, True, True, "warning"),
        ({"weight": None}, True, True, "bad"),
        ({"weight": 0, "kind": OverrideKind.DRAINED}, True, True, "off"),
        ({"weight": None, "kind": OverrideKind.WEIGHT}, True, True, "bad"),
    ],
)
def test_what_a_director_shows_is_green_only_if_somebody_asks_the_server(
    fields: dict[str, object], checked: bool, fresh: bool, state: str
) -> None:
    table = row("rs01-80", **{"as_wanted": True, "weight": 1} | fields)  # type: ignore[arg-type]
    sight = shop(situation(heard("lb01", table), silent=() if fresh else ("lb01",))).servers[0].sights[0]
    assert sight.state(checked) == state


def test_a_virtual_server_is_green_only_if_all_of_its_servers_are_known() -> None:
    half = shop(situation(heard("lb01", row("rs01-80"))))
    assert [one.word for one in half.servers] == ["in service", "not applied yet"]
    assert (half.state, half.word) == ("unknown", "some servers are not known")
    going = shop(situation(heard("lb01", row("rs01-80"), row("rs02-80")), overrides=(override(),)))
    assert (going.state, going.word) == ("busy", "being changed")
    out = shop(situation(_drained("lb01", True), overrides=(override(),)))
    assert (out.state, out.word) == ("ok", "in service")


def test_the_override_of_this_virtual_server_counts_more_and_one_that_is_over_does_nothing() -> None:
    table = heard("lb01", row("rs01-80"), row("rs02-80"))
    told = (
        override(),
        override("weight", weight=2, virtual_server="shop"),
        override("suspended", "rs02:80", over=True),
    )
    one, other = shop(situation(table, overrides=told)).servers
    assert one.override is told[1]
    assert other.override is None


def test_directors_that_see_it_otherwise_are_named() -> None:
    standby = heard("lb02", row("rs01-80", None), row("rs02-80"), holds=False)
    one, other = shop(situation(heard("lb01", row("rs01-80"), row("rs02-80")), standby)).servers
    assert ([sight.node for sight in one.differing], other.differing) == (["lb02"], ())


def test_nobody_or_two_that_hold_the_addresses_is_trouble() -> None:
    rows = (row("rs01-80"), row("rs02-80"))
    nobody = situation(heard("lb01", *rows, holds=False), heard("lb02", *rows, holds=False))
    assert (shop(nobody).state, shop(nobody).word) == ("bad", "nobody holds it")
    two = situation(heard("lb01", *rows), heard("lb02", *rows))
    assert (shop(two).state, shop(two).word) == ("bad", "two holders")


def pool(seen: Situation, name: str = "app") -> PoolRow:
    return next(one for one in pools_of(seen) if one.name == name)


def asked(name: str, up: bool = True, last: str = "200") -> ServerFacts:
    return ServerFacts(name=name, endpoint="10.9.0.21:8080", up=up, in_use=up, last=last)


def test_a_pool_is_as_those_see_it_who_ask() -> None:
    facts = PoolFacts(pool="app", min_servers=1, servers=(asked("rs01-8080"), asked("rs02-8080", False, "refused")))
    found = pool(situation(heard("lb01", pools=(facts,))))
    assert (found.state, found.word, found.up) == ("warning", "some servers are down", 1)
    assert [(one.word, one.last) for one in found.servers] == [("in service", ""), ("down", "refused")]
    assert (found.sites, found.engines) == (("shop",), ("nginx",))
    silent = pool(situation(heard("lb01", pools=(facts,)), silent=("lb01",)))
    assert (silent.state, {one.word for one in silent.servers}) == ("unknown", {"not known"})
    assert pool(situation(), "plain").word == "not checked"


def test_a_pool_of_which_not_every_server_was_asked_is_not_green() -> None:
    def seen(*servers: ServerFacts) -> PoolRow:
        return pool(situation(heard("lb01", pools=(PoolFacts(pool="app", min_servers=1, servers=servers),))))

    alone = seen(asked("rs01-8080"))
    assert (alone.state, alone.word) == ("unknown", "some servers are not known")
    unasked = seen(asked("rs01-8080"), asked("rs02-8080", last=""))
    assert (unasked.state, unasked.word) == ("unknown", "some servers are not checked")
    assert [one.sights[0].state for one in unasked.servers] == ["ok", "unknown"]
    both = seen(asked("rs01-8080"), asked("rs02-8080"))
    assert (both.state, both.word) == ("ok", "in service")


def test_a_proxy_shows_its_listeners_sites_and_routes() -> None:
    (found,) = proxies_of(situation(heard("lb01")))
    assert (found.engine, found.nodes, found.silent) == ("nginx", ("lb01", "lb02"), ("lb02",))
    (listener,) = found.listeners
    assert (listener.on, listener.endpoints) == ("www:81", ("10.9.0.3:81", "10.9.0.4:81"))
    first, second = listener.sites[0].routes
    assert (first.when, first.pools) == ((("path", "/a"), ("method", "GET")), (("app", 90), ("plain", 10)))
    assert second.then == "302 → https://{host}{uri}"


def group(seen: Situation) -> Group:
    (found,) = groups_of(seen)
    return found


def test_a_group_names_its_holder_and_who_could_take_over() -> None:
    found = group(situation(heard("lb01"), heard("lb02", holds=False)))
    assert (found.word, found.state, found.holders, found.vrid) == ("held", "ok", ("lb01",), 51)
    assert [(one.node, one.place, one.priority, one.word) for one in found.members] == [
        ("lb01", 1, 150, "holds the addresses"), ("lb02", 2, 100, "standby"),
    ]  # fmt: skip
    assert [one.node for one in found.takers] == ["lb02"]
    assert [(one.name, one.address, one.missing_on) for one in found.addresses] == [
        ("shop", "10.9.0.3/24", ()), ("extra", "10.9.0.4/24", ("lb01",)),
    ]  # fmt: skip
    assert (found.preempts, found.preempt_after) == (True, "15s")
    assert found.trackers == (("process nginx", "yield"), ("http 127.0.0.1:8080/healthz", "release"))
    assert found.users == (
        ("virtual_server", "shop"), ("virtual_server", "dns"), ("virtual_server", "many"), ("proxy", "edge"),
    )  # fmt: skip


def test_a_group_is_only_held_if_somebody_is_known_to_hold_it() -> None:
    assert (group(situation()).word, group(situation()).state) == ("nobody is known to hold it", "unknown")
    alone = group(situation(heard("lb01")))
    assert (alone.word, alone.state) == ("held, and nobody could take over", "warning")
    silent = group(situation(heard("lb01"), heard("lb02", holds=False), silent=("lb01",)))
    assert (silent.word, silent.state, silent.members[0].word) == (
        "nobody is known to hold it", "warning", "cannot be asked",
    )  # fmt: skip
    nobody = group(situation(heard("lb01", holds=False), heard("lb02", holds=False)))
    assert (nobody.word, nobody.state) == ("nobody holds it", "bad")
    two = group(situation(heard("lb01"), heard("lb02")))
    assert (two.word, two.state) == ("two holders", "bad")
    assert "ok" not in {one.state for one in two.members if one.holds}


def with_part(node: str) -> Heard:
    """A node that has one of the two addresses of its group, and so does not hold it."""
    made = heard(node, holds=False)
    first, other = (HeldAddress(address=f"10.9.0.{n}/24", interface="eth0") for n in (3, 4))
    status = made.report.status
    assert status is not None
    facts = status.groups[0].model_copy(update={"present": (first,), "missing": (other,)})
    return Heard(NOW, made.report.model_copy(update={"status": status.model_copy(update={"groups": (facts,)})}))


def test_a_member_with_a_part_of_the_addresses_is_no_standby() -> None:
    beside = group(situation(heard("lb01"), with_part("lb02")))
    assert (beside.word, beside.state, beside.takers) == ("held, and a part of it by another node", "bad", ())
    assert [(one.word, one.state, one.holds) for one in beside.members] == [
        ("holds the addresses", "ok", True), ("holds a part of it", "bad", False),
    ]  # fmt: skip
    alone = group(situation(with_part("lb01"), heard("lb02", holds=False)))
    assert (alone.word, alone.state, alone.holders) == ("held in part", "bad", ())
    assert [one.missing_on for one in alone.addresses] == [(), ("lb01",)]
    silent = group(situation(with_part("lb01"), heard("lb02"), silent=("lb01",)))
    assert (silent.members[0].word, [one.missing_on for one in silent.addresses]) == (
        "cannot be asked", [(), ("lb02",)],
    )  # fmt: skip


def test_a_member_that_was_told_to_give_it_up_or_is_in_maintenance_says_so() -> None:
    seen = situation(heard("lb01", holds=False), heard("lb02"))
    status = seen.heard["lb01"].report.status
    assert status is not None
    given_up = status.model_copy(update={"groups": (status.groups[0].model_copy(update={"hold": -254}),)})
    report = seen.heard["lb01"].report.model_copy(update={"status": given_up})
    seen = replace(seen, heard={**seen.heard, "lb01": Heard(NOW - timedelta(seconds=1), report)})
    assert (group(seen).members[0].word, group(seen).away) == ("gave them up on purpose", True)
    nodes = tuple(one.model_copy(update={"maintenance": one.node == "lb01"}) for one in seen.told.nodes)
    away = replace(seen, told=seen.told.model_copy(update={"nodes": nodes}))
    assert group(away).members[0].word == "in maintenance"
