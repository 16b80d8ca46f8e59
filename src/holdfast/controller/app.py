"""The controller as an ASGI application: all operations, one shape for every error, and an OpenAPI document."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute, Match

from holdfast import __version__
from holdfast.errors import HoldfastError
from holdfast.sentences import Sentence

from .agents import routes as agents
from .api import (
    authorities,
    clusters,
    damaged,
    dumps,
    findings,
    health,
    history,
    invitations,
    operating,
    people,
    realtime,
    rehearsals,
    revisions,
    rollouts,
    sessions,
    whatif,
)
from .callers import AGENT_PATHS
from .console import problems as console_problems
from .console import routes as console
from .console.live import Live
from .console.pages import paths_of
from .context import Context
from .document import document
from .gate import Gate
from .identity.sealing import Randomness
from .problems import answer, other_protocol, plain

OPEN = frozenset({"login", "authority", "join", "healthz", "readyz"})  # operations that ask for nobody
ROUTERS = tuple(
    each.router
    for each in (
        sessions, people, clusters, revisions, findings, whatif, rehearsals, rollouts, operating, damaged, realtime,
        invitations, history, authorities, dumps, agents, health,
    )
)  # fmt: skip
_TAGS = [
    {"name": "session", "description": "Logging in and out."},
    {"name": "people", "description": "Users, and the API tokens of programs."},
    {"name": "clusters", "description": "Clusters, and what is chosen once for each."},
    {"name": "revisions", "description": "Plans, revisions, rollbacks: what a cluster should be."},
    {"name": "findings", "description": "What is to be said of revisions and of what runs; what failures would do."},
    {"name": "rehearsals", "description": "Trying a spec on the controller's own machine, where that is allowed."},
    {"name": "rollouts", "description": "How it gets there."},
    {"name": "operating", "description": "Status, overrides, moves, maintenance."},
    {"name": "nodes", "description": "The nodes of a cluster, and how they are let in."},
    {"name": "history", "description": "Events and audit."},
    {"name": "authorities", "description": "The certificate authority, and how another one follows it."},
    {"name": "store", "description": "All that is kept, for a backup."},
    {"name": "agents", "description": "What the agents of nodes ask, with their certificates."},
    {"name": "health", "description": "For whoever watches over the controller."},
]
_WHAT = """Every error has the same shape. Log in and send the session's cookie with the header `X-CSRF-Token`, or send
an API token as a bearer."""
_MOST_MISTAKES = 20
_CODES = {404: "not_found", 405: "method_not_allowed", 408: "too_slow", 413: "too_large"}
_SILENT: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "operation_spans": False}


def create_app(context: Context, randomness: Randomness = os.urandom) -> FastAPI:
    """The application around a context; entering its lifespan closes the context's streams at the end."""

    live = Live(context.store)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await context.rehearsals.close()
        await live.close()
        await context.hub.close()

    app = FastAPI(
        title="Holdfast", version=__version__, description=_WHAT, openapi_tags=_TAGS, lifespan=lifespan,
        openapi_url="/api/openapi.json", docs_url=None, redoc_url=None, telemetry=_SILENT, routes=[*_routes()],
    )  # fmt: skip
    app.state.context = context
    app.openapi = lambda: document(app, OPEN)  # type: ignore[method-assign]  # FastAPI's own way to extend it
    app.state.console_live = live
    app.state.console_paths = paths_of(console.ROUTERS)
    app.add_exception_handler(HoldfastError, _told)
    app.add_exception_handler(RequestValidationError, _mistaken)
    app.add_exception_handler(HTTPException, _elsewhere)
    app.add_middleware(Gate, context=context, randomness=randomness)
    return app


@cache
def _routes() -> tuple[BaseRoute, ...]:
    """Everything that is answered. To make it ready takes longer than most requests, so applications share it."""
    every = APIRouter()
    for router in (*ROUTERS, *console.ROUTERS):
        every.include_router(router)
    return tuple(every.routes)


async def _told(request: Request, error: Exception) -> Response:
    assert isinstance(error, HoldfastError)
    return await console_problems.told(request, error) if console_problems.is_ours(request) else answer(error)


async def _mistaken(request: Request, error: Exception) -> Response:
    """What is wrong and where; never what was sent, which may be a password."""
    assert isinstance(error, RequestValidationError)
    if request.url.path.startswith(AGENT_PATHS) and (other := other_protocol(error.errors())):
        return plain(422, other, "install one version of Holdfast on nodes and controllers", "other_protocol")
    told = [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()[:_MOST_MISTAKES]]
    if console_problems.is_ours(request):
        said = Sentence("the request has mistakes: %(what)s", what="; ".join(told)[:1000])
        return await console_problems.strayed(request, said)
    return plain(422, "the request has mistakes: " + "; ".join(told)[:2000], "see /api/openapi.json", "invalid_request")


async def _elsewhere(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = _CODES.get(error.status_code, "invalid_request")
    message = "there is nothing here" if error.status_code == 404 else str(error.detail)[:200]
    if console_problems.is_ours(request):
        return await console_problems.strayed(request, message, error.status_code)
    headers = {"Allow": _methods_of(request)} if error.status_code == 405 else error.headers
    return plain(error.status_code, message, "see /api/openapi.json", code, headers)


def _methods_of(request: Request) -> str:
    """All that may be done with what is at this address; the framework names those of one operation (RFC 9110)."""
    routes = [one for one in request.app.routes if one.matches(request.scope)[0] is Match.PARTIAL]
    return ", ".join(sorted({method for one in routes for method in getattr(one, "methods", None) or ()}))
