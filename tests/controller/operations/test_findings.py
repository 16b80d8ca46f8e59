"""Findings of a revision and of what runs: at the spec's lines, by node, with host facts, and what is silenced."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.controller.operations.agents import enrol, report
from tests.controller.operations.world import SPEC, new_desk, request, run

from holdfast.controller.operations import findings, revisions, rules
from holdfast.controller.operations.desk import Desk
from holdfast.errors import NotFound
from holdfast.findings import Severity
from holdfast.lint.registry import rules as all_rules
from holdfast.lint.spec_findings import SPEC_FINDINGS
from holdfast.protocol import HostFacts, InterfaceFacts, KeepalivedFacts
from holdfast.protocol.api.findings import FindingsView

UNUSED = SPEC.replace("sites:\n", "  spare: {servers: [web01:81]}\nsites:\n")
SILENCED = UNUSED.replace("[web01:81]}\n", "[web01:81]}  # holdfast: ignore[POOL002] it is for next week\n")


async def applied(*specs: str) -> Desk:
    """A cluster with these revisions, one after another."""
    desk = await new_desk()
    for base, spec in enumerate(specs):
        await revisions.apply(desk, "shop", request(spec, base).model_copy(update={"rollout": False}))
    return desk


def codes(found: FindingsView) -> list[str]:
    return [one.finding.code for one in found.findings]


def test_findings_are_at_the_lines_of_the_newest_revision() -> None:
    async def story() -> None:
        desk = await applied(SPEC, UNUSED)
        found = await findings.findings(desk, "shop")
        assert found.revision == 2
        (unused,) = [one for one in found.findings if one.finding.code == "POOL002"]
        assert unused.finding.location is not None
        assert UNUSED.splitlines()[unused.finding.location.line - 1].strip().startswith("spare:")
        assert (unused.revision, unused.runs_on, unused.title) == (2, (), SPEC_FINDINGS["POOL002"])
        assert "POOL002" not in codes(await findings.of_revision(desk, "shop", 1))
        with pytest.raises(NotFound):
            await findings.of_revision(desk, "shop", 3)

    run(story())


def test_without_a_revision_there_is_nothing_to_say() -> None:
    async def story() -> None:
        found = await findings.findings(await new_desk(), "shop")
        assert (found.revision, found.findings) == (0, ())

    run(story())


def test_what_is_silenced_is_told_with_its_reason() -> None:
    async def story() -> None:
        found = await findings.findings(await applied(SILENCED), "shop")
        assert "POOL002" not in codes(found)
        (one,) = found.silenced
        assert (one.finding.code, one.reason) == ("POOL002", "it is for next week")
        assert "ignore[POOL002]" in SILENCED.splitlines()[one.line - 1]

    run(story())


def test_the_worst_comes_first() -> None:
    async def story() -> None:
        found = (await findings.findings(await applied(UNUSED), "shop")).findings
        order = [Severity.ERROR, Severity.WARNING, Severity.INFO]
        ranks = [order.index(one.finding.severity) for one in found]
        assert ranks == sorted(ranks)

    run(story())


def test_what_an_older_revision_that_runs_has_is_told_of_its_nodes() -> None:
    async def story() -> None:
        desk = await applied(UNUSED, SPEC)
        await enrol(desk, "lb01", "lb02")
        digest = await kept_digest(desk, 1, "lb01")
        await report(desk, "lb01", revision=1, status={"node": "lb01", "digest": digest})
        found = await findings.findings(desk, "shop")
        (unused,) = [one for one in found.findings if one.finding.code == "POOL002"]
        assert (unused.revision, unused.runs_on) == (1, ("lb01",))
        assert {one.node: one.revision for one in found.nodes} == {"lb01": 1, "lb02": None}

    run(story())


async def kept_digest(desk: Desk, number: int, node: str) -> str:
    """The bundle of a node in a revision, kept as a rollout keeps it."""
    from holdfast.controller.operations.compiling import bundles_of
    from holdfast.rollout.bundles import Bundles

    bundle = (await bundles_of(desk, "shop", number))[node]
    await Bundles(desk.store, "shop").keep(number, bundle)
    return bundle.digest


def test_what_agents_tell_of_their_machines_is_compared_with_what_they_get() -> None:
    async def story() -> None:
        desk = await applied(SPEC)
        await enrol(desk, "lb01", "lb02")
        facts = HostFacts(
            hostname="lb01", kernel="6.1.0", service_manager="systemd",
            interfaces=(InterfaceFacts(name="eth9", addresses=("192.0.2.1/24",)),),
            keepalived=KeepalivedFacts(version="2.2.7"),
        )  # fmt: skip
        before = codes(await findings.findings(desk, "shop"))
        known = desk.store.cluster("shop")
        node = await known.nodes.get("lb01")
        assert node is not None
        told = node.record.model_copy(update={"facts": facts.model_dump_json()})
        await desk.store.commit(known.nodes.replacing("lb01", told, node.version))
        found = await findings.findings(desk, "shop")
        new = [one for one in found.findings if one.finding.code not in before]
        assert new, "an interface that the machine does not have is worth a word"
        assert {one.node for one in new} == {"lb01"}
        assert {one.node: one.facts for one in found.nodes} == {"lb01": True, "lb02": False}

    run(story())


def test_what_every_report_tells_of_the_machine_counts_and_nothing_follows_from_what_it_does_not() -> None:

    async def story() -> None:
        desk = await applied(SPEC)
        await enrol(desk, "lb01", "lb02")
        digest = await kept_digest(desk, 1, "lb01")
        said = {"revision": 1, "status": {"node": "lb01", "digest": digest}}
        await report(desk, "lb01", **said)
        before = await findings.findings(desk, "shop")
        machine = {"hostname": "lb01", "kernel": "6.1.0", "programs": {"keepalived": "2.2.7", "nginx": None}}
        desk.store.clock.wall += timedelta(seconds=1)
        await report(desk, "lb01", machine=machine, **said)
        found = await findings.findings(desk, "shop")
        assert {one.node: one.facts for one in found.nodes} == {"lb01": True, "lb02": False}
        assert codes(found) == codes(before)

    run(story())


def test_every_rule_is_explained_with_what_is_bad_and_good() -> None:
    for code in ("VRRP101", "LVS101"):
        if code in all_rules():
            told = rules.rule_view(code)
            assert told.effect
            assert told.bad
            assert told.good
    some = rules.rule_view(next(iter(all_rules())).lower())
    assert some.severity is not None
    assert rules.rule_view("POOL002").title == SPEC_FINDINGS["POOL002"]
    with pytest.raises(NotFound, match="there is no rule VRRP999"):
        rules.rule_view("VRRP999")
