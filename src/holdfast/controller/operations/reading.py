"""Specs of revisions, read once for everybody who asks."""

from __future__ import annotations

import asyncio
from functools import lru_cache

from holdfast.spec.load import LoadedSpec, parse_spec
from holdfast.store.store import Store

from .compiling import content_of

_SMALL = 20_000  # characters of a spec that is read within some milliseconds: a thread would take longer


async def spec_of(store: Store, cluster: str, number: int) -> LoadedSpec:
    """A revision's spec; NotFound, and SpecError where this version does not understand it any more."""
    content = await content_of(store, cluster, number)
    if len(content.spec) <= _SMALL:
        return _parsed(content.spec, f"revision {number}")
    return await asyncio.to_thread(_parsed, content.spec, f"revision {number}")


@lru_cache(maxsize=16)
def _parsed(text: str, file: str) -> LoadedSpec:
    return parse_spec(text, file)
