"""The documentation names only what there is, and says the same in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.project.source import ROOT, project_files, text_of

PAGES = [path for path in project_files() if path.suffix == ".md"]
READMES = (ROOT / "README.md", ROOT / "README.zh-CN.md")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|<img[^>]+src=\"([^\"]+)\"")


def targets(page: Path) -> list[str]:
    """What a page links to."""
    return [next(filter(None, groups)) for groups in LINK.findall(text_of(page))]


def anchor(heading: str) -> str:
    """The anchor that a heading gets: lower case, spaces to hyphens, punctuation gone."""
    return re.sub(r"[^\w\- ]", "", heading.replace("`", "").strip().lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    """All anchors of a page."""
    return {anchor(match) for match in re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in targets(page):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, fragment = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{page.name} links to {target}, which is not there"
        if fragment and file.suffix == ".md":
            assert fragment in anchors(file), f"{page.name} links to {target}: no such heading"


def targets_of_make() -> set[str]:
    """What the Makefile offers."""
    return set(re.findall(r"^([a-z]+):", text_of(ROOT / "Makefile"), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_make_targets_that_are_named_exist(page: Path) -> None:
    named = set(re.findall(r"(?:`|^)make ([a-z]+)(?=[`\s])", text_of(page), re.MULTILINE))
    assert named <= targets_of_make(), f"{page.name}: {named - targets_of_make()}"


def code(page: Path) -> list[str]:
    """The code blocks of a page without comments, where the languages may differ."""
    blocks = re.findall(r"```(?:\w+)?\n(.*?)```", text_of(page), re.DOTALL)
    return [re.sub(r"\s*#.*", "", block) for block in blocks]


def test_both_readmes_show_the_same_commands_and_pages() -> None:
    english, chinese = READMES
    assert code(english) == code(chinese)
    links = [
        sorted(target.replace(".zh-CN.", ".") for target in targets(page) if "README" not in target) for page in READMES
    ]
    assert links[0] == links[1]


def test_every_decision_is_listed() -> None:
    """docs/decisions/README.md names every record, and each says what was chosen, what lost, and why."""
    folder = ROOT / "docs" / "decisions"
    records = sorted(folder.glob("0*.md"))
    listed = text_of(folder / "README.md")
    assert records
    for record in records:
        assert f"({record.name})" in listed, f"{record.name} is not listed"
        for heading in ("## Chosen", "## Instead of", "## Why"):
            assert heading in text_of(record), f"{record.name} lacks {heading}"
