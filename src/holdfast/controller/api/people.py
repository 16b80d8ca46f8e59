"""Users, and the API tokens of programs."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path

from holdfast.errors import NotFound
from holdfast.protocol.api.people import (
    OneTimePassword,
    OpenSession,
    OpenSessions,
    TokenList,
    TokenRequest,
    TokenSecret,
    UserChangeRequest,
    UserList,
    UserRequest,
    UserView,
)
from holdfast.sentences import Sentence
from holdfast.store.models import Role, TokenScope, User

from ..callers import Allowed, Calling, Ctx
from ..context import Context
from ..identity import Action, Person, UserChange
from ..identity.sessions import SessionFacts
from ..operations.told import token_view
from .answers import PROBLEMS, UserName

router = APIRouter(prefix="/api/v1", tags=["people"], responses=PROBLEMS)

Managing = Annotated[Person, Depends(Allowed(Action.USER_MANAGE))]
OwnSessions = Annotated[Person, Depends(Allowed(Action.OWN_SESSIONS))]
OwnTokens = Annotated[Person, Depends(Allowed(Action.OWN_TOKENS))]
SessionPrefix = Annotated[str, Path(pattern=r"^[a-z0-9_]{1,40}$", examples=["hfs_abcdefgh"])]
Prefix = Annotated[str, Path(pattern=r"^hfa_[a-z2-7]{8}$", examples=["hfa_abcdefgh"])]


@router.get("/users", operation_id="list_users")
async def users(context: Ctx, who: Managing) -> UserList:
    """All users."""
    return UserList(users=tuple(_user(found.record) for found in await context.store.users.all()))


@router.post("/users", operation_id="create_user", status_code=201)
async def create_user(context: Ctx, caller: Calling, who: Managing, asked: UserRequest) -> OneTimePassword:
    """A new user; the password is shown this once, and has to be changed at the first login."""
    password = await context.doors.users.create(who, asked.name, Role(asked.role), asked.clusters, caller.source)
    return OneTimePassword(name=asked.name, password=password.get_secret_value())


@router.patch("/users/{user}", operation_id="change_user")
async def change_user(
    context: Ctx, caller: Calling, who: Managing, user: UserName, asked: UserChangeRequest
) -> UserView:
    """Another role, other clusters, disabled or not: in force with the user's next request."""
    await _found(context, user)
    role = Role(asked.role) if asked.role else None
    change = UserChange(role, asked.clusters, asked.unlimited, asked.disabled)
    await context.doors.users.change(who, user, change, caller.source)
    return _user(await _found(context, user))


@router.delete("/users/{user}", operation_id="remove_user", status_code=204)
async def remove_user(context: Ctx, caller: Calling, who: Managing, user: UserName) -> None:
    """Forget a user; sessions and tokens of that name are nobody's from now on."""
    await _found(context, user)
    await context.doors.users.remove(who, user, caller.source)


@router.post("/users/{user}/password", operation_id="reset_password")
async def reset_password(context: Ctx, caller: Calling, who: Managing, user: UserName) -> OneTimePassword:
    """A one-time password for somebody who forgot theirs; all of their sessions end."""
    await _found(context, user)
    password = await context.doors.users.reset_password(who, user, caller.source)
    return OneTimePassword(name=user, password=password.get_secret_value())


@router.get("/users/{user}/sessions", operation_id="list_sessions")
async def sessions(context: Ctx, who: Managing, user: UserName) -> OpenSessions:
    """The sessions of a user."""
    await _found(context, user)
    found = await context.doors.sessions.of(who, user)
    return OpenSessions(sessions=tuple(OpenSession(**_shown(one)) for one in found))


@router.delete("/users/{user}/sessions", operation_id="end_sessions", status_code=204)
async def end_sessions(context: Ctx, caller: Calling, who: Managing, user: UserName) -> None:
    """End all sessions of a user, at once."""
    await _found(context, user)
    await context.doors.sessions.end_all(who, user, caller.source)


@router.delete("/users/{user}/sessions/{session}", operation_id="end_session", status_code=204)
async def end_session(context: Ctx, caller: Calling, who: Managing, user: UserName, session: SessionPrefix) -> None:
    """End one session of a user, found by how it begins."""
    await _found(context, user)
    await context.doors.sessions.end(who, user, session, caller.source)


@router.get("/sessions", operation_id="list_own_sessions")
async def own_sessions(context: Ctx, who: OwnSessions) -> OpenSessions:
    """One's own sessions."""
    found = await context.doors.sessions.of(who, who.name)
    return OpenSessions(sessions=tuple(OpenSession(**_shown(one), this=one.key == who.key) for one in found))


@router.delete("/sessions", operation_id="end_other_sessions", status_code=204)
async def end_other_sessions(context: Ctx, caller: Calling, who: OwnSessions) -> None:
    """End all of one's own sessions but this one."""
    found = await context.doors.sessions.of(who, who.name)
    this = next((one.prefix for one in found if one.key == who.key), "")
    await context.doors.sessions.end_all(who, who.name, caller.source, but=this)


@router.delete("/sessions/{session}", operation_id="end_own_session", status_code=204)
async def end_own_session(context: Ctx, caller: Calling, who: OwnSessions, session: SessionPrefix) -> None:
    """End one of one's own sessions, found by how it begins."""
    await context.doors.sessions.end(who, who.name, session, caller.source)


@router.get("/tokens", operation_id="list_tokens")
async def tokens(context: Ctx, who: OwnTokens) -> TokenList:
    """One's own API tokens, or everybody's for who manages them."""
    return TokenList(tokens=tuple(token_view(one) for one in await context.doors.logins.tokens(who)))


@router.post("/tokens", operation_id="create_token", status_code=201)
async def create_token(context: Ctx, caller: Calling, who: OwnTokens, asked: TokenRequest) -> TokenSecret:
    """An API token, shown this once. It can never do more than its owner."""
    lifetime = timedelta(days=asked.days)
    secret = await context.doors.logins.create_token(
        who,
        asked.name,
        Role(asked.role),
        lifetime,
        asked.clusters,
        caller.source,
        [TokenScope(one) for one in asked.scopes],
    )
    return TokenSecret(token=secret.get_secret_value(), name=asked.name, expires=context.store.clock.now() + lifetime)


@router.delete("/tokens/{prefix}", operation_id="revoke_token", status_code=204)
async def revoke_token(context: Ctx, caller: Calling, who: OwnTokens, prefix: Prefix) -> None:
    """End an API token, found by how it begins."""
    if prefix not in {one.prefix for one in await context.doors.logins.tokens(who)}:
        raise NotFound(Sentence("there is no API token %(prefix)s", prefix=prefix), "look at the list of tokens")
    await context.doors.logins.revoke_token(who, prefix, caller.source)


def _shown(one: SessionFacts) -> dict[str, Any]:
    return {name: value for name, value in asdict(one).items() if name != "key"}


async def _found(context: Context, name: str) -> User:
    found = await context.store.users.get(name)
    if found is None:
        raise NotFound(Sentence("there is no user %(name)s", name=name), "look at the list of users")
    return found.record


def _user(user: User) -> UserView:
    return UserView.model_validate(user.model_dump(exclude={"password_hash"}) | {"role": user.role.value})
