"""What operations have in common in the OpenAPI document: how they fail, and the parameters that occur all over."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Query

from holdfast.protocol.api.base import CLUSTER_NAME
from holdfast.protocol.api.problems import Problem

_WHY = {
    400: "The request asks for something that cannot be.",
    401: "Nobody is logged in, or not any more.",
    403: "Whoever asks is known, and may not do that.",
    404: "What was asked for is not there.",
    409: "Somebody else was first, or how things are now does not allow it; look again.",
    413: "The request is too large.",
    422: "The request, or the spec in it, has mistakes; or policy forbids what it would do.",
    429: "Too many requests, or too many attempts.",
    503: "The store cannot be written or reached now.",
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": why} for status, why in _WHY.items()
} | {"default": {"model": Problem, "description": "Anything else that went wrong."}}

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
ClusterName = Annotated[str, Path(pattern=CLUSTER_NAME, examples=["shop"])]
NodeName = Annotated[str, Path(pattern=_NAME, examples=["lb01"])]
UserName = Annotated[str, Path(pattern=_NAME, examples=["alice"])]
GroupName = Annotated[str, Path(pattern=_NAME, examples=["www"])]
RevisionNumber = Annotated[int, Path(ge=1, le=10**12, examples=[1])]
Before = Annotated[int | None, Query(ge=1, le=10**12, description="Only those with a lower number.")]
After = Annotated[int, Query(ge=0, le=10**12, description="Only those with a higher number.")]
Limit = Annotated[int, Query(ge=1, le=1000, description="At most so many.")]
