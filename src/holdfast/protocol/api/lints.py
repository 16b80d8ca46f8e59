"""What is wrong with a spec, or could be better, as the API says it to whoever is writing one."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from holdfast.bundle import SafeName
from holdfast.findings import Finding

from .base import Asked, Digest, FileName, SpecText, Told

MOST_FINDINGS = 1000


class LintRequest(Asked):
    """A spec to be looked at; nothing is written or planned."""

    spec: SpecText
    file: FileName = "spec"


class LintView(Told):
    """What is to be said of a spec. A mistake is a finding here, too, and no error."""

    cluster: SafeName
    digest: Digest = Field(description="SHA-256 of the spec's text.")
    findings: Annotated[tuple[Finding, ...], Field(max_length=MOST_FINDINGS)] = ()
    left_out: int = Field(default=0, description="Findings beyond those that are told.")
    complete: bool = Field(
        default=True, description="false: it took too long, or more than it may; ask for a plan instead."
    )
