"""Coming in and going out, one's own password, the language and the theme."""

from __future__ import annotations

from math import ceil
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse
from starlette.responses import Response

from holdfast.errors import HoldfastError, NotAuthenticated, TooManyAttempts, UsageError
from holdfast.protocol.api.base import Asked
from holdfast.protocol.api.people import LoginRequest, Password, PasswordRequest
from holdfast.protocol.api.problems import problem_of

from ...api.sessions import leave, set_session
from ...callers import Allowed, Calling, Ctx, cookie
from ...identity import Action, Person
from ...problems import status_of
from ...settings import MARK_COOKIE
from ..forms import Sent, fields_of, parsed
from ..navigation import PREFIX
from ..origin import refuse_other_sites
from ..pages import LANGUAGE_COOKIE, LOGIN, THEME_COOKIE, Console
from ..problems import inner_path

router = APIRouter(prefix=PREFIX, include_in_schema=False, default_response_class=HTMLResponse)

LoggingOut = Annotated[Person, Depends(Allowed(Action.OWN_SESSIONS))]
ChangingPassword = Annotated[Person, Depends(Allowed(Action.OWN_PASSWORD))]
Me = Annotated[Person, Depends(Allowed(Action.WHO_AM_I))]
_YEAR_S = 366 * 86_400


class PasswordForm(Asked):
    """One's own password, and the new one twice."""

    old: Password
    new: Password
    again: Password


class Preferences(Asked):
    """What somebody prefers to look at."""

    language: Literal["en", "zh"] | None = None
    theme: Literal["auto", "light", "dark"] | None = None
    next: str = PREFIX + "/"


@router.get("/login", name="console_login")
async def login_page(page: Console, next: str = "", over: str = "") -> Response:
    """Where strangers come in; `over` is why: what an open page did when its session was found to be over."""
    if page.person is not None:
        return page.go(inner_path(next) or f"{PREFIX}/")
    return await _login_page(page, inner_path(next), over=over)


@router.post("/login", name="console_log_in")
async def login(page: Console, context: Ctx, caller: Calling) -> Response:
    """Log in, through the same door as the API."""
    request = page.request
    refuse_other_sites(request.headers)
    fields = await fields_of(request)
    back = inner_path(fields.pop("next", [""])[-1])
    name = fields.get("name", [""])[-1][:100]
    try:
        asked = parsed(LoginRequest, {**fields, "password": fields.get("password", [])})
        mark = cookie(request.headers, MARK_COOKIE)
        found = await context.doors.logins.login(asked.name, asked.password, caller.source, mark)
    except (NotAuthenticated, TooManyAttempts, UsageError) as error:
        return await _login_page(page, back, name, error)
    response = page.go(f"{PREFIX}/password" if found.person.must_change else back or f"{PREFIX}/")
    set_session(response, found)
    return response


@router.post("/logout", name="console_logout")
async def logout(page: Console, context: Ctx, caller: Calling, who: LoggingOut) -> Response:
    """End the session."""
    response = page.go(LOGIN)
    await leave(context, caller, response)
    return response


@router.get("/password", name="console_password")
async def password_page(page: Console, who: Me) -> Response:
    """Where one changes one's own password."""
    return await page.show("session/password.html", here="", title=page.words.say("Change password"))


@router.post("/password", name="console_change_password")
async def change_password(
    page: Console, context: Ctx, caller: Calling, who: ChangingPassword,
    asked: Annotated[PasswordForm, Depends(Sent(PasswordForm))],
) -> Response:  # fmt: skip
    """Change one's own password. All sessions end; log in with the new one."""
    if asked.new != asked.again:
        raise UsageError(page.words.say("the two new passwords differ"), page.words.say("type both again"))
    request = PasswordRequest(old=asked.old, new=asked.new)
    await context.doors.users.change_own_password(who, request.old, request.new, caller.source)
    return page.go(f"{LOGIN}?over=changed")


@router.post("/preferences", name="console_preferences")
async def preferences(page: Console) -> Response:
    """Language and theme, for this browser."""
    refuse_other_sites(page.request.headers)
    asked = parsed(Preferences, await fields_of(page.request))
    response = page.go(inner_path(asked.next) or f"{PREFIX}/")
    for name, value in ((LANGUAGE_COOKIE, asked.language), (THEME_COOKIE, asked.theme)):
        if value is not None:
            response.set_cookie(name, value, max_age=_YEAR_S, path=PREFIX, secure=True, httponly=True, samesite="lax")
    return response


async def _login_page(
    page: Console, back: str, name: str = "", error: HoldfastError | None = None, over: str = ""
) -> Response:
    problem = problem_of(error).error if error else None
    status = status_of(error) if error else 200
    hint = page.words.tell(problem.hint) if problem else ""
    response = await page.show(
        "session/login.html",
        here="",
        title=page.words.say("Log in"),
        status_code=status,
        back=back,
        name=name,
        message=page.words.tell(problem.message) if problem else "",
        hint=hint,
        over=over,
    )
    if isinstance(error, TooManyAttempts):
        response.headers["Retry-After"] = str(max(1, ceil(error.wait)))
    return response
