"""The reference of rules is what the rules say today, and tells of each of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.project.source import ROOT

from holdfast.lint.pages import INDEX, pages
from holdfast.lint.registry import rules

FOLDER = ROOT / "docs" / "reference" / "lint"
PAGES = pages()


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_page_is_fresh(name: str) -> None:
    path = FOLDER / name
    assert path.exists(), f"{name} is missing: python -m scripts.lint_pages"
    assert path.read_text(encoding="utf-8") == PAGES[name], f"{name} is stale: python -m scripts.lint_pages"


def test_there_are_no_other_pages() -> None:
    assert {path.name for path in Path(FOLDER).iterdir()} == set(PAGES)


def test_every_rule_is_documented() -> None:
    for id, rule in rules().items():
        assert f"[{id}](" in PAGES[INDEX]
        page = next(text for name, text in PAGES.items() if f"## {id}\n" in text)
        assert rule.title.split()[0] in page
        assert page.count("Bad:") == page.count("Good:") == page.count("\n## ")
