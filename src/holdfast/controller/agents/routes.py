"""What agents ask of a controller: to join, to renew, their stream, their bundle; and what they post."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Response
from starlette.responses import PlainTextResponse

from holdfast.errors import NotFound, StoreUnavailable, TooManyAttempts
from holdfast.protocol import (
    AgentReport,
    Answer,
    JoinAnswer,
    JoinRequest,
    RenewAnswer,
    RenewRequest,
)
from holdfast.protocol.realtime import HEEDS_HEADER, WATCH, Sample
from holdfast.rollout.records import RolloutStore
from holdfast.sentences import Sentence

from ..api.answers import PROBLEMS
from ..api.streams import STREAM, Lines
from ..callers import AllowedNode, Calling, Ctx
from ..identity import Action, NodeAgent
from ..identity.authority import pem
from .reports import refuse_others, take_answer, take_report
from .stream import lines

router = APIRouter(prefix="/agent/v1", tags=["agents"], responses=PROBLEMS)

Fetching = Annotated[NodeAgent, Depends(AllowedNode(Action.BUNDLE_FETCH))]
Reporting = Annotated[NodeAgent, Depends(AllowedNode(Action.REPORT_SEND))]
Renewing = Annotated[NodeAgent, Depends(AllowedNode(Action.CERTIFICATE_RENEW))]
Heeds = Annotated[str, Header(alias=HEEDS_HEADER, max_length=200, include_in_schema=False)]
BundleDigest = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]


class Pem(PlainTextResponse):
    """A certificate as text."""

    media_type = "application/x-pem-file"


@router.get("/authority", operation_id="authority", response_class=Pem)
async def authority(context: Ctx) -> Pem:
    """The certificate authority's certificate (PEM): to be compared with the fingerprint that a join token carries."""
    await context.doors.authorities.refresh()
    return Pem(pem(context.doors.authorities.current.certificate))


@router.post("/join", operation_id="join")
async def join(context: Ctx, caller: Calling, request: JoinRequest) -> JoinAnswer:
    """Become a node, with a token that is good for one time."""
    return await context.doors.enrolment.join(request, caller.source)


@router.post("/renew", operation_id="renew")
async def renew(context: Ctx, caller: Calling, agent: Renewing, request: RenewRequest) -> RenewAnswer:
    """The next certificate, over a connection that the present one opened."""
    rate, now = context.settings.limits.node_renewals, context.store.clock.steady()
    wait = context.rates.take(f"renewals of {agent.actor}", rate, now)
    if wait > 0:
        raise TooManyAttempts(Sentence("too many requests"), Sentence("wait %(s)s s", s=f"{wait:.1f}"), wait=wait)
    return await context.doors.enrolment.renew(agent, request, caller.source)


@router.get(
    "/stream",
    operation_id="stream",
    response_class=Lines,
    responses={
        200: {"content": {STREAM: {}}, "description": "A line of JSON for each message (desired, order, ping)."}
    },
)
async def stream(context: Ctx, agent: Fetching, heeds: Heeds = "") -> Lines:
    """What the node should run and do, as it changes, and a ping every few seconds. One stream for each node."""
    if context.hub.streams >= context.settings.limits.most_streams:
        raise StoreUnavailable("this controller serves as many agents as it can", "connect to another one")
    return Lines(lines(context, agent, heeds_watch=WATCH in heeds.split()))


@router.get("/bundles/{digest}", operation_id="bundle", response_class=Response)
async def bundle(context: Ctx, agent: Fetching, digest: BundleDigest) -> Response:
    """The bundle that this very node is to run now, as JSON; no other one."""
    assignment = await RolloutStore(context.store, agent.cluster).assignments.get(agent.node)
    if assignment is None or assignment.record.digest != digest:
        raise NotFound("this node is not to run a bundle of that digest", "read the stream: it says which one")
    text = await context.hub.bundles.get(agent.cluster, digest)
    if text is None:
        number = assignment.record.revision
        raise NotFound(
            Sentence(
                "the bundle of revision %(number)s is not kept any more, and this version would make another one of it",
                number=number,
            ),
            Sentence("roll it out again: holdfast rollback %(number)s", number=number),
        )
    return Response(text, media_type="application/json")


@router.post("/reports", operation_id="report", status_code=204)
async def report(context: Ctx, agent: Reporting, request: AgentReport) -> None:
    """How the node is, and how far it is with what it should run."""
    limit, clock = context.settings.limits.node_events, context.store.clock
    key = f"events of {agent.actor}"
    await take_report(context.store, agent, request, lambda: context.rates.take(key, limit, clock.steady()) == 0.0)


@router.post("/answers", operation_id="answer", status_code=204)
async def answer(context: Ctx, agent: Reporting, request: Answer) -> None:
    """What became of an order."""
    await take_answer(context.store, agent, request)


@router.post("/samples", operation_id="sample", status_code=204)
async def sample(context: Ctx, agent: Reporting, request: Sample) -> None:
    """What the node does now, for those who look at it by this controller; NotFound where nobody does."""
    refuse_others(agent, request.node)
    context.hub.realtime.take(agent.cluster, agent.node, request)
