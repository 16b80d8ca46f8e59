"""Findings: by rule, the worst first, at the lines of the spec; each explained; what is silenced with its reason."""

from __future__ import annotations

import asyncio

from tests.controller.console.world import HERE, part, world
from tests.controller.operations.test_findings import SILENCED, UNUSED

from holdfast.controller.console.pictures.findings import MOST_PLACES, findings_of
from holdfast.findings import Finding, Location, Severity
from holdfast.protocol.api.findings import FindingsView, FoundView, LookedView
from holdfast.store.models import Role

ODD = "<img src=x onerror=alert(1)>"


def found(code: str, severity: Severity, line: int = 1, revision: int = 2, node: str = "") -> FoundView:
    """One finding."""
    where = Location(file=f"revision {revision}", line=line)
    finding = Finding(code=code, severity=severity, message=f"line {line}", location=where)
    return FoundView(finding=finding, title="a title", revision=revision, node=node)


def test_findings_of_one_rule_stand_together_the_worst_first() -> None:
    told = FindingsView(
        cluster="shop",
        revision=2,
        findings=(
            found("B2", Severity.WARNING, 3), found("A1", Severity.WARNING, 1), found("B2", Severity.WARNING, 9),
            found("C3", Severity.ERROR, 7), found("A1", Severity.INFO, 8, revision=1, node="lb01"),
        ),
        nodes=(LookedView(node="lb01", revision=1), LookedView(node="lb02")),
    )  # fmt: skip
    picture = findings_of(told)
    assert [(one.code, one.severity, one.count) for one in picture.found] == [
        ("C3", "error", 1), ("A1", "warning", 1), ("B2", "warning", 2), ("A1", "info", 1),
    ]  # fmt: skip
    assert picture.counts == (("error", 1), ("warning", 3), ("info", 1))
    assert [one.line for one in picture.found[2].places] == [3, 9]
    assert (picture.found[3].places[0].since_old, picture.found[0].places[0].since_old) == (True, False)
    assert (picture.running, picture.unknown, picture.untold) == (((1, ("lb01",)),), ("lb02",), ("lb01", "lb02"))
    assert [one.code for one in findings_of(told, "error").found] == ["C3"]
    assert findings_of(told, "error").total == 5


def test_hundreds_of_one_rule_are_counted_and_not_all_shown() -> None:
    many = tuple(found("LVS025", Severity.WARNING, line) for line in range(1, 501))
    (one,) = findings_of(FindingsView(cluster="shop", revision=2, findings=many)).found
    assert (one.count, len(one.places), one.open) == (500, MOST_PLACES, False)


def test_what_is_of_another_file_leads_to_no_line() -> None:
    other = Finding(code="A1", severity=Severity.ERROR, message="m", location=Location(file="lb01.conf", line=4))
    told = FindingsView(cluster="shop", revision=2, findings=(FoundView(finding=other, revision=2),))
    assert findings_of(told).found[0].places[0].line == 0


def test_the_page_leads_to_lines_and_rules_and_a_viewer_may_read_it() -> None:
    async def story() -> None:
        async with world(UNUSED) as made:
            client = await made.browser(Role.VIEWER)
            text = (await client.get(f"{HERE}/findings")).text
            line = next(n for n, one in enumerate(UNUSED.splitlines(), 1) if one.strip().startswith("spare:"))
            assert f"{HERE}/revisions/1#L{line}" in text
            assert f"{HERE}/findings/rules/POOL002" in text
            listed = await client.get(f"{HERE}/findings/list", headers=part(client))
            assert 'id="findings"' in listed.text
            assert "<html" not in listed.text
            none = await client.get(f"{HERE}/findings?severity=error")
            assert "POOL002" not in none.text
            assert (await client.get(f"{HERE}/findings?severity={ODD}")).text.count(ODD) == 0
            rule = await client.get(f"{HERE}/findings/rules/VRRP101")
            assert rule.status_code == 200
            assert "vrrp_instance" in rule.text
            missing = await client.get(f"{HERE}/findings/rules/{ODD.replace('/', '')}")
            assert missing.status_code == 404
            assert ODD not in missing.text
            chinese = await client.get(f"{HERE}/findings", headers={"accept-language": "zh"})
            rule = await client.get(f"{HERE}/findings/rules/KA001", headers={"accept-language": "zh"})
            assert "vrrp_instance 中：keepalived 不认识关键字" in rule.text
            assert "最新修订" in chinese.text

    asyncio.run(story())


def test_what_is_silenced_stands_there_with_its_reason_and_nothing_of_it_is_markup() -> None:
    async def story() -> None:
        async with world(SILENCED.replace("it is for next week", f"next week {ODD}")) as made:
            client = await made.browser()
            text = (await client.get(f"{HERE}/findings")).text
            assert "next week &lt;img" in text
            assert ODD not in text

    asyncio.run(story())
