"""Programs: their versions, and what keepalived says of its own build."""

from __future__ import annotations

import re

from holdfast.agent.host.port import Host
from holdfast.errors import MissingProgram

_TIMEOUT_S = 5.0
VERSIONS = {  # how each program is asked
    "keepalived": ("keepalived", "--version"),
    "nginx": ("nginx", "-v"),
    "haproxy": ("haproxy", "-v"),
    "nft": ("nft", "--version"),
}
_NUMBER = re.compile(r"\bv?(\d+\.\d+(?:\.\d+)?)")
_OPTION = re.compile(r"[A-Z][A-Z0-9_]{1,40}")


def said_of_versions(host: Host) -> dict[str, tuple[str, ...] | None]:
    """What each program answers when asked for its version; None: it is not installed."""
    return {name: _asked(host, argv) for name, argv in VERSIONS.items()}


def _asked(host: Host, argv: tuple[str, ...]) -> tuple[str, ...] | None:
    try:
        return host.run(argv, _TIMEOUT_S).lines
    except MissingProgram:
        return None


def version(lines: tuple[str, ...] | None) -> str | None:
    """The number in what a program said; None of one that is not installed."""
    if lines is None:
        return None
    found = _NUMBER.search("\n".join(lines))
    return found.group(1) if found else "unknown"


def build_options(lines: tuple[str, ...]) -> tuple[str, ...]:
    """What `keepalived --version` says behind `Config options:`, without values (INIT=systemd)."""
    for line in lines:
        head, _, rest = line.partition("Config options:")
        if rest and not head:
            return tuple(word for word in rest.split() if _OPTION.fullmatch(word))[:200]
    return ()
