"""The store as a stream, for a backup that is made from afar."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Depends

from holdfast.errors import StoreUnavailable

from ..callers import Allowed, AtDesk, Ctx
from ..context import Followers
from ..identity import Action, Person
from ..operations.dumping import dumped
from .answers import PROBLEMS
from .streams import STREAM, Lines

router = APIRouter(prefix="/api/v1/store", tags=["store"], responses=PROBLEMS)

Dumping = Annotated[Person, Depends(Allowed(Action.STORE_DUMP))]


@router.get(
    "/dump",
    operation_id="dump_store",
    response_class=Lines,
    responses={
        200: {"content": {STREAM: {}}, "description": "What `holdfast store load` reads; whole with its last line."}
    },
)
async def dump(context: Ctx, desk: AtDesk, who: Dumping) -> Lines:
    """All that the store holds, as of one moment; secrets stay sealed with the controllers' key file. One at a time."""
    lines = _alone(dumped(desk), context.dumps)
    first = await anext(lines)  # what is wrong is told before the answer has begun
    return Lines(_chained(first, lines))


async def _alone(lines: AsyncGenerator[bytes, None], dumps: Followers) -> AsyncGenerator[bytes, None]:
    if dumps.count:
        raise StoreUnavailable("another dump is being made", "wait until it has ended")
    dumps.count += 1
    try:
        async with aclosing(lines):
            async for piece in lines:
                yield piece
    finally:
        dumps.count -= 1


async def _chained(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(rest):
        yield first
        async for piece in rest:
            yield piece
