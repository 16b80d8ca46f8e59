"""Logging in, and who it is that comes with a session or an API token; asked anew at every request."""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import Field, SecretStr, ValidationError

from holdfast.errors import (
    Conflict,
    NotAuthenticated,
    NotPermitted,
    StoreError,
    TooManyAttempts,
    UsageError,
)
from holdfast.sentences import Sentence
from holdfast.store.collection import Versioned
from holdfast.store.models import Record, Role, Token, TokenScope, User
from holdfast.store.store import Store

from .auditing import STRANGER, audited
from .lasting import Lasting
from .passwords import Passwords
from .permissions import Action, Person, Via, lesser, may, require
from .sealing import Randomness, Sealer
from .shared_failures import SharedFailures
from .throttle import Throttle, login_counters, network_of
from .tokens import API_PREFIX, SESSION_PREFIX, digest_of, kind_of, make_secret, random_text, same

IDLE = timedelta(hours=1)  # a session that nobody uses for so long has ended
LONGEST_SESSION = timedelta(hours=12)
LONGEST_TOKEN_LIFE = timedelta(days=366)
MARK_LIFE = timedelta(days=180)
MOST_TOKENS = 50  # API tokens of one user that are good: each list of tokens reads all there are
_TOUCH = timedelta(minutes=1)  # a session is not written at each request
_NOTED = timedelta(minutes=10)  # nor is a token that is used all the time
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_MARK = re.compile(r"hfm1\.([0-9]{1,12})\.([A-Za-z0-9_-]{22})\.([0-9a-f]{64})")
_NOT_VALID = "the session or token is not valid, or not any more"
_WRONG = "the name or the password is wrong"
_MARKS = "key of the marks of known browsers"
_log = logging.getLogger(__name__)


class SealedKey(Record):
    """A key that all controllers of a store share."""

    sealed: str = Field(max_length=1000, repr=False)


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """What a browser gets: `session` for a cookie that ends with it, `mark` for one that stays. Both are secrets."""

    person: Person
    session: SecretStr = field(repr=False)
    mark: SecretStr = field(repr=False)


