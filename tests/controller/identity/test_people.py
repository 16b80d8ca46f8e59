"""People and programs: first administrator, passwords, sessions, tokens, and who is let in at which moment."""

from __future__ import annotations

import asyncio
import json
import logging
import unicodedata
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import argon2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from tests.controller.identity.world import WallClock

from holdfast.controller.identity.logins import IDLE, LONGEST_SESSION, MOST_TOKENS, LoggedIn, Logins
from holdfast.controller.identity.passwords import COST, Cost, Passwords, Verdict, check_password, one_time_password
from holdfast.controller.identity.permissions import Action, Person, Via, may
from holdfast.controller.identity.sealing import KeyFileSealer
from holdfast.controller.identity.sessions import Sessions
from holdfast.controller.identity.tokens import kind_of
from holdfast.controller.identity.users import UserChange, Users
from holdfast.errors import (
    Conflict,
    NotAuthenticated,
    NotPermitted,
    StateForbids,
    StoreDamaged,
    StoreUnavailable,
    TooManyAttempts,
    UsageError,
)
from holdfast.store.memory import MemoryEngine
from holdfast.store.models import Role, TokenScope
from holdfast.store.port import Check, Write
from holdfast.store.store import Store

T = TypeVar("T")
CHEAP = Cost(passes=1, memory_kib=8, parallelism=1)
SEALER = KeyFileSealer(bytes(32))
GOOD = SecretStr("a long enough sentence")
HERE = "192.0.2.1"


