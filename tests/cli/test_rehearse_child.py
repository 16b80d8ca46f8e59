"""A rehearsal on a leash: told line by line, and gone with its lab as soon as the other end lets go."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from holdfast.controller.rehearsing.child import LAB, Child
from holdfast.lab import cleanup

EXAMPLE = Path(__file__).parents[2] / "examples" / "dual-master-nginx" / "cluster.yaml"
LONGEST_S = 1500.0  # on a machine that does much else

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("rehearsal of a controller"), pytest.mark.timeout(1800)]


def prepared(folder: Path) -> Path:
    """What a controller writes for it."""
    shutil.copy(EXAMPLE, folder / "cluster.yaml")
    return folder


def test_it_is_told_step_by_step_and_leaves_a_report_and_nothing_else(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    child = Child(prepared(tmp_path), told.append)
    assert asyncio.run(child.run(LONGEST_S)) == 0, child.errors[-2000:]
    steps = [one["step"] for one in told if "step" in one]
    assert len(steps) > 3
    assert all(step["sent"] for step in steps)
    assert told[-1]["verdict"] in ("pass", "fail")
    assert (tmp_path / "report" / "report.json").is_file()
    assert (tmp_path / "report" / "report.html").is_file()
    assert cleanup.leftovers(LAB) == ()


def test_let_go_it_takes_its_lab_down_and_ends(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []

    async def story() -> int | None:
        child = Child(prepared(tmp_path), told.append)
        running = asyncio.create_task(child.run(LONGEST_S))
        while not any("step" in one for one in told) and not running.done():
            await asyncio.sleep(0.1)
        assert cleanup.leftovers(LAB)
        child.let_go()
        return await running

    assert asyncio.run(story()) == 130
    assert cleanup.leftovers(LAB) == ()
