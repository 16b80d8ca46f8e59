"""Whole configurations as people run them, right though unusual: neither lint nor keepalived finds an error in them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.keepalived.corpus import needs_keepalived
from tests.lint.test_corpus import complaints

from holdfast.findings import Severity
from holdfast.lint import engine

FILES = sorted((Path(__file__).parent / "usual").glob("*.conf"))


def test_there_are_files() -> None:
    assert len(FILES) > 20


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_lint_finds_no_error(path: Path) -> None:
    remarks = engine.examine([engine.read(str(path))])
    assert not [one.finding for one in remarks if one.finding.severity is Severity.ERROR]


@needs_keepalived
@pytest.mark.lab
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_keepalived_knows_every_word(path: Path) -> None:
    said = [text for _, _, text in complaints(path)]
    assert not [text for text in said if "nknown keyword" in text or "invalid" in text.lower()]