def run(what: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(what)


class Engine(MemoryEngine):
    """A store that may stop taking writes."""

    read_only = False

    async def commit(self, checks: Any, writes: list[Write] | Any) -> int:
        if self.read_only:
            raise StoreUnavailable("no quorum")
        return await super().commit(checks, writes)


@dataclass
class Office:
    """A controller's doors for people, with an administrator whose password is GOOD."""

    clock: WallClock
    store: Store
    engine: Engine
    users: Users
    logins: Logins
    admin: Person = field(default_factory=lambda: Person("admin", Role.ADMIN))

    @classmethod
    async def empty(cls, engine: Engine | None = None, cost: Cost = CHEAP) -> Office:
        clock = WallClock()
        engine = engine or Engine(clock)
        store = await Store.open(engine, clock)
        passwords = Passwords(cost=cost)
        return cls(clock, store, engine, Users(store, passwords), await Logins.open(store, SEALER, passwords))

    @classmethod
    async def make(cls) -> Office:
        office = await cls.empty()
        first = await office.users.first_admin()
        assert first is not None
        await office.settle("admin", first)
        return office

    async def settle(self, name: str, once: SecretStr) -> None:
        """Replace a one-time password by GOOD."""
        entered = await self.logins.login(name, once, HERE)
        await self.users.change_own_password(entered.person, once, GOOD)

    async def user(self, name: str, role: Role = Role.OPERATOR, clusters: tuple[str, ...] | None = None) -> Person:
        await self.settle(name, await self.users.create(self.admin, name, role, clusters))
        return (await self.login(name)).person

    async def login(self, name: str = "admin", password: SecretStr = GOOD, source: str = HERE) -> LoggedIn:
        return await self.logins.login(name, password, source)

    async def everything(self) -> str:
        """All that the store holds, as one text."""
        pages = [page async for page in self.engine.snapshot("")]
        return "".join(entry.key + entry.value.decode() for page in pages for entry in page.entries)


# ---- the first administrator


def test_the_first_admin_is_made_once_and_must_change_the_password() -> None:
    async def scenario() -> None:
        engine = Engine(WallClock())
        offices = [await Office.empty(engine) for _ in range(4)]
        told = await asyncio.gather(*(office.users.first_admin() for office in offices))
        (once,) = [one for one in told if one is not None]
        assert await offices[0].users.first_admin() is None
        office = offices[1]
        entered = await office.login("admin", once)
        assert entered.person.must_change
        assert [action for action in Action if may(entered.person, action, "shop")] == [
            Action.WHO_AM_I, Action.OWN_PASSWORD, Action.OWN_SESSIONS,
        ]  # fmt: skip
        await office.users.change_own_password(entered.person, once, GOOD)
        with pytest.raises(NotAuthenticated):
            await office.logins.authenticate(entered.session)
        with pytest.raises(NotAuthenticated):
            await office.login("admin", once)
        assert may((await office.login()).person, Action.USER_MANAGE)
        assert once.get_secret_value() not in await office.everything()

    run(scenario())


@given(st.binary(min_size=40, max_size=40))
def test_one_time_passwords_are_good_and_can_be_read_aloud(noise: bytes) -> None:
    password = one_time_password(lambda size: noise[:size])
    assert len(password) == 23
    assert password.replace("-", "").isalnum()


# ---- passwords


def test_the_cost_is_what_the_rfc_recommends_and_hashes_say_so() -> None:
    async def scenario() -> None:
        hashed = await Passwords().hashed("a long enough sentence")
        assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
        parameters = argon2.extract_parameters(hashed)
        assert (parameters.time_cost, parameters.memory_cost) == (COST.passes, COST.memory_kib)
        assert (parameters.salt_len, parameters.hash_len) == (16, 32)

    run(scenario())


PASSWORDS = Passwords(cost=CHEAP)


@given(st.text(min_size=1, max_size=200), st.text(max_size=200))
@example("caf\u00e9 au lait au lit", "cafe\u0301 au lait au lit")
@settings(max_examples=50, deadline=None)
def test_the_password_and_no_other_is_right(password: str, other: str) -> None:
    async def scenario() -> None:
        passwords = Passwords(cost=CHEAP)
        hashed = await passwords.hashed(password)
        assert (await passwords.compare(hashed, password)).right
        alike = unicodedata.normalize("NFKC", password) == unicodedata.normalize("NFKC", other)
        assert (await passwords.compare(hashed, other)).right is alike
        assert not (await passwords.compare(None, password)).right
        assert password == hashed or password not in hashed or len(password) < 5

    run(scenario())


@pytest.mark.parametrize(
    "wrong", ["", "short", "x" * 257, "aaaaaaaaaaaaaaaa", "abababababababab", "margarete", "Margarete12345", "é" * 600]
)
def test_bad_passwords_are_refused(wrong: str) -> None:
    with pytest.raises(UsageError):
        check_password(wrong, "margarete")
    check_password("correct horse battery", "margarete")


def test_a_hash_of_another_cost_is_made_anew_at_login() -> None:
    async def scenario() -> None:
        office = await Office.make()
        before = await office.store.users.get("admin")
        dearer = Passwords(cost=Cost(passes=2, memory_kib=16, parallelism=1))
        logins = await Logins.open(office.store, SEALER, dearer)
        entered = await logins.login("admin", GOOD, HERE)
        after = await office.store.users.get("admin")
        assert before is not None
        assert after is not None
        assert "m=8,t=1" in before.record.password_hash
        assert "m=16,t=2" in after.record.password_hash
        assert (await logins.authenticate(entered.session)).name == "admin"

    run(scenario())


def test_a_damaged_hash_is_no_crash_and_lets_nobody_in() -> None:
    async def scenario() -> None:
        with pytest.raises(StoreDamaged):
            await Passwords(cost=CHEAP).compare("$argon2id$v=19$m=8,t=1,p=1$nonsense!", "x")

    run(scenario())


def test_a_hundred_logins_at_once_do_not_use_up_the_controller() -> None:
    async def scenario() -> None:
        passwords = Passwords(cost=CHEAP)
        told = await asyncio.gather(*(passwords.compare(None, "x") for _ in range(100)), return_exceptions=True)
        assert sum(isinstance(one, TooManyAttempts) for one in told) == 100 - 32
        await passwords.compare(None, "x")  # and then it goes on

    run(scenario())


# ---- login


def test_an_unknown_user_and_a_wrong_password_get_the_same_answer() -> None:
    async def scenario() -> None:
        office = await Office.make()
        await office.user("otto")
        await office.users.change(office.admin, "otto", UserChange(disabled=True))
        told = []
        for name, password in (
            ("admin", SecretStr("wrong")),
            ("nobody", GOOD),
            ("otto", GOOD),
            ("../admin", GOOD),
            ("x" * 9999, GOOD),
            ("admin", SecretStr("x" * 100_000)),
            ("admin", SecretStr("")),
        ):
            with pytest.raises(NotAuthenticated) as refused:
                await office.login(name, password, source=f"192.0.2.{len(told)}")
            told.append((type(refused.value), refused.value.message, refused.value.hint))
        assert len(set(told)) == 1

    run(scenario())


def test_a_password_typed_into_the_wrong_field_is_written_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        office = await Office.make()
        with caplog.at_level(logging.DEBUG), pytest.raises(NotAuthenticated):
            await office.login("sEcReTpassword1", SecretStr("sEcReTpassword2"))
        assert "sEcReT" not in await office.everything()
        assert "sEcReT" not in caplog.text
        assert "refused" in caplog.text

    run(scenario())


def test_strangers_do_not_keep_an_admin_out() -> None:
    async def scenario() -> None:
        office = await Office.make()
        before = await office.login()
        waits = 0
        for n in range(200):
            try:
                await office.login("admin", SecretStr("guess"), source=f"10.0.{n % 50}.1")
            except TooManyAttempts:
                waits += 1
            except NotAuthenticated:
                continue
        assert waits >= 100
        # From the strangers' own address, but in the browser that was used before.
        entered = await office.logins.login("admin", GOOD, "10.0.1.1", before.mark)
        assert entered.person.name == "admin"
        with pytest.raises(TooManyAttempts):
            await office.login(source="10.0.1.1")
        office.clock.wall += timedelta(seconds=31)
        assert (await office.login(source="198.51.100.1")).person.name == "admin"

    run(scenario())


def test_a_mark_is_good_for_its_user_alone_and_not_for_ever() -> None:
    async def scenario() -> None:
        office = await Office.make()
        mark = (await office.login()).mark
        assert office.logins._marked("admin", mark) is not None
        assert office.logins._marked("otto", mark) is None
        assert office.logins._marked("admin", None) is None
        text = mark.get_secret_value()
        for wrong in ("", "x" * 10_000, text[:-1] + ("0" if text[-1] != "0" else "1"), text.replace("hfm1.", "hfm1.9")):
            assert office.logins._marked("admin", SecretStr(wrong)) is None
        other = await Logins.open(office.store, SEALER, PASSWORDS)  # another controller knows it
        assert other._marked("admin", mark) is not None
        office.clock.wall += timedelta(days=181)
        assert office.logins._marked("admin", mark) is None

    run(scenario())


# ---- sessions


def test_a_session_ends_when_nobody_uses_it_and_after_twelve_hours_anyway() -> None:
    async def scenario() -> None:
        office = await Office.make()
        session = (await office.login()).session
        office.clock.wall += IDLE + timedelta(seconds=1)
        with pytest.raises(NotAuthenticated):
            await office.logins.authenticate(session)
        session = (await office.login()).session
        begun = office.clock.wall
        while office.clock.wall - begun < LONGEST_SESSION - timedelta(minutes=30):
            office.clock.wall += timedelta(minutes=30)
            assert (await office.logins.authenticate(session)).name == "admin"
        office.clock.wall = begun + LONGEST_SESSION
        with pytest.raises(NotAuthenticated):
            await office.logins.authenticate(session)

    run(scenario())


def test_to_ask_whether_somebody_may_still_be_here_makes_no_session_last() -> None:
    """Whoever only looks at a wall for an hour is logged out as if they had done nothing."""

    async def scenario() -> None:
        office = await Office.make()
        who = await office.logins.authenticate((await office.login()).session)
        office.clock.wall += IDLE - timedelta(seconds=1)
        assert await office.logins.still(who.key) == who
        office.clock.wall += timedelta(seconds=2)
        with pytest.raises(NotAuthenticated):
            await office.logins.still(who.key)

    run(scenario())


def test_looking_goes_on_while_the_store_takes_no_writes() -> None:
    async def scenario() -> None:
        office = await Office.make()
        session = (await office.login()).session
        office.engine.read_only = True
        office.clock.wall += timedelta(minutes=30)
        assert (await office.logins.authenticate(session)).name == "admin"
        with pytest.raises(StoreUnavailable):
            await office.login()

    run(scenario())


def test_rights_are_those_of_this_moment() -> None:
    async def scenario() -> None:
        office = await Office.make()
        await office.user("otto", Role.ADMIN)
        session = (await office.login("otto")).session
        for change, role, clusters in (
            (UserChange(role=Role.VIEWER), Role.VIEWER, None),
            (UserChange(clusters=("shop",)), Role.VIEWER, {"shop"}),
            (UserChange(role=Role.OPERATOR), Role.OPERATOR, {"shop"}),
            (UserChange(unlimited=True), Role.OPERATOR, None),
        ):
            await office.users.change(office.admin, "otto", change)
            person = await office.logins.authenticate(session)
            assert (person.role, person.clusters) == (role, clusters)
        await office.users.change(office.admin, "otto", UserChange(disabled=True))
        with pytest.raises(NotAuthenticated):
            await office.logins.authenticate(session)
        await office.users.change(office.admin, "otto", UserChange(disabled=False))
        await office.users.reset_password(office.admin, "otto")
        with pytest.raises(NotAuthenticated, match="password was changed"):
            await office.logins.authenticate(session)
        await office.users.remove(office.admin, "otto")
        with pytest.raises(NotAuthenticated):
            await office.logins.authenticate(session)

    run(scenario())


def test_logging_out_is_the_end() -> None:
    async def scenario() -> None:
        office = await Office.make()
        one, two = await office.login(), await office.login()
        await office.logins.logout(one.session)
        await office.logins.logout(one.session)
        with pytest.raises(NotAuthenticated):
            await office.logins.authenticate(one.session)
        person = await office.logins.authenticate(two.session)
        assert await office.logins.logout_everywhere(person) >= 1
        with pytest.raises(NotAuthenticated):
            await office.logins.authenticate(two.session)

    run(scenario())


@given(st.text(max_size=300) | st.from_regex(r"hf[as]_[a-z2-7]{8}_[A-Za-z0-9_-]{43}", fullmatch=True))
@settings(max_examples=50, deadline=None)
def test_nothing_else_is_a_session(text: str) -> None:
    async def scenario() -> None:
        with pytest.raises(NotAuthenticated):
            await OFFICE.logins.authenticate(SecretStr(text))

    run(scenario())


OFFICE = run(Office.make())


# ---- API tokens


def test_a_token_does_what_it_was_made_for_and_never_more_than_its_owner() -> None:
    async def scenario() -> None:
        office = await Office.make()
        otto = await office.user("otto", Role.OPERATOR, ("shop", "bank"))
        day = timedelta(days=1)
        secret = await office.logins.create_token(otto, "ci", Role.OPERATOR, day, ("shop",))
        assert kind_of(secret.get_secret_value()) == "hfa"
        person = await office.logins.authenticate(secret)
        assert (person.name, person.role, person.clusters, person.via) == ("otto", Role.OPERATOR, {"shop"}, Via.TOKEN)
        assert person.actor == "user:otto token:ci"
        for role, clusters in ((Role.ADMIN, ("shop",)), (Role.VIEWER, None), (Role.VIEWER, ("shop", "zoo"))):
            with pytest.raises(NotPermitted) as refused:
                await office.logins.create_token(otto, "more", role, day, clusters)
            assert "you are operator for bank, shop" in refused.value.hint
        with pytest.raises(NotPermitted):  # a token makes no tokens
            await office.logins.create_token(person, "more", Role.VIEWER, day, ("shop",))
        await office.users.change(office.admin, "otto", UserChange(role=Role.VIEWER, clusters=("bank",)))
        person = await office.logins.authenticate(secret)
        assert (person.role, person.clusters) == (Role.VIEWER, frozenset())
        office.clock.wall += day
        with pytest.raises(NotAuthenticated):
            await office.logins.authenticate(secret)

    run(scenario())


def test_tokens_are_found_by_their_beginning_and_revoked_by_owner_or_admin() -> None:
    async def scenario() -> None:
        office = await Office.make()
        otto, bea = await office.user("otto"), await office.user("bea")
        secrets = [await office.logins.create_token(otto, f"ci{n}", Role.VIEWER, timedelta(days=1)) for n in range(3)]
        prefixes = [secret.get_secret_value()[:12] for secret in secrets]
        assert {one.prefix for one in await office.logins.tokens(otto)} == set(prefixes)
        assert await office.logins.tokens(bea) == ()
        assert len(await office.logins.tokens(office.admin)) == 3
        with pytest.raises(NotPermitted):
            await office.logins.revoke_token(bea, prefixes[0])
        await office.logins.revoke_token(otto, prefixes[0])
        await office.logins.revoke_token(office.admin, prefixes[1])
        for secret in secrets[:2]:
            with pytest.raises(NotAuthenticated):
                await office.logins.authenticate(secret)
        assert (await office.logins.authenticate(secrets[2])).name == "otto"
        with pytest.raises(UsageError):
            await office.logins.revoke_token(office.admin, "hfa_nothing0")

    run(scenario())


def test_an_attempt_that_was_not_looked_at_neither_counts_nor_forgives() -> None:
    class Busy(Passwords):
        busy = False

        async def compare(self, stored: str | None, password: str) -> Verdict:
            if self.busy:
                raise TooManyAttempts("too many people log in at this moment", wait=5.0)
            return await super().compare(stored, password)

    async def scenario() -> None:
        office = await Office.make()
        passwords = Busy(cost=CHEAP)
        users, logins = Users(office.store, passwords), await Logins.open(office.store, SEALER, passwords)
        wrong, another = SecretStr("wrong"), SecretStr("another long enough sentence")
        for attempt in (
            lambda old: users.change_own_password(office.admin, old, another),
            lambda old: logins.login("admin", old, HERE),
        ):
            for _ in range(3):
                with pytest.raises(NotAuthenticated):
                    await attempt(wrong)
            passwords.busy = True
            for _ in range(10):
                with pytest.raises(TooManyAttempts, match="at this moment"):
                    await attempt(GOOD)
            passwords.busy = False
            for _ in range(2):
                with pytest.raises(NotAuthenticated):
                    await attempt(wrong)
            with pytest.raises(TooManyAttempts, match="failed"):
                await attempt(GOOD)

    run(scenario())


def test_a_token_gets_no_password_and_no_more_rights_for_anybody() -> None:
    async def scenario() -> None:
        office = await Office.make()
        await office.user("otto")
        scoped = [TokenScope.USERS]
        secret = await office.logins.create_token(office.admin, "ci", Role.ADMIN, timedelta(days=1), scopes=scoped)
        program = await office.logins.authenticate(secret)
        for refused in (
            office.users.create(program, "mine", Role.ADMIN),
            office.users.reset_password(program, "otto"),
            office.users.change(program, "otto", UserChange(role=Role.ADMIN)),
            office.users.change(program, "otto", UserChange(unlimited=True)),
            office.users.change(program, "otto", UserChange(clusters=("shop",))),
        ):
            with pytest.raises(NotPermitted, match="for people"):
                await refused
        assert await office.store.users.get("mine") is None
        await office.users.change(program, "otto", UserChange(disabled=True))  # what takes rights away may be done
        await office.users.remove(program, "otto")

    run(scenario())


def test_a_token_that_was_not_made_for_it_shuts_nobody_out() -> None:
    async def scenario() -> None:
        office = await Office.make()
        await office.user("otto")
        secret = await office.logins.create_token(office.admin, "ci", Role.ADMIN, timedelta(days=1))
        program = await office.logins.authenticate(secret)
        for refused in (
            office.users.change(program, "otto", UserChange(disabled=True)),
            office.users.remove(program, "otto"),
            Sessions(office.store).of(program, "otto"),
            Sessions(office.store).end_all(program, "otto"),
            Sessions(office.store).end_all(program, "admin"),
            Sessions(office.store).counted(program),
        ):
            with pytest.raises(NotPermitted):
                await refused
        with pytest.raises(NotPermitted) as told:
            await office.users.remove(program, "otto")
        assert "--scope users" in told.value.hint
        found = await office.store.users.get("otto")
        assert found is not None
        assert not found.record.disabled

    run(scenario())


@pytest.mark.parametrize(("role", "clusters"), [(Role.OPERATOR, None), (Role.ADMIN, ("shop",))])
def test_a_scope_that_its_role_makes_nothing_of_is_refused(role: Role, clusters: tuple[str, ...] | None) -> None:
    async def scenario() -> None:
        office = await Office.make()
        with pytest.raises(UsageError):
            await office.logins.create_token(
                office.admin, "ci", role, timedelta(days=1), clusters, scopes=[TokenScope.USERS]
            )

    run(scenario())


def test_who_gets_the_name_of_somebody_who_was_removed_does_not_get_the_tokens() -> None:
    async def scenario() -> None:
        office = await Office.make()
        await office.user("ada", Role.ADMIN)
        otto = await office.user("otto", Role.ADMIN)
        secret = await office.logins.create_token(otto, "ci", Role.ADMIN, timedelta(days=1))
        (kept,) = [one for one in await office.store.tokens.all() if one.record.purpose == "api"]
        await office.users.remove(office.admin, "otto")
        (gone,) = [one for one in await office.store.tokens.all() if one.record.purpose == "api"]
        assert gone.record.revoked == office.clock.wall
        office.clock.wall += timedelta(minutes=1)
        again = await office.user("otto", Role.ADMIN)
        await office.store.tokens.replace(gone.name, kept.record, gone.version)  # where it could not be revoked
        with pytest.raises(NotAuthenticated):
            await office.logins.authenticate(secret)
        office.clock.wall -= timedelta(seconds=30)  # another controller's clock
        own = await office.logins.create_token(again, "ci", Role.ADMIN, timedelta(days=1))
        assert (await office.logins.authenticate(own)).name == "otto"

    run(scenario())


def test_nobody_has_any_number_of_tokens_and_revoking_twice_is_told_once() -> None:
    async def scenario() -> None:
        office = await Office.make()
        otto, bea = await office.user("otto"), await office.user("bea")

        async def make(who: Person, name: str, life: timedelta = timedelta(days=1)) -> str:
            return (await office.logins.create_token(who, name, Role.VIEWER, life)).get_secret_value()[:12]

        prefixes = [await make(otto, f"ci{n}") for n in range(MOST_TOKENS - 1)]
        await make(otto, "short", timedelta(minutes=1))
        with pytest.raises(UsageError, match="50 API tokens"):
            await make(otto, "more")
        await make(bea, "hers")
        office.clock.wall += timedelta(minutes=2)
        await make(otto, "instead of the one that has expired")
        with pytest.raises(UsageError):
            await make(otto, "more")
        for _ in range(3):
            await office.logins.revoke_token(otto, prefixes[0])
        with pytest.raises(NotPermitted):
            await office.logins.revoke_token(bea, prefixes[0])
        await make(otto, "instead of the one that was revoked")
        told = [one.record.action for one in await office.store.audit.newest(limit=200)]
        assert told.count("token.revoke") == 1

    run(scenario())


@pytest.mark.parametrize("life", [timedelta(0), timedelta(days=-1), timedelta(days=367)])
def test_tokens_have_an_end(life: timedelta) -> None:
    async def scenario() -> None:
        office = await Office.make()
        with pytest.raises(UsageError):
            await office.logins.create_token(office.admin, "ci", Role.VIEWER, life)
        with pytest.raises(UsageError, match="name"):
            await office.logins.create_token(office.admin, "x" * 300, Role.VIEWER, timedelta(days=1))

    run(scenario())


# ---- users


def test_the_last_administrator_stays() -> None:
    async def scenario() -> None:
        office = await Office.make()
        await office.user("bea", Role.ADMIN, ("shop",))
        for change in (UserChange(role=Role.OPERATOR), UserChange(disabled=True), UserChange(clusters=("shop",))):
            with pytest.raises(NotPermitted, match="last administrator"):
                await office.users.change(office.admin, "admin", change)
        with pytest.raises(NotPermitted, match="last administrator"):
            await office.users.remove(office.admin, "admin")
        await office.user("carl", Role.ADMIN)
        await office.users.change(office.admin, "admin", UserChange(role=Role.VIEWER))

    run(scenario())


def test_two_administrators_cannot_remove_each_other_at_the_same_moment() -> None:
    class Slow(Engine):
        async def commit(self, checks: list[Check] | Any, writes: Any) -> int:
            await asyncio.sleep(0.01)  # both have read before either writes
            return await super().commit(checks, writes)

    async def scenario() -> None:
        office = await Office.empty(Slow(WallClock()))
        once = await office.users.first_admin()
        assert once is not None
        await office.settle("admin", once)
        bea = await office.user("bea", Role.ADMIN)
        told = await asyncio.gather(
            office.users.remove(office.admin, "bea"), office.users.remove(bea, "admin"), return_exceptions=True
        )
        assert sum(isinstance(one, Conflict) for one in told) == 1
        assert len((await office.store.users.list()).items) == 1

    run(scenario())


@pytest.mark.parametrize("name", ["", "../x", "a b", "x" * 64, "-x", "ö"])
def test_names_have_their_rules(name: str) -> None:
    async def scenario() -> None:
        office = await Office.make()
        with pytest.raises(UsageError):
            await office.users.create(office.admin, name, Role.VIEWER)
        with pytest.raises(StateForbids, match="already"):
            await office.users.create(office.admin, "admin", Role.VIEWER)
        with pytest.raises(UsageError, match="no user"):
            await office.users.remove(office.admin, name or "nobody")

    run(scenario())


def test_only_an_unlimited_admin_manages_users() -> None:
    async def scenario() -> None:
        office = await Office.make()
        for who in (Person("otto", Role.OPERATOR), Person("bea", Role.ADMIN, frozenset({"shop"}))):
            for attempt in (
                office.users.create(who, "new", Role.VIEWER),
                office.users.change(who, "admin", UserChange(disabled=True)),
                office.users.remove(who, "admin"),
                office.users.reset_password(who, "admin"),
            ):
                with pytest.raises(NotPermitted):
                    await attempt

    run(scenario())


def test_changing_ones_password_takes_the_old_one_and_guessing_it_waits() -> None:
    async def scenario() -> None:
        office = await Office.make()
        new = SecretStr("another sentence, as long")
        outcomes = []
        for _ in range(7):
            try:
                await office.users.change_own_password(office.admin, SecretStr("guess"), new)
            except TooManyAttempts:
                outcomes.append("wait")
            except NotAuthenticated:
                outcomes.append("wrong")
        assert outcomes == ["wrong"] * 5 + ["wait"] * 2
        office.clock.wall += timedelta(hours=2)
        with pytest.raises(UsageError):
            await office.users.change_own_password(office.admin, GOOD, GOOD)
        with pytest.raises(UsageError):
            await office.users.change_own_password(office.admin, GOOD, SecretStr("short"))
        await office.users.change_own_password(office.admin, GOOD, new)
        assert (await office.login(password=new)).person.name == "admin"

    run(scenario())


def test_everything_is_audited_and_nothing_secret_is_stored(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        office = await Office.make()
        caplog.set_level(logging.DEBUG)
        otto = await office.user("otto")
        once = await office.users.reset_password(office.admin, "otto", HERE)
        token = await office.logins.create_token(otto, "ci", Role.VIEWER, timedelta(days=1))
        entered = await office.login()
        await office.logins.revoke_token(office.admin, token.get_secret_value()[:12])
        await office.users.remove(office.admin, "otto")
        with pytest.raises(NotAuthenticated):
            await office.login("otto", once)
        kept = await office.everything()
        for secret in (once, token, entered.session, entered.mark, GOOD):
            assert secret.get_secret_value() not in kept + caplog.text + repr(entered)
        records = [one.record for one in await office.store.audit.oldest(limit=1000)]
        assert [record.action for record in records][-6:] == [
            "user.password_reset", "token.create", "login", "token.revoke", "user.remove", "login",
        ]  # fmt: skip
        for record in records:
            assert "argon2" not in record.before + record.after
        reset = records[-6]
        assert json.loads(reset.after)["password_hash"] == "(hidden, changed)"
        assert (json.loads(reset.before)["must_change"], json.loads(reset.after)["must_change"]) == (False, True)
        assert (records[-1].outcome, records[-1].actor, records[-1].source) == ("refused", "stranger", HERE)

    run(scenario())


# ---- guessing, at several controllers of one store


async def another(office: Office) -> Logins:
    """The doors of another controller on the same store, or of the same one after a restart."""
    return await Logins.open(office.store, SEALER, Passwords(cost=CHEAP))


async def guesses(office: Office, doors: Sequence[Logins], times: int, source: str, name: str = "admin") -> int:
    """How many of so many guesses, one a second, taking turns, were looked at."""
    looked_at = 0
    for n in range(times):
        office.clock.wall += timedelta(seconds=1)
        try:
            await doors[n % len(doors)].login(name, SecretStr("a wrong one, surely"), source.format(n=n % 250))
        except TooManyAttempts:
            continue
        except NotAuthenticated:
            looked_at += 1
    return looked_at


@pytest.mark.parametrize(
    ("source", "name", "most"),
    [
        ("192.0.2.7", "admin", 15),
        ("192.0.2.7", "nobody", 15),
        ("10.1.{n}.1", "admin", 75),
        ("10.1.{n}.1", "nobody", 75),
    ],
)
def test_who_guesses_at_three_controllers_guesses_no_more_than_at_one(source: str, name: str, most: int) -> None:
    async def scenario() -> None:
        one, several = await Office.make(), await Office.make()
        alone = await guesses(one, [one.logins], 600, source, name)
        doors = [several.logins, await another(several), await another(several)]
        together = await guesses(several, doors, 600, source, name)
        assert alone <= most
        assert together <= alone + 1

    run(scenario())


def test_whether_there_is_such_a_user_makes_no_difference_to_how_often_one_may_guess() -> None:
    async def scenario() -> None:
        office = await Office.make()
        doors = [office.logins, await another(office)]
        assert await guesses(office, doors, 100, "192.0.2.7", "admin") == await guesses(
            office, doors, 100, "198.51.100.7", "nobody"
        )

    run(scenario())


def test_a_restart_forgives_nothing() -> None:
    async def scenario() -> None:
        office = await Office.make()
        await guesses(office, [office.logins], 60, "192.0.2.7")
        for _ in range(3):
            with pytest.raises(TooManyAttempts):
                await (await another(office)).login("admin", GOOD, "192.0.2.7")

    run(scenario())


def test_a_right_password_ends_it_at_every_controller_that_learns_of_it() -> None:
    async def scenario() -> None:
        office = await Office.make()
        for _ in range(4):
            with pytest.raises(NotAuthenticated):
                await office.login(password=SecretStr("a wrong one, surely"))
        await office.login()
        assert await guesses(office, [await another(office)], 4, HERE) == 4

    run(scenario())


def test_what_somebody_typed_for_a_name_is_nowhere_in_the_store() -> None:
    async def scenario() -> None:
        office = await Office.make()
        with pytest.raises(NotAuthenticated):
            await office.login("my-secret-password")
        assert "failed-login" in await office.everything()
        assert "my-secret-password" not in await office.everything()
        office.clock.wall += timedelta(hours=2)
        assert await office.logins.sweep() == 3
        assert "failed-login" not in await office.everything()

    run(scenario())


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(hours=-1)])
def test_a_clock_that_jumps_locks_nobody_out_for_longer_than_the_rule_says(jump: timedelta) -> None:
    async def scenario() -> None:
        office = await Office.make()
        await guesses(office, [office.logins], 60, "192.0.2.7")
        office.clock.wall += jump
        with suppress(TooManyAttempts):
            await (await another(office)).login("admin", GOOD, "192.0.2.7")
        office.clock.wall += timedelta(seconds=900)
        await (await another(office)).login("admin", GOOD, "192.0.2.7")

    run(scenario())


def test_a_store_that_takes_no_writes_lets_nobody_guess_faster() -> None:
    async def scenario() -> None:
        office = await Office.make()
        office.engine.read_only = True
        assert await guesses_unwritten(office) <= 15

    run(scenario())


async def guesses_unwritten(office: Office) -> int:
    looked_at = 0
    for _ in range(600):
        office.clock.wall += timedelta(seconds=1)
        try:
            await office.login(password=SecretStr("a wrong one, surely"), source="192.0.2.7")
        except TooManyAttempts:
            continue
        except (NotAuthenticated, StoreUnavailable):
            looked_at += 1
    return looked_at
