"""Sessions: listed, ended one by one or all, by their owner or who manages users; and when a token was used last."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.controller.identity.test_people import HERE, Office, run

from holdfast.controller.identity import Sessions, UserChange
from holdfast.controller.identity.lasting import Lasting
from holdfast.controller.identity.logins import LONGEST_SESSION
from holdfast.errors import NotAuthenticated, NotFound, NotPermitted
from holdfast.store.models import Role

MINUTE = timedelta(minutes=1)


def test_sessions_are_listed_with_their_use_and_only_those_that_are_good() -> None:
    async def scenario() -> None:
        office = await Office.make()
        sessions = Sessions(office.store)
        otto = await office.user("otto")
        one = await office.login("otto")
        began = office.clock.wall
        office.clock.wall += 30 * MINUTE
        await office.logins.authenticate(one.session)
        two = await office.login("otto")
        found = await sessions.of(otto, "otto")
        assert found[0].prefix == two.session.get_secret_value()[:12]
        assert {each.prefix for each in found} >= {one.session.get_secret_value()[:12]}
        first = next(each for each in found if each.prefix == one.session.get_secret_value()[:12])
        assert (first.began, first.used) == (began, office.clock.wall)
        office.clock.wall += 50 * MINUTE
        assert len(await sessions.of(otto, "otto")) == 2, "the one that nobody has used for an hour is gone"
        office.clock.wall += LONGEST_SESSION
        assert await sessions.of(otto, "otto") == ()
        await office.login("otto")
        assert (await sessions.counted(office.admin))["otto"] == 1
        await office.users.reset_password(office.admin, "otto")
        assert await sessions.of(otto, "otto") == (), "those of another password are over"

    run(scenario())


def test_when_a_session_was_used_last_is_known_in_its_last_hour_too() -> None:
    async def scenario() -> None:
        office = await Office.make()
        sessions = Sessions(office.store)
        otto = await office.user("otto")
        one = await office.login("otto")
        began = office.clock.wall
        await sessions.end_all(otto, "otto", but=one.session.get_secret_value()[:12])
        while office.clock.wall < began + LONGEST_SESSION - 20 * MINUTE:
            office.clock.wall += 20 * MINUTE
            await office.logins.authenticate(one.session)
            (found,) = await sessions.of(otto, "otto")
            assert found.used == office.clock.wall
        assert found.ends == began + LONGEST_SESSION
        (kept,) = [each for each in await office.store.tokens.all() if each.record.prefix == found.prefix]
        older = kept.record.model_copy(update={"used": None, "expires": began + 3 * MINUTE * 60})  # as it was written
        await office.store.tokens.replace(kept.name, older, kept.version)
        office.clock.wall = began + 2 * MINUTE * 60 + 30 * MINUTE
        office.logins._lasting = Lasting(office.clock)  # a controller that starts then
        assert (await Sessions(office.store).of(otto, "otto"))[0].used == began + 2 * MINUTE * 60
        await office.logins.authenticate(one.session)
        assert (await Sessions(office.store).of(otto, "otto"))[0].used == office.clock.wall

    run(scenario())


def test_sessions_are_ended_by_their_owner_or_who_manages_users() -> None:
    async def scenario() -> None:
        office = await Office.make()
        sessions = Sessions(office.store)
        otto, bea = await office.user("otto"), await office.user("bea")
        kept, lost = await office.login("otto"), await office.login("otto")
        prefix = lost.session.get_secret_value()[:12]
        for attempt in (sessions.of(bea, "otto"), sessions.end(bea, "otto", prefix), sessions.end_all(bea, "otto")):
            with pytest.raises(NotPermitted):
                await attempt
        with pytest.raises(NotPermitted):
            await sessions.counted(bea)
        await sessions.end(otto, "otto", prefix, HERE)
        with pytest.raises(NotAuthenticated):
            await office.logins.authenticate(lost.session)
        with pytest.raises(NotFound):
            await sessions.end(otto, "otto", prefix)
        assert await sessions.end_all(otto, "otto", but=kept.session.get_secret_value()[:12]) == 1  # of `user`
        assert (await office.logins.authenticate(kept.session)).name == "otto"
        assert await sessions.end_all(office.admin, "otto") == 1
        with pytest.raises(NotAuthenticated):
            await office.logins.authenticate(kept.session)
        told = [one.record for one in await office.store.audit.newest() if one.record.action == "session.end"]
        assert [(one.actor, one.target) for one in told] == [
            ("user:admin", "otto: all"),
            ("user:otto", "otto: all but this one"),
            ("user:otto", f"otto: {prefix}"),
        ]
        assert prefix in told[-1].before
        assert lost.session.get_secret_value() not in await office.everything()

    run(scenario())


def test_sessions_of_somebody_who_is_disabled_are_none() -> None:
    async def scenario() -> None:
        office = await Office.make()
        await office.user("otto")
        await office.users.change(office.admin, "otto", UserChange(disabled=True))
        assert await Sessions(office.store).of(office.admin, "otto") == ()

    run(scenario())


def test_when_a_token_was_used_last_is_known_to_ten_minutes() -> None:
    async def scenario() -> None:
        office = await Office.make()
        otto = await office.user("otto", Role.OPERATOR)
        secret = await office.logins.create_token(otto, "ci", Role.VIEWER, timedelta(days=1))
        assert (await office.logins.tokens(otto))[0].used is None
        first = office.clock.wall = office.clock.wall + MINUTE
        for _ in range(9):
            await office.logins.authenticate(secret)
            office.clock.wall += MINUTE
        assert (await office.logins.tokens(otto))[0].used == first
        office.clock.wall += 2 * MINUTE
        await office.logins.authenticate(secret)
        assert (await office.logins.tokens(otto))[0].used == office.clock.wall
        office.engine.read_only = True
        office.clock.wall += timedelta(hours=1)
        assert (await office.logins.authenticate(secret)).name == "otto"
        office.engine.read_only = False
        await office.logins.revoke_token(otto, secret.get_secret_value()[:12])
        with pytest.raises(NotAuthenticated):
            await office.logins.authenticate(secret)

    run(scenario())
