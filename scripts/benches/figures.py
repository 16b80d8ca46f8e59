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
    """One run in a virtual machine that has a kernel with IPVS; a run may take several figures."""

    name: str
    run: Callable[[Machine], tuple[Figure, ...]]
