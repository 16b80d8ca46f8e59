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
from holdfast.spec.load import mistakes_in


def linted(bundles: Mapping[str, Bundle], loaded: LoadedSpec, file: str) -> tuple[Finding, ...]:
    """Everything that lint finds; SpecError if any of it is a mistake."""
    remarks = suppressions.apply(of_compiled(bundles, loaded, together=True), {file: Source(file, loaded.text)})
    findings = tuple(remark.finding for remark in remarks)
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    if errors:
        said = mistakes_in(file, len(errors))
        raise SpecError(said, findings, "mend them, or say in a comment why one is none: lint --explain")
    return findings
