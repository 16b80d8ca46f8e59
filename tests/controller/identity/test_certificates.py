"""Whatever happens to a node in whatever order: who got out stays out, and who is in stays in."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.controller.identity.test_enrolment import ADMIN, SEALER, World, der, run
from tests.controller.identity.world import NOW, WallClock, request

from holdfast.controller.identity.authorities import Authorities
from holdfast.controller.identity.enrolment import Enrolment
from holdfast.errors import EnrolmentRefused, NotAuthenticated
from holdfast.protocol import JoinAnswer, RenewRequest
from holdfast.store.sqlite import SqliteEngine
from holdfast.store.store import Store


class ANodesLife(RuleBasedStateMachine):
    """Two controllers over one store; certificates are asked for, lost, used late, stolen and revoked."""

    certificates = Bundle("certificates")

    @initialize(target=certificates)
    def begin(self) -> bytes:
        self.loop = asyncio.new_event_loop()
        self.world = self.do(World.make())
        self.doors = [self.world.enrolment, self.do(self.world.another()).enrolment]
        self.out: set[bytes] = set()  # certificates that must never be let in again
        self.all: list[bytes] = []
        self.newest_used: bytes | None = None
        self.revoked = False
        return self.join()

    def do(self, what):  # type: ignore[no-untyped-def]
        return self.loop.run_until_complete(what)

    def teardown(self) -> None:
        self.loop.close()

    @precondition(lambda self: self.revoked or len(self.all) % 3 == 2)  # else hardly anything is ever renewed
    @rule(target=certificates)
    def join_again(self) -> bytes:
        return self.join()

    def join(self) -> bytes:
        made: bytes = self.do(self.world.joined())
        self.out.update(self.all)  # whatever was there before is another machine's, or nobody's
        self.all.append(made)
        self.newest_used, self.revoked = made, False
        return made

    @rule(target=certificates, held=certificates, door=st.integers(0, 1))
    def renew(self, held: bytes, door: int) -> bytes:
        return self.renew_any(held, door)

    def renew_any(self, held: bytes, door: int) -> bytes:
        self.world.clock.wall += timedelta(days=16)  # before that it would be too young
        try:
            agent = self.do(self.doors[door].identify(held))
        except NotAuthenticated:
            return held
        assert held not in self.out
        self._used(held)
        try:
            answer = self.do(self.doors[door].renew(agent, RenewRequest(certificate_request=request())))
        except EnrolmentRefused:  # too young
            return held
        made = der(answer.certificate)
        self.all.append(made)
        return made

    @rule(target=certificates, door=st.integers(0, 1))
    def renew_the_one_in_use(self, door: int) -> bytes:
        assert self.newest_used is not None
        return self.renew_any(self.newest_used, door)

    @rule(held=certificates, door=st.integers(0, 1))
    def connect(self, held: bytes, door: int) -> None:
        try:
            self.do(self.doors[door].identify(held))
        except NotAuthenticated:
            return
        assert held not in self.out
        assert not self.revoked
        self._used(held)

    def _used(self, held: bytes) -> None:
        if held != self.newest_used:
            self.out.update(one for one in self.all if self.all.index(one) < self.all.index(held))
            self.newest_used = held

    @rule()
    def revoke(self) -> None:
        if not self.revoked:
            self.do(self.doors[0].revoke(ADMIN, "shop", "lb01", "test"))
            self.out.update(self.all)
            self.revoked = True

    @rule(days=st.sampled_from([1, 10, -4]))
    def pass_time(self, days: int) -> None:
        self.world.clock.wall += timedelta(days=days)

    @invariant()
    def the_one_in_use_stays_good(self) -> None:
        if getattr(self, "revoked", True) or self.newest_used is None:
            return
        leaf = x509.load_der_x509_certificate(self.newest_used)
        if leaf.not_valid_before_utc <= self.world.clock.now() <= leaf.not_valid_after_utc:
            assert self.do(self.doors[1].identify(self.newest_used)).node == "lb01"


TestANodesLife = ANodesLife.TestCase
TestANodesLife.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)


def test_one_token_two_controllers_one_file(tmp_path: Path) -> None:
    """The same race on SQLite, with an engine of its own for each controller."""

    async def scenario() -> None:
        worlds = []
        engines = []
        clock = WallClock(NOW)
        for _ in range(2):
            engine = await SqliteEngine.open(tmp_path / "store.db", clock)
            store = await Store.open(engine, clock)
            authorities = await Authorities.open(store, SEALER)
            worlds.append(World(clock, store, authorities, Enrolment(store, authorities)))
            engines.append(engine)
        token = await worlds[0].token()
        told = await asyncio.gather(*(world.join(token) for world in worlds * 4), return_exceptions=True)
        assert sum(isinstance(one, JoinAnswer) for one in told) == 1
        assert all(isinstance(one, JoinAnswer | EnrolmentRefused) for one in told)
        for engine in engines:
            await engine.close()

    run(scenario())
