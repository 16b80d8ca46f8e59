"""The model does what keepalived does: generated clusters, both side by side, the daemon being right."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from .compare import Compared, compare
from .generated import generate

pytestmark = pytest.mark.lab

_TOGETHER = 16  # clusters that run side by side
_SOAKED = 112


@pytest.fixture
def possible() -> None:
    """Skip where no network namespaces can be made."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    if missing := [program for program in ("keepalived", "ip") if shutil.which(program) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}")


def agrees(seeds: tuple[int, ...], folder: Path) -> Compared:
    """Whatever disagrees is run once more by itself: a machine that stood still for a moment is no keepalived."""
    first = compare(seeds, folder)
    if not first.wrong:
        return first
    again = folder / "again"
    again.mkdir()
    second = compare(tuple(sorted(first.wrong)), again)
    assert not second.disagreements, "\n\n".join(second.disagreements)
    return first


def test_generated_clusters(possible: None, tmp_path: Path) -> None:
    seen = agrees(tuple(range(1, 1 + _TOGETHER)), tmp_path)
    assert len(seen.compared) == _TOGETHER
    assert seen.certain > 0.8 * seen.steps, "most of it must have one outcome only, else nothing is compared"


def test_what_is_generated_has_something_of_everything(tmp_path: Path) -> None:
    """The soaked clusters have sync groups, weights, delays and both families, each several times."""
    cases = [generate(seed, tmp_path) for seed in range(100, 100 + _SOAKED)]
    tagged = Counter(tag for case in cases for tag in case.tags)
    assert all(tagged[tag] >= 5 for tag in ("group", "delay", "nopreempt", "unicast", "IPv6", "adverts differ"))
    assert sum({"group", "IPv6"} <= case.tags for case in cases) >= 3
    weights = [t.weight for case in cases for n in case.cluster.nodes.values() for i in n.instances for t in i.trackers]
    assert sum(weight != 0 for weight in weights) > 100


@pytest.mark.soak
@pytest.mark.parametrize("first", range(100, 100 + _SOAKED, _TOGETHER))
def test_many_generated_clusters(possible: None, tmp_path: Path, first: int) -> None:
    agrees(tuple(range(first, first + _TOGETHER)), tmp_path)
