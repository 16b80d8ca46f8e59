"""A rollout while it goes on: a bar for each node, live on a terminal, lines elsewhere; and how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from holdfast.client.controller import Cluster
from holdfast.errors import ControllerUnreachable
from holdfast.protocol import Progress as Far
from holdfast.protocol.api.rollouts import RolloutNodeView, RolloutView

from .output import stderr, stdout, went_well

_STEPS = (Far.ACCEPTED, Far.WRITTEN, Far.APPLIED, Far.VERIFIED)
_WELL = ("succeeded",)
_AGAIN_AFTER_S = 1.0
_LONGEST_SILENCE_S = 120.0  # controllers may be replaced meanwhile


def follow(cluster: Cluster, number: int, *, quiet: bool = False) -> RolloutView:
    """Until it has ended, is paused, or no controller answers any more; shown on standard error."""
    if quiet:
        return _last(cluster, number, lambda one: None)
    if not stderr().is_terminal:
        return _last(cluster, number, _Lines())
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.fields[said]}"))
    with Progress(*columns, TimeElapsedColumn(), console=stderr(), transient=False) as progress:
        return _last(cluster, number, _Bars(progress))


def _last(cluster: Cluster, number: int, show: Callable[[RolloutView], None]) -> RolloutView:
    """The stream is opened again where it breaks: the rollout goes on whoever looks."""
    silent_since = time.monotonic()
    while True:  # ends: with the rollout, or after a long silence
        try:
            for one in cluster.follow_rollout(number):
                silent_since = time.monotonic()
                show(one)
                if one.over or one.phase == "paused":
                    return one
            one = cluster.rollout(number)
            show(one)
            if one.over or one.phase == "paused":
                return one
        except ControllerUnreachable:
            if time.monotonic() - silent_since > _LONGEST_SILENCE_S:
                raise
        time.sleep(_AGAIN_AFTER_S)


class _Bars:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, rollout: RolloutView) -> None:
        for node in rollout.nodes:
            if node.node not in self._tasks:
                self._tasks[node.node] = self._progress.add_task(node.node, total=len(_STEPS), said="", start=False)
            task = self._tasks[node.node]
            if node.started is not None:
                self._progress.start_task(task)
            self._progress.update(task, completed=_done(node), said=said(node))
            if node.ended is not None:
                self._progress.stop_task(task)


class _Lines:
    def __init__(self) -> None:
        self._last: dict[str, str] = {}

    def __call__(self, rollout: RolloutView) -> None:
        for node in rollout.nodes:
            now = said(node)
            if self._last.get(node.node) != now:
                self._last[node.node] = now
                if now != "waiting":
                    stderr().print(Text(f"{node.node}: {now}"))


def _done(node: RolloutNodeView) -> int:
    if node.phase == "verified":
        return len(_STEPS)
    with suppress(ValueError):
        return _STEPS.index(node.progress) + 1 if node.progress else 0
    return 0


def said(node: RolloutNodeView) -> str:
    """How far a node is, in a word: the agent's own while it is at work."""
    if node.phase == "applying" and node.progress is not None:
        return node.progress.value
    return node.phase


def show_end(rollout: RolloutView) -> bool:
    """Say how it ended; whether it went well."""
    out = stdout()
    head = f"rollout {rollout.id}, revision {rollout.revision}: {rollout.phase}"
    if rollout.phase in _WELL:
        away = [node.node for node in rollout.nodes if node.phase == "away"]
        out.print(went_well(head))
        if away:
            out.print(Text(f"  not waited for: {', '.join(away)}; they get it when they come", style="yellow"))
        return True
    if rollout.phase == "paused":
        out.print(Text(f"● {head}: look at what is done, then: holdfast rollout continue {rollout.id}", style="yellow"))
        return True
    console = stderr()
    console.print(Text(f"✗ {head}", style="bold red"))
    if rollout.reason:
        console.print(Text(f"  {rollout.reason}"))
    for node in rollout.nodes:
        if node.detail and node.detail != rollout.reason:
            console.print(Text(f"  {node.node} ({node.phase}): {node.detail}"))
        if node.program_line:
            console.print(Text(f"    {node.program_line}", style="dim"))
        if node.hint and node.hint != rollout.hint:
            console.print(Text(f"    → {node.hint}", style="green"))
    if rollout.hint:
        console.print(Text(f"  → {rollout.hint}", style="green"))
    return False
