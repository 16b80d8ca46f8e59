"""Edits of virtual servers and servers: the smallest change of the text, planned, applied, refused when outdated."""

from __future__ import annotations

import asyncio

import pytest
from tests.controller.operations.world import end_rollout, new_desk, request, run

from holdfast.controller.operations import editing, revisions
from holdfast.controller.operations.desk import Desk
from holdfast.controller.operations.editing import edited, find_server, find_virtual_server
from holdfast.controller.operations.edits import (
    AddServer,
    AddVirtualServer,
    ChangeServer,
    ChangeVirtualServer,
    CheckAsked,
    Edit,
    RemoveServer,
    RemoveVirtualServer,
    ServerAsked,
    VirtualServerAsked,
)
from holdfast.controller.turns import Turns
from holdfast.errors import NotFound, Outdated, PlanRefused, SpecError, StateForbids, UsageError
from holdfast.protocol.api.rollouts import RolloutOptions
from holdfast.spec.load import parse_spec

SPEC = """\
holdfast: 1
cluster: shop   # ours
networks: {front: {cidr: 10.9.0.0/24}}
nodes: {lb01: 10.9.0.5, lb02: 10.9.0.6, rs01: 10.9.0.21, rs02: 10.9.0.22, rs03: 10.9.0.23}
vrrp:
  www: {addresses: [10.9.0.3/24], nodes: [lb01, lb02], vrid: 51}
virtual_servers:
  shop:
    on: www:80
    forward: dr
    scheduler: {name: sh, flags: [port]}   # by address
    persistence: {keeps: 600s, prefix: 24}
    check: {http: /healthz, every: 60s, host: shop.example.com}   # cheap
    servers:
      - rs01:80   # the old one
      - {address: 'rs02:80', weight: 3, max_connections: 100}
  api: {on: ['www:443'], forward: dr, servers: ['rs01:443']}
pools:
  app: {servers: ['rs01:8080', 'rs02:8080']}
"""
SHOP = find_virtual_server(parse_spec(SPEC).spec, "shop")


def change(**fields: object) -> ChangeVirtualServer:
    return ChangeVirtualServer(entry="shop", to=SHOP.model_copy(update=fields))


def check(**fields: object) -> CheckAsked:
    assert SHOP.check is not None
    return SHOP.check.model_copy(update=fields)


def of_server(section: str, entry: str, server: str, **fields: object) -> ChangeServer:
    known = find_server(parse_spec(SPEC).spec, section, entry, server)  # type: ignore[arg-type]
    to = known.model_copy(update=fields)
    return ChangeServer.model_validate({"section": section, "entry": entry, "server": server, "to": to})


@pytest.mark.parametrize(
    ("edit", "old", "new"),
    [
        (of_server("virtual_servers", "shop", "rs01:80", weight=2), "- rs01:80 ", "- {address: rs01:80, weight: 2} "),
        (of_server("virtual_servers", "shop", "rs02:80", weight=1), "weight: 3, ", ""),
        (of_server("virtual_servers", "shop", "rs02:80", max_connections=None), ", max_connections: 100", ""),
        (of_server("virtual_servers", "shop", "rs01:80", address="rs03:80"), "- rs01:80 ", "- rs03:80 "),
        (of_server("virtual_servers", "shop", "rs02:80", address="rs03:80"), "address: 'rs02:80'", "address: rs03:80"),
        (of_server("pools", "app", "rs02:8080", weight=4), "'rs02:8080'", "{address: rs02:8080, weight: 4}"),
        (AddServer(section="virtual_servers", entry="api", to=ServerAsked(address="rs02:443")),
         "['rs01:443']", "['rs01:443', rs02:443]"),
        (AddServer(section="pools", entry="app", to=ServerAsked(address="rs03:8080", backup=True)),
         "'rs02:8080']", "'rs02:8080', {address: rs03:8080, backup: true}]"),
        (RemoveServer(section="virtual_servers", entry="shop", server="rs01:80"),
         "      - rs01:80   # the old one\n", ""),
        (RemoveVirtualServer(entry="api"),
         "  api: {on: ['www:443'], forward: dr, servers: ['rs01:443']}\n", ""),
        (change(), "", ""),
        (change(on=("www:80", "www:81")), "on: www:80\n", "on: [www:80, www:81]\n"),
        (change(forward="nat"), "    forward: dr\n", "    forward: nat\n"),
        (change(scheduler="mh"), "{name: sh, flags: [port]} ", "{name: mh, flags: [port]} "),
        (change(scheduler="wrr"), "{name: sh, flags: [port]} ", "wrr "),
        (change(persistence="5m"), "keeps: 600s", "keeps: 5m"),
        (change(persistence=""), "    persistence: {keeps: 600s, prefix: 24}\n", ""),
        (change(check=check(fall=5)), "shop.example.com}", "shop.example.com, fall: 5}"),
        (change(check=check(target="/ready")), "http: /healthz", "http: /ready"),
        (change(check=check(kind="tcp", target="")),
         "{http: /healthz, every: 60s, host: shop.example.com}", "{every: 60s, tcp: true}"),
        (change(check=None), "    check: {http: /healthz, every: 60s, host: shop.example.com}   # cheap\n", ""),
        (change(quorum=2), "  api:", "    quorum: 2\n  api:"),
        (change(hook_down="wake-me"), "  api:", "    hooks: {down: wake-me}\n  api:"),
        (change(sorry="rs03:80"), "  api:", "    sorry: rs03:80\n  api:"),
        (AddVirtualServer(entry="dns", servers=(ServerAsked(address="rs01:53", weight=2),),
                          to=VirtualServerAsked(on=("www:53",), protocol="udp", check=CheckAsked(kind="http"))),
         "pools:", "  dns: {on: www:53, protocol: udp, forward: dr, servers: [{address: rs01:53, weight: 2}], "
                   "check: {http: /}}\npools:"),
    ],
)  # fmt: skip
def test_an_edit_changes_what_it_is_about_and_nothing_else(edit: Edit, old: str, new: str) -> None:
    found = edited(SPEC, edit)
    if isinstance(edit, AddVirtualServer):  # a long entry has a line for each field
        assert parse_spec(found).spec == parse_spec(SPEC.replace(old, new)).spec
        assert found.replace(found[found.index("  dns:") : found.index("pools:")], "") == SPEC
        return
    assert found == SPEC.replace(old, new)


