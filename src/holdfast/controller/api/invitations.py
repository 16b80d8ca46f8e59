"""Letting nodes in, and no longer."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from holdfast.errors import NotFound
from holdfast.protocol.api.nodes import Invitation, InviteRequest
from holdfast.sentences import Sentence

from ..callers import Allowed, Calling, Ctx
from ..identity import Action, Person
from ..operations.desk import known_cluster
from .answers import PROBLEMS, ClusterName, NodeName

router = APIRouter(prefix="/api/v1/clusters/{cluster}/nodes/{node}", tags=["nodes"], responses=PROBLEMS)

Inviting = Annotated[Person, Depends(Allowed(Action.NODE_INVITE))]
Revoking = Annotated[Person, Depends(Allowed(Action.NODE_REVOKE))]
Reason = Annotated[str, Query(max_length=500, description="Why, for the audit.")]


@router.post("/join-token", operation_id="invite", status_code=201)
async def invite(
    context: Ctx, caller: Calling, who: Inviting, cluster: ClusterName, node: NodeName, asked: InviteRequest
) -> Invitation:
    """A join token for one node, shown this once."""
    await known_cluster(context.store, cluster)
    lifetime = timedelta(seconds=asked.lifetime_s)
    token = await context.doors.enrolment.invite(who, cluster, node, lifetime, caller.source)
    address = context.settings.agents_url or "https://CONTROLLER:PORT"
    return Invitation(
        node=node,
        token=token.get_secret_value(),
        expires=context.store.clock.now() + lifetime,
        command=f"holdfast agent join - --controller {address}",  # the token comes over standard input
    )


@router.delete("/certificate", operation_id="revoke_node", status_code=204)
async def revoke(
    context: Ctx, caller: Calling, who: Revoking, cluster: ClusterName, node: NodeName, reason: Reason = ""
) -> None:
    """Let a node in no more, from now on, whatever certificate it has. What runs there goes on."""
    kept = await known_cluster(context.store, cluster)
    if await kept.nodes.get(node) is None:
        raise NotFound(
            Sentence("no node %(node)s is enrolled in %(cluster)s", node=node, cluster=cluster),
            "look at the list of nodes",
        )
    await context.doors.enrolment.revoke(who, cluster, node, reason, caller.source)
