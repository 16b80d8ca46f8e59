"""Oneself: who one is, one's own sessions; and API tokens, one's own or everybody's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path
from fastapi.responses import HTMLResponse
from pydantic import Field
from starlette.responses import Response

from holdfast.errors import NotFound
from holdfast.protocol.api.people import RoleWord
from holdfast.sentences import Sentence
from holdfast.store.models import Role, TokenScope

from ...callers import Allowed, Calling
from ...identity import Action, Person
from ..forms import Sent
from ..navigation import PREFIX
from ..pages import Console, Page
from ..pictures.people import DAYS, roles_up_to, sessions_of, tokens_of
from .people import CHANGED, LimitsForm, limits_of

router = APIRouter(prefix=PREFIX, include_in_schema=False, default_response_class=HTMLResponse)

Own = Annotated[Person, Depends(Allowed(Action.OWN_SESSIONS))]
OwnTokens = Annotated[Person, Depends(Allowed(Action.OWN_TOKENS))]
Session = Annotated[str, Path(pattern=r"^hfs_[a-z2-7]{8}$")]
Prefix = Annotated[str, Path(pattern=r"^hfa_[a-z2-7]{8}$")]
_BEGINNING = 12  # letters of a secret by which it is named


class TokenForm(LimitsForm):
    """A new API token."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    role: RoleWord = "viewer"
    days: Annotated[int, Field(ge=1, le=366)] = 30
    scopes: tuple[Literal["users"], ...] = ()


@router.get("/account", name="console_account")
async def account(page: Console, caller: Calling, who: Own) -> Response:
    """The whole page of oneself."""
    title = page.words.say("Account")
    return await page.show("people/account.html", here="account", title=title, **await _own(page, caller, who))


@router.get("/account/now", name="console_account_now")
async def now(page: Console, caller: Calling, who: Own) -> Response:
    """The part that changes."""
    return page.part("people/account_now.html", **await _own(page, caller, who))


async def _own(page: Page, caller: Calling, who: Person) -> Mapping[str, Any]:
    doors = page.context.doors
    this = caller.session.get_secret_value()[:_BEGINNING] if caller.session else ""
    found = await page.store.users.get(who.name)
    tokens = [one for one in await doors.logins.tokens(who) if one.owner == who.name]
    return {
        "who": who,
        "user": found.record if found else None,
        "sessions": sessions_of(await doors.sessions.of(who, who.name), this),
        "tokens": tokens_of(tokens, page.store.clock.now(), [found.record] if found else ()),
        "all_tokens": False,
    }


@router.post("/account/sessions/{session}/end", name="console_end_session")
async def end(page: Console, caller: Calling, who: Own, session: Session) -> Response:
    """End one of one's own sessions."""
    await page.context.doors.sessions.end(who, who.name, session, caller.source)
    return page.done(page.words.say("the session was ended"), refresh=CHANGED)


@router.post("/account/sessions/end-others", name="console_end_other_sessions")
async def end_others(page: Console, caller: Calling, who: Own) -> Response:
    """End all of one's own sessions but this one."""
    this = caller.session.get_secret_value()[:_BEGINNING] if caller.session else ""
    ended = await page.context.doors.sessions.end_all(who, who.name, caller.source, but=this)
    told = page.words.count("%(n)s other session was ended", "%(n)s other sessions were ended", ended)
    return page.done(told, refresh=CHANGED)


@router.get("/tokens", name="console_tokens")
async def tokens(page: Console, who: OwnTokens) -> Response:
    """API tokens: one's own, or everybody's for who manages them."""
    title = page.words.say("API tokens")
    return await page.show("people/tokens.html", here="tokens", title=title, **await _tokens(page, who))


@router.get("/tokens/table", name="console_tokens_table")
async def table(page: Console, who: OwnTokens) -> Response:
    """The part that changes."""
    return page.part("people/tokens_table.html", **await _tokens(page, who))


async def _tokens(page: Page, who: Person) -> Mapping[str, Any]:
    found = await page.context.doors.logins.tokens(who)
    users = [one.record for one in await page.store.users.all()]
    return {"tokens": tokens_of(found, page.store.clock.now(), users), "all_tokens": page.may(Action.TOKEN_MANAGE)}


@router.get("/tokens/add", name="console_adding_token")
async def adding(page: Console, who: OwnTokens) -> Response:
    """What a program is to be allowed."""
    form = await limits_of(page, None if who.clusters is None else ())
    url = page.url("console_add_token")
    return page.part(
        "people/token.html",
        roles=roles_up_to(who),
        days=DAYS,
        form_url=url,
        **form,
        may_remove=page.may(Action.USER_MANAGE),
    )


@router.post("/tokens/add", name="console_add_token")
async def add(
    page: Console, caller: Calling, who: OwnTokens, asked: Annotated[TokenForm, Depends(Sent(TokenForm))]
) -> Response:
    """An API token, shown this once."""
    secret = await page.context.doors.logins.create_token(
        who, asked.name, Role(asked.role), timedelta(days=asked.days), asked.wanted(page.words), caller.source,
        scopes=[TokenScope(one) for one in asked.scopes],
    )  # fmt: skip
    title = page.words.say("API token %(name)s", name=asked.name)
    note = page.words.say("Programs send it as “Authorization: Bearer …”. It can never do more than you may yourself.")
    return page.part("people/secret.html", title=title, secret=secret.get_secret_value(), note=note, refresh=CHANGED)


@router.get("/tokens/{prefix}/revoke", name="console_revoking_token")
async def revoking(page: Console, who: OwnTokens, prefix: Prefix) -> Response:
    """Which token is to end."""
    token = next((one for one in await page.context.doors.logins.tokens(who) if one.prefix == prefix), None)
    if token is None:
        raise NotFound(Sentence("there is no API token %(prefix)s", prefix=prefix), "look at the list of tokens")
    url = page.url("console_revoke_token", prefix=prefix)
    return page.part("people/revoke.html", token=token, form_url=url)


@router.post("/tokens/{prefix}/revoke", name="console_revoke_token")
async def revoke(page: Console, caller: Calling, who: OwnTokens, prefix: Prefix) -> Response:
    """End an API token, at once."""
    if prefix not in {one.prefix for one in await page.context.doors.logins.tokens(who)}:
        raise NotFound(Sentence("there is no API token %(prefix)s", prefix=prefix), "look at the list of tokens")
    await page.context.doors.logins.revoke_token(who, prefix, caller.source)
    return page.done(page.words.say("%(token)s is revoked", token=prefix), refresh=CHANGED)
