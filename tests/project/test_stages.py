"""The runner of the stages: nothing that failed is lost on the way to the last line."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.project.source import ROOT

pytestmark = pytest.mark.whole
LIGHT = ("-q", "-p", "no:cacheprovider", "-p", "no:schemathesis")  # which takes a second to load


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """scripts/run_stages.py, with its results in a folder of the test's."""
    spec = importlib.util.spec_from_file_location("run_stages", ROOT / "scripts" / "run_stages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "run_stages", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(module, "SUMMARY", tmp_path / "results" / "summary.txt")
    return module


def pytest_stage(runner: ModuleType, tmp_path: Path, name: str, body: str) -> Any:
    """A stage of one small test file."""
    file = tmp_path / f"test_{name}.py"
    file.write_text(body)
    report = f"--junitxml={runner.RESULTS / name}.xml"
    return runner.Stage(name, (sys.executable, "-m", "pytest", *LIGHT, report, str(file)), True)


def test_all_stages_run_and_are_summed_up(
    runner: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    good = pytest_stage(runner, tmp_path, "good", "def test_a(): pass\ndef test_b(): pass\n")
    bad = pytest_stage(
        runner,
        tmp_path,
        "bad",
        "import pytest\ndef test_c(): assert 0\ndef test_d(): pytest.skip('because')\n"
        "@pytest.fixture\ndef broken(): raise OSError\ndef test_e(broken): pass\n",
    )
    style = runner.Stage("style", (sys.executable, "-c", "raise SystemExit(3)"))
    assert runner.run((style, bad, good)) == 1
    last = capfd.readouterr().out.splitlines()[-1]
    assert last.startswith("===== 1 failed, 2 passed, 1 skipped, 1 error in ")
    assert "(failed: style, bad)" in last
    assert runner.SUMMARY.read_text().strip() == last


def test_what_runs_meanwhile_yields_and_is_summed_up_and_shown_whole(
    runner: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    together = (
        "import os, pathlib, pytest, time\n"
        "def test_together():\n"
        "    mine, other = (pathlib.Path(__file__).with_name(name) for name in ({mine!r}, {other!r}))\n"
        "    mine.touch()\n"
        "    while not other.exists(): time.sleep(0.02)\n"
        "    assert os.sched_getscheduler(0) == {policy}\n"
    )
    own = os.sched_getscheduler(0)
    front = pytest_stage(runner, tmp_path, "front", together.format(mine="a", other="b", policy=own))
    behind = pytest_stage(runner, tmp_path, "behind", together.format(mine="b", other="a", policy=os.SCHED_IDLE))
    bad = runner.Stage("bad", (sys.executable, "-c", "print('what went wrong'); raise SystemExit(3)"))
    assert runner.run((dataclasses.replace(front, meanwhile=(behind, bad)),)) == 1
    shown = capfd.readouterr().out
    assert shown.splitlines()[-1].startswith("===== 2 passed in ")
    assert "(failed: bad)" in shown.splitlines()[-1]
    assert shown.index("───── bad") < shown.index("what went wrong")
    assert [stage.name for stage in runner.every((dataclasses.replace(front, meanwhile=(behind, bad)),))] == [
        "front",
        "behind",
        "bad",
    ]


def test_what_runs_meanwhile_goes_on_beside_what_follows_unless_that_must_not_be_beside_it(
    runner: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def script(name: str, text: str) -> Any:
        return runner.Stage(name, (sys.executable, "-c", f"import pathlib, time\nfile = pathlib.Path\n{text}"))

    told = {name: str(tmp_path / name) for name in ("second", "busy", "long")}
    wait = "while not file({!r}).exists(): time.sleep(0.02)"
    first = script("first", "pass")
    second = script("second", f"file({told['second']!r}).touch()")
    # It ends once the second stage has begun, and the third one begins once it has ended.
    busy = script("busy", f"{wait.format(told['second'])}\ntime.sleep(0.3)\nfile({told['busy']!r}).touch()")
    third = script("third", f"assert file({told['busy']!r}).exists()\nfile({told['long']!r}).touch()")
    long = script("long", wait.format(told["long"]))
    third = dataclasses.replace(third, not_beside=("busy",))
    assert runner.run((dataclasses.replace(first, then=(second, third), meanwhile=(busy, long)),)) == 0
    shown = capfd.readouterr().out
    order = [shown.index(f"───── {name}") for name in ("first", "second", "busy", "third", "long")]
    assert order == sorted(order)


def test_who_is_not_beside_another_names_one_that_there_is(runner: ModuleType) -> None:
    for stages in runner.TARGETS.values():
        for stage in stages:
            names = {each.name for each in stage.meanwhile}
            assert all(names.issuperset(each.not_beside) for each in stage.then)


def test_what_died_before_it_could_report_fails(runner: ModuleType) -> None:
    died = runner.Stage("lab", (sys.executable, "-c", "import os; os._exit(9)"), True)
    assert runner.run((died,)) == 1
    assert "no tests ran" in runner.SUMMARY.read_text()


def test_a_stage_without_tests_fails(runner: ModuleType, tmp_path: Path) -> None:
    """A mark that is misspelt must not look like success."""
    assert runner.run((pytest_stage(runner, tmp_path, "empty", ""),)) == 1


ONCE = "import pathlib\ndef test_good(): pass\ndef test_once():\n    seen = pathlib.Path(__file__).with_name('seen')\n"


def test_what_fails_beside_others_is_run_by_itself_and_named(
    runner: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    good = pytest_stage(runner, tmp_path, "good", "def test_a(): pass\n")
    body = f"{ONCE}    first = not seen.exists()\n    seen.touch()\n    assert not first\n"
    stages = (good, pytest_stage(runner, tmp_path, "once", body))
    assert runner.run(stages, again=True) == 0
    shown = capfd.readouterr().out
    assert shown.splitlines()[-1].startswith("===== 3 passed, 1 rerun in ")
    assert "\n  test_once.py::test_once\n" in shown
    (tmp_path / "seen").unlink()
    assert runner.run(stages) == 1  # where nobody asked for it


def test_what_fails_by_itself_too_has_failed(
    runner: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert runner.run((pytest_stage(runner, tmp_path, "bad", "def test_a(): assert 0\n"),), again=True) == 1
    assert "===== 1 failed in " in capfd.readouterr().out.splitlines()[-1]


def test_where_much_fails_or_a_stage_dies_nothing_is_run_again(
    runner: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    body = f"{ONCE}    seen.open('a').write('x')\n    assert 0\n"
    stage = pytest_stage(runner, tmp_path, "bad", body)
    died = runner.Stage("lab", (sys.executable, "-c", "import os; os._exit(9)"), True)
    assert runner.run((stage, died), again=True) == 1
    monkeypatch.setattr(runner, "MOST_AGAIN", 0)
    assert runner.run((stage,), again=True) == 1
    assert (tmp_path / "seen").read_text() == "xx"
    assert "-again" not in capfd.readouterr().out


def test_what_is_run_again_is_of_the_same_stage_in_one_process(runner: ModuleType) -> None:
    alone = runner.by_itself(runner.LAB, ["tests/lab/test_lab.py"])
    assert "-n" not in alone.argv
    assert "--dist" not in alone.argv
    assert runner.LAB.argv[5] in alone.argv  # its marks
    assert alone.argv[-1] == "tests/lab/test_lab.py"


def test_all_well(runner: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert runner.run((pytest_stage(runner, tmp_path, "good", "def test_a(): pass\n"),)) == 0
    assert capfd.readouterr().out.splitlines()[-1].startswith("===== 1 passed in ")


def test_every_test_belongs_to_a_stage(runner: ModuleType) -> None:
    """Whatever its marks, a test runs in exactly one stage of `make test`, or it is for soak."""
    from _pytest.mark.expression import Expression

    stages = [stage for stage in runner.every(runner.TARGETS["test"]) if stage.junit]
    assert len({stage.name for stage in stages}) == len(stages)
    expressions = [Expression.compile(stage.argv[stage.argv.index("-m", 3) + 1]) for stage in stages]
    alone = ((), ("lab",), ("whole",), ("traffic",), ("measures",), ("browser",), ("vm",), ("rehearsal",))
    more = (("vm", "measures"), ("lab", "vm", "measures"), ("vm", "rehearsal"), ("browser", "measures"))
    more += tuple((*one, "own_clock") for one in (("vm",), ("lab", "vm"), *more))
    for marked in (*alone, *((*one, "lab") for one in alone[2:]), *more):
        hits = [e for e in expressions if e.evaluate(lambda name, marked=marked, **_: name in marked)]
        assert len(hits) == 1, marked


def test_a_stage_is_given_the_files_with_its_tests_and_loses_none(
    runner: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "pytest.ini").write_text(
        "[pytest]\nmarkers =\n  lab\n  vm\naddopts = -p no:cacheprovider -p no:schemathesis\n"
    )
    (tree / "conftest.py").write_text(
        "import pytest\n@pytest.hookimpl(tryfirst=True)\ndef pytest_collection_modifyitems(items):\n"
        "    for item in items:\n        if 'booted' in item.name: item.add_marker('vm')\n"
    )
    (tree / "test_plain.py").write_text("def test_a(): pass\n")
    (tree / "test_both.py").write_text("import pytest\n@pytest.mark.lab\ndef test_b(): pass\ndef test_c(): pass\n")
    (tree / "test_late.py").write_text("def test_booted(): pass\n")
    monkeypatch.setattr(runner, "ROOT", tree)
    stages = (runner.tests("lab", "lab"), runner.tests("vm", "vm"))
    runner.RESULTS.mkdir(parents=True)
    assert runner.files(stages) == {"lab": ["test_both.py"], "vm": ["test_late.py"]}
    assert runner.run(stages) == 0
    assert "===== 2 passed in " in capfd.readouterr().out.splitlines()[-1]
    (tree / "test_broken.py").write_text("import nothing_of_this_name\n")
    assert runner.files(stages) == {}
    assert runner.run(stages) == 1  # and not: what could be collected is enough


def test_what_is_grouped_runs_in_one_process(runner: ModuleType, tmp_path: Path) -> None:
    """Groups share a machine or a cluster that takes long to start; pytest 9.2 with xdist 3.8 silently ignores them."""
    file = tmp_path / "test_grouped.py"
    file.write_text(
        "import os, pathlib, pytest, time\n"
        "@pytest.mark.xdist_group('one')\n"
        "@pytest.mark.parametrize('n', range(6))\n"
        "def test_a(n):\n"
        "    time.sleep(0.02)\n"
        "    pathlib.Path(__file__).with_name(f'seen-{n}').write_text(os.environ['PYTEST_XDIST_WORKER'])\n"
        "def test_b(): pass\n"
        "def test_c(): pass\n"
    )
    argv = (sys.executable, "-m", "pytest", *LIGHT, str(file), *runner.VM.argv[-4:])
    assert runner.VM.argv[-4:] == ("-n", "2", "--dist", "loadgroup")
    subprocess.run(argv, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    assert len({seen.read_text() for seen in tmp_path.glob("seen-*")}) == 1
