"""Errors as responses: one shape, the right status, nothing of the inside."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import JSONResponse

from holdfast.errors import (
    CompileError,
    Conflict,
    ControllerUnreachable,
    EnrolmentRefused,
    HoldfastError,
    LeaseLost,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    PlanRefused,
    RolloutFailed,
    SpecError,
    StateForbids,
    StoreFull,
    StoreUnavailable,
    StoreUnsure,
    TooManyAttempts,
    UsageError,
)
from holdfast.protocol import PROTOCOL_VERSION
from holdfast.protocol.api.problems import Problem, ProblemDetails, problem_of

STATUS: tuple[tuple[type[HoldfastError], int], ...] = (  # the first that fits
    (TooManyAttempts, 429),
    (NotAuthenticated, 401),
    (NotPermitted, 403),
    (EnrolmentRefused, 403),
    (NotFound, 404),
    (Conflict, 409),
    (LeaseLost, 409),
    (RolloutFailed, 409),
    (StateForbids, 409),
    (PlanRefused, 422),
    (SpecError, 422),
    (CompileError, 422),
    (UsageError, 400),
    (StoreFull, 507),
    (StoreUnavailable, 503),
    (StoreUnsure, 503),
    (ControllerUnreachable, 502),
)


def status_of(error: HoldfastError) -> int:
    """The status of an error; 500 for what is nobody's fault but ours."""
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def answer(error: HoldfastError) -> JSONResponse:
    """The whole response to an error: what it says was written for people, and holds no secret."""
    headers = {}
    if isinstance(error, TooManyAttempts):
        headers["Retry-After"] = str(max(1, math.ceil(error.wait)))
    elif isinstance(error, StoreUnavailable):
        headers["Retry-After"] = "2"
    elif isinstance(error, NotAuthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="holdfast"'
    return _response(status_of(error), problem_of(error), headers)


def plain(
    status: int, message: str, hint: str, code: str, headers: Mapping[str, str] | None = None, wait: float | None = None
) -> JSONResponse:
    """A problem that no error of ours stands for."""
    return _response(status, Problem(error=ProblemDetails(code=code, message=message, hint=hint, wait_s=wait)), headers)


def other_protocol(errors: Sequence[Any]) -> str:
    """What is to be said of a message of another version of the protocol; nothing where that is not what is wrong."""
    for one in errors:
        if one["loc"] == ("body", "version") and one["type"] == "literal_error":
            told = one["input"] if isinstance(one["input"], int) else "another one"
            return f"this agent speaks version {told} of the protocol, and this controller version {PROTOCOL_VERSION}"
    return ""


def _response(status: int, problem: Problem, headers: Mapping[str, str] | None) -> JSONResponse:
    return JSONResponse(problem.model_dump(mode="json"), status_code=status, headers=dict(headers or {}))
