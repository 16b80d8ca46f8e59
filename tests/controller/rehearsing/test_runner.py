"""Rehearsals as children: one at a time, read within bounds, stopped for sure, kept, and off unless allowed."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from holdfast.controller.rehearsing import child
from holdfast.controller.rehearsing.runner import Rehearsals
from holdfast.errors import Conflict, NotFound, PlanRefused, StateForbids
from holdfast.protocol.api.rehearsals import RehearsalView
from holdfast.sentences import from_data

NOW = datetime(2026, 11, 21, tzinfo=UTC)
WITHIN_S = 120
STEP = {
    "name": "lb01 dies", "kind": "crash", "verdict": "pass", "failover_s": 0.4, "sent": 100, "failed": 1,
    "before": {"10.0.0.3": ["lb01"]}, "after": {"10.0.0.3": ["lb02"]},
}  # fmt: skip
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a controller that is not root rehearses nothing")


@pytest.fixture(autouse=True)
def swept(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The labs that were swept: none of this machine is."""
    found: list[str] = []

    async def sweep() -> None:
        found.append(child.LAB)

    monkeypatch.setattr(child, "_swept", sweep)
    return found


def command(tmp_path: Path, script: str) -> tuple[str, ...]:
    """A program in the place of the rehearsal: what it is handed are the spec, a folder and the lab's name."""
    path = tmp_path / "child.py"
    path.write_text(f"import json, os, pathlib, sys, time\ndef say(x): print(json.dumps(x), flush=True)\n{script}\n")
    return (sys.executable, str(path))


ENDS = f"""
say({{"doing": "lb01 dies", "number": 1, "total": 3, "sent": 7, "failed": 1, "holders": {{"10.0.0.3": ["lb02"]}}}})
print("no JSON")
say([1]); say({{"doing": 5}}); say({{"step": {{"name": 3}}}})
say({{"step": {json.dumps(STEP).replace("null", "None")}}})
folder = pathlib.Path(sys.argv[2]); folder.mkdir()
(folder / "report.json").write_text('{{"verdict": "pass"}}')
say({{"verdict": "pass"}})
"""
WAITS = 'say({"doing": "waiting"})\nsys.stdin.read()\npathlib.Path("ended").write_text("")\nsys.exit(130)'


def view() -> RehearsalView:
    return RehearsalView(id=1, cluster="shop", revision=1, state="running", who="ada", started=NOW)


