"""Tests that run in the virtual machine: `inside_*.py`, by a pytest of their own in there."""

from __future__ import annotations

import sys
from pathlib import Path

from holdfast.lab.vm.machine import ENVIRONMENT, Machine

ROOT = Path(__file__).resolve().parents[2]
# What these tests do not use takes an emulated machine fifteen seconds to load, each time.
_LEFT_OUT = ("--noconftest", *(f"-pno:{name}" for name in ("hypothesispytest", "xdist", "xdist.looponfail", "anyio")))


def run_inside(vm: Machine, name: str, *, each_within_s: int = 600, within_s: int = 1700, **environment: str) -> str:
    """Run `tests/vm/NAME` in the machine; all of its tests must pass, none may be skipped. What pytest said of them.

    Each may take `each_within_s` seconds by the machine's clock, all of them `within_s` by the owner's.
    """
    plain = ("-q", "-p", "no:cacheprovider", *_LEFT_OUT, "--timeout", str(each_within_s))
    argv = [sys.executable, "-m", "pytest", *plain, f"tests/vm/{name}"]
    more = {"PYTHONDONTWRITEBYTECODE": "1", "HOLDFAST_LOOK_EVERY_S": "0.25", **environment}
    done = vm.run(argv, timeout=within_s, cwd=str(ROOT), env={**ENVIRONMENT, **more})
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "skipped" not in done.stdout
    return done.stdout
