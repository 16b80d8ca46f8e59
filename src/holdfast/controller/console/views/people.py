"""Users: listed, added, changed, disabled, removed, and their sessions ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse
from starlette.responses import Response

from holdfast.errors import NotFound, UsageError
from holdfast.protocol.api.base import Asked, Count
from holdfast.protocol.api.people import ClusterLimits, RoleWord
from holdfast.sentences import Sentence
from holdfast.store.collection import Versioned
from holdfast.store.models import Role, User

from ...api.answers import UserName
from ...callers import Allowed, Calling
from ...identity import Action, Person, UserChange
from ..forms import Sent
from ..navigation import PREFIX
from ..pages import Console, Page
from ..pictures.people import ROLES, tokens_of, users_of
from ..words import Words

router = APIRouter(prefix=f"{PREFIX}/users", include_in_schema=False, default_response_class=HTMLResponse)

Managing = Annotated[Person, Depends(Allowed(Action.USER_MANAGE))]
CHANGED = ("people",)  # the parts that show users, sessions and tokens


class LimitsForm(Asked):
    """For all clusters, or for those that are ticked."""

    limits: Literal["all", "some"] = "all"
    clusters: ClusterLimits = ()

    def wanted(self, words: Words) -> tuple[str, ...] | None:
        """None: all. UsageError where none was ticked."""
        if self.limits == "all":
            return None
        if not self.clusters:
            raise UsageError(words.say("no cluster was ticked"), words.say("tick one at least, or choose all clusters"))
        return self.clusters


class UserForm(LimitsForm):
    """A new user."""

    name: str = ""
    role: RoleWord = "viewer"


class ChangeForm(LimitsForm):
    """What is to be of a user; `version` is how they were when the form was filled in."""

    role: RoleWord
    version: Count | None = None


@router.get("", name="console_users")
async def listed(page: Console, who: Managing) -> Response:
    """The whole page."""
    title = page.words.say("Users")
    return await page.show("people/users.html", here="users", title=title, **await _table(page, who))


@router.get("/table", name="console_users_table")
async def part(page: Console, who: Managing) -> Response:
    """The part that changes."""
    return page.part("people/users_table.html", **await _table(page, who))


async def _table(page: Page, who: Person) -> Mapping[str, Any]:
    doors = page.context.doors
    users = [one.record for one in await page.store.users.all()]
    tokens = tokens_of(await doors.logins.tokens(who), page.store.clock.now(), users)
    return {"users": users_of(users, await doors.sessions.counted(who), tokens, who.name)}


@router.get("/add", name="console_adding_user")
async def adding(page: Console, who: Managing) -> Response:
    """Who is to be let in."""
    form = await limits_of(page, None)
    url = page.url("console_add_user")
    return page.part("people/user.html", user=None, version=None, roles=ROLES, form_url=url, **form)


@router.post("/add", name="console_add_user")
async def add(
    page: Console, caller: Calling, who: Managing, asked: Annotated[UserForm, Depends(Sent(UserForm))]
) -> Response:
    """A new user; the password is shown this once."""
    password = await page.context.doors.users.create(
        who, asked.name, Role(asked.role), asked.wanted(page.words), caller.source
    )
    return _once(page, asked.name, password.get_secret_value())


@router.get("/{user}/change", name="console_changing_user")
async def changing(page: Console, who: Managing, user: UserName) -> Response:
    """How a user is, to be changed."""
    found = await _versioned(page, user)
    form = await limits_of(page, found.record.clusters)
    url = page.url("console_change_user", user=user)
    return page.part("people/user.html", user=found.record, version=found.version, roles=ROLES, form_url=url, **form)


@router.post("/{user}/change", name="console_change_user")
async def change(
    page: Console, caller: Calling, who: Managing, user: UserName,
    asked: Annotated[ChangeForm, Depends(Sent(ChangeForm))],
) -> Response:  # fmt: skip
    """Another role, other clusters: in force with the user's next request."""
    await _found(page, user)
    clusters = asked.wanted(page.words)
    wanted = UserChange(Role(asked.role), clusters, unlimited=clusters is None)
    await page.context.doors.users.change(who, user, wanted, caller.source, asked.version)
    return page.done(page.words.say("%(user)s was changed", user=user), refresh=CHANGED)


