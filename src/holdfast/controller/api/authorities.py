"""The certificate authority: looked at, replaced by another one, the old one withdrawn."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from holdfast.protocol.api.authorities import AuthorityList

from ..callers import Allowed, Calling, Ctx
from ..identity import Action, Person
from ..operations import authorities as operations
from .answers import PROBLEMS

router = APIRouter(prefix="/api/v1/authorities", tags=["authorities"], responses=PROBLEMS)

Rotating = Annotated[Person, Depends(Allowed(Action.AUTHORITY_ROTATE))]
Fingerprint = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", examples=["0" * 64])]
Force = Annotated[bool, Query(description="Even while nodes come with its certificates: they are shut out.")]


@router.get("", operation_id="list_authorities")
async def authorities(context: Ctx, who: Rotating) -> AuthorityList:
    """All that are trusted, and how many nodes come with certificates of each."""
    return await operations.authorities(context.doors)


@router.post("", operation_id="rotate_authority", status_code=201)
async def rotate(context: Ctx, caller: Calling, who: Rotating) -> AuthorityList:
    """Another authority signs from now on. Nodes go over when they renew their certificates; nobody is cut off."""
    return await operations.rotate(context.doors, who, caller.source)


@router.delete("/{fingerprint}", operation_id="withdraw_authority", status_code=204)
async def withdraw(
    context: Ctx, caller: Calling, who: Rotating, fingerprint: Fingerprint, force: Force = False
) -> None:
    """Trust an old authority no more, from now on."""
    await operations.withdraw(context.doors, who, fingerprint, caller.source, force=force)
