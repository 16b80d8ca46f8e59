"""The kinds of stores that the contract is proved for."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.store.kinds import Kind

KINDS = ["memory", "sqlite"]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Kind:
    return Kind(request.param, tmp_path)
