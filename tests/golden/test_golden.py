"""The compiler's output, byte for byte. HOLDFAST_UPDATE_GOLDEN=1 rewrites it, for review in the diff."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.golden.cases import GOLDEN, Case, all_cases, all_examples

from holdfast.bundle import OWNERSHIP_LINE
from holdfast.compile.compiler import RENDERERS, compile_cluster

CASES = all_cases()
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
compiled = [case for case in CASES if not case.name.startswith("refused-")]
each_compiled = pytest.mark.parametrize("case", [*compiled, *all_examples()], ids=lambda case: case.name)

DIGESTS = """
import sys
sys.path.insert(0, sys.argv[1])
from tests.golden.cases import all_cases, all_examples
for case in [*all_cases(), *all_examples()]:
    if not case.name.startswith("refused-"):
        print(case.name, *(f"{node}={bundle.digest}" for node, bundle in case.bundles().items()))
"""


@each_case
def test_a_case_compiles_to_these_bytes(case: Case) -> None:
    outputs = case.outputs()
    if os.environ.get("HOLDFAST_UPDATE_GOLDEN"):
        rewrite(case, outputs)
    assert outputs == case.written()


def rewrite(case: Case, outputs: dict[str, str]) -> None:
    for entry in case.folder.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
    (case.folder / "refused.txt").unlink(missing_ok=True)
    for name, text in outputs.items():
        path = case.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@each_case
def test_a_case_is_refused_exactly_if_its_name_says_so(case: Case) -> None:
    assert ("refused.txt" in case.outputs()) is case.name.startswith("refused-")


@each_compiled
def test_every_file_says_whose_it_is(case: Case) -> None:
    for node, bundle in case.bundles().items():
        assert [file.path for file in bundle.files] == sorted(file.path for file in bundle.files)
        for file in bundle.files:
            first = file.content.partition("\n")[0]
            assert f"{OWNERSHIP_LINE}: cluster {bundle.cluster}, node {node}." in first
            assert file.content.endswith("\n")
            assert "\r" not in file.content
            assert not [line for line in file.content.splitlines() if line != line.rstrip()], "no blanks at line ends"


def test_every_service_is_shown() -> None:
    shown = {service for case in compiled for bundle in case.bundles().values() for service in bundle.services}
    assert shown == set(RENDERERS)


@pytest.fixture(scope="module")
def digests_of_other_processes() -> list[str]:
    """The digests of everything, from two processes with different hash seeds."""
    answers = []
    for seed in ("1", "2222"):
        done = subprocess.run(
            [sys.executable, "-c", DIGESTS, str(GOLDEN.parents[1])],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answers.append(done.stdout)
    return answers


@pytest.mark.whole
def test_the_same_input_gives_the_same_bytes_in_every_process(digests_of_other_processes: list[str]) -> None:
    one, other = digests_of_other_processes
    assert one == other
    assert one.count("=") > 2 * len(compiled) - 2


def test_it_compiles_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No clock, no environment, no working directory in it."""
    case = compiled[0]
    before = {node: bundle.digest for node, bundle in case.bundles().items()}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/nowhere")
    monkeypatch.setenv("LANG", "zh_CN.GB18030")
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    assert {node: bundle.digest for node, bundle in compile_cluster(case.source()).items()} == before