class Logins:
    """The doors for people and programs. Make them with `Logins.open`."""

    def __init__(
        self, store: Store, passwords: Passwords, mark_key: bytes, randomness: Randomness, lasting: Lasting
    ) -> None:
        self._store, self._lasting = store, lasting
        self._passwords = passwords
        self._mark_key = mark_key
        self._randomness = randomness
        self._throttle = Throttle()
        self._failures = SharedFailures(store, mark_key)

    @classmethod
    async def open(
        cls,
        store: Store,
        sealer: Sealer,
        passwords: Passwords,
        randomness: Randomness = os.urandom,
        lasting: Lasting | None = None,
    ) -> Logins:
        """With the key that all controllers of this store share; made now, if it is the first start."""
        keys = store.collection("key", SealedKey)
        found = await keys.get("marks")
        if found is None:
            made = SealedKey(sealed=sealer.seal(_MARKS, randomness(32)))
            with suppress(Conflict):  # another controller was first; its key is read
                await keys.create("marks", made)
            found = await keys.get("marks")
        key = sealer.open(_MARKS, found.record.sealed if found else "")
        return cls(store, passwords, key, randomness, lasting or Lasting(store.clock))

    async def login(self, name: str, password: SecretStr, source: str, mark: SecretStr | None = None) -> LoggedIn:
        """A session for the right password; NotAuthenticated or TooManyAttempts. `source` is the address it came from.

        What a stranger is told is the same, and takes the same time, whether there is such a user or not.
        """
        known = bool(_NAME.fullmatch(name))
        counted = (
            login_counters(name, source, self._marked(name, mark)) if known else (("address", network_of(source)),)
        )
        self._throttle.learn(await self._failures.known(counted))
        self._throttle.begin(counted, self._store.clock.steady())
        found = await self._store.users.get(name) if known else None
        usable = found if found and not found.record.disabled else None
        stored = usable.record.password_hash if usable else None
        try:
            verdict = await self._passwords.compare(stored, password.get_secret_value())
        except TooManyAttempts:  # others keep the controller busy: nobody pays for an attempt that was not looked at
            self._throttle.taken_back(counted)
            raise
        if usable is None or not verdict.right:
            await self._failures.failed(counted)
            await self._told_refused(found.name if found else "(unknown user)", source)
            raise NotAuthenticated(_WRONG, "type both again; an administrator can reset the password")
        self._throttle.succeeded(counted)
        await self._failures.succeeded(counted)
        user = await self._rehashed(usable, password.get_secret_value()) if verdict.outdated else usable.record
        return await self._session(user, source)

    async def authenticate(self, secret: SecretStr) -> Person:
        """Who comes with a session or API token, with the rights that they have at this moment."""
        text = secret.get_secret_value()
        kind = kind_of(text)
        if kind is None:
            raise NotAuthenticated(_NOT_VALID, "log in again")
        found, who = await self._let_in(digest_of(text), "session" if kind == SESSION_PREFIX else "api")
        await (self._touch(found) if who.via is Via.SESSION else self._note_use(found))
        return who

    async def still(self, key: str) -> Person:
        """Who came with a session or token (its digest, Person.key), if they may come in now. It makes nothing last."""
        return (await self._let_in(key))[1]

    async def _let_in(self, digest: str, purpose: str | None = None) -> tuple[Versioned[Token], Person]:
        found = await self._store.tokens.get(digest)
        if found is None or not same(found.record.digest, digest) or not self._live(found.record):
            raise NotAuthenticated(_NOT_VALID, "log in again")
        token = found.record
        user = await self._store.users.get(token.owner)
        if user is None or user.record.disabled or token.purpose not in ("session", "api"):
            raise NotAuthenticated(_NOT_VALID, "log in again")
        if purpose not in (None, token.purpose):
            raise NotAuthenticated(_NOT_VALID, "log in again")
        if token.purpose == "api":
            if token.created < user.record.created:  # of somebody else, who had this name before
                raise NotAuthenticated(_NOT_VALID, "log in again")
            return found, _with_token(user.record, token)
        if not same(token.name, session_name(user.record)):
            raise NotAuthenticated("the password was changed since the session began", "log in again")
        return found, _with_session(user.record, digest)

    async def sweep(self) -> int:
        """Forget failed logins that count no more; returns how many there were."""
        return await self._failures.sweep()

    async def logout(self, session: SecretStr, source: str = "") -> None:
        """End a session; one that has ended is no mistake."""
        text = session.get_secret_value()
        if kind_of(text) == SESSION_PREFIX:
            owner = await self._end(digest_of(text))
            if owner:
                told = audited(self._store.clock.now(), f"user:{owner}", "logout", "session", source=source)
                await self._store.audit.append(told)

    async def logout_everywhere(self, who: Person, source: str = "") -> int:
        """End all of one's own sessions; returns how many there were."""
        require(who, Action.OWN_SESSIONS)
        ended = 0
        for found in await self._store.tokens.all():
            if found.record.purpose == "session" and found.record.owner == who.name:
                ended += await self._end(found.name) is not None
        told = audited(self._store.clock.now(), who.actor, "logout", f"{ended} sessions", source=source)
        await self._store.audit.append(told)
        return ended

    async def _end(self, digest: str) -> str | None:
        """Remove a session; its owner, or None if it is not there. Its use at the same moment does not save it."""
        while True:  # ends: each time round, somebody else has written it
            found = await self._store.tokens.get(digest)
            if found is None or found.record.purpose != "session":
                return None
            try:
                await self._store.tokens.delete(digest, found.version)
            except Conflict:
                continue
            return found.record.owner

    async def create_token(
        self,
        who: Person,
        name: str,
        role: Role,
        lifetime: timedelta,
        clusters: tuple[str, ...] | None = None,
        source: str = "",
        scopes: Collection[TokenScope] = (),
    ) -> SecretStr:
        """An API token, to be shown once. It can never do more than its owner, neither now nor later."""
        require(who, Action.OWN_TOKENS)
        if scopes and (role is not Role.ADMIN or clusters is not None):
            raise UsageError(
                Sentence("the scope %(scopes)s says nothing for such a token", scopes=", ".join(scopes)),
                "take the role admin, and no clusters",
            )
        if not timedelta(minutes=1) <= lifetime <= LONGEST_TOKEN_LIFE:
            raise UsageError("an API token cannot live that long", "take a minute to 366 days")
        if lesser(role, who.role) != role or not _within(clusters, who.clusters):
            own = f"you are {who.role}" + (
                f" for {', '.join(sorted(who.clusters))}" if who.clusters is not None else ""
            )
            raise NotPermitted(
                "a token cannot do more than its owner",
                Sentence("take a lesser role, or fewer clusters (--only): %(own)s", own=own),
            )
        if await self._good_tokens(who.name) >= MOST_TOKENS:
            raise UsageError(
                Sentence("%(name)s has %(most)s API tokens already", name=who.name, most=MOST_TOKENS),
                "revoke those that nobody needs",
            )
        secret, prefix = make_secret(API_PREFIX, self._randomness)
        now = self._lasting.now()
        owner = await self._store.users.get(who.name)
        created = max(now, owner.record.created) if owner else now  # who was made by a controller whose clock is ahead
        record = _token(
            digest=digest_of(secret), prefix=prefix, name=name, purpose="api", owner=who.name,
            role=role, clusters=clusters, scopes=tuple(dict.fromkeys(scopes)), created=created, expires=now + lifetime,
        )  # fmt: skip
        told = audited(
            self._store.clock.now(), who.actor, "token.create", f"{name} ({prefix})", after=record, source=source
        )
        await self._store.commit(self._store.tokens.creating(record.digest, record), audit=[told])
        return SecretStr(secret)

    async def _good_tokens(self, owner: str) -> int:
        kept = [one.record for one in await self._store.tokens.all() if one.record.owner == owner]
        return sum(one.purpose == "api" and self._live(one) for one in kept)

    async def tokens(self, who: Person) -> tuple[Token, ...]:
        """One's own API tokens, or those of all for who manages them."""
        everybody = may(who, Action.TOKEN_MANAGE)
        kept = [found.record for found in await self._store.tokens.all() if found.record.purpose == "api"]
        return tuple(one for one in kept if everybody or one.owner == who.name)

    async def revoke_token(self, who: Person, prefix: str, source: str = "") -> None:
        """End an API token, found by how it begins; one's own, or anybody's for who manages them."""
        known = (one.name for one in await self._store.tokens.all() if _is_api(one.record, prefix))
        name = next(known, None)
        while name is not None:  # ends: each time round, the token was being used, which is written once in ten minutes
            found = await self._store.tokens.get(name)
            if found is None:
                break
            require(who, Action.OWN_TOKENS if found.record.owner == who.name else Action.TOKEN_MANAGE)
            if found.record.revoked is not None:
                return
            now = self._store.clock.now()
            after = found.record.model_copy(update={"revoked": now})
            told = audited(now, who.actor, "token.revoke", prefix, before=found.record, after=after, source=source)
            with suppress(Conflict):
                await self._store.commit(self._store.tokens.replacing(found.name, after, found.version), audit=[told])
                return
        raise UsageError(
            Sentence("there is no API token %(prefix)s", prefix=repr(prefix[:40])),
            "give how it begins: hfa_ and eight letters",
        )

    async def _session(self, user: User, source: str) -> LoggedIn:
        secret, prefix = make_secret(SESSION_PREFIX, self._randomness)
        now = self._lasting.now()
        record = _token(
            digest=digest_of(secret), prefix=prefix, name=session_name(user), purpose="session", owner=user.name,
            created=now, expires=now + IDLE,
        )  # fmt: skip
        told = audited(self._store.clock.now(), f"user:{user.name}", "login", user.name, source=source)
        await self._store.commit(self._store.tokens.creating(record.digest, record), audit=[told])
        return LoggedIn(_with_session(user, record.digest), SecretStr(secret), SecretStr(self._mark(user.name)))

    def _live(self, token: Token) -> bool:
        return token.revoked is None and self._lasting.now() < token.expires

    async def _touch(self, found: Versioned[Token]) -> None:
        """Let a session last: an hour from now, and twelve from its beginning at most."""
        now = self._lasting.now()
        if now - (found.record.used or found.record.expires - IDLE) < _TOUCH:
            return
        ends = min(now + IDLE, found.record.created + LONGEST_SESSION)
        after = found.record.model_copy(update={"expires": ends, "used": now})
        with suppress(StoreError):  # a store that takes no writes must not keep people from looking
            await self._store.tokens.replace(found.name, after, found.version)

    async def _note_use(self, found: Versioned[Token]) -> None:
        """When an API token was used last, to ten minutes: whoever asks which ones nobody needs has to know."""
        now = self._store.clock.now()
        if found.record.used is not None and now - found.record.used < _NOTED:
            return
        with suppress(StoreError):  # as above
            await self._store.tokens.replace(found.name, found.record.model_copy(update={"used": now}), found.version)

    async def _rehashed(self, found: Versioned[User], password: str) -> User:
        after = found.record.model_copy(update={"password_hash": await self._passwords.hashed(password)})
        try:
            await self._store.users.replace(found.name, after, found.version)
        except StoreError:  # the next login tries again
            return found.record
        return after

    async def _told_refused(self, name: str, source: str) -> None:
        """An unknown name is not written down: often it is a password, typed into the wrong field."""
        _log.warning("a login as %s from %s was refused", name, network_of(source))
        with suppress(TooManyAttempts):  # then the log has it, and strangers do not fill the audit
            self._throttle.begin([("audit", "refused logins")], self._store.clock.steady())
            told = audited(self._store.clock.now(), STRANGER, "login", name, source=source, outcome="refused")
            await self._store.audit.append(told)

    def _mark(self, name: str) -> str:
        issued, number = int(self._store.clock.now().timestamp()), random_text(self._randomness, 16)
        return f"hfm1.{issued}.{number}.{self._mac(name, issued, number)}"

    def _marked(self, name: str, mark: SecretStr | None) -> str | None:
        """The number of a mark that this user was given for a right password, not too long ago; else None."""
        found = _MARK.fullmatch(mark.get_secret_value()) if mark else None
        if not found or not same(found[3], self._mac(name, int(found[1]), found[2])):
            return None
        age = self._store.clock.now().timestamp() - int(found[1])
        return found[2] if age < MARK_LIFE.total_seconds() else None

    def _mac(self, name: str, issued: int, number: str) -> str:
        return hmac.new(self._mark_key, f"{name}\n{issued}\n{number}".encode(), hashlib.sha256).hexdigest()


