"""Audit records: who changed what, from where, before and after, with every secret hidden."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from holdfast.store.models import AuditRecord

from .redaction import before_and_after

SYSTEM = "system"  # the controller itself, at its first start
STRANGER = "stranger"  # whoever is not known
_LONGEST_TARGET = 1000
_LONGEST_ACTOR = 200


def audited(
    time: datetime,
    actor: str,
    action: str,
    target: str,
    *,
    before: object = None,
    after: object = None,
    cluster: str | None = None,
    source: str = "",
    outcome: Literal["done", "refused", "failed"] = "done",
) -> AuditRecord:
    """One record. `before` and `after` are the typed objects themselves: what they hide stays hidden."""
    told = before_and_after(before, after)
    return AuditRecord(
        time=time,
        actor=_plain(actor, _LONGEST_ACTOR),
        action=action,
        target=_plain(target, _LONGEST_TARGET),
        cluster=cluster,
        source=_plain(source, 100),
        outcome=outcome,
        before=told[0],
        after=told[1],
    )


def _plain(text: str, longest: int) -> str:
    """One line of bounded length: what strangers send ends up here, and in somebody's terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:longest])