@pytest.mark.parametrize(
    ("edit", "kind"),
    [
        (RemoveVirtualServer(entry="other"), NotFound),
        (RemoveServer(section="virtual_servers", entry="shop", server="rs09:80"), NotFound),
        (RemoveServer(section="pools", entry="other", server="rs09:80"), NotFound),
        (RemoveServer(section="virtual_servers", entry="api", server="rs01:443"), PlanRefused),
        (AddVirtualServer(entry="api", to=VirtualServerAsked(), servers=()), StateForbids),
    ],
)
def test_an_edit_of_what_is_not_there_is_refused(edit: Edit, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        edited(SPEC, edit)


async def _desk() -> Desk:
    desk = await new_desk()
    await end_rollout(desk, await revisions.apply(desk, "shop", request(SPEC, 0)))
    return desk


def test_an_edit_is_planned_and_then_applied_as_it_was_planned() -> None:
    async def story() -> None:
        desk = await _desk()
        edit = of_server("virtual_servers", "shop", "rs01:80", weight=2)
        planned = await editing.propose_edit(desk, "shop", 1, edit)
        assert "+      - {address: rs01:80, weight: 2}   # the old one" in planned.spec_diff
        assert planned.plan.changed
        other = of_server("virtual_servers", "shop", "rs01:80", weight=9)
        with pytest.raises(UsageError, match="not what was planned"):
            await editing.apply_edit(desk, "shop", 1, other, planned.digest, "", RolloutOptions())
        done = await editing.apply_edit(desk, "shop", 1, edit, planned.digest, "", RolloutOptions())
        assert (done.revision.number, done.revision.message) == (2, "rs01:80 of shop changed")
        assert done.rollout is not None

    run(story())


def test_an_edit_of_an_old_revision_is_refused_with_both_diffs_and_mistakes_are_findings() -> None:
    async def story() -> None:
        desk = await _desk()
        edit = of_server("virtual_servers", "shop", "rs01:80", weight=2)
        planned = await editing.propose_edit(desk, "shop", 1, edit)
        theirs = await revisions.apply(desk, "shop", request(SPEC.replace("weight: 3", "weight: 4"), 1))
        await end_rollout(desk, theirs)
        for late in (
            lambda: editing.propose_edit(desk, "shop", 1, edit),
            lambda: editing.apply_edit(desk, "shop", 1, edit, planned.digest, "", RolloutOptions()),
        ):
            with pytest.raises(Outdated) as refused:
                await late()
            assert "weight: 4" in refused.value.theirs
            assert "rs01:80, weight: 2" in refused.value.yours
        wrong = AddServer(section="virtual_servers", entry="shop", to=ServerAsked(address="nobody:80"))
        with pytest.raises(SpecError) as mistaken:
            await editing.propose_edit(desk, "shop", 2, wrong)
        assert "nobody" in mistaken.value.findings[0].message
        with pytest.raises(NotFound, match="no revision yet"):
            await editing.propose_edit(desk, "shop", 0, wrong)

    run(story())


def test_what_is_brought_together_waits_for_its_turn() -> None:
    async def story() -> None:
        desk = await new_desk()
        await revisions.apply(desk, "shop", request(SPEC, 0))
        turns = Turns(1)
        async with turns.turn("somebody who has a large spec checked"):
            merging = asyncio.create_task(editing.merge(desk, turns, "shop", 1, SPEC.replace("weight: 3", "weight: 4")))
            while not turns._waiting:
                await asyncio.sleep(0.01)
            assert not merging.done()
        assert "weight: 4" in (await merging).text

    run(asyncio.wait_for(story(), 60))
