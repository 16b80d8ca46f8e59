"""What is to be said of a spec that compiled, with what its author silenced left out."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.bundle import Bundle
from holdfast.errors import SpecError
from holdfast.findings import Finding, Severity
from holdfast.keepalived.source import Source
from holdfast.lint import suppressions
from holdfast.lint.compiled import of_compiled
from holdfast.spec import LoadedSpec


def linted(bundles: Mapping[str, Bundle], loaded: LoadedSpec, file: str) -> tuple[Finding, ...]:
    """Everything that lint finds; SpecError if any of it is a mistake."""
    remarks = suppressions.apply(of_compiled(bundles, loaded, together=True), {file: Source(file, loaded.text)})
    findings = tuple(remark.finding for remark in remarks)
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    if errors:
        count = f"{len(errors)} mistake{'s' if len(errors) > 1 else ''}"
        raise SpecError(
            f"{file} has {count}", findings, "mend them, or say in a comment why one is none: lint --explain"
        )
    return findings
