"""An agent and a controller in one process: joining, renewing, and everything that may stand between them."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from pydantic import SecretStr
from tests.controller.identity.test_enrolment import ADMIN, World
from tests.controller.identity.world import WallClock, request

from holdfast.agent.enrolment import Identity, client_context, join, joining_context, read_identity, renew
from holdfast.agent.enrolment.identity import make_key, succeeded
from holdfast.controller.identity.authority import Authority, fingerprint_of, pem
from holdfast.controller.identity.tls import server_context
from holdfast.errors import AuthorityChanged, ControllerUnreachable, EnrolmentRefused, NotAuthenticated
from holdfast.protocol import JoinAnswer, JoinRequest, RenewAnswer, RenewRequest

T = TypeVar("T")
NAME = "ctl.example"
TODAY = datetime.now(UTC).replace(microsecond=0)  # OpenSSL goes by the real clock


def run(what: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(what)


class InProcess:
    """The transport without a network: what is sent goes through JSON, and is kept for the test to look at."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.sent: list[bytes] = []
        self.shown: str | None = None
        self.lose_answers = False

    async def authority(self) -> str:
        return self.shown or pem(self.world.authorities.current.certificate)

    async def join(self, authority: str, request: JoinRequest) -> JoinAnswer:
        assert authority == pem(self.world.authorities.current.certificate)
        self.sent.append(request.wire())
        answer = await self.world.enrolment.join(JoinRequest.model_validate_json(self.sent[-1]), "192.0.2.1")
        return JoinAnswer.model_validate_json(self._answered(answer.model_dump_json()))

    async def renew(self, identity: Identity, request: RenewRequest) -> RenewAnswer:
        agent = await self.world.enrolment.identify(identity.certificate.public_bytes(serialization.Encoding.DER))
        self.sent.append(request.model_dump_json().encode())
        answer = await self.world.enrolment.renew(agent, RenewRequest.model_validate_json(self.sent[-1]))
        return RenewAnswer.model_validate_json(self._answered(answer.model_dump_json()))

    def _answered(self, answer: str) -> str:
        if self.lose_answers:
            raise ControllerUnreachable("the connection broke")
        return answer


async def joined(world: World, path: Path, node: str = "lb01", again: bool = False) -> tuple[Identity, InProcess]:
    transport = InProcess(world)
    token = SecretStr(await world.token(node))
    return await join(token, transport, path, world.clock.now(), again=again), transport


def test_a_node_joins_and_its_key_goes_nowhere(tmp_path: Path) -> None:
    async def scenario() -> None:
        world = await World.make()
        identity, transport = await joined(world, tmp_path / "node.pem")
        assert (identity.cluster, identity.node) == ("shop", "lb01")
        kept = read_identity(tmp_path / "node.pem")
        assert kept is not None
        assert kept.certificate == identity.certificate
        number = identity.key.private_numbers().private_value.to_bytes(32, "big")
        for sent in transport.sent:
            assert b"PRIVATE" not in sent
            assert number not in sent
            assert number.hex().encode() not in sent

    run(scenario())


def test_the_token_is_sent_to_nobody_but_the_pinned_authority(tmp_path: Path) -> None:
    async def scenario() -> None:
        world, stranger = await World.make(), await World.make()
        transport = InProcess(world)
        transport.shown = pem(stranger.authorities.current.certificate)
        token = SecretStr(await world.token())
        with pytest.raises(AuthorityChanged, match="is expected") as told:
            await join(token, transport, tmp_path / "node.pem", world.clock.now())
        assert transport.sent == []
        assert token.get_secret_value() not in str(told.value)
        assert not (tmp_path / "node.pem").exists()
        transport.shown = None
        await join(token, transport, tmp_path / "node.pem", world.clock.now())  # the token is still good

    run(scenario())


def test_a_node_is_not_replaced_by_mistake(tmp_path: Path) -> None:
    async def scenario() -> None:
        world = await World.make()
        path = tmp_path / "node.pem"
        await joined(world, path)
        with pytest.raises(EnrolmentRefused, match="lb01 of shop already"):
            await joined(world, path, "lb02")
        identity, _ = await joined(world, path, "lb02", again=True)
        assert identity.node == "lb02"

    run(scenario())


def test_a_lost_answer_to_a_join_leaves_nothing_half_done(tmp_path: Path) -> None:
    async def scenario() -> None:
        world = await World.make()
        path = tmp_path / "node.pem"
        before, transport = await joined(world, path)
        transport.lose_answers = True
        token = SecretStr(await world.token())
        with pytest.raises(ControllerUnreachable):
            await join(token, transport, path, world.clock.now(), again=True)
        kept = read_identity(path)
        assert kept is not None
        assert kept.certificate == before.certificate
        transport.lose_answers = False
        with pytest.raises(EnrolmentRefused, match="used already"):
            await join(token, transport, path, world.clock.now(), again=True)
        await joined(world, path, again=True)

    run(scenario())


