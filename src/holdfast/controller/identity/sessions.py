"""The sessions of people: which there are, and ending them; by themselves, or by who manages users."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from holdfast.errors import Conflict, NotFound
from holdfast.sentences import Sentence
from holdfast.store.collection import Versioned
from holdfast.store.models import Token, User
from holdfast.store.store import Store

from .auditing import audited
from .lasting import Lasting
from .logins import IDLE, session_name
from .permissions import Action, Person, require


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """A session that is good now. `prefix` is how its secret begins; `used` is right to a minute."""

    prefix: str
    owner: str
    began: datetime
    used: datetime
    ends: datetime
    key: str = field(default="", repr=False)  # its digest: to know one's own by


class Sessions:
    """The sessions of a store."""

    def __init__(self, store: Store, lasting: Lasting | None = None) -> None:
        self._store, self._lasting = store, lasting or Lasting(store.clock)

    async def of(self, who: Person, owner: str) -> tuple[SessionFacts, ...]:
        """Those of one user, the newest first; other people's are for who manages users."""
        require(who, _needed(who, owner))
        found = [_facts(one.record) for one in await self._good() if one.record.owner == owner]
        return tuple(sorted(found, key=lambda one: (one.began, one.prefix), reverse=True))

    async def counted(self, who: Person) -> dict[str, int]:
        """How many each user has, for who manages users."""
        require(who, Action.USER_MANAGE)
        found: dict[str, int] = {}
        for one in await self._good():
            found[one.record.owner] = found.get(one.record.owner, 0) + 1
        return found

    async def end(self, who: Person, owner: str, prefix: str, source: str = "") -> None:
        """End one session of a user; NotFound if it is not there."""
        require(who, _needed(who, owner))
        found = [one for one in await self._good() if one.record.owner == owner and one.record.prefix == prefix]
        if not await self._end(who, owner, found, prefix, source):
            raise NotFound(
                Sentence("%(owner)s has no session %(prefix)s", owner=owner, prefix=prefix[:40]),
                "it may have ended by itself; look at the list",
            )

    async def end_all(self, who: Person, owner: str, source: str = "", but: str = "") -> int:
        """End all sessions of a user, but the one whose secret begins with `but`; returns how many there were."""
        require(who, _needed(who, owner))
        found = [one for one in await self._good() if one.record.owner == owner and one.record.prefix != but]
        return await self._end(who, owner, found, "all but this one" if but else "all", source)

    async def _end(self, who: Person, owner: str, found: Iterable[Versioned[Token]], which: str, source: str) -> int:
        ended = [_shown(one.record) for one in found if await self._remove(one)]
        if ended:
            now = self._store.clock.now()
            told = audited(now, who.actor, "session.end", f"{owner}: {which}", before=ended, source=source)
            await self._store.audit.append(told)
        return len(ended)

    async def _remove(self, found: Versioned[Token]) -> bool:
        """Whether it was there. Its use at the same moment does not save it."""
        now: Versioned[Token] | None = found
        while now is not None:  # ends: each time round, somebody else has written it
            try:
                await self._store.tokens.delete(now.name, now.version)
            except Conflict:
                now = await self._store.tokens.get(now.name)
                continue
            return True
        return False

    async def _good(self) -> list[Versioned[Token]]:
        """Those that would be let in at this moment."""
        now = self._lasting.now()
        users = {one.name: one.record for one in await self._store.users.all()}
        return [one for one in await self._store.tokens.all() if _is_good(one.record, users.get(one.record.owner), now)]


def _is_good(token: Token, owner: User | None, now: datetime) -> bool:
    if token.purpose != "session" or token.revoked is not None or token.expires <= now:
        return False
    return owner is not None and not owner.disabled and token.name == session_name(owner)


def _needed(who: Person, owner: str) -> Action:
    return Action.OWN_SESSIONS if owner == who.name else Action.USER_MANAGE


def _facts(token: Token) -> SessionFacts:
    return SessionFacts(
        prefix=token.prefix,
        owner=token.owner,
        began=token.created,
        used=token.used or max(token.created, token.expires - IDLE),  # older versions did not write it down
        ends=token.expires,
        key=token.digest,
    )


def _shown(token: Token) -> dict[str, object]:
    return {"prefix": token.prefix, "owner": token.owner, "began": token.created}
