"""The end of the agent's own log, kept in memory so that reports can carry it: bounded, and without secrets."""

from __future__ import annotations

import logging
import re
from collections import deque
from datetime import UTC, datetime

from holdfast.agent.daemon.log import extras
from holdfast.protocol.machine import LONGEST_LINE, MOST_LINES, LogLine

_LEVELS = {logging.WARNING: "warning", logging.ERROR: "error", logging.CRITICAL: "error"}
# Nothing secret is ever given to the log; an error's text may quote a program, though, and that may quote its file.
_SECRETS = re.compile(
    r"(hfj1:[^\s:]{1,63}:[^\s:]{1,63}:)\S+|((?:auth_pass|password|passwd|secret|token|bearer)[\"']?\s*[:=]?\s*[\"']?)\S+",
    re.IGNORECASE,
)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


class Recent(logging.Handler):
    """Keeps the last lines; older ones are forgotten."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._lines: deque[LogLine] = deque(maxlen=MOST_LINES)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line; what was given as `extra` comes behind the message."""
        told = "; ".join([record.getMessage(), *(f"{name}: {value}" for name, value in extras(record).items())])
        self._lines.append(
            LogLine(
                time=datetime.fromtimestamp(record.created, UTC),
                level=_LEVELS.get(record.levelno, "info"),
                text=presentable(told),
            )
        )

    def lines(self) -> tuple[LogLine, ...]:
        """Oldest first."""
        return tuple(self._lines)


def presentable(text: str) -> str:
    """One line, not too long, in which whatever looks like a secret is masked."""
    one = _SECRETS.sub(lambda found: f"{found[1] or found[2]}********", _UNPRINTABLE.sub(" ", text)).strip()
    return one if len(one) <= LONGEST_LINE else f"{one[: LONGEST_LINE - 1]}…"
