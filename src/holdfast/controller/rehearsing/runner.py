"""Rehearsals of one controller: whether one may be begun, the one that runs, and those that are kept on disk."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from holdfast.errors import Conflict, HoldfastError, NotFound, PlanRefused, StateForbids
from holdfast.protocol.api.rehearsals import MOST_STEPS, RehearsalView, RehearsedStep
from holdfast.sentences import Sentence, as_data, from_data, joined

from .child import COMMAND, Child

LONGEST_S = 3600.0  # a rehearsal that takes longer is stopped
_KEPT = 20
_LONGEST_LINE = 1000  # characters
_LARGEST_REPORT = 50_000_000  # bytes
_VIEW, _REPORT = "rehearsal.json", "report"
_NOT_ALLOWED = Sentence("its operator has not allowed it: holdfast serve --rehearsals FOLDER")
_NOT_ROOT = Sentence("the controller does not run as root, and only root may make network namespaces and mounts")
_log = logging.getLogger(__name__)

Said = Callable[[RehearsalView, str, str], Awaitable[None]]  # what has happened: its kind, and a sentence
Clock = Callable[[], datetime]


class Rehearsals:
    """In `folder`, or none at all where the operator named none. One at a time."""

    def __init__(
        self, folder: Path | None = None, *, command: Sequence[str] = COMMAND, longest_s: float = LONGEST_S
    ) -> None:
        self._folder, self._command, self._longest_s = folder, command, longest_s
        self._running: RehearsalView | None = None
        self._child: Child | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopped_by = ""
        self._closed = False

    def missing(self) -> tuple[str, ...]:
        """Why none can be begun on this machine, in words; empty: one can."""
        if self._folder is None:
            return (_NOT_ALLOWED,)
        return () if os.geteuid() == 0 else (_NOT_ROOT,)

    def all(self, cluster: str) -> tuple[RehearsalView, ...]:
        """Those of a cluster, newest first."""
        numbers = sorted(self._numbers(), reverse=True)
        found = (self._read(number) for number in numbers)
        return tuple(one for one in found if one is not None and one.cluster == cluster)

    def one(self, cluster: str, number: int) -> RehearsalView:
        """One of them; NotFound."""
        found = self._read(number)
        if found is None or found.cluster != cluster:
            raise NotFound(
                Sentence("there is no rehearsal %(number)s here", number=number),
                "look at the list; each controller has its own",
            )
        return found

    @property
    def now(self) -> RehearsalView | None:
        """The one that runs, whichever cluster it is of."""
        return self._running

    def report(self, cluster: str, number: int, name: str) -> bytes:
        """A file of its report; NotFound where there is none, or where it is larger than anybody reads."""
        self.one(cluster, number)
        path = self._of(number) / _REPORT / name
        try:
            with path.open("rb") as file:
                content = file.read(_LARGEST_REPORT + 1)
        except OSError:
            content = b""
        if not content or len(content) > _LARGEST_REPORT:
            raise NotFound(
                Sentence("rehearsal %(number)s has no report", number=number), "it did not come to its end"
            ) from None
        return content

    def next(self) -> int:
        """The number of the one that could be begun now; PlanRefused, Conflict while another one runs."""
        missing = self.missing()
        if missing or self._closed:
            raise PlanRefused("this controller cannot rehearse", joined(missing) or "it is about to stop")
        if self._running is not None:
            raise Conflict("another rehearsal runs on this controller", "wait until it has ended, or stop it")
        return max(self._numbers(), default=0) + 1

    def begin(self, view: RehearsalView, files: Mapping[str, str], clock: Clock, said: Said) -> RehearsalView:
        """Begin one with these files; its number is given here. As of `next`."""
        number = self.next()
        view = view.model_copy(update={"id": number})
        self._written(number, files)
        self._running, self._stopped_by = view, ""
        self._keep()
        self._task = asyncio.create_task(self._run(number, clock, said))
        return view

    def running(self, cluster: str, number: int) -> RehearsalView:
        """The one that runs; StateForbids where it has ended, NotFound."""
        found = self.one(cluster, number)
        if self._running is None or self._running.id != number:
            raise StateForbids(Sentence("rehearsal %(number)s has ended", number=number), "there is nothing to stop")
        return found

    def stop(self, cluster: str, number: int, by: str) -> RehearsalView:
        """Stop the one that runs. As of `running`."""
        found = self.running(cluster, number)
        self._stopped_by = self._stopped_by or by
        self._change(state="stopping")
        if self._child is not None:
            self._child.let_go()
        return self._running or found

    async def close(self) -> None:
        """The controller stops: so does what it rehearses, and its lab is taken down."""
        self._closed = True
        if self._task is not None and not self._task.done():
            self._stopped_by = self._stopped_by or "the controller, which stops"
            if self._child is not None:
                self._child.let_go()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, number: int, clock: Clock, said: Said) -> None:
        steps: list[str] = []
        told: asyncio.Queue[str] = asyncio.Queue()
        outcome: dict[str, Any] = {}

        def line(found: dict[str, Any]) -> None:
            if "step" in found:
                steps.append(self._step(found["step"]))
                told.put_nowait(steps[-1])
            elif "doing" in found:
                self._progress(found)
            else:
                outcome.update(found)

        child = self._child = Child(self._of(number), line, self._command)
        if self._stopped_by:  # before it had begun
            child.let_go()
        teller = asyncio.create_task(self._tell(told, said))
        status: int | None = -1
        try:
            status = await child.run(self._longest_s)
        except OSError as error:
            why = error.strerror or str(error)
            outcome["error"] = {"message": Sentence("it could not be begun: %(why)s", why=why)}
        finally:
            teller.cancel()
            self._ended(status, outcome, child.errors, clock())
            last, self._running, self._child = self._running, None, None
        if last is not None:
            with contextlib.suppress(HoldfastError):
                told_so = Sentence("rehearsal %(id)s: %(state)s", id=number, state=Sentence(last.state))
                await said(last, "rehearsal.ended", told_so)

    async def _tell(self, told: asyncio.Queue[str], said: Said) -> None:
        while True:
            text = await told.get()
            if self._running is not None:
                try:
                    await said(self._running, "rehearsal.step", text)
                except HoldfastError as error:
                    _log.warning("a step of a rehearsal was not told: %s", error.message)

    def _step(self, data: Any) -> str:
        try:
            step = RehearsedStep.model_validate(data)
        except ValidationError:
            return "a step that is not understood"
        if self._running is not None and len(self._running.steps) < MOST_STEPS:
            self._change(steps=(*self._running.steps, step))
        return f"rehearsal {self._running.id if self._running else 0}: {step.name}: {step.verdict}"

    def _progress(self, data: dict[str, Any]) -> None:
        names = ("doing", "doing_said", "number", "total", "holders", "sent", "failed")
        if self._running is None:
            return
        told = {name: data[name] for name in names if name in data}
        with contextlib.suppress(ValidationError):
            self._running = RehearsalView.model_validate({**self._running.model_dump(), **told})

    def _ended(self, status: int | None, outcome: dict[str, Any], errors: bytes, now: datetime) -> None:
        """What became of it, and why."""
        verdict, error = outcome.get("verdict"), outcome.get("error")
        message, hint = "", ""
        if verdict in ("pass", "fail") and status == 0:
            state = "passed" if verdict == "pass" else "failed"
        elif status is None:
            state, message = "stopped", Sentence("it took longer than %(n)s s", n=f"{self._longest_s:g}")
        elif self._stopped_by:
            state, message = "stopped", Sentence("stopped by %(who)s", who=self._stopped_by)
        elif isinstance(error, dict):
            state, message, hint = "broken", _told(error, "message"), _told(error, "hint")
        else:
            last = errors.decode("utf-8", "replace").strip().splitlines()
            why = last[-1][:500] if last else f"status {status}"
            state, message = "broken", Sentence("it ended unexpectedly: %(why)s", why=why)
        number = self._running.id if self._running else 0
        report = (self._of(number) / _REPORT / "report.json").is_file()
        self._change(state=state, ended=now, doing="", doing_said={}, report=report, **_kept(message, hint))

    def _change(self, **changed: object) -> None:
        if self._running is not None:
            self._running = self._running.model_copy(update=changed)
            self._keep()

    # ---- what is kept on disk ----

    def _of(self, number: int) -> Path:
        assert self._folder is not None, "nothing is begun without a folder"
        return self._folder / str(number)

    def _numbers(self) -> tuple[int, ...]:
        if self._folder is None or not self._folder.is_dir():
            return ()
        return tuple(int(one.name) for one in self._folder.iterdir() if one.name.isascii() and one.name.isdigit())

    def _read(self, number: int) -> RehearsalView | None:
        """As it is kept. One that ran when its controller died has ended with it."""
        if self._running is not None and self._running.id == number:
            return self._running
        if self._folder is None:
            return None
        try:
            text = (self._of(number) / _VIEW).read_text(encoding="utf-8")
            found = RehearsalView.model_validate_json(text)
        except (OSError, ValueError):
            return None
        if found.over:
            return found
        return found.model_copy(update={"state": "stopped", **_kept(Sentence("its controller ended"))})

    def _written(self, number: int, files: Mapping[str, str]) -> None:
        """A folder of its own, for nobody else to read; of the oldest ones nothing stays."""
        folder = self._of(number)
        try:
            folder.mkdir(mode=0o700, parents=True)
            for name, text in files.items():
                (folder / name).write_text(text, encoding="utf-8")
            for old in sorted(self._numbers(), reverse=True)[_KEPT:]:
                shutil.rmtree(self._of(old), ignore_errors=True)
        except OSError as error:
            raise PlanRefused(
                Sentence("a rehearsal cannot be kept: %(error)s", error=error.strerror or error),
                "look at the folder of --rehearsals",
            ) from None

    def _keep(self) -> None:
        if self._running is None:
            return
        try:
            path = self._of(self._running.id) / _VIEW
            beside = path.with_suffix(".new")
            beside.write_text(self._running.model_dump_json(), encoding="utf-8")
            beside.replace(path)  # whoever dies in between leaves what was kept before
        except OSError as error:
            _log.warning("a rehearsal cannot be kept: %s", error.strerror)


def _told(error: Mapping[str, Any], name: str) -> str:
    """What went wrong, as who rehearses says it: with its sentence, where it is one."""
    text = error.get(name, "")
    return text if isinstance(text, Sentence) else from_data(error.get(f"{name}_said")) or str(text)


def _kept(message: str, hint: str = "") -> dict[str, object]:
    """Texts as a view has them: cut, and beside each the same for other languages."""
    return {
        "message": str(message)[:_LONGEST_LINE],
        "message_said": as_data(message) if isinstance(message, Sentence) else {},
        "hint": str(hint)[:_LONGEST_LINE],
        "hint_said": as_data(hint) if isinstance(hint, Sentence) else {},
    }
