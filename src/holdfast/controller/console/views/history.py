"""What happened in a cluster, and who changed what: looked for by time, people, things and results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import HTMLResponse
from starlette.responses import Response

from holdfast.errors import UsageError
from holdfast.protocol.api.base import LARGEST_PAGE
from holdfast.sentences import Sentence
from holdfast.store.store import Store

from ...api.answers import Before, ClusterName
from ...callers import Allowed
from ...identity import Action, Person
from ...operations import happened
from ...operations.happened import Wanted
from ..navigation import PREFIX
from ..pages import Console, Page
from ..pictures.history import ACTIONS, OUTCOMES, TOPICS, WHOLE_ACTIONS, audit_of, audited_of, change_of, events_of

router = APIRouter(prefix=PREFIX, include_in_schema=False, default_response_class=HTMLResponse)

Reading = Annotated[Person, Depends(Allowed(Action.READ))]
Auditing = Annotated[Person, Depends(Allowed(Action.CLUSTER_AUDIT))]
AuditingAll = Annotated[Person, Depends(Allowed(Action.AUDIT))]
Word = Annotated[str, Query(max_length=200)]
RecordNumber = Annotated[int, Path(ge=1, le=10**12)]
_IN_CLUSTER = "/clusters/{cluster}"
_LIST = "history/list.html"
_PAGE = 60


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody looks for, as the address of the page says it."""

    topic: str
    by: str
    thing: str
    result: str
    since: str
    until: str

    def wanted(self, kinds: tuple[str, ...]) -> Wanted:
        """The same, understood; UsageError for a time that is none."""
        outcome = self.result if self.result in OUTCOMES else ""
        return Wanted(kinds, self.by, self.thing, outcome, _moment(self.since), _moment(self.until))

    def query(self, **more: object) -> dict[str, object]:
        """What stands in addresses that lead to the same."""
        own = (("topic", self.topic), ("by", self.by), ("thing", self.thing), ("result", self.result))
        told = (*own, ("since", self.since), ("until", self.until), *more.items())
        return {name: value for name, value in told if value not in (None, "", "all")}


def asked_of(
    topic: Word = "all", by: Word = "", thing: Word = "", result: Word = "", since: Word = "", until: Word = ""
) -> Asked:
    """What an address asks for."""
    return Asked(*(one.strip() for one in (topic, by, thing, result, since, until)))


Filters = Annotated[Asked, Depends(asked_of)]


def _moment(text: str) -> datetime | None:
    """A time as ISO 8601 writes it; without a zone, it is UTC."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(
            Sentence("this is no time: %(text)s", text=text[:40]), "write it like 2026-05-01T18:30:00Z"
        ) from None


@router.get(_IN_CLUSTER + "/events", name="console_events")
async def events(page: Console, who: Reading, cluster: ClusterName, asked: Filters, before: Before = None) -> Response:
    """The whole page of events."""
    found = await page.shared_text(_LIST, (asked, before), lambda: _events(page.store, cluster, asked, before))
    export = {"kind": TOPICS.get(asked.topic, TOPICS["all"])[1], **_times(asked), "thing": asked.thing}
    return await page.show(
        "history/events.html", here="events", title=page.words.say("Events"), list=found, asked=asked, topics=TOPICS,
        export=_export(f"clusters/{cluster}/events", export),
    )  # fmt: skip


@router.get(_IN_CLUSTER + "/events/list", name="console_events_list")
async def part(page: Console, who: Reading, cluster: ClusterName, asked: Filters, before: Before = None) -> Response:
    """The part that changes."""
    return await page.shared_part(_LIST, (asked, before), lambda: _events(page.store, cluster, asked, before))


async def _events(store: Store, cluster: str, asked: Asked, before: int | None) -> Mapping[str, Any]:
    kinds = TOPICS.get(asked.topic, TOPICS["all"])[1]
    found = await happened.happened(
        store, cluster, before=before, limit=_PAGE, steps=bool(kinds), wanted=asked.wanted(kinds)
    )
    told = {"events": events_of(found.events), "more": found.before, "damaged": found.damaged}
    return {**told, "asked": asked, "before": before}


@router.get(_IN_CLUSTER + "/audit", name="console_audit")
async def audit(page: Console, who: Auditing, cluster: ClusterName, asked: Filters, before: Before = None) -> Response:
    """Who changed what in a cluster."""
    title = page.words.say("Audit")
    told = await _records(page, cluster, asked, before)
    return await page.show("history/audit.html", here="events", title=title, **told)


@router.get(_IN_CLUSTER + "/audit/list", name="console_audit_list")
async def records(
    page: Console, who: Auditing, cluster: ClusterName, asked: Filters, before: Before = None
) -> Response:
    """The part that changes."""
    return page.part("history/records.html", **await _records(page, cluster, asked, before))


@router.get(_IN_CLUSTER + "/audit/{number}", name="console_audit_record")
async def record(page: Console, who: Auditing, cluster: ClusterName, number: RecordNumber) -> Response:
    """One record, with what was before and after."""
    return await _record(page, cluster, number)


@router.get("/audit", name="console_whole_audit")
async def whole_audit(page: Console, who: AuditingAll, asked: Filters, before: Before = None) -> Response:
    """Who changed what anywhere: users, tokens, logins and clusters, too."""
    title = page.words.say("Audit of everything")
    return await page.show(
        "history/audit.html", here="whole-audit", title=title, **await _records(page, None, asked, before)
    )


@router.get("/audit/list", name="console_whole_audit_list")
async def whole_records(page: Console, who: AuditingAll, asked: Filters, before: Before = None) -> Response:
    """The part that changes."""
    return page.part("history/records.html", **await _records(page, None, asked, before))


@router.get("/audit/{number}", name="console_whole_audit_record")
async def whole_record(page: Console, who: AuditingAll, number: RecordNumber) -> Response:
    """One record, of whatever cluster, or none."""
    return await _record(page, None, number)


async def _records(page: Page, cluster: str | None, asked: Asked, before: int | None) -> Mapping[str, Any]:
    topics = ACTIONS if cluster else WHOLE_ACTIONS
    kinds = topics.get(asked.topic, topics["all"])[1]
    found = await happened.audited(page.store, cluster, asked.wanted(kinds), before, _PAGE)
    export = {"action": kinds, "by": asked.by, "thing": asked.thing, "outcome": asked.result, **_times(asked)}
    start, place = ("console_audit", {"cluster": cluster}) if cluster else ("console_whole_audit", {})
    return {
        "records": audit_of(found.records), "damaged": found.damaged,
        "more": found.before, "asked": asked, "before": before, "topics": topics,
        "outcomes": OUTCOMES, "start": start, "place": place, "whole": cluster is None,
        "export": _export(f"clusters/{cluster}/audit" if cluster else "audit", export),
    }  # fmt: skip


async def _record(page: Page, cluster: str | None, number: int) -> Response:
    found = await happened.audit_record(page.store, cluster, number)
    return page.part("history/record.html", one=audited_of(found), change=change_of(found))


def _times(asked: Asked) -> dict[str, object]:
    return {
        name: found.isoformat()
        for name, found in (("since", _moment(asked.since)), ("until", _moment(asked.until)))
        if found
    }


def _export(path: str, query: Mapping[str, object]) -> str:
    """The same as JSON, from the API."""
    told = {name: value for name, value in query.items() if value}
    return f"/api/v1/{path}?{urlencode({**told, 'limit': LARGEST_PAGE}, doseq=True)}"
