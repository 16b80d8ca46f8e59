"""Which kernel modules there are: loaded, or built into the kernel."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

# Where a kernel comes without a list of what is built into it, these files tell.
_SIGNS = {"ip_vs": Path("/proc/net/ip_vs"), "nf_conntrack": Path("/proc/net/nf_conntrack")}


def present() -> frozenset[str]:
    """Loaded or built in, `_` in their names; what cannot be read adds none."""
    found = {name for name, sign in _SIGNS.items() if sign.exists()}
    with suppress(OSError):
        found |= {line.split(" ", 1)[0] for line in Path("/proc/modules").read_text(encoding="ascii").splitlines()}
    with suppress(OSError):
        listing = Path("/lib/modules", os.uname().release, "modules.builtin").read_text(encoding="utf-8")
        found |= {Path(line).name.split(".", 1)[0] for line in listing.splitlines() if line}
    return frozenset(name.replace("-", "_") for name in found)


def is_among(name: str, modules: frozenset[str]) -> bool:
    """The kernel writes `_` where files may have `-`."""
    return name.replace("-", "_") in modules
