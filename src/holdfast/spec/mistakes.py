"""What a reference rule yields."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from holdfast.findings import Severity
from holdfast.sentences import Sentence

from .positions import Path


@dataclass(frozen=True)
class Mistake:
    """A rule's result before its line is looked up: `path` is the place in the spec, `key` that its name is meant."""

    code: str
    path: Path
    message: Sentence
    hint: Sentence | Literal[""] = ""
    severity: Severity = Severity.ERROR
    key: bool = False


def unknown(
    code: str, path: Path, kind: Sentence, name: str, known: Iterable[str], *, where: str = "", key: bool = False
) -> Mistake:
    """A name that nothing bears, with the nearest one that exists."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    listed = (
        Sentence("known: %(names)s", names=", ".join(names[:12]))
        if names
        else Sentence("the spec has no %(kind)s yet", kind=kind)
    )
    return Mistake(
        code,
        path,
        Sentence("there is no %(kind)s '%(name)s'%(where)s", kind=kind, name=name, where=where),
        Sentence("did you mean '%(near)s'?", near=near[0]) if near else listed,
        key=key,
    )
