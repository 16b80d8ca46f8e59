"""Literal texts and regular expressions as every engine takes them: one dialect, checked before any sees it."""

from __future__ import annotations

import re
import warnings
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from holdfast.sentences import Sentence

from .values import WrongError, shown

Literally = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f\"'\\]*$")]

# Named groups would set variables of nginx; PCRE2 has no \\u, \\U, \\N{…} and no flags a, L, u, and counts to 65535.
_NOT_IN_BOTH = re.compile(r"\(\?P|(?<!\\)(?:\\\\)*\\[uUN]|\(\?[a-z-]*[aLu]|\{[0-9]*,?[0-9]{6,}")


def _check_regex(value: str) -> str:
    """Both engines use PCRE2; Python's own `re` finds the syntax errors that they share."""
    if any(ord(c) < 0x20 or c in "\"'\x7f" for c in value):
        hint = Sentence("write . for a quote")
        raise WrongError(Sentence("a regular expression may not contain quotes or control characters"), hint)
    if found := _NOT_IN_BOTH.search(value):
        hint = Sentence("groups have numbers, bytes are written \\xNN, flags are i, m, s and x")
        raise WrongError(
            Sentence("%(found)s is not in the dialect that both engines share", found=shown(found[0])), hint
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # "[[:alpha:]]" is fine: what may change is Python's reading
            re.compile(value)
    except re.error as error:
        raise WrongError(
            Sentence("%(value)s is not a regular expression: %(error)s", value=shown(value), error=error),
            Sentence("check brackets and backslashes"),
        ) from None
    return value


Regex = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_check_regex)]
