"""A controller's clock that jumps an hour: nobody is thrown out, no token is good for longer, nobody else leads."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from tests.controller.identity.world import request
from tests.controller.world import CHEAP

from holdfast.controller.identity import Person
from holdfast.controller.identity.authorities import Authorities
from holdfast.controller.identity.enrolment import Enrolment
from holdfast.controller.identity.lasting import Lasting, step_s
from holdfast.controller.identity.logins import IDLE, Logins
from holdfast.controller.identity.passwords import Passwords
from holdfast.controller.identity.sealing import KeyFileSealer
from holdfast.controller.identity.users import Users
from holdfast.errors import EnrolmentRefused, NotAuthenticated
from holdfast.protocol import JoinRequest
from holdfast.store.memory import MemoryEngine
from holdfast.store.models import Role
from holdfast.store.store import Store

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
JUMPS = pytest.mark.parametrize("jump", [HOUR, -HOUR, 5 * HOUR, -5 * HOUR])
SEALER = KeyFileSealer(bytes(32))
GOOD = SecretStr("a long enough sentence")


@dataclass
class Clock:
    """A machine's two clocks: one that a test may set wrong, and one that never jumps."""

    wall: datetime = field(default_factory=lambda: datetime(2026, 3, 1, 12, tzinfo=UTC))
    up_s: float = 1000.0

    def now(self) -> datetime:
        return self.wall

    def steady(self) -> float:
        return self.up_s

    def boot(self) -> str:
        return "first"

    def passes(self, time: timedelta) -> None:
        self.wall += time
        self.up_s += time.total_seconds()


@dataclass
class Doors:
    clock: Clock
    store: Store
    logins: Logins
    enrolment: Enrolment
    admin: Person

    @classmethod
    async def open(cls) -> Doors:
        clock = Clock()
        store = await Store.open(MemoryEngine(clock), clock)
        passwords = Passwords(cost=CHEAP)
        users, lasting = Users(store, passwords), Lasting(clock)
        logins = await Logins.open(store, SEALER, passwords, lasting=lasting)
        enrolment = Enrolment(store, await Authorities.open(store, SEALER), lasting=lasting)
        once = await users.first_admin()
        assert once is not None
        entered = await logins.login("admin", once, "192.0.2.1")
        await users.change_own_password(entered.person, once, GOOD)
        return cls(clock, store, logins, enrolment, Person("admin", Role.ADMIN))

    async def session(self) -> SecretStr:
        return (await self.logins.login("admin", GOOD, "192.0.2.1")).session

    async def let_in(self, session: SecretStr) -> bool:
        try:
            await self.logins.authenticate(session)
        except NotAuthenticated:
            return False
        return True

    async def joins(self, token: SecretStr) -> bool:
        try:
            await self.enrolment.join(JoinRequest(token=token, certificate_request=request()), "192.0.2.2")
        except EnrolmentRefused:
            return False
        return True


@JUMPS
def test_who_is_logged_in_stays_so_and_is_logged_out_when_they_do_nothing(jump: timedelta) -> None:
    async def story() -> None:
        doors = await Doors.open()
        session = await doors.session()
        doors.clock.wall += jump
        for _ in range(60):  # somebody who works
            doors.clock.passes(2 * MINUTE)
            assert await doors.let_in(session)
        doors.clock.passes(IDLE * 1.2)
        assert not await doors.let_in(session)

    asyncio.run(story())


@JUMPS
def test_a_jump_ends_no_session_that_was_just_used(jump: timedelta) -> None:
    async def story() -> None:
        doors = await Doors.open()
        sessions = [await doors.session() for _ in range(3)]
        doors.clock.wall += jump
        doors.clock.passes(timedelta(seconds=1))
        assert all([await doors.let_in(each) for each in sessions])

    asyncio.run(story())


@JUMPS
def test_a_join_token_is_good_after_a_jump_but_not_for_longer(jump: timedelta) -> None:
    async def story() -> None:
        doors = await Doors.open()
        first, second = [await doors.enrolment.invite(doors.admin, "shop", f"lb0{n}") for n in (1, 2)]
        doors.clock.passes(MINUTE)
        doors.clock.wall += jump
        doors.clock.passes(MINUTE)
        assert await doors.joins(first)
        doors.clock.passes(16 * MINUTE)  # a tenth more at most, where the clock was put back
        assert not await doors.joins(second)

    asyncio.run(story())


@JUMPS
def test_a_join_token_that_has_expired_stays_so(jump: timedelta) -> None:
    async def story() -> None:
        doors = await Doors.open()
        token = await doors.enrolment.invite(doors.admin, "shop", "lb01")
        doors.clock.passes(17 * MINUTE)  # a tenth more at most, where nobody asked between the jump and now
        doors.clock.wall += jump
        for _ in range(5):
            assert not await doors.joins(token)
            doors.clock.passes(10 * MINUTE)

    asyncio.run(story())


@JUMPS
def test_an_api_token_that_has_expired_stays_so(jump: timedelta) -> None:
    async def story() -> None:
        doors = await Doors.open()
        token = await doors.logins.create_token(doors.admin, "ci", Role.VIEWER, timedelta(hours=2))
        doors.clock.wall += jump
        doors.clock.passes(MINUTE)
        assert await doors.let_in(token)
        doors.clock.passes(timedelta(hours=2, minutes=13))
        assert not await doors.let_in(token)

    asyncio.run(story())


@JUMPS
def test_a_jump_gives_nobody_the_lead_and_takes_it_from_nobody(jump: timedelta) -> None:
    async def story() -> None:
        doors = await Doors.open()
        holdings = doors.store.holdings
        held = await holdings.acquire("leader", "one", 10)
        assert held is not None
        for _ in range(10):
            doors.clock.wall += jump
            doors.clock.passes(timedelta(seconds=3))
            assert await holdings.acquire("leader", "two", 10) is None
            await holdings.keep(held)
        doors.clock.passes(timedelta(seconds=11))
        assert await holdings.acquire("leader", "two", 10) is not None

    asyncio.run(story())


@given(st.lists(st.tuples(st.floats(0, 1000), st.floats(-80_000, 80_000)), max_size=30))
def test_the_time_never_goes_back_nor_faster_than_twice(steps: list[tuple[float, float]]) -> None:
    clock = Clock()
    lasting = Lasting(clock)
    before = lasting.now()
    for passed_s, jump_s in steps:
        ahead_s = (clock.wall - before).total_seconds()
        if abs(ahead_s + jump_s) > 80_000:
            jump_s = -ahead_s
        clock.wall += timedelta(seconds=jump_s)
        clock.passes(timedelta(seconds=passed_s))
        now = lasting.now()
        assert 0.89 * passed_s - 0.01 <= (now - before).total_seconds() <= 2 * passed_s + 2.01
        before = now


@given(st.floats(0, 1e6), st.floats(-86_400, 86_400))
def test_it_comes_closer_to_the_clock_and_does_not_overtake_it(passed_s: float, ahead_s: float) -> None:
    left = ahead_s + passed_s - step_s(passed_s, ahead_s)
    assert abs(left) <= abs(ahead_s) + 1e-6
    assert left * ahead_s >= -1e-6


def test_a_clock_that_was_years_behind_when_the_machine_began_is_believed_at_once() -> None:
    clock = Clock(wall=datetime(1970, 1, 1, tzinfo=UTC))
    lasting = Lasting(clock)
    clock.wall = datetime(2026, 3, 1, tzinfo=UTC)
    assert lasting.now() == clock.wall
