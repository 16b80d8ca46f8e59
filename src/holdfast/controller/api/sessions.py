"""Logging in and out, and who one is."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import SecretStr

from holdfast.protocol.api.people import LoginRequest, PasswordRequest, SessionView

from ..callers import Allowed, Caller, Calling, Ctx, cookie, csrf_of
from ..context import Context
from ..identity import Action, Person
from ..identity.logins import LONGEST_SESSION, MARK_LIFE, LoggedIn
from ..settings import MARK_COOKIE, SESSION_COOKIE
from .answers import PROBLEMS

router = APIRouter(prefix="/api/v1", tags=["session"], responses=PROBLEMS)

Me = Annotated[Person, Depends(Allowed(Action.WHO_AM_I))]
LoggingOut = Annotated[Person, Depends(Allowed(Action.OWN_SESSIONS))]
ChangingPassword = Annotated[Person, Depends(Allowed(Action.OWN_PASSWORD))]


@router.post("/session", operation_id="login")
async def login(
    context: Ctx, caller: Calling, request: Request, response: Response, asked: LoginRequest
) -> SessionView:
    """Log in. The session comes as a cookie; what it answers goes into a header of every write."""
    mark = cookie(request.headers, MARK_COOKIE)
    found = await context.doors.logins.login(asked.name, asked.password, caller.source, mark)
    set_session(response, found)
    return _view(found.person, found.session)


@router.get("/session", operation_id="session")
async def session(caller: Calling, who: Me) -> SessionView:
    """Who one is, and what one may do."""
    return _view(who, caller.session)


@router.delete("/session", operation_id="logout", status_code=204)
async def logout(context: Ctx, caller: Calling, response: Response, who: LoggingOut, everywhere: bool = False) -> None:
    """End the session, or all of one's own."""
    if everywhere:
        await context.doors.logins.logout_everywhere(who, caller.source)
    await leave(context, caller, response)


@router.put("/session/password", operation_id="change_password", status_code=204)
async def change_password(context: Ctx, caller: Calling, who: ChangingPassword, asked: PasswordRequest) -> None:
    """Change one's own password. All sessions end: log in again with the new one."""
    await context.doors.users.change_own_password(who, asked.old, asked.new, caller.source)


def set_session(response: Response, found: LoggedIn) -> None:
    """The cookies of somebody who has logged in."""
    _set(response, SESSION_COOKIE, found.session, int(LONGEST_SESSION.total_seconds()))
    _set(response, MARK_COOKIE, found.mark, int(MARK_LIFE.total_seconds()))


async def leave(context: Context, caller: Caller, response: Response) -> None:
    """End the session that a request came with, and take its cookie back."""
    if caller.session is not None:
        await context.doors.logins.logout(caller.session, caller.source)
    response.delete_cookie(SESSION_COOKIE, secure=True, httponly=True, samesite="strict")


def _set(response: Response, name: str, secret: SecretStr, seconds: int) -> None:
    response.set_cookie(
        name, secret.get_secret_value(), max_age=seconds, secure=True, httponly=True, samesite="strict", path="/"
    )


def _view(who: Person, session: SecretStr | None) -> SessionView:
    return SessionView(
        name=who.name,
        role=who.role.value,
        clusters=None if who.clusters is None else tuple(sorted(who.clusters)),
        must_change=who.must_change,
        via=who.via.value,
        token=who.token,
        csrf=csrf_of(session) if session else "",
    )