class Told:
    """What was said of a rehearsal."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    async def __call__(self, view: RehearsalView, kind: str, message: str) -> None:
        self.said.append((kind, message))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not condition():
            await asyncio.sleep(0.02)


def begin(here: Rehearsals, told: Told | None = None) -> RehearsalView:
    return here.begin(view(), {"cluster.yaml": "x"}, lambda: NOW, told or Told())


def test_without_the_operators_word_nothing_is_rehearsed() -> None:
    here = Rehearsals()
    assert "--rehearsals" in here.missing()[0]
    with pytest.raises(PlanRefused):
        begin(here)
    assert here.all("shop") == ()


def test_steps_are_told_as_they_end_and_the_report_is_kept(tmp_path: Path) -> None:
    async def story() -> None:
        told = Told()
        here = Rehearsals(tmp_path / "kept", command=command(tmp_path, ENDS))
        begun = begin(here, told)
        assert (begun.id, begun.state) == (1, "running")
        await until(lambda: here.now is None)
        found = here.one("shop", 1)
        assert (found.state, found.report, found.ended) == ("passed", True, NOW)
        assert [one.name for one in found.steps] == ["lb01 dies"]
        assert (found.number, found.total, found.sent, found.failed) == (1, 3, 7, 1)
        assert json.loads(here.report("shop", 1, "report.json")) == {"verdict": "pass"}
        await until(lambda: bool(told.said) and told.said[-1][0] == "rehearsal.ended")
        again = Rehearsals(tmp_path / "kept")
        assert again.all("shop") == (found,)
        assert stat.S_IMODE((tmp_path / "kept" / "1").stat().st_mode) == 0o700
        for other, number in (("other", 1), ("shop", 2)):
            with pytest.raises(NotFound):
                again.one(other, number)
        with pytest.raises(NotFound):
            again.report("shop", 1, "report.html")

    asyncio.run(story())


def test_one_at_a_time_and_it_can_be_stopped(tmp_path: Path) -> None:
    async def story() -> None:
        here = Rehearsals(tmp_path / "kept", command=command(tmp_path, WAITS))
        begin(here)
        with pytest.raises(Conflict):
            begin(here)
        await until(lambda: here.now is not None and here.now.doing == "waiting")
        assert here.stop("shop", 1, "bob").state == "stopping"
        await until(lambda: here.now is None)
        found = here.one("shop", 1)
        assert (found.state, found.message) == ("stopped", "stopped by bob")
        assert from_data(found.message_said) == found.message
        assert (tmp_path / "kept" / "1" / "ended").exists()
        with pytest.raises(StateForbids):
            here.stop("shop", 1, "bob")

    asyncio.run(story())


def test_what_ends_with_the_controller_leaves_nothing_that_runs(tmp_path: Path) -> None:
    async def story() -> None:
        here = Rehearsals(tmp_path / "kept", command=command(tmp_path, WAITS))
        begin(here)
        await until(lambda: here.now is not None and here.now.doing == "waiting")
        await here.close()
        assert (tmp_path / "kept" / "1" / "ended").exists()
        assert here.one("shop", 1).state == "stopped"
        with pytest.raises(PlanRefused):
            begin(here)

    asyncio.run(story())


def test_one_that_is_stopped_before_it_has_begun_never_gets_far(tmp_path: Path) -> None:
    async def story() -> None:
        here = Rehearsals(tmp_path / "kept", command=command(tmp_path, WAITS))
        begin(here)
        here.stop("shop", 1, "bob")
        await until(lambda: here.now is None)
        assert here.one("shop", 1).message == "stopped by bob"

    asyncio.run(story())


def test_one_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    async def story() -> None:
        here = Rehearsals(tmp_path / "kept", command=command(tmp_path, WAITS), longest_s=0.5)
        begin(here)
        await until(lambda: here.now is None)
        found = here.one("shop", 1)
        assert found.state == "stopped"
        assert "longer than" in found.message

    asyncio.run(story())


def test_one_that_does_not_end_is_killed_and_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swept: list[str]
) -> None:
    monkeypatch.setattr(child, "_ENDS_WITHIN_S", 0.5)
    script = 'pathlib.Path("pid").write_text(str(os.getpid()))\nsay({"doing": "waiting"})\ntime.sleep(600)'

    async def story() -> None:
        here = Rehearsals(tmp_path / "kept", command=command(tmp_path, script))
        begin(here)
        await until(lambda: here.now is not None and here.now.doing == "waiting")
        here.stop("shop", 1, "bob")
        await here.close()
        pid = int((tmp_path / "kept" / "1" / "pid").read_text())
        assert not Path(f"/proc/{pid}").exists()
        assert swept == [child.LAB]

    asyncio.run(story())


@pytest.mark.parametrize(
    ("ending", "left"),
    [
        ("sys.exit(0)", []),
        ("sys.exit(1)", []),
        ("sys.exit(130)", [child.LAB]),  # stopped, perhaps while it took its lab down
        ("os.kill(os.getpid(), 9)", [child.LAB]),  # as by a kernel without memory
    ],
)
def test_a_lab_is_swept_unless_it_was_taken_down_for_sure(
    tmp_path: Path, swept: list[str], ending: str, left: list[str]
) -> None:
    async def story() -> None:
        here = Rehearsals(tmp_path / "kept", command=command(tmp_path, ending))
        begin(here)
        await until(lambda: here.now is None)
        assert swept == left

    asyncio.run(story())


def test_what_could_not_be_done_is_said_with_a_hint(tmp_path: Path) -> None:
    async def story() -> None:
        script = 'say({"error": {"message": "no ip_vs here", "hint": "modprobe ip_vs"}})\nsys.exit(1)'
        here = Rehearsals(tmp_path / "kept", command=command(tmp_path, script))
        begin(here)
        await until(lambda: here.now is None)
        found = here.one("shop", 1)
        assert (found.state, found.message, found.hint) == ("broken", "no ip_vs here", "modprobe ip_vs")
        here = Rehearsals(tmp_path / "kept", command=command(tmp_path, 'sys.exit("it fell over")'))
        begin(here)
        await until(lambda: here.now is None)
        assert "it fell over" in here.one("shop", 2).message

    asyncio.run(story())


def test_what_ran_when_its_controller_died_has_ended_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "kept" / "7"
    folder.mkdir(parents=True)
    (folder / "rehearsal.json").write_text(view().model_copy(update={"id": 7}).model_dump_json())
    found = Rehearsals(tmp_path / "kept").one("shop", 7)
    assert (found.state, found.message) == ("stopped", "its controller ended")
    (tmp_path / "kept" / "8").mkdir()
    (tmp_path / "kept" / "8" / "rehearsal.json").write_text("{")
    assert [one.id for one in Rehearsals(tmp_path / "kept").all("shop")] == [7]


def test_a_disk_that_is_full_leaves_what_was_kept_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, text: str, **_: object) -> None:
        path.write_bytes(text[:20].encode())
        raise OSError(28, "No space left on device")

    async def story() -> None:
        here = Rehearsals(tmp_path / "kept", command=command(tmp_path, WAITS))
        begin(here)
        await until(lambda: here.now is not None and here.now.doing == "waiting")
        with monkeypatch.context() as patched:
            patched.setattr(Path, "write_text", full)
            here.stop("shop", 1, "bob")
            await until(lambda: here.now is None)
        assert [one.id for one in Rehearsals(tmp_path / "kept").all("shop")] == [1]

    asyncio.run(story())


def test_old_ones_go(tmp_path: Path) -> None:
    async def story() -> None:
        for number in range(1, 31):
            (tmp_path / "kept" / str(number)).mkdir(parents=True)
        here = Rehearsals(tmp_path / "kept", command=command(tmp_path, "pass"))
        assert begin(here).id == 31
        await until(lambda: here.now is None)
        left = sorted(int(one.name) for one in (tmp_path / "kept").iterdir())
        assert left == list(range(12, 32))

    asyncio.run(story())


def test_the_child_is_handed_nothing_of_the_controllers_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_TOKEN", "hfa_secret")
    script = 'pathlib.Path("environment").write_text(json.dumps(dict(os.environ)))'

    async def story() -> None:
        here = Rehearsals(tmp_path / "kept", command=command(tmp_path, script))
        begin(here)
        await until(lambda: here.now is None)
        found = json.loads((tmp_path / "kept" / "1" / "environment").read_text())
        assert "HOLDFAST_TOKEN" not in found
        assert "PATH" in found

    asyncio.run(story())
