"""How values are written in keepalived.conf: nothing that it would split, expand or run through a shell."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from ..node_view import HeldView

_WORD = re.compile(r"[A-Za-z0-9_./:@+,=~%?&()*;\[\]-]+")
# Inside quotes blanks and comment signs are plain; quotes, backslashes and variables are not.
_QUOTED = re.compile(r"[ !#%-\[\]-~]+")


def word(value: object) -> str:
    """A bare word; ValueError on what keepalived would split, comment out or expand (`#`, `!`, `"`, `$`, braces)."""
    text = str(value)
    if not _WORD.fullmatch(text):
        raise ValueError(f"{text!r} cannot be written as a word of keepalived.conf")
    return text


def quoted(value: str) -> str:
    """A quoted text; ValueError on what ends it, escapes or expands (`"`, a backslash, `$`), or is not ASCII."""
    if not _QUOTED.fullmatch(value):
        raise ValueError(f"{value!r} cannot be written as a text of keepalived.conf")
    return f'"{value}"'


def command(words: tuple[str, ...]) -> str:
    """A quoted command line; keepalived splits it at blanks and runs it without a shell."""
    return '"' + " ".join(word(part) for part in words) + '"'


def held(view: HeldView) -> str:
    """One line of virtual_ipaddress: address/prefix, device, and what keeps it from being used where it should not.

    Over IPv6 Linux takes any address for the source of the node's own connections, unless it is deprecated (RFC 6724,
    rule 3): a check or a tunnel from a virtual address fails, because a real server has that address itself (measured).
    """
    if view.address.is_link_local:
        rest = " scope link" if view.address.version == 4 else ""
    else:
        rest = " preferred_lft 0" if view.address.version == 6 else ""
    return f"{word(view.address)} dev {word(view.interface)}{rest}"


def seconds(milliseconds: int) -> str:
    """Milliseconds as keepalived's seconds: 100 → `0.1`, 1000 → `1`."""
    return f"{milliseconds / 1000:.3f}".rstrip("0").rstrip(".")


FILTERS: Mapping[str, Callable[..., str]] = {
    "word": word,
    "quoted": quoted,
    "command": command,
    "held": held,
    "seconds": seconds,
}
