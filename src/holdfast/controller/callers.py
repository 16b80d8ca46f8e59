"""Who calls: found once for each request, before its body is read; asked for by every operation that is not open."""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Annotated

from fastapi import Depends, Request
from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.types import Scope

from holdfast.errors import HoldfastError, NotAuthenticated, NotPermitted
from holdfast.sentences import Sentence

from .connections import CONNECTION, Connection
from .context import Context
from .identity import Action, NodeAgent, Person, Principal, require
from .identity.auditing import STRANGER
from .identity.throttle import network_of
from .identity.tokens import LONGEST_SECRET, SESSION_PREFIX, kind_of, same
from .operations.desk import Desk
from .settings import CSRF_HEADER, SESSION_COOKIE

CALLER = "holdfast.caller"
AGENT_PATHS = "/agent/"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_LONGEST_COOKIES = 8192  # characters


@dataclass(frozen=True, slots=True)
class Caller:
    """Who it is, or why that could not be found out. `source` is the address, `session` the secret in the cookie."""

    principal: Principal | None
    source: str
    refusal: HoldfastError | None = None
    session: SecretStr | None = field(default=None, repr=False)

    @property
    def key(self) -> str:
        """By what requests are counted."""
        return self.principal.actor if self.principal else f"stranger {network_of(self.source)}"


async def find_caller(context: Context, scope: Scope) -> Caller:
    """Who sends a request: a node by its connection's certificate, a person or program by token or cookie."""
    source = _source(scope)
    try:
        if scope["path"].startswith(AGENT_PATHS):
            return Caller(await _node(context, scope), source)
        secret, session = _secrets(Headers(scope=scope))
        if secret is None:
            return Caller(None, source)
        person = await context.doors.logins.authenticate(secret)
    except HoldfastError as error:
        return Caller(None, source, error)
    return Caller(person, source, session=session)


def _source(scope: Scope) -> str:
    """Where a connection comes from; a listener of both families shows IPv4 addresses in the dress of IPv6."""
    told: str = scope["client"][0] if scope.get("client") else ""
    try:
        mapped = ipaddress.IPv6Address(told).ipv4_mapped
    except ValueError:
        return told
    return str(mapped) if mapped else told


async def _node(context: Context, scope: Scope) -> NodeAgent | None:
    """Proved for each connection and each set of authorities; that it is still good is asked at each request."""
    connection: Connection | None = scope.get("extensions", {}).get(CONNECTION)
    if connection is None or connection.certificate is None:
        return None
    proved = connection.trusted is context.doors.authorities.trusted
    if connection.agent is None or not proved or not await context.doors.enrolment.still_good(connection.agent):
        connection.agent = await context.doors.enrolment.identify(connection.certificate)
        connection.trusted = context.doors.authorities.trusted
    return connection.agent


def _secrets(headers: Headers) -> tuple[SecretStr | None, SecretStr | None]:
    """The secret that somebody comes with, and again if it is a session's: a token outdoes a cookie."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        if kind_of(token.strip()) == SESSION_PREFIX:  # it would do without the header that a cookie needs
            raise NotAuthenticated("a session is no API token", "make an API token for a program")
        return SecretStr(token.strip()[: LONGEST_SECRET + 1]), None
    session = cookie(headers, SESSION_COOKIE)
    return session, session


def cookie(headers: Headers, name: str) -> SecretStr | None:
    """A cookie's value, or None."""
    text = headers.get("cookie", "")
    if not text or len(text) > _LONGEST_COOKIES:
        return None
    try:
        found = SimpleCookie(text).get(name)
    except CookieError:
        return None
    return SecretStr(found.value) if found else None


def csrf_of(session: SecretStr) -> str:
    """What a page of ours knows and another site's does not: sent back in a header with everything that writes."""
    return hashlib.sha256(b"csrf " + session.get_secret_value().encode()).hexdigest()


def context_of(request: Request) -> Context:
    """The controller that a request came to."""
    context: Context = request.app.state.context
    return context


def caller_of(request: Request) -> Caller:
    """Who sent a request, known or not."""
    caller: Caller = request.scope[CALLER]
    return caller


class Allowed:
    """What an operation demands of its caller. Every operation has one of these, or is named in app.OPEN."""

    def __init__(self, action: Action, *, anywhere: bool = False) -> None:
        self.action = action
        self.anywhere = anywhere  # in one cluster at least: what is answered goes by which ones

    async def __call__(self, request: Request) -> Person:
        """The person or program who may do it; NotAuthenticated, NotPermitted."""
        caller = caller_of(request)
        if caller.principal is None:
            raise caller.refusal or NotAuthenticated("nobody is logged in", "log in, or send an API token")
        if caller.session is not None and request.method not in _SAFE:
            _same_site(request, caller.session)
        person = caller.principal
        if not isinstance(person, Person):
            raise NotPermitted("this is for people", "a node's agent has operations of its own")
        cluster = next(iter(person.clusters or ("any",))) if self.anywhere else request.path_params.get("cluster")
        require(person, self.action, cluster)
        return person


class AllowedNode:
    """What an operation demands of a node's agent. It is only ever about the very node that asks."""

    def __init__(self, action: Action) -> None:
        self.action = action

    async def __call__(self, request: Request) -> NodeAgent:
        """The agent; NotAuthenticated, NotPermitted."""
        caller = caller_of(request)
        agent = caller.principal
        if agent is None:
            raise caller.refusal or NotAuthenticated("no certificate was shown", "join first: holdfast agent join")
        if not isinstance(agent, NodeAgent):
            raise NotPermitted("this is for the agents of nodes", "people have operations of their own")
        require(agent, self.action, agent.cluster, agent.node)
        return agent


def _same_site(request: Request, session: SecretStr) -> None:
    if not same(request.headers.get(CSRF_HEADER, "")[:100], csrf_of(session)):
        raise NotPermitted(
            "the header against forged requests is missing or wrong",
            Sentence("send %(header)s; see session", header=CSRF_HEADER),
        )


def desk_of(request: Request) -> Desk:
    """Where an operation is done, for whoever was found to call."""
    context, caller = context_of(request), caller_of(request)
    actor = caller.principal.actor if caller.principal else STRANGER
    process_events = context.settings.process_events
    return Desk(context.store, context.doors.sealer, actor, caller.source, process_events, context.labour)


Ctx = Annotated[Context, Depends(context_of)]
AtDesk = Annotated[Desk, Depends(desk_of)]
Calling = Annotated[Caller, Depends(caller_of)]
