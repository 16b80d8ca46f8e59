"""Runs the stages of `make check`, `make test` or `make soak`, all even if one fails, and sums them up.

Some run while another one waits: with the idle priority, so that they get what it leaves of the processors, and it runs
as if it were alone. What they print is shown when they have ended.

What fails in `make test`, where it has others beside it, has a second hearing when they are done: docs/decisions/0038.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import pytest

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "build" / "results"
SUMMARY = RESULTS / "summary.txt"
BESIDE_WHOLE = "lab or traffic or vm or measures or rehearsal or soak or browser"
NOT_PLAIN = f"whole or {BESIDE_WHOLE}"
MOST_AGAIN = 5  # files with tests that failed: beyond that it is not the machine


@dataclass(frozen=True)
class Stage:
    """One command; `junit` tells that it is pytest and leaves its counts in RESULTS.

    With `marks` it is given the files alone that hold tests which fit: to collect all takes each process many seconds.
    `then` follow it, one after the other. `meanwhile` are run, one after the other, while it and they wait; the next
    stage begins when all have ended. One of `then` begins when those of `meanwhile` that it is `not_beside` have ended.
    """

    name: str
    argv: tuple[str, ...]
    junit: bool = False
    marks: str = ""
    meanwhile: tuple[Stage, ...] = ()
    then: tuple[Stage, ...] = ()
    not_beside: tuple[str, ...] = ()


def tests(name: str, marks: str, *more: str) -> Stage:
    """A stage of tests: those that fit the pytest mark expression `marks`."""
    argv = ("pytest", "-q", "-m", marks, f"--junitxml={RESULTS / name}.xml", *more)
    return Stage(name, (sys.executable, "-m", *argv), junit=True, marks=marks)


STYLE = Stage("style", (sys.executable, "-m", "ruff", "check", "."))
TYPES = Stage("types", (sys.executable, "-m", "mypy"))
UNIT = replace(tests("unit", f"not ({NOT_PLAIN})", "-n", "2", "--dist", "worksteal"), marks="")  # nearly all files
# Whole commands and controllers, which mostly compute.
WHOLE = tests("whole", f"whole and not ({BESIDE_WHOLE})", "-n", "2", "--dist", "loadgroup")
# These mostly wait for programs and timers: each takes a fifth of a core. What shares something is grouped.
LAB = tests(
    "lab", "lab and not (traffic or vm or measures or rehearsal or soak or browser)", "-n", "5", "--dist", "loadgroup"
)
# Beside more of them a request would be lost to the machine, not to what is tested.
TRAFFIC = tests(
    "traffic", "traffic and not (vm or measures or rehearsal or soak or browser)", "-n", "2", "--dist", "loadgroup"
)
# Two at a time would measure each other. What takes processor time alone is elsewhere: that is its own.
MEASURES = tests("measures", "measures and not (vm or soak or browser)")
# In real time: each takes half a core.
REHEARSALS = tests("rehearsals", "rehearsal and not (vm or soak)", "-n", "2")
# Emulated machines in the owner's time, which mostly wait. Beside what does not make room they are too slow for
# keepalived.
VM = tests("vm", "vm and not (own_clock or measures or soak)", "-n", "2", "--dist", "loadgroup")
# Those with a clock of their own compute without a pause, one processor each, and do not notice what else runs. A
# rehearsal of LVS is one of them.
INSIDE = tests("inside", "own_clock and not (measures or soak)", "-n", "2", "--dist", "loadgroup")
VM_MEASURES = tests("vm-measures", "vm and measures and not soak")
# A browser is many processes, each of which waits for its turn: what a page costs is asked by its processor time.
BROWSER = tests("browser", "browser and not soak", "-n", "2", "--dist", "loadfile")
SOAK = tests("soak", "soak", "--timeout=14400")
# What `make check` asks with the same examples every time is asked with others here.
SEARCHING = tests("searching", f"hypothesis and not ({NOT_PLAIN})", "--hypothesis-profile=searching", "-n", "2")

# Beside machines in the owner's time these would get nothing; and they start too many processes to be beside what
# counts each request, or takes times. From there on machines with a clock of their own are alone behind: one process
# each, which yields at once. Browsers only need the processors: they come before, so that nothing waits for these, and
# enough is left for what comes last, which would leave a processor idle otherwise.
BUSY = (WHOLE.name, UNIT.name)

TARGETS = {
    # Unit tests take both processors, but for what mypy has of one.
    "check": (replace(TYPES, meanwhile=(STYLE, UNIT)),),
    "test": (
        replace(
            REHEARSALS,
            then=(LAB, BROWSER, replace(VM, not_beside=BUSY), TRAFFIC, MEASURES, VM_MEASURES),
            meanwhile=(STYLE, TYPES, WHOLE, UNIT, INSIDE),
        ),
    ),
    "soak": (SEARCHING, SOAK),
}


def every(stages: Iterable[Stage]) -> Iterator[Stage]:
    """Each stage, those that follow it, and those that run meanwhile."""
    for stage in stages:
        yield stage
        yield from every(stage.then)
        yield from every(stage.meanwhile)


def say(line: str) -> None:
    """Write a line at once, so that it stands before what the next program prints."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def counts(stage: Stage) -> Counter[str]:
    """What pytest counted in this stage; nothing if it died before it could say."""
    found: Counter[str] = Counter()
    report = RESULTS / f"{stage.name}.xml"
    if not report.exists():
        return found
    for suite in ET.parse(report).getroot().iter("testsuite"):
        total, failed, errors, skipped = (int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped"))
        found.update(failed=failed, passed=total - failed - errors - skipped, skipped=skipped, error=errors)
    return found


def counted_again(first: Counter[str]) -> Counter[str]:
    """A stage's counts where all that failed has passed since."""
    bad = first["failed"] + first["error"]
    return Counter(passed=first["passed"] + bad, skipped=first["skipped"], rerun=bad)


def failures(stage: Stage) -> dict[str, list[str]]:
    """The tests that failed in this stage, by their file; nothing if one cannot be told."""
    report = RESULTS / f"{stage.name}.xml"
    found: dict[str, list[str]] = {}
    for case in ET.parse(report).getroot().iter("testcase") if report.exists() else ():
        if case.find("failure") is None and case.find("error") is None:
            continue
        words = case.get("classname", "").split(".")
        files = ("/".join(words[:end]) + ".py" for end in range(len(words), 0, -1))
        file = next((one for one in files if (ROOT / one).is_file()), None)
        if file is None:
            return {}
        found.setdefault(file, []).append(case.get("name", ""))
    return found


def by_itself(stage: Stage, files: Iterable[str]) -> Stage:
    """The same tests out of these files, in one process."""
    words, argv = iter(stage.argv), []
    for word in words:
        if word in ("-n", "--dist"):
            next(words)
        elif not word.startswith("--junitxml"):
            argv.append(word)
    name = f"{stage.name}-again"
    return Stage(name, (*argv, f"--junitxml={RESULTS / name}.xml", *files), junit=True)


def summary(found: Counter[str], failed_stages: list[str], seconds: float) -> str:
    """One line in pytest's own form over all stages."""
    parts = [f"{found[kind]} {kind}" for kind in ("failed", "passed", "skipped", "error", "rerun") if found[kind]]
    minutes, rest = divmod(int(seconds), 60)
    where = f" (failed: {', '.join(failed_stages)})" if failed_stages else ""
    return f"===== {', '.join(parts) or 'no tests ran'} in {seconds:.2f}s ({minutes}:{rest:02}){where} ====="


def environment() -> dict[str, str]:
    """This one, but that Python keeps what it has compiled: thousands of its processes are started here."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def files(stages: tuple[Stage, ...]) -> dict[str, list[str]]:
    """The files with tests of each stage that has marks, by name; none, which means all, where it cannot be told."""
    wanted = {stage.name: stage.marks for stage in every(stages) if stage.marks}
    found = RESULTS / "files.json"
    argv = (sys.executable, str(Path(__file__).with_name("stage_files.py")), json.dumps(wanted), str(found))
    done = subprocess.run(argv, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        return {}  # each stage says why
    told: dict[str, list[str]] = json.loads(found.read_text(encoding="utf-8"))
    return told


class Runner:
    """Runs stages, and remembers which failed."""

    def __init__(self, stages: tuple[Stage, ...]) -> None:
        self._stages = stages
        self._places: Future[dict[str, list[str]]] | None = None
        self.failed: list[str] = []
        self.again: list[str] = []  # stages whose failures passed by themselves
        self._died: list[str] = []  # … that ended otherwise than with tests that failed

    def run(self) -> None:
        """All of them."""
        with ThreadPoolExecutor(max_workers=1) as looking:
            if any(stage.marks for stage in every(self._stages)):
                self._places = looking.submit(files, self._stages)  # who has no marks need not wait for it
            self._all()

    def _all(self) -> None:
        for stage in self._stages:
            with ThreadPoolExecutor(max_workers=1) as beside:
                meanwhile = {each.name: beside.submit(self._behind, each) for each in stage.meanwhile}
                for each in (stage, *stage.then):
                    for name in each.not_beside:
                        meanwhile[name].result()
                    say(heading(each))
                    self._one(each)
                for one in meanwhile.values():
                    one.result()

    def hear_again(self) -> None:
        """What failed in stages of tests is run again, by itself; named, if it passes so."""
        stages = [stage for stage in every(self._stages) if stage.name in self.failed and stage.junit]
        known = {stage.name: failures(stage) for stage in stages}
        if self._died or not all(known.values()) or sum(map(len, known.values())) > MOST_AGAIN:
            return
        for stage in stages:
            alone = by_itself(stage, known[stage.name])
            say(heading(alone))
            if subprocess.run(alone.argv, cwd=ROOT, env=environment(), check=False).returncode != 0:
                continue
            self.failed.remove(stage.name)
            self.again.append(stage.name)
            tests = (f"{file}::{name}" for file, names in known[stage.name].items() for name in names)
            say("passed by itself, failed beside others (a race, or the machine):\n  " + "\n  ".join(tests))

    def _behind(self, stage: Stage) -> None:
        """With what is left of the processors; shown as a whole, or two would print at the same time."""
        idle = (chrt, "--idle", "0") if (chrt := shutil.which("chrt")) else ("nice", "-n", "19")
        printed = RESULTS / f"{stage.name}.log"
        with printed.open("wb") as file:
            self._one(stage, idle, file)
        say(f"{heading(stage)}\n{printed.read_text(encoding='utf-8', errors='replace').rstrip()}")

    def _one(self, stage: Stage, prefix: tuple[str, ...] = (), output: BinaryIO | None = None) -> None:
        began = time.monotonic()
        places = self._places.result() if self._places is not None and stage.marks else {}
        argv = (*prefix, *stage.argv, *places.get(stage.name, ()))
        done = subprocess.run(argv, cwd=ROOT, env=environment(), stdout=output, stderr=output, check=False)
        if done.returncode != 0:
            self.failed.append(stage.name)
        if done.returncode not in (0, pytest.ExitCode.TESTS_FAILED):
            self._died.append(stage.name)
        if output is not None:
            output.write(f"in {time.monotonic() - began:.0f} s, beside others\n".encode())


def heading(stage: Stage) -> str:
    """The line above what a stage prints."""
    return f"\n───── {stage.name}: {' '.join(stage.argv[2:])}"


def run(stages: tuple[Stage, ...], *, again: bool = False) -> int:
    """Run `stages` one after the other; 0 if all went well, else 1. `again`: what fails is then run by itself."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    for old in RESULTS.glob("*"):
        old.unlink()
    began = time.monotonic()
    runner = Runner(stages)
    runner.run()
    if again:
        runner.hear_again()
    found: Counter[str] = Counter()
    for stage in every(stages):
        if stage.junit:
            one = counts(stage)
            found += counted_again(one) if stage.name in runner.again else one
    line = summary(found, runner.failed, time.monotonic() - began)
    SUMMARY.write_text(line + "\n", encoding="utf-8")
    say("\n" + line)
    return 1 if runner.failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: {sys.argv[0]} {'|'.join(TARGETS)}")
    sys.exit(run(TARGETS[sys.argv[1]], again=sys.argv[1] == "test"))
