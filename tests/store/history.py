"""Whether a history of compare-and-swaps on one key can have happened without a lost update."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass
class Attempt:
    """To write `value` in place of version `base`. `version` is what it became; 0 if it did not, or nobody knows."""

    base: int
    value: str
    version: int = 0
    refused: bool = False
    unsure: bool = False


def check_history(first: str, attempts: Sequence[Attempt], last: str) -> None:
    """Values are `COUNT NAME`, each one more than the one before. AssertionError says what was lost.

    Each successful attempt must stand on another one that did happen, no two on the same, none that was refused may
    show, and the counts from the first to the last value must be there, each once.
    """
    happened = sorted((one for one in attempts if one.version), key=lambda one: one.version)
    bases = [one.base for one in happened]
    assert len(set(bases)) == len(bases), "two writes took the place of the same version: one of them was lost"
    assert len({one.version for one in happened}) == len(happened)
    counts = [int(one.value.split()[0]) for one in happened]
    assert counts == sorted(set(counts)), "a count came twice, or went back"
    known = {int(one.value.split()[0]): one.value for one in happened}
    perhaps = {(int(one.value.split()[0]), one.value) for one in attempts if one.unsure}
    end = int(last.split()[0])
    assert known.get(end, last) == last, "the last value is not the one that was written last"
    for count in range(int(first.split()[0]) + 1, end + 1):
        assert count in known or any(number == count for number, _ in perhaps), f"nobody wrote count {count}"
    assert all(count <= end for count in known), "a write that succeeded is not there any more"
    assert last == first or last in {one.value for one in attempts if not one.refused}, "a refused write shows"
