"""The table of hazards: complete, consistent, and the page of the documentation is made of it."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from tests.golden.cases import all_cases, all_examples
from tests.project.source import ROOT, text_of

from holdfast.compile.compiler import compile_cluster
from holdfast.errors import CompileError
from holdfast.keepalived.keywords import tables
from holdfast.plan import Hazard
from holdfast.plan.changes import facts_of
from holdfast.plan.facts_keepalived import PATH, configuration
from holdfast.plan.page import hazards_page
from holdfast.plan.table import UNKNOWN, table


def test_the_page_is_fresh() -> None:
    page = text_of(ROOT / "docs" / "reference" / "hazards.md")
    assert page == hazards_page(), "run: python -m holdfast.plan > docs/reference/hazards.md"


def test_rows_have_names_of_their_own_and_reasons_that_fit_into_a_sentence() -> None:
    rows = table().rows
    assert [name for name, count in Counter(row.id for row in rows).items() if count > 1] == []
    for row in rows:
        assert row.why, row.id
        assert row.evidence, row.id
        for text in (row.why, row.safer, row.title):
            assert not text.endswith("."), f"{row.id}: {text}"
        assert set(row.on) <= {"added", "changed", "removed"}, row.id
        if row.also:
            assert table().named(row.also), row.id
    assert {row.hazard for row in rows} == set(Hazard)


def test_what_no_row_knows_gets_the_most_careful_class() -> None:
    row = table().row("vrrp_instance.invented_tomorrow", "changed")
    assert (row.id, row.hazard) == (UNKNOWN, max(Hazard, key=lambda hazard: hazard.rank))


def keyword_kinds() -> list[str]:
    """Every kind of fact that keepalived.conf can have, by keepalived's own keyword tables."""
    return [
        name if block == "root" and (keyword.block or keyword.listed is not None) else f"{block}.{name}"
        for block, rows in tables().items()
        if block not in ("checker", "connection")  # other tables take their rows along
        for name, keyword in rows.items()
        if name not in ("global_defs", "vrrp_instance", "virtual_server", "real_server")  # they have no value
    ]


@pytest.mark.parametrize("how", ["added", "changed", "removed"])
def test_every_keyword_of_keepalived_has_a_class(how: str) -> None:
    unknown = {kind for kind in keyword_kinds() if table().row(kind, how).id == UNKNOWN}  # type: ignore[arg-type]
    assert unknown == {"virtual_server.protocol", "virtual_server.ip_family"}, "these are part of its name"


def test_everything_that_the_compiler_writes_has_a_class() -> None:
    """Of every golden case and every example: no fact is unknown, in whatever way it changes."""
    unknown = set()
    for case in (*all_cases(), *all_examples()):
        try:
            bundles = compile_cluster(case.source())
        except CompileError:
            continue
        for bundle in bundles.values():
            file = bundle.file(PATH)
            for fact in facts_of(bundle, configuration(file, bundle.node) if file else None):
                unknown |= {
                    (fact.kind, how)
                    for how in ("added", "removed", *(["changed"] if fact.value else []))
                    if table().row(fact.kind, how).id == UNKNOWN  # type: ignore[arg-type]
                }
    assert unknown == set()


def test_what_the_evidence_names_is_there() -> None:
    for row in table().rows:
        for name in re.findall(r"tests/[\w/.]+", row.evidence):
            assert (ROOT / name).exists(), f"{row.id} refers to {name}"
