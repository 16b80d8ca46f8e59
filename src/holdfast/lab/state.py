"""What a lab remembers of itself on disk, so that another process, or the next one after a crash, can take it down."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from holdfast.errors import LabError, UsageError
from holdfast.lab.processes import Process
from holdfast.lab.topology import LabTopology

BASE = Path("/run/holdfast-lab")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}\Z")
_MAX_BYTES = 8_000_000


class Phase(StrEnum):
    """How far the lab got. A lab whose builder died stays `building` for ever, and can only be taken down."""

    BUILDING = "building"
    UP = "up"


class RecordedFault(BaseModel):
    """A fault that is in force: its data as `faults` serialises it, and since when (Unix time in seconds)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: dict[str, JsonValue]
    since: float


class LabState(BaseModel):
    """Everything that cannot be derived from the lab's name: the rest (namespaces, mounts) follows from that."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    topology: LabTopology
    phase: Phase
    builder: Process
    made_at: float  # Unix time, seconds
    pid1: dict[str, Process] = {}  # nodes that are crashed have none
    faults: tuple[RecordedFault, ...] = ()


def check_name(name: str) -> str:
    """Return `name` if it may name a lab, or raise UsageError: it becomes part of paths and of namespace names."""
    if not _NAME.match(name):
        raise UsageError(
            f"{name!r} cannot be the name of a lab",
            hint="use 1 to 32 letters, digits, '-' or '_', beginning with a letter or a digit",
        )
    return name


def folder(name: str) -> Path:
    """Where everything of the lab `name` is kept."""
    return BASE / check_name(name)


def disk(name: str, node: str) -> Path:
    """The mount point of the disk of `node`: a tmpfs that outlives the node's processes."""
    return folder(name) / "disk" / node


def log_file(name: str, what: str) -> Path:
    """Where `what` (a node's pid 1, a web server) of the lab writes its output, on the host."""
    return folder(name) / "log" / f"{what}.log"


def known() -> tuple[str, ...]:
    """The names of the labs that have left anything in the lab folder."""
    if not BASE.is_dir():
        return ()
    return tuple(sorted(p.name for p in BASE.iterdir() if p.is_dir() and _NAME.match(p.name)))


def create(state: LabState) -> None:
    """Claim the lab's folder and write its first state; LabError if the name is taken."""
    name = state.topology.name
    claim(name)
    _write(state)


def claim(name: str) -> None:
    """Make the folder of the lab `name`; LabError if the name is taken."""
    BASE.mkdir(mode=0o755, exist_ok=True)
    try:
        folder(name).mkdir(mode=0o755)
    except FileExistsError:
        raise LabError(
            f"A lab called {name} is up already, or was left over from before ({folder(name)})",
            hint=f"clear it with: holdfast lab down {name}",
        ) from None
    (folder(name) / "disk").mkdir()
    (folder(name) / "log").mkdir()


def load(name: str) -> LabState:
    """The state of the lab `name`; LabError if there is no such lab or its state cannot be read."""
    path = folder(name) / "lab.json"
    try:
        with path.open("rb") as file:
            return LabState.model_validate_json(file.read(_MAX_BYTES))
    except FileNotFoundError:
        labs = ", ".join(known()) or "none"
        raise LabError(f"There is no lab called {name}", hint=f"labs on this machine: {labs}") from None
    except (ValidationError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise LabError(
            f"The state of lab {name} cannot be read ({path}: {reason})",
            hint=f"clear the lab with: holdfast lab down {name}",
        ) from error


def update(name: str, change: Callable[[LabState], LabState]) -> LabState:
    """Read, change and write the state of `name` under a lock, so that no process undoes what another one changed."""
    with _locked():
        state = change(load(name))
        _write(state)
    return state


@contextmanager
def _locked() -> Iterator[None]:
    # The folder itself is locked: a lock file would have to be removed some time, which cannot be done without a race.
    handle = os.open(BASE, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _write(state: LabState) -> None:
    path = folder(state.topology.name) / "lab.json"
    beside = path.with_suffix(".new")
    beside.write_text(state.model_dump_json(indent=1))
    beside.replace(path)
