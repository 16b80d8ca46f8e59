"""The steps of an attempt, each timed, and foreign errors put into a sentence."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from holdfast.errors import ApplyError, HoldfastError
from holdfast.protocol import Failure, StageReport
from holdfast.sentences import Sentence


class Remark:
    """What a step found; it may be set while the step runs."""

    def __init__(self) -> None:
        self.text = ""


class Steps:
    """Collects what was done and how long it took."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._done: list[StageReport] = []

    @property
    def reports(self) -> tuple[StageReport, ...]:
        """In the order in which they ended."""
        return tuple(self._done)

    @contextmanager
    def step(self, name: str) -> Iterator[Remark]:
        """Time what is inside; raises what it raises, OSError as ApplyError."""
        remark = Remark()
        started = self._clock()
        try:
            with translated():
                yield remark
        except HoldfastError as error:
            self._add(name, False, error.message, started)
            raise
        except KeyboardInterrupt:
            self._add(name, False, "interrupted", started)
            raise
        self._add(name, True, remark.text, started)

    def _add(self, name: str, ok: bool, detail: str, started: float) -> None:
        seconds = round(self._clock() - started, 3)
        self._done.append(StageReport(name=name, ok=ok, detail=_text(detail), seconds=seconds))


@contextmanager
def translated() -> Iterator[None]:
    """Raise ApplyError in place of OSError."""
    try:
        yield
    except OSError as error:
        raise _sentence(error) from error


def _sentence(error: OSError) -> ApplyError:
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ApplyError(
            Sentence("the disk is full%(where)s; nothing is left half done", where=where),
            "make room on this node, then apply again",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return ApplyError(Sentence("not permitted%(where)s", where=where), "the agent needs root")
    if error.errno == errno.EROFS:
        return ApplyError(
            Sentence("the file system is read-only%(where)s", where=where), "the agent's own folders must be writable"
        )
    return ApplyError(
        Sentence("%(error)s%(where)s", error=error.strerror or error, where=where),
        "look at the disk of this node, then apply again",
    )


def failure(error: HoldfastError | KeyboardInterrupt) -> Failure:
    """What a report says of it."""
    if isinstance(error, KeyboardInterrupt):
        return Failure.of(Sentence("interrupted"), Sentence("apply again"))
    line = error.program_line if isinstance(error, ApplyError) else ""
    return Failure.of(_text(error.message), _text(error.hint), _text(line))


def _text(said: str) -> str:
    """As a report can carry it: a file's name may hold bytes that are no text."""
    try:
        said.encode()
    except UnicodeEncodeError:
        return said.encode(errors="backslashreplace").decode()
    return said
