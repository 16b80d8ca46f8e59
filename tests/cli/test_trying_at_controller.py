"""`holdfast findings` and `holdfast rehearsals` over a real controller, TLS and all."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.controlled import Controlled, controlled
from tests.controller.operations.test_findings import SILENCED
from tests.controller.rehearsing.test_runner import ENDS

from holdfast.controller import serving
from holdfast.controller.rehearsing.runner import Rehearsals
from holdfast.errors import NotFound, PlanRefused, StateForbids

pytestmark = pytest.mark.whole
MADE: list[Rehearsals] = []


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controlled]:
    """A controller with a cluster that was applied once; its rehearsals can be reached."""
    folder = tmp_path_factory.mktemp("trying")

    def made(kept: Path | None = None) -> Rehearsals:
        MADE.append(Rehearsals(kept))
        return MADE[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serving, "Rehearsals", made)
        with controlled(folder) as world:
            world.log_in()
            (folder / "cluster.yaml").write_text(SILENCED.replace("spare:", "other: {servers: [web01:82]}\n  spare:"))
            world.well("apply", str(folder / "cluster.yaml"), "--yes", "-m", "the beginning", "--no-wait")
            yield world


def test_findings_are_told_with_their_lines_and_what_is_silenced_is_counted(applied: Controlled) -> None:
    said = applied.well("findings")
    assert "POOL002" in said
    assert "1 silenced in the spec" in said
    told = json.loads(applied.well("findings", "--revision", "1", "--json"))
    assert [one["finding"]["code"] for one in told["silenced"]] == ["POOL002"]
    assert isinstance(applied.run("findings", "--revision", "9").exception, NotFound)


def test_rehearsals_are_begun_followed_and_listed_where_they_are_allowed(applied: Controlled, tmp_path: Path) -> None:
    assert "has not allowed it" in applied.well("rehearsals", "list")
    assert isinstance(applied.run("rehearsals", "begin").exception, PlanRefused)
    assert isinstance(applied.run("rehearsals", "show").exception, NotFound)
    if os.geteuid() != 0:
        return
    (tmp_path / "child.py").write_text(
        f"import json, pathlib, sys\ndef say(x): print(json.dumps(x), flush=True)\n{ENDS}"
    )
    Rehearsals.__init__(MADE[-1], tmp_path / "kept", command=(sys.executable, str(tmp_path / "child.py")))
    said = applied.well("rehearsals", "begin", "--follow")
    assert "lb01 dies  failover 0.40 s" in said
    assert "rehearsal 1 of revision 1: passed" in said
    assert json.loads(applied.well("rehearsals", "show", "--json"))["state"] == "passed"
    assert "revision 1" in applied.well("rehearsals", "list")
    assert isinstance(applied.run("rehearsals", "stop").exception, StateForbids)
