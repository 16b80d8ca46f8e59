"""Taking a lab down by its name alone: whole or half-built, from any process, as often as one likes."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from holdfast.errors import LabError
from holdfast.lab import network, state
from holdfast.lab.commands import check_tools, mounts_below, run
from holdfast.lab.processes import Namespace, Process, inside, leads_namespace, wait_gone

_KILL_WAIT = 5.0
_ROUNDS = 5


def leftovers(name: str) -> tuple[str, ...]:
    """What of a lab called `name` is there now, in words: namespaces, mounts and its folder."""
    folder = state.folder(name)
    found = [f"network namespace {n}" for n in network.names_of(name)]
    found += [f"mount {p}" for p in mounts_below(folder)]
    if folder.exists():
        found.append(f"folder {folder}")
    return tuple(found)


def is_abandoned(name: str) -> bool:
    """Whether a lab called `name` is on record of which nothing lives any more, its builder included.

    That is what a power cut of a container, or somebody's kill -9 of everything, leaves behind.
    """
    if not state.folder(name).exists():
        return False
    try:
        known = state.load(name)
    except LabError:
        return False  # not to be told from one that is just beginning
    if known.builder.alive or any(process.alive for process in known.pid1.values()):
        return False
    with network.held(network.names_of(name)) as spaces:
        return not inside("net", spaces)


def destroy(name: str) -> bool:
    """Remove all there is of the lab `name`; True if there was anything. LabError names what would not go.

    Processes are found by the namespaces that they live in, and by the pids (with start times) of the state file.
    Ctrl-C waits until this is through: it takes a moment only.
    """
    check_tools()
    folder = state.folder(name)
    if not leftovers(name):
        return False
    _refuse_while_building(name)
    with _no_interrupt(), network.held(network.names_of(name)) as spaces:
        for _ in range(_ROUNDS):
            _kill(_processes(name, spaces))
            for netns in network.names_of(name):
                network.drop_namespace(netns)
            for mount in mounts_below(folder):
                run(["umount", "--lazy", str(mount)])
            # One that was on its way into a namespace while the others were killed is found by the second look.
            if not inside("net", spaces):
                break
        if folder.exists():
            shutil.rmtree(folder)
    left = leftovers(name)
    if left:
        raise LabError(f"Lab {name} could not be cleared wholly: {', '.join(left)} is still there")
    return True


def _refuse_while_building(name: str) -> None:
    try:
        known = state.load(name)
    except LabError:
        return  # half-built, before its first state: there is nobody to ask
    if known.phase is state.Phase.BUILDING and known.builder.alive and known.builder != Process.of(os.getpid()):
        raise LabError(
            f"Lab {name} is just being built by process {known.builder.pid}",
            hint="wait until it is up, or end that process first (Ctrl-C there takes the lab down)",
        )


def _processes(name: str, spaces: set[Namespace]) -> tuple[Process, ...]:
    found = set(inside("net", spaces))
    try:
        found |= {p for p in state.load(name).pid1.values() if p.alive}
    except LabError:
        return tuple(found)  # no readable state: the namespaces tell
    return tuple(found)


def _kill(processes: tuple[Process, ...]) -> None:
    # The first of each pid namespace goes first, and takes the others along; their parents (nsenter, outside) then
    # collect them. Killed all at once, they would be left to the machine's init, which may take its time.
    first = tuple(p for p in processes if leads_namespace(p))
    for process in first:
        process.signal(signal.SIGKILL)
    for process in processes:
        process.signal(signal.SIGCONT)  # those of a frozen node: stopped parents collect nothing
    wait_gone(first, _KILL_WAIT)
    for process in processes:
        process.signal(signal.SIGKILL)
    left = wait_gone(processes, _KILL_WAIT)
    if left:
        pids = ", ".join(str(p.pid) for p in left)
        raise LabError(
            f"Processes of the lab do not end although they were killed: {pids}",
            hint="look at what they wait for (`cat /proc/PID/stack`), then take the lab down again",
        )


@contextmanager
def _no_interrupt() -> Iterator[None]:
    waiting = {signal.SIGINT, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, waiting)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
