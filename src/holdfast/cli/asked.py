"""What a command would ask of a controller, and no controller would take: a mistake of whoever called it."""

from __future__ import annotations

from pydantic import ValidationError

from holdfast.errors import UsageError
from holdfast.protocol.api.base import Asked

_MOST = 3


def mistake(error: ValueError) -> UsageError | None:
    """The error that is to be told instead; None where it is about something else. What was given is not repeated."""
    if not isinstance(error, ValidationError) or error.title not in _names(Asked):
        return None
    told = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:_MOST]]
    return UsageError(
        f"this cannot be asked of a controller: {'; '.join(told)}", "see --help; names are short, one word"
    )


def _names(kind: type[Asked]) -> set[str]:
    return {kind.__name__}.union(*(_names(inner) for inner in kind.__subclasses__()))
