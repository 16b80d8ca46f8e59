"""What a reference rule yields."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from holdfast.findings import Severity

from .positions import Path


@dataclass(frozen=True)
class Mistake:
    """A rule's result before its line is looked up: `path` is the place in the spec, `key` that its name is meant."""

    code: str
    path: Path
    message: str
    hint: str = ""
    severity: Severity = Severity.ERROR
    key: bool = False


def unknown(
    code: str, path: Path, kind: str, name: str, known: Iterable[str], *, where: str = "", key: bool = False
) -> Mistake:
    """A name that nothing bears, with the nearest one that exists."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    listed = f"known: {', '.join(names[:12])}" if names else f"the spec has no {kind} yet"
    return Mistake(
        code, path, f"there is no {kind} '{name}'{where}", f"did you mean '{near[0]}'?" if near else listed, key=key
    )
