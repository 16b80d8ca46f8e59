"""Machines for the tests of this folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.agent.machine import Machine, machine


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Machine]:
    """A machine of its own for each test."""
    if os.geteuid() != 0:
        pytest.skip("namespaces need root")
    with machine(tmp_path) as made:
        yield made
