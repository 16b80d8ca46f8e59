"""One command of Holdfast's in a virtual machine that exists for it alone: `holdfast rehearse`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from holdfast.errors import LabError
from holdfast.lab.vm.machine import Machine
from holdfast.lab.vm.qemu import SHARE
from holdfast.lab.vm.relay import environment, holdfast, relay
from holdfast.lab.vm.where import INSIDE, description

_HIDDEN = ("/proc", "/sys", "/dev", "/run")  # the guest has its own


def run_once(
    arguments: Sequence[str], *, report: Path | None, inputs: Sequence[Path], say: Callable[[str], None]
) -> int:
    """Boot a machine, run `holdfast ARGUMENTS` in it with this terminal, and return its exit status.

    What it writes into the folder `report` is copied out into the same folder here. `inputs` are the files that it
    reads. LabError if the machine cannot be had, or stops; nothing of it is left in any case.
    """
    for path in (*inputs, Path.cwd()):
        check_visible(path)
    if report is not None:
        check_apart(inputs, report)
    with Machine.boot(own_clock=True, progress=say) as machine:
        say("")
        if report is not None:
            _bind(machine, report.absolute())
        env = environment(os.environ) | {INSIDE: description(machine.kernel, own_clock=True)}
        try:
            return relay(machine.channel, holdfast(arguments), env, interactive=False)
        finally:
            if report is not None:
                shutil.copytree(machine.share / "report", report, symlinks=True, dirs_exist_ok=True)


def check_visible(path: Path) -> None:
    """LabError if the guest cannot see `path`: it shares all files but those of the running system."""
    whole = path.resolve()
    for place in _HIDDEN:
        if whole.is_relative_to(place):
            raise LabError(f"{path} cannot be seen in the lab's virtual machine", f"copy it out of {place} first")


def check_apart(inputs: Sequence[Path], report: Path) -> None:
    """LabError if an input lies in the report's folder: the guest has an empty one in its place, to write to."""
    for path in inputs:
        if path.resolve().is_relative_to(report.resolve()):
            raise LabError(
                f"{path} is in the folder of the report, where the lab's virtual machine sees an empty one",
                f"let --report name another folder, such as {report / 'report'}",
            )


def _bind(machine: Machine, folder: Path) -> None:
    """Have what is written to `folder` inside come out through the share."""
    (machine.share / "report").mkdir(mode=0o755)
    machine.run(["mkdir", "-p", "--", str(folder)], check=True)
    machine.run(["mount", "--bind", "--", f"{SHARE}/report", str(folder)], check=True)
