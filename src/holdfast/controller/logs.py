"""What the controller logs: a line of JSON for each thing, on standard error, with what belongs to it and no secret."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

_EXPECTED = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}
_LONGEST = 4000  # characters of a message; a traceback may have five times as many


class JsonLines(logging.Formatter):
    """A record as JSON on one line, with every field that it was given."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        told: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "from": record.name.removeprefix("holdfast."),
            "message": record.getMessage()[:_LONGEST],
        }
        told |= {name: value for name, value in vars(record).items() if name not in _EXPECTED}
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)[-5 * _LONGEST :]
        return json.dumps(told, ensure_ascii=False, default=str)


def start_logging(*, verbose: bool = False) -> None:
    """Log to standard error from now on. What libraries say is told from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("holdfast").setLevel(logging.DEBUG if verbose else logging.INFO)
    # Its last words at a stop are no errors: streams that had to be cut off. And we log requests ourselves.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    logging.getLogger("uvicorn.access").disabled = True