def test_a_lost_answer_to_a_renewal_costs_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        world = await World.make()
        path = tmp_path / "node.pem"
        identity, transport = await joined(world, path)
        world.clock.wall += timedelta(days=21)
        transport.lose_answers = True
        with pytest.raises(ControllerUnreachable):
            await renew(identity, transport, path, world.clock.now())
        transport.lose_answers = False
        kept = read_identity(path)
        assert kept is not None
        renewed = await renew(kept, transport, path, world.clock.now())
        assert renewed.expires > identity.expires
        assert renewed.key.private_numbers() != identity.key.private_numbers()
        world.clock.wall += timedelta(days=21)
        again = await renew(renewed, transport, path, world.clock.now())
        await transport.world.enrolment.identify(again.certificate.public_bytes(serialization.Encoding.DER))
        with pytest.raises(NotAuthenticated, match="newer"):  # a thief with the one before
            await renew(renewed, transport, path, world.clock.now())

    run(scenario())


def test_a_renewal_with_another_authority_is_refused_and_nothing_is_stored(tmp_path: Path) -> None:
    class Swapping(InProcess):
        async def renew(self, identity: Identity, request: RenewRequest) -> RenewAnswer:
            answer = await super().renew(identity, request)
            stranger = await World.make()
            return answer.model_copy(update={"authority": pem(stranger.authorities.current.certificate)})

    async def scenario() -> None:
        world = await World.make()
        path = tmp_path / "node.pem"
        identity, _ = await joined(world, path)
        before = path.read_bytes()
        world.clock.wall += timedelta(days=21)
        with pytest.raises(AuthorityChanged, match="nothing was stored"):
            await renew(identity, Swapping(world), path, world.clock.now())
        assert path.read_bytes() == before

    run(scenario())


def test_an_expired_node_is_told_what_to_do_and_asks_nobody(tmp_path: Path) -> None:
    async def scenario() -> None:
        world = await World.make()
        identity, transport = await joined(world, tmp_path / "node.pem")
        sent = len(transport.sent)
        with pytest.raises(EnrolmentRefused, match="expired at") as told:
            await renew(identity, transport, tmp_path / "node.pem", identity.expires + timedelta(seconds=1))
        assert "--again" in told.value.hint
        assert len(transport.sent) == sent

    run(scenario())


# ---- TLS, for real


