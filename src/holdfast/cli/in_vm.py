"""The option --vm, and commands about a lab that runs in a virtual machine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from .output import stderr

InVm = Annotated[
    bool | None,
    typer.Option(
        "--vm/--no-vm", help="In a virtual machine, or never in one; decided by what the spec needs if unsaid."
    ),
]


def forward(lab: str, changes: Sequence[Path] = ()) -> None:
    """If the lab runs in a virtual machine, run this very command in there, and exit with its status.

    The first line of every command about a running lab. `changes` are files of the user's that it may write. LabError
    if the machine has stopped.
    """
    from holdfast.lab.vm.forward import forward_if_in_vm

    status = forward_if_in_vm(lab, sys.argv[1:], changes=changes)
    if status is not None:
        raise typer.Exit(status)


@contextmanager
def booting(reason: str) -> Iterator[Callable[[str], None]]:
    """Say why there is a virtual machine, and show how its boot goes on; an empty line ends the display."""
    stderr().print(Text(reason, "dim"))
    with stderr().status("the virtual machine") as status:

        def say(line: str) -> None:
            if line:
                status.update(f"the virtual machine: {line}")
            else:
                status.stop()

        yield say
