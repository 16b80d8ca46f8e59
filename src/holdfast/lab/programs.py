"""The programs that a lab's nodes run, out of the supervisor's own table: a new engine is broken like the others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from holdfast.agent.supervisor.commands import COMMANDS

SUPERVISED = tuple(command.name for command in COMMANDS)
# Those whose process bears their name; the agent's own prober is one Python among others.
PROGRAMS = tuple(command.name for command in COMMANDS if Path(command.argv[0]).name == command.name)


def _supervised(name: str) -> str:
    if name not in SUPERVISED:
        raise ValueError(f"there is no service {name!r}; there are: {', '.join(SUPERVISED)}")
    return name


def _program(name: str) -> str:
    if name not in PROGRAMS:
        raise ValueError(f"{name!r} is no program that can be stopped; these are: {', '.join(PROGRAMS)}")
    return name


Supervised = Annotated[str, AfterValidator(_supervised)]
Program = Annotated[str, AfterValidator(_program)]
