"""How a file differs from what was applied, for people to read, with its secrets left out: pure."""

from __future__ import annotations

import difflib
import re

from holdfast.protocol.desired import LONGEST_DIFF

_LINES_AT_MOST = 20_000  # of a file that is compared line by line
_HIDDEN = "********"
# Words of keepalived, nginx and HAProxy behind which the rest of a line is a secret, or may be one.
_SECRET = re.compile(
    r"^(.*?(?:auth_pass|pass(?:word|wd|phrase)|(?<!\w)pass|secret|token|authorization|api[_-]?key|credentials?)\b[\"']?)(.*\S.*)$",
    re.IGNORECASE,
)


def masked(line: str) -> str:
    """The line without what may be a secret in it."""
    found = _SECRET.match(line)
    return f"{found[1]} {_HIDDEN}" if found else line


def unified(path: str, wanted: str, found: str) -> str:
    """A unified diff from `wanted` to `found`; what only differs in a secret says so, and no more."""
    before, after = wanted.splitlines(), found.splitlines()
    if max(len(before), len(after)) > _LINES_AT_MOST:
        return f"# {path} has {len(after)} lines, and should have {len(before)}: too many to compare here\n"
    lines = list(
        difflib.unified_diff(
            [masked(line) for line in before],
            [masked(line) for line in after],
            f"{path} (as applied)",
            f"{path} (now)",
            lineterm="",
            n=3,
        )
    )
    if not lines:
        return f"# {path} differs in a secret, or in how its lines end\n"
    text = "\n".join(lines) + "\n"
    return text if len(text) <= LONGEST_DIFF else text[: LONGEST_DIFF - 100].rsplit("\n", 1)[0] + "\n# …\n"
