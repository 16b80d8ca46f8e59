"""What happened in a cluster, and who changed what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import HTMLResponse
from starlette.responses import Response

from holdfast.store.store import Store

from ...api.answers import Before, ClusterName
from ...callers import Allowed
from ...identity import Action, Person
from ...operations import happened
from ..navigation import PREFIX
from ..pages import Console
from ..pictures.history import ACTIONS, TOPICS, audit_of, events_of

router = APIRouter(
    prefix=f"{PREFIX}/clusters/{{cluster}}", include_in_schema=False, default_response_class=HTMLResponse
)

Reading = Annotated[Person, Depends(Allowed(Action.READ))]
Auditing = Annotated[Person, Depends(Allowed(Action.CLUSTER_AUDIT))]
Topic = Annotated[str, Query(max_length=20)]
OfNode = Annotated[str, Query(max_length=63)]
OfWhom = Annotated[str, Query(max_length=100)]
_LIST = "history/list.html"
_PAGE = 60


@router.get("/events", name="console_events")
async def events(
    page: Console, who: Reading, cluster: ClusterName, topic: Topic = "all", node: OfNode = "", before: Before = None
) -> Response:
    """The whole page of events."""
    key = (topic, node, before)
    found = await page.shared_text(_LIST, key, lambda: _events(page.store, cluster, *key))
    title = page.words.say("Events")
    return await page.show(
        "history/events.html", here="events", title=title, list=found, topic=topic, topics=TOPICS, node=node
    )


@router.get("/events/list", name="console_events_list")
async def part(
    page: Console, who: Reading, cluster: ClusterName, topic: Topic = "all", node: OfNode = "", before: Before = None
) -> Response:
    """The part that changes."""
    key = (topic, node, before)
    return await page.shared_part(_LIST, key, lambda: _events(page.store, cluster, *key))


async def _events(store: Store, cluster: str, topic: str, node: str, before: int | None) -> Mapping[str, object]:
    topic = topic if topic in TOPICS else "all"
    found, more = await happened.happened(
        store, cluster, TOPICS[topic][1], node.strip() or None, before, _PAGE, steps=topic != "all"
    )
    return {
        "events": events_of(found), "more": more, "topic": topic, "topics": TOPICS, "node": node, "before": before,
    }  # fmt: skip


@router.get("/audit", name="console_audit")
async def audit(
    page: Console, who: Auditing, cluster: ClusterName, topic: Topic = "all", by: OfWhom = "", before: Before = None
) -> Response:
    """Who changed what."""
    topic = topic if topic in ACTIONS else "all"
    found = await happened.audited(page.store, cluster, ACTIONS[topic][1], by.strip(), before, _PAGE)
    return await page.show(
        "history/audit.html", here="events", title=page.words.say("Audit"),
        records=audit_of(found.records), more=found.before, topic=topic, topics=ACTIONS, by=by, before=before,
    )  # fmt: skip
