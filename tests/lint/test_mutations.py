"""Real files with one thing spoilt in each: what keepalived says of them then, lint says on the same line."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from tests.keepalived.corpus import corpus, needs_keepalived, samples
from tests.lint.mutations import spoilt
from tests.lint.test_corpus import complaints, places, remarks

SHARE = 0.995
SEED = 2026
LARGEST = 30_000  # bytes; a large file teaches no more, and takes longer

pytestmark = [pytest.mark.lab, needs_keepalived]


def _files() -> list[Path]:
    """Those of a corpus beside the project if there is one, and the project's own."""
    return [path for path in (*corpus("wild", "devel", "mistakes"), *samples()) if path.stat().st_size < LARGEST]


@pytest.mark.parametrize("count", [100, pytest.param(2_000, marks=pytest.mark.soak)])
def test_what_keepalived_says_of_spoilt_files(count: int, tmp_path: Path) -> None:
    chance, files = random.Random(SEED), _files()
    total, lost = 0, []
    for number in range(count):
        original = chance.choice(files)
        data, how = spoilt(original.read_bytes(), chance)
        path = tmp_path / f"{number}_{original.name}"
        path.write_bytes(data)
        wanted = complaints(path)
        have = places(remarks(path, here=True)) if wanted else set()
        total += len(wanted)
        name = f"{path.name} ({how})"
        lost += [f"{name}:{line}: {said}" for file, line, said in sorted(wanted) if (file, line) not in have]
    share = 1 - len(lost) / max(total, 1)
    assert total > count, "keepalived has something to say of nearly every spoilt file"
    assert share >= SHARE, f"{share:.4f} of {total}; nothing is said of:\n" + "\n".join(lost[:80])
