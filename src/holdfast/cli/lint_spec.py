"""Lint of a spec: its own rules, and those over keepalived.conf on what each node gets, told at the spec's lines."""

from __future__ import annotations

from pathlib import Path

from holdfast.compile.compiler import compile_cluster
from holdfast.errors import CompileError, SpecError
from holdfast.lint.compiled import of_compiled
from holdfast.lint.engine import Remark

from .inputs import compile_input


def remarks(path: str) -> list[Remark]:
    """All that is to be said of a spec; a file that cannot be read is a UsageError."""
    try:
        source = compile_input(Path(path), choose=True)
    except SpecError as error:
        return [Remark(finding) for finding in error.findings]
    try:
        bundles = compile_cluster(source)
    except CompileError as error:
        said = [Remark(finding) for finding in source.loaded.findings]
        return said + [Remark(finding) for finding in error.findings]
    return of_compiled(bundles, source.loaded, together=True)
