"""What a bench is, and what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from holdfast.lab.vm.machine import Machine


@dataclass(frozen=True)
class Figure:
    """A result: it is well where `value` is at most `limit`; `detail` says how it came about."""

    what: str
    value: float
    limit: float
    unit: str
    detail: str

    @property
    def well(self) -> bool:
        """Whether the promise was kept."""
        return self.value <= self.limit


@dataclass(frozen=True)
class Bench:
    """`run` takes figures in a virtual machine that has a kernel with IPVS; `here` on this one, where none is needed.

    What is taken here is taken without that machine beside it.
    """

    name: str
    run: Callable[[Machine], tuple[Figure, ...]] | None = None
    here: Callable[[], tuple[Figure, ...]] | None = None
