"""What the agent tells its log: one line of JSON for each thing that happened, on standard error."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

LOG = logging.getLogger("holdfast.agent")
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}
_LONGEST = 2000  # characters of one value


class JsonLines(logging.Formatter):
    """time, level, message, and what was given as `extra`. Nothing that comes from a bundle's files is ever given."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        document: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage()[:_LONGEST],
        }
        for name, value in extras(record).items():
            document[name] = str(value)[:_LONGEST] if not isinstance(value, int | float | bool) else value
        if record.exc_info:
            document["trace"] = self.formatException(record.exc_info)[-8 * _LONGEST :]
        return json.dumps(document, ensure_ascii=False)


def extras(record: logging.LogRecord) -> dict[str, object]:
    """What was given beside the message."""
    return {name: value for name, value in record.__dict__.items() if name not in _STANDARD}


def begin_logging() -> None:
    """From here on `LOG` writes to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