def _is_api(token: Token, prefix: str) -> bool:
    return token.purpose == "api" and token.prefix == prefix


def session_name(user: User) -> str:
    """Binds a session to the password that opened it, by no clock: another password, and it is over."""
    return f"session {digest_of(user.password_hash)[:32]}"


def _with_session(user: User, key: str) -> Person:
    clusters = None if user.clusters is None else frozenset(user.clusters)
    return Person(user.name, user.role, clusters, Via.SESSION, "", user.must_change, key=key)


def _with_token(user: User, token: Token) -> Person:
    limits = [frozenset(one) for one in (user.clusters, token.clusters) if one is not None]
    clusters = frozenset.intersection(*limits) if limits else None
    role = lesser(user.role, token.role or Role.VIEWER)
    scopes = frozenset(token.scopes)
    return Person(user.name, role, clusters, Via.TOKEN, token.name, user.must_change, scopes, token.digest)


def _within(wanted: tuple[str, ...] | None, limits: frozenset[str] | None) -> bool:
    return limits is None or (wanted is not None and limits.issuperset(wanted))


def _token(**fields: object) -> Token:
    try:
        return Token.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        what = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            Sentence("this token cannot be made: %(what)s: %(message)s", what=what, message=first["msg"]),
            "shorten its name",
        ) from None
