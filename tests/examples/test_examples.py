"""Every example is loaded, compiled, accepted by the real programs, and rehearsed once, as a user would do it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.whole

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*/cluster.yaml"))
REHEARSED_WITHIN_S = 300  # what `make demo` promises on two cores

# The sketch names a script out of the operator's own policy, which the lab's nodes do not have; examples of virtual
# servers need another kernel than most machines', and have their own tests.
REHEARSED = [path for path in EXAMPLES if path.parent.name != "sketch" and not path.parent.name.startswith("lvs-")]
IN_EVERY_TEST = ("dual-master-nginx", "haproxy-pair")  # one for each engine; the others in a soak

every_example = pytest.mark.parametrize("spec", EXAMPLES, ids=lambda path: path.parent.name)


def holdfast(*arguments: object, within_s: float = 60) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does, from the checkout."""
    argv = [sys.executable, "-m", "holdfast.cli", *map(str, arguments)]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=within_s, check=False)


def test_the_examples_that_the_readme_promises_are_there() -> None:
    names = {path.parent.name for path in EXAMPLES}
    assert {"dual-master-nginx", "haproxy-pair", "active-standby-nopreempt"} <= names
    assert {"lvs-dr-pair", "lvs-nat-floating-gateway", "lvs-tun", "lvs-dual-master", "lvs-nginx-two-tier"} <= names


@every_example
def test_an_example_has_no_mistakes(spec: Path) -> None:
    done = holdfast("validate", spec)
    assert done.returncode == 0, done.stdout + done.stderr


@every_example
def test_an_example_compiles_to_the_same_bytes_twice(spec: Path, tmp_path: Path) -> None:
    folders = tmp_path / "one", tmp_path / "two"
    for folder in folders:
        done = holdfast("compile", spec, "-o", folder)
        assert done.returncode == 0, done.stdout + done.stderr
    first, second = ({p.relative_to(f): p.read_bytes() for p in f.rglob("*") if p.is_file()} for f in folders)
    assert first
    assert first == second


@pytest.mark.lab
@pytest.mark.rehearsal
@pytest.mark.timeout(2 * REHEARSED_WITHIN_S)
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a rehearsal makes network namespaces")
@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(path, id=path.parent.name, marks=() if path.parent.name in IN_EVERY_TEST else pytest.mark.soak)
        for path in REHEARSED
    ],
)
def test_an_example_survives_its_rehearsal(spec: Path, tmp_path: Path) -> None:
    """Every objective is met, within the time that `make demo` promises, and the report is there to read."""
    lab = f"e{os.getpid()}"  # two of these run at once
    done = holdfast("rehearse", spec, "--lab", lab, "--report", tmp_path, within_s=REHEARSED_WITHIN_S)
    assert done.returncode == 0, done.stdout + done.stderr
    steps = json.loads((tmp_path / "report.json").read_text())["steps"]
    wanted = {"name", "holders_before", "holders_after", "failover_s", "sent", "failed", "longest_gap_s"}
    wanted |= {"double_holder_s", "verdict"}
    assert all(wanted <= step.keys() for step in steps)
    assert sum(step["sent"] for step in steps) > 1000, "the traffic was steady"
    page = (tmp_path / "report.html").read_text()
    assert "<svg" in page
    assert not [word for word in ("http://", "https://", 'src="/') if f'src="{word}' in page or f'href="{word}' in page]


@pytest.mark.soak
@pytest.mark.timeout(2 * REHEARSED_WITHIN_S)
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a rehearsal makes network namespaces")
@pytest.mark.parametrize("turn", range(1, 6))
@pytest.mark.parametrize("spec", REHEARSED, ids=lambda path: path.parent.name)
def test_an_example_survives_it_again_and_again(spec: Path, turn: int) -> None:
    """What happens once in five rehearsals happens to users, too."""
    done = holdfast("rehearse", spec, "--lab", f"e{os.getpid()}", within_s=REHEARSED_WITHIN_S)
    assert done.returncode == 0, f"rehearsal {turn}:\n{done.stdout}{done.stderr}"
