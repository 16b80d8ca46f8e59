"""Users, their sessions and API tokens as pages show them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from holdfast.store.models import Role, Token, TokenScope, User

from ...identity import Person, SessionFacts
from ..words import N_

ROLES: Mapping[str, str] = {
    Role.VIEWER.value: N_("looks at everything, changes nothing"),
    Role.OPERATOR.value: N_("drains, moves, edits, rolls out and puts back"),
    Role.ADMIN.value: N_("does all that, and manages nodes; without limits to clusters, users and tokens, too"),
}
DAYS: Mapping[str, str] = {
    "1": N_("one day"), "7": N_("7 days"), "30": N_("30 days"), "90": N_("90 days"), "366": N_("366 days"),
}  # fmt: skip
_SOON = timedelta(days=7)
_ORDER = ("warning", "ok", "off")


@dataclass(frozen=True, slots=True)
class UserRow:
    """A user. `clusters` None: all. `last`: the only administrator who is left, and so can be neither less nor gone."""

    name: str
    role: str
    clusters: tuple[str, ...] | None
    created: datetime
    password_changed: datetime
    disabled: bool
    state: str
    word: str
    sessions: int
    tokens: int
    me: bool
    last: bool


@dataclass(frozen=True, slots=True)
class TokenRow:
    """An API token. `ended`: it is good for nothing any more. `users`: it may shut people out."""

    prefix: str
    name: str
    owner: str
    role: str
    users: bool
    clusters: tuple[str, ...] | None
    created: datetime
    expires: datetime
    used: datetime | None
    ended: bool
    state: str
    word: str


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session. `this`: that of the page that shows it."""

    prefix: str
    began: datetime
    used: datetime
    ends: datetime
    this: bool


def users_of(
    users: Iterable[User], sessions: Mapping[str, int], tokens: Iterable[TokenRow], me: str
) -> tuple[UserRow, ...]:
    """All users, by name."""
    known = sorted(users, key=lambda one: one.name.lower())
    rulers = [one.name for one in known if one.role is Role.ADMIN and one.clusters is None and not one.disabled]
    good = [one.owner for one in tokens if not one.ended]
    return tuple(_user(one, sessions.get(one.name, 0), good.count(one.name), me, rulers) for one in known)


def _user(user: User, sessions: int, tokens: int, me: str, rulers: list[str]) -> UserRow:
    state, word = "ok", N_("may log in")
    if user.disabled:
        state, word = "off", N_("disabled")
    elif user.must_change:
        state, word = "warning", N_("has a password that somebody else knows")
    return UserRow(
        name=user.name,
        role=user.role.value,
        clusters=user.clusters,
        created=user.created,
        password_changed=user.password_changed,
        disabled=user.disabled,
        state=state,
        word=word,
        sessions=sessions,
        tokens=tokens,
        me=user.name == me,
        last=rulers == [user.name],
    )


def tokens_of(tokens: Iterable[Token], now: datetime, users: Iterable[User]) -> tuple[TokenRow, ...]:
    """API tokens: those that end soon first, those that have ended last. `users` are those that there are."""
    owners = {one.name: one for one in users}
    rows = (_token(one, now, owners.get(one.owner)) for one in tokens)
    return tuple(sorted(rows, key=lambda one: (_ORDER.index(one.state), one.expires, one.prefix)))


def _token(token: Token, now: datetime, owner: User | None) -> TokenRow:
    state, word = "ok", N_("good")
    if token.revoked is not None:
        state, word = "off", N_("revoked")
    elif token.expires <= now:
        state, word = "off", N_("expired")
    elif owner is None or token.created < owner.created:  # somebody else, who has the name now
        state, word = "off", N_("its owner was removed")
    elif owner.disabled:
        state, word = "off", N_("its owner is disabled")
    elif token.expires - now < _SOON and token.expires - token.created > _SOON:
        state, word = "warning", N_("ends soon")
    return TokenRow(
        prefix=token.prefix,
        name=token.name,
        owner=token.owner,
        role=(token.role or Role.VIEWER).value,
        users=TokenScope.USERS in token.scopes,
        clusters=token.clusters,
        created=token.created,
        expires=token.expires,
        used=token.used,
        ended=state == "off",
        state=state,
        word=word,
    )


def sessions_of(found: Iterable[SessionFacts], this: str) -> tuple[SessionRow, ...]:
    """Sessions, that of the page itself first; `this` is how its secret begins."""
    rows = (SessionRow(one.prefix, one.began, one.used, one.ends, one.prefix == this) for one in found)
    return tuple(sorted(rows, key=lambda one: not one.this))


def roles_up_to(who: Person) -> tuple[str, ...]:
    """What somebody may give to a token: their own role, or a lesser one."""
    every = [role.value for role in Role]
    return tuple(every[: every.index(who.role.value) + 1])