def handshake(client: ssl.SSLContext, server: ssl.SSLContext, name: str = NAME) -> bytes | None:
    """The certificate that the client proved itself with, or None; ssl.SSLError if either side refuses."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    a = client.wrap_bio(to_client, to_server, server_hostname=name)
    b = server.wrap_bio(to_server, to_client, server_side=True)
    done: set[ssl.SSLObject] = set()
    for _ in range(10):
        for side in (a, b):
            try:
                side.do_handshake()
                done.add(side)
            except ssl.SSLWantReadError:
                continue
        if len(done) == 2:
            return b.getpeercert(binary_form=True)
    raise AssertionError("the handshake does not end")


def test_both_sides_know_each_other_over_tls(tmp_path: Path) -> None:
    async def scenario() -> None:
        world = await World.make(clock=WallClock(TODAY))
        identity, _ = await joined(world, tmp_path / "node.pem")
        server, certificate = server_context(world.authorities, [NAME, "127.0.0.1"], TODAY)
        shown = handshake(client_context(identity), server)
        assert shown is not None
        assert (await world.enrolment.identify(shown)).node == "lb01"
        assert handshake(joining_context(pem(identity.authority)), server) is None  # a node that joins has none yet
        handshake(client_context(identity), server, "127.0.0.1")
        assert certificate.not_valid_after_utc > TODAY

        with pytest.raises(ssl.SSLCertVerificationError, match="match"):
            handshake(client_context(identity), server, "other.example")
        stranger = await World.make(clock=world.clock)
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(client_context(identity), server_context(stranger.authorities, [NAME], TODAY)[0])
        foreign, _ = await joined(stranger, tmp_path / "foreign.pem")
        mixed = Identity("shop", "lb01", foreign.key, foreign.certificate, identity.authority)
        with pytest.raises(ssl.SSLError):
            handshake(client_context(mixed), server)

    run(scenario())


def test_an_agent_cannot_play_a_controller(tmp_path: Path) -> None:
    async def scenario() -> None:
        world = await World.make(clock=WallClock(TODAY))
        identity, _ = await joined(world, tmp_path / "node.pem")
        evil = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        evil.load_cert_chain(tmp_path / "node.pem")
        victim = joining_context(pem(identity.authority))
        victim.check_hostname = False  # even a client that would not look at names
        with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
            handshake(victim, evil)

    run(scenario())


def test_nodes_go_on_through_a_rotation_over_tls_and_by_renewal(tmp_path: Path) -> None:
    async def scenario() -> None:
        world = await World.make(clock=WallClock(TODAY - timedelta(days=21)))
        old, transport = await joined(world, tmp_path / "old.pem")
        await world.authorities.rotate(ADMIN)
        world.clock.wall = TODAY
        new, _ = await joined(world, tmp_path / "new.pem", "lb02")
        assert old.authority != new.authority
        server, _certificate = server_context(world.authorities, [NAME], TODAY)
        for identity in (old, new):
            shown = handshake(client_context(identity), server)
            assert shown is not None
            assert (await world.enrolment.identify(shown)).node == identity.node
        renewed = await renew(old, transport, tmp_path / "old.pem", TODAY)
        assert renewed.authority == new.authority
        shown = handshake(client_context(renewed), server)
        assert shown == renewed.certificate.public_bytes(serialization.Encoding.DER)
        assert (await world.enrolment.identify(shown)).node == "lb01"
        await world.authorities.withdraw(ADMIN, fingerprint_of(old.authority))
        assert (await world.enrolment.identify(shown)).node == "lb01"
        with pytest.raises(NotAuthenticated):
            await world.enrolment.identify(old.certificate.public_bytes(serialization.Encoding.DER))

    run(scenario())


def test_a_node_of_an_older_release_stays_with_the_authority_that_it_pinned() -> None:
    async def scenario() -> None:
        world = await World.make(clock=WallClock(TODAY - timedelta(days=21)))
        old = await world.joined()
        await world.authorities.rotate(ADMIN)
        world.clock.wall = TODAY
        agent = await world.enrolment.identify(old)
        answer = await world.enrolment.renew(agent, RenewRequest(certificate_request=request()))
        assert (answer.successor, answer.crossed) == ("", "")
        leaf = x509.load_pem_x509_certificate(answer.certificate.encode())
        leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(answer.authority.encode()))

    run(scenario())


def test_a_node_goes_over_to_nobody_whom_its_own_authority_does_not_vouch_for(tmp_path: Path) -> None:
    """Whatever a controller says: another authority, one with another's word, a certificate of the wrong one."""

    async def scenario() -> None:
        clock = WallClock(TODAY - timedelta(days=21))
        world, stranger = await World.make(clock=clock), await World.make(clock=clock)
        mine, _ = await joined(world, tmp_path / "node.pem")
        before = (tmp_path / "node.pem").read_bytes()
        await stranger.authorities.rotate(ADMIN)
        await world.authorities.rotate(ADMIN)
        clock.wall = TODAY
        key = make_key()
        public, moment = key.public_key(), clock.now()

        def signed(by: Authority) -> str:
            return pem(by.for_agent(public, "shop", "lb01", moment, os.urandom))

        right, foreign = world.authorities.current, stranger.authorities.current
        word, their_word = pem(world.authorities.crossed[0]), pem(stranger.authorities.crossed[0])
        for leaf, successor, crossed in (
            (signed(foreign), foreign, their_word),
            (signed(foreign), foreign, word),
            (signed(foreign), foreign, pem(foreign.certificate)),
            (signed(right), right, their_word),
            (signed(foreign), right, word),
            (signed(right), right, pem(right.certificate)),
            (signed(right), right, pem(mine.certificate)),
            (signed(right), right, "nothing"),
        ):
            with pytest.raises(EnrolmentRefused):
                succeeded(mine, key, leaf, pem(successor.certificate), crossed, moment)
        assert succeeded(mine, key, signed(right), pem(right.certificate), word, moment).authority == right.certificate
        assert (tmp_path / "node.pem").read_bytes() == before

    run(scenario())


def test_no_key_of_a_context_is_left_on_the_disk(tmp_path: Path) -> None:
    async def scenario() -> None:
        world = await World.make()
        identity, _ = await joined(world, tmp_path / "node.pem")
        opened = {name.name for name in Path("/proc/self/fd").iterdir()}
        client_context(identity)
        server_context(world.authorities, [NAME], world.clock.now())
        assert {name.name for name in Path("/proc/self/fd").iterdir()} <= opened
        assert [one.name for one in tmp_path.iterdir()] == ["node.pem"]

    run(scenario())
