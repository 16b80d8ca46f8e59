"""How servers are asked, in words."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.spec.checks import Check
from holdfast.spec.values import format_duration


@dataclass(frozen=True, slots=True)
class CheckWords:
    """How servers are asked, each number as people write it."""

    kind: str
    target: str
    every: str
    timeout: str
    retries: int
    retry_every: str
    port: int | None

    @property
    def question(self) -> str:
        """`http /healthz`."""
        return f"{self.kind} {self.target}".strip()


def check_words(check: Check | None) -> CheckWords | None:
    """A check as people read it; `script` is a name out of the policy of whoever asks."""
    if check is None:
        return None
    target = check.path or check.dns or check.script or ""
    return CheckWords(
        kind=check.kind,
        target=target,
        every=format_duration(check.every),
        timeout=format_duration(check.timeout),
        retries=check.fall,
        retry_every=format_duration(check.retry_every or check.every),
        port=check.port,
    )