@router.post("/{user}/disable", name="console_disable_user")
async def disable(page: Console, caller: Calling, who: Managing, user: UserName) -> Response:
    """Nobody comes in by this name any more, from the next request on."""
    await _found(page, user)
    await page.context.doors.users.change(who, user, UserChange(disabled=True), caller.source)
    return page.done(page.words.say("%(user)s is disabled", user=user), refresh=CHANGED)


@router.post("/{user}/enable", name="console_enable_user")
async def enable(page: Console, caller: Calling, who: Managing, user: UserName) -> Response:
    """The user may log in again."""
    await _found(page, user)
    await page.context.doors.users.change(who, user, UserChange(disabled=False), caller.source)
    return page.done(page.words.say("%(user)s may log in again", user=user), refresh=CHANGED)


@router.get("/{user}/password", name="console_resetting")
async def resetting(page: Console, who: Managing, user: UserName) -> Response:
    """What a new password means."""
    found = await _found(page, user)
    return page.part("people/reset.html", user=found, form_url=page.url("console_reset", user=user))


@router.post("/{user}/password", name="console_reset")
async def reset(page: Console, caller: Calling, who: Managing, user: UserName) -> Response:
    """A one-time password, shown this once; all sessions of the user end."""
    await _found(page, user)
    password = await page.context.doors.users.reset_password(who, user, caller.source)
    return _once(page, user, password.get_secret_value())


@router.post("/{user}/sessions/end", name="console_end_user_sessions")
async def end_sessions(page: Console, caller: Calling, who: Managing, user: UserName) -> Response:
    """All sessions of a user end, at once."""
    await _found(page, user)
    ended = await page.context.doors.sessions.end_all(who, user, caller.source)
    told = page.words.count(
        "%(n)s session of %(user)s was ended", "%(n)s sessions of %(user)s were ended", ended, user=user
    )
    return page.done(told, refresh=CHANGED)


@router.get("/{user}/remove", name="console_removing_user")
async def removing(page: Console, who: Managing, user: UserName) -> Response:
    """What goes with a user."""
    found = await _found(page, user)
    return page.part("people/remove.html", user=found, form_url=page.url("console_remove_user", user=user))


@router.post("/{user}/remove", name="console_remove_user")
async def remove(page: Console, caller: Calling, who: Managing, user: UserName) -> Response:
    """Forget a user; sessions and tokens of that name are nobody's."""
    await _found(page, user)
    await page.context.doors.users.remove(who, user, caller.source)
    return page.done(page.words.say("%(user)s was removed", user=user), refresh=CHANGED)


async def limits_of(page: Page, clusters: tuple[str, ...] | None) -> Mapping[str, Any]:
    """What a form offers to limit somebody to: all clusters that there are, and those that they are limited to."""
    known = {*await page.store.clusters.names(), *(clusters or ())}
    within = page.person.clusters if page.person else frozenset()
    offered = sorted(known if within is None else known & within)
    return {"offered": offered, "chosen": clusters, "may_all": within is None}


def _once(page: Page, user: str, password: str) -> Response:
    title = page.words.say("Password of %(user)s", user=user)
    note = page.words.say("It has to be changed at the first login. Tell it to nobody but %(user)s.", user=user)
    return page.part("people/secret.html", title=title, secret=password, note=note, refresh=CHANGED)


async def _found(page: Page, name: str) -> User:
    return (await _versioned(page, name)).record


async def _versioned(page: Page, name: str) -> Versioned[User]:
    found = await page.store.users.get(name)
    if found is None:
        raise NotFound(Sentence("there is no user %(name)s", name=name), "look at the list of users")
    return found
