"""Gives memory back that a big bundle took: an idle agent should be small."""

from __future__ import annotations

import ctypes
import gc


def settle() -> None:
    """Everything that is loaded now stays: no later collection looks through it again, which took 30 ms each time."""
    gc.collect()
    gc.freeze()


def give_memory_back() -> None:
    """Collect what nobody refers to any more, and return free pages to the kernel (glibc keeps them else)."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries lack it
    if trim is not None:
        trim(0)
