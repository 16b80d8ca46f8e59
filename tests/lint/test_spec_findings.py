"""Every id that a spec's findings may have is known to --explain, and to the reference."""

from __future__ import annotations

import re

from tests.project.source import modules

from holdfast.lint.pages import pages
from holdfast.lint.registry import rules
from holdfast.lint.spec_findings import SPEC_FINDINGS

_ID = re.compile(r"\"([A-Z]{2,9}[0-9]{3})\"")


def test_all_ids_of_specs_are_described_and_no_others() -> None:
    rooms = ("holdfast.spec", "holdfast.compile", "holdfast.cli.inputs")
    sources = [path for name, path in modules().items() if name.startswith(rooms)]
    found = {id for path in sources for id in _ID.findall(path.read_text(encoding="utf-8"))}
    assert found == set(SPEC_FINDINGS)


def test_ids_are_not_those_of_rules_and_stand_in_the_reference() -> None:
    assert not SPEC_FINDINGS.keys() & rules().keys()
    page = pages()["findings-of-specs.md"]
    assert all(f"| {id} | {title} |" in page for id, title in SPEC_FINDINGS.items())
