"""Users: made, changed, removed, each with its audit record; the installation never loses its last administrator."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pydantic import SecretStr, ValidationError

from holdfast.errors import Conflict, NotAuthenticated, NotPermitted, StateForbids, TooManyAttempts, UsageError
from holdfast.sentences import Sentence
from holdfast.store.collection import Step, Versioned
from holdfast.store.models import AuditRecord, Role, User
from holdfast.store.store import Store

from .auditing import SYSTEM, audited
from .passwords import Passwords, check_password, one_time_password
from .permissions import Action, Person, Via, require
from .sealing import Randomness
from .throttle import Throttle

FIRST_ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class UserChange:
    """What is to be different. None: as it is. `unlimited` takes the limits to clusters away."""

    role: Role | None = None
    clusters: tuple[str, ...] | None = None
    unlimited: bool = False
    disabled: bool | None = None


class Users:
    """The users of a store. A write that somebody else was faster with raises Conflict: read, and ask again."""

    def __init__(self, store: Store, passwords: Passwords, randomness: Randomness = os.urandom) -> None:
        self._store = store
        self._passwords = passwords
        self._randomness = randomness
        self._throttle = Throttle()

    async def first_admin(self) -> SecretStr | None:
        """Make `admin` if there is no user at all; its one-time password, to be printed once, or None.

        Of several controllers that start together one makes it, and only that one has the password.
        """
        if await self._store.users.names():
            return None
        password = one_time_password(self._randomness)
        user = await self._new(FIRST_ADMIN, Role.ADMIN, None, password)
        record = audited(self._store.clock.now(), SYSTEM, "user.create", FIRST_ADMIN, after=user)
        try:
            await self._store.commit(self._store.users.creating(FIRST_ADMIN, user), audit=[record])
        except Conflict:
            return None
        return SecretStr(password)

    async def create(
        self, who: Person, name: str, role: Role, clusters: Sequence[str] | None = None, source: str = ""
    ) -> SecretStr:
        """A new user; returns the one-time password, to be shown to `who` once. StateForbids for a name in use."""
        require(who, Action.USER_MANAGE)
        _in_person(who)
        password = one_time_password(self._randomness)
        user = await self._new(name, role, clusters, password)
        try:
            await self._store.commit(
                self._store.users.creating(name, user), audit=[self._told(who, "user.create", name, None, user, source)]
            )
        except Conflict:
            raise StateForbids(Sentence("there is a user %(name)s already", name=name), "take another name") from None
        return SecretStr(password)

    async def change(
        self, who: Person, name: str, change: UserChange, source: str = "", version: int | None = None
    ) -> None:
        """Another role, other clusters, disabled or not: in force with the user's next request.

        Conflict if the user is not any more as they were at `version`, where one is given.
        """
        require(who, Action.USER_MANAGE)
        found = await self._get(name)
        if version is not None and version != found.version:
            raise Conflict(
                Sentence("%(name)s was changed by somebody else meanwhile", name=name), "look at the user again"
            )
        if change.role is not None or change.clusters is not None or change.unlimited:
            _in_person(who)
        clusters = None if change.unlimited else change.clusters
        keep = found.record.clusters if change.clusters is None and not change.unlimited else clusters
        fields = {
            "role": change.role or found.record.role,
            "clusters": None if keep is None else tuple(keep),
            "disabled": found.record.disabled if change.disabled is None else change.disabled,
        }
        after = _user(found.record.model_dump() | fields)
        await self._write(found, after, self._told(who, "user.change", name, found.record, after, source))

    async def remove(self, who: Person, name: str, source: str = "") -> None:
        """Forget a user; sessions and tokens of that name are nobody's from now on, and not of who gets it next."""
        require(who, Action.USER_MANAGE)
        found = await self._get(name)
        told = self._told(who, "user.remove", name, found.record, None, source)
        guard = await self._other_admin(found.record, None)
        await self._store.commit(self._store.users.deleting(name, found.version), *guard, audit=[told])
        for token in await self._store.tokens.all():
            if token.record.owner == name and token.record.purpose == "api" and token.record.revoked is None:
                after = token.record.model_copy(update={"revoked": self._store.clock.now()})
                with suppress(Conflict):  # used or revoked meanwhile; one that is older than its user is refused anyway
                    await self._store.tokens.replace(token.name, after, token.version)

    async def reset_password(self, who: Person, name: str, source: str = "") -> SecretStr:
        """A one-time password for somebody who forgot theirs; all of their sessions end."""
        require(who, Action.USER_MANAGE)
        found = await self._get(name)
        _in_person(who)
        password = one_time_password(self._randomness)
        after = await self._with_password(found.record, password, must_change=True)
        await self._write(found, after, self._told(who, "user.password_reset", name, found.record, after, source))
        return SecretStr(password)

    async def change_own_password(self, who: Person, old: SecretStr, new: SecretStr, source: str = "") -> None:
        """A password that only the user knows; all sessions end, this one too: log in again with the new one."""
        require(who, Action.OWN_PASSWORD)
        found = await self._get(who.name)
        counted = [("pair", f"{who.name}\nchanging the password")]  # a stolen session must not be a way to guess it
        self._throttle.begin(counted, self._store.clock.steady())
        try:
            verdict = await self._passwords.compare(found.record.password_hash, old.get_secret_value())
        except TooManyAttempts:  # others keep the controller busy: this attempt was not looked at
            self._throttle.taken_back(counted)
            raise
        if not verdict.right:
            raise NotAuthenticated("the present password is wrong", "type it again")
        self._throttle.succeeded(counted)
        check_password(new.get_secret_value(), who.name)
        if old.get_secret_value() == new.get_secret_value():
            raise UsageError("this is the present password", "take another one")
        after = await self._with_password(found.record, new.get_secret_value(), must_change=False)
        await self._write(found, after, self._told(who, "user.password", who.name, found.record, after, source))

    async def _new(self, name: str, role: Role, clusters: Sequence[str] | None, password: str) -> User:
        now = self._store.clock.now()
        fields = {
            "name": name,
            "password_hash": await self._passwords.hashed(password),
            "role": role,
            "clusters": None if clusters is None else tuple(clusters),
            "created": now,
            "password_changed": now,
            "must_change": True,
        }
        return _user(fields)

    async def _with_password(self, user: User, password: str, *, must_change: bool) -> User:
        fields = {
            "password_hash": await self._passwords.hashed(password),
            "password_changed": self._store.clock.now(),
            "must_change": must_change,
        }
        return user.model_copy(update=fields)

    async def _get(self, name: str) -> Versioned[User]:
        found = await self._store.users.get(name[:100])
        if found is None:
            raise UsageError(Sentence("there is no user %(name)s", name=repr(name[:100])), "look at the list of users")
        return found

    async def _write(self, before: Versioned[User], after: User, told: AuditRecord) -> None:
        guard = await self._other_admin(before.record, after)
        step = self._store.users.replacing(before.name, after, before.version)
        await self._store.commit(step, *guard, audit=[told])

    async def _other_admin(self, before: User, after: User | None) -> tuple[Step, ...]:
        """What a change relies on that takes an administrator away: another one, who is still there when it is written.

        Without that, two administrators could remove each other at the same moment.
        """
        if not _rules_all(before) or (after is not None and _rules_all(after)):
            return ()
        for other in await self._store.users.all():
            if other.name != before.name and _rules_all(other.record):
                relied_on = self._store.users.replacing(other.name, other.record, other.version).check
                return (Step(relied_on),)
        raise NotPermitted(
            Sentence("%(name)s is the last administrator", name=before.name), "make somebody else one first"
        )

    def _told(
        self, who: Person, action: str, name: str, before: User | None, after: User | None, source: str
    ) -> AuditRecord:
        now = self._store.clock.now()
        return audited(now, who.actor, action, name, before=before, after=after, source=source)


def _in_person(who: Person) -> None:
    """A token makes no further tokens; with a password that it has reset, or a user of its own, it could."""
    if who.via is not Via.SESSION:
        raise NotPermitted(
            Sentence("%(actor)s may not do this: it is for people", actor=who.actor), "log in with a password"
        )


def _rules_all(user: User) -> bool:
    return user.role is Role.ADMIN and user.clusters is None and not user.disabled


def _user(fields: Mapping[str, object]) -> User:
    try:
        return User.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        what = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            Sentence("this user cannot be made: %(what)s: %(message)s", what=what, message=first["msg"]),
            "names have letters, digits, dots, hyphens, 63 at most",
        ) from None
