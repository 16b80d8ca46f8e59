"""The figures that are promised for large configurations."""

from __future__ import annotations

import pytest
from scripts.benches import lint
from tests.keepalived.corpus import needs_keepalived

pytestmark = [pytest.mark.measures, needs_keepalived]


def test_large_configurations_are_linted_in_time() -> None:
    figures = lint.figures()
    assert len(figures) == 4
    late = [
        f"{one.what}: {one.value:.2f}{one.unit}, not {one.limit}{one.unit}; {one.detail}"
        for one in figures
        if not one.well
    ]
    assert not late, "\n".join(late)
