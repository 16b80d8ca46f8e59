"""Events and audit records as the API says them."""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime, Field

from holdfast.bundle import SafeName

from .base import Count, Number, Told
from .damaged import DamagedPlace

_DAMAGED = "Records in between that are not understood; of whose cluster they are, nobody knows."


class EventView(Told):
    """Something that happened. `kind` is stable: `rollout.started`, `vip.moved`."""

    number: Number
    time: AwareDatetime
    kind: str
    cluster: SafeName | None = None
    node: SafeName | None = None
    message: str
    data: dict[str, Any] = {}


class EventList(Told):
    """Oldest first; `after` is what to ask for those that follow."""

    events: tuple[EventView, ...]
    after: Count
    damaged: tuple[DamagedPlace, ...] = Field(default=(), description=_DAMAGED)


class AuditView(Told):
    """Who changed what. `before` and `after` are JSON without secrets."""

    number: Number
    time: AwareDatetime
    actor: str
    action: str
    target: str
    cluster: SafeName | None = None
    source: str = ""
    outcome: str = Field(default="done", examples=["done", "refused", "failed"])
    before: str = ""
    after: str = ""


class AuditList(Told):
    """Newest first; `before` is what to ask for the next page, null at the end."""

    records: tuple[AuditView, ...]
    before: Number | None = None
    damaged: tuple[DamagedPlace, ...] = Field(default=(), description=_DAMAGED)
