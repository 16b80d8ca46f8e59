"""Nodes join once, renew, are revoked at once, and survive restored dumps and two controllers at work."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from tests.controller.identity.world import NOW, WallClock, request, verified_by_openssl

from holdfast.controller.identity.authorities import Authorities
from holdfast.controller.identity.authority import AGENT_LIFE, make_key
from holdfast.controller.identity.certificates import presented
from holdfast.controller.identity.enrolment import Enrolment
from holdfast.controller.identity.permissions import NodeAgent, Person
from holdfast.controller.identity.sealing import KeyFileSealer
from holdfast.errors import (
    EnrolmentRefused,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    SealBroken,
    StateForbids,
    StoreDamaged,
    TooManyAttempts,
    UsageError,
)
from holdfast.protocol import JoinAnswer, JoinRequest, JoinToken, RenewRequest
from holdfast.store.memory import MemoryEngine
from holdfast.store.models import Role
from holdfast.store.port import Put
from holdfast.store.store import Store

T = TypeVar("T")
SEALER = KeyFileSealer(bytes(32))
ADMIN = Person("anna", Role.ADMIN)


def run(what: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(what)


@dataclass
class World:
    """A controller over a store in memory."""

    clock: WallClock
    store: Store
    authorities: Authorities
    enrolment: Enrolment

    @classmethod
    async def make(cls, engine: MemoryEngine | None = None, clock: WallClock | None = None) -> World:
        clock = clock or WallClock()
        store = await Store.open(engine or MemoryEngine(clock), clock)
        authorities = await Authorities.open(store, SEALER)
        return cls(clock, store, authorities, Enrolment(store, authorities))

    async def another(self) -> World:
        """Another controller over the same store."""
        engine = self.store.engine
        assert isinstance(engine, MemoryEngine)
        return await World.make(engine, self.clock)

    async def token(self, node: str = "lb01", cluster: str = "shop") -> str:
        return (await self.enrolment.invite(ADMIN, cluster, node)).get_secret_value()

    async def join(self, token: str, csr: str = "", source: str = "192.0.2.1") -> JoinAnswer:
        asked = JoinRequest(token=SecretStr(token), certificate_request=csr or request(), agent_version="1")
        return await self.enrolment.join(asked, source)

    async def joined(self, node: str = "lb01") -> bytes:
        return der((await self.join(await self.token(node))).certificate)

    async def renewed(self, old: bytes) -> bytes:
        agent = await self.enrolment.identify(old)
        return der((await self.enrolment.renew(agent, RenewRequest(certificate_request=request()))).certificate)

    async def audit(self) -> list[tuple[str, str, str]]:
        return [(one.record.actor, one.record.action, one.record.outcome) for one in await self.store.audit.oldest()]


def der(pem: str) -> bytes:
    return x509.load_pem_x509_certificate(pem.encode()).public_bytes(serialization.Encoding.DER)


def test_a_node_joins_and_is_known_by_its_certificate(tmp_path: Path) -> None:
    async def scenario() -> None:
        world = await World.make()
        answer = await world.join(await world.token())
        assert (answer.cluster, answer.node) == ("shop", "lb01")
        assert verified_by_openssl(tmp_path, answer.authority, answer.certificate, "sslclient", NOW)
        agent = await world.enrolment.identify(der(answer.certificate))
        assert (agent.cluster, agent.node) == ("shop", "lb01")
        assert await world.enrolment.still_good(agent)
        node = await world.store.cluster("shop").nodes.get("lb01")
        assert node is not None
        assert (node.record.certificate, node.record.agent_version) == (agent.serial, "1")
        assert await world.audit() == [
            ("system", "authority.make", "done"),
            ("user:anna", "node.invite", "done"),
            ("node:shop/lb01", "node.join", "done"),
        ]

    run(scenario())


def test_a_token_is_good_once_also_for_many_at_once_on_two_controllers() -> None:
    async def scenario() -> None:
        world = await World.make()
        other = await world.another()
        token = await world.token()
        tries = (one.join(token, source=f"192.0.2.{n}") for n, one in enumerate([world, other] * 6))
        answers = await asyncio.gather(*tries, return_exceptions=True)
        assert sum(isinstance(answer, JoinAnswer) for answer in answers) == 1
        refused = [answer for answer in answers if not isinstance(answer, JoinAnswer)]
        assert all(isinstance(one, EnrolmentRefused) and "used already" in one.message for one in refused)

    run(scenario())


def refusal(told: str, **change: Any) -> Coroutine[Any, Any, World]:
    """A join that must fail as `told` says, and leave the token unused where it is not at fault."""

    async def scenario() -> World:
        world = await World.make()
        token = await world.token()
        if "later" in change:
            world.clock.wall += change["later"]
            world.enrolment = Enrolment(world.store, world.authorities)  # a controller that starts then
        with pytest.raises(EnrolmentRefused, match=told) as refused:
            await world.join(change.get("edit", lambda text: text)(token), change.get("csr", ""))
        assert token not in str(refused.value) + refused.value.hint
        assert await world.store.cluster("shop").nodes.get("lb01") is None
        return world

    return scenario()


@pytest.mark.parametrize(
    ("told", "change"),
    [
        ("expired", {"later": timedelta(minutes=15)}),
        ("expired", {"later": timedelta(minutes=-6)}),  # the clock was set back
        ("did not make", {"edit": lambda text: text.replace(":lb01:", ":lb02:")}),
        ("did not make", {"edit": lambda text: text.replace(":shop:", ":bank:")}),
        ("did not make", {"edit": lambda text: text[:-4] + "AAAA"}),
        ("another certificate authority", {"edit": lambda text: f"hfj1:shop:lb01:{'0' * 64}:{text[-43:]}"}),
    ],
)
def test_wrong_tokens_are_refused_clearly_and_audited(told: str, change: dict[str, Any]) -> None:
    async def scenario() -> None:
        world = await refusal(told, **change)
        assert (await world.audit())[-1] == ("stranger", "node.join", "refused")

    run(scenario())


@pytest.mark.parametrize(
    ("told", "change"), [("not a join token", {"edit": lambda text: text[4:]}), ("read", {"csr": "x"})]
)
def test_what_is_malformed_is_refused_and_the_token_stays_good(told: str, change: dict[str, Any]) -> None:
    async def scenario() -> None:
        world = await refusal(told, **change)
        found = (await world.store.tokens.all())[0]
        assert found.record.used is None

    run(scenario())


def test_a_token_of_another_purpose_is_none() -> None:
    async def scenario() -> None:
        world = await World.make()
        token = await world.token()
        (kept,) = await world.store.tokens.all()
        api = kept.record.model_copy(update={"purpose": "api"})
        await world.store.tokens.replace(kept.name, api, kept.version)
        with pytest.raises(EnrolmentRefused):
            await world.join(token)

    run(scenario())


@given(st.text(max_size=500))
def test_no_text_is_a_token_by_chance(text: str) -> None:
    with pytest.raises(EnrolmentRefused) as refused:
        JoinToken.parse(text)
    assert len(text) < 8 or text not in refused.value.message


@given(
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", fullmatch=True),
)
@settings(max_examples=25, deadline=None)
def test_whatever_names_there_are_the_certificate_says_them(cluster: str, node: str) -> None:
    async def scenario() -> None:
        token = JoinToken(cluster, node, "0" * 64, "A" * 43)
        assert JoinToken.parse(token.text()) == token
        authority = SHARED.authorities.current
        made = authority.for_agent(make_key().public_key(), cluster, node, NOW, os.urandom)
        shown = presented(made.public_bytes(serialization.Encoding.DER), SHARED.authorities.trusted, NOW)
        assert (shown.agent.cluster, shown.agent.node) == (cluster, node)

    run(scenario())


SHARED = run(World.make())


def test_only_an_admin_of_the_cluster_invites_and_revokes() -> None:
    async def scenario() -> None:
        world = await World.make()
        for person in (Person("otto", Role.OPERATOR), Person("bea", Role.ADMIN, frozenset({"bank"}))):
            with pytest.raises(NotPermitted):
                await world.enrolment.invite(person, "shop", "lb01")
            with pytest.raises(NotPermitted):
                await world.enrolment.revoke(person, "shop", "lb01", "x")
        for wrong in (timedelta(0), timedelta(minutes=15, seconds=1), timedelta(days=-1)):
            with pytest.raises(UsageError):
                await world.enrolment.invite(ADMIN, "shop", "lb01", wrong)

    run(scenario())


def test_revoked_is_refused_at_once_everywhere_and_comes_back_with_a_new_token_alone() -> None:
    async def scenario() -> None:
        world = await World.make()
        other = await world.another()
        old = await world.joined()
        agent = await other.enrolment.identify(old)
        world.clock.wall += timedelta(days=20)
        unused = await world.renewed(old)  # answered, and not used yet
        await world.enrolment.revoke(ADMIN, "shop", "lb01", "stolen")
        for der_ in (old, unused):
            with pytest.raises(NotAuthenticated, match="revoked"):
                await other.enrolment.identify(der_)
        assert not await other.enrolment.still_good(agent)
        with pytest.raises(NotAuthenticated, match="revoked"):
            await other.enrolment.renew(agent, RenewRequest(certificate_request=request()))
        await world.enrolment.revoke(ADMIN, "shop", "lb01", "stolen")
        new = await world.joined()
        assert (await other.enrolment.identify(new)).node == "lb01"
        assert [
            (one.record.kind, one.record.node, one.record.message) for one in await world.store.events.oldest()
        ] == [
            ("node.joined", "lb01", "lb01 joined, invited by anna"),
            ("node.revoked", "lb01", "lb01 was shut out by anna: stolen"),
            ("node.joined", "lb01", "lb01 joined again, invited by anna"),
        ]
        for der_ in (old, unused):
            with pytest.raises(NotAuthenticated, match="newer"):
                await other.enrolment.identify(der_)

    run(scenario())


def test_a_certificate_from_before_the_record_of_its_node_was_lost_stays_out() -> None:
    """A damaged record is removed and the node joins anew: what was renewed or revoked before must not outrank that."""

    async def scenario() -> None:
        world = await World.make()
        first = await world.joined()
        world.clock.wall += timedelta(days=20)
        stolen = await world.renewed(first)
        await world.enrolment.identify(stolen)
        await world.enrolment.revoke(ADMIN, "shop", "lb01", "stolen")
        nodes = world.store.cluster("shop").nodes
        await nodes.delete("lb01", await nodes.version("lb01"))
        new = await world.joined()
        for der_ in (first, stolen):
            with pytest.raises(NotAuthenticated, match="newer"):
                await world.enrolment.identify(der_)
        assert (await world.enrolment.identify(new)).node == "lb01"

    run(scenario())


def test_renewal_loses_nothing_when_its_answer_is_lost() -> None:
    async def scenario() -> None:
        world = await World.make()
        old = await world.joined()
        agent = await world.enrolment.identify(old)
        with pytest.raises(EnrolmentRefused, match="too young"):
            await world.enrolment.renew(agent, RenewRequest(certificate_request=request()))
        world.clock.wall += timedelta(days=20)
        await world.renewed(old)  # lost on its way
        new = await world.renewed(old)
        assert (await world.enrolment.identify(old)).node == "lb01"
        fresh = await world.enrolment.identify(new)
        assert fresh.expires > agent.expires
        with pytest.raises(NotAuthenticated, match="newer"):
            await world.enrolment.identify(old)
        assert (await world.audit())[-1] == ("node:shop/lb01", "certificate.newer", "done")

    run(scenario())


def test_a_clock_that_jumped_back_does_not_make_the_new_certificate_an_old_one() -> None:
    async def scenario() -> None:
        world = await World.make()
        old = await world.joined()
        agent = await world.enrolment.identify(old)
        world.clock.wall += timedelta(days=20)
        await world.enrolment.identify(old)
        world.clock.wall -= timedelta(days=4)
        new = await world.renewed(old)
        assert (await world.enrolment.identify(new)).serial != agent.serial

    run(scenario())


def test_an_expired_certificate_gets_a_clear_answer() -> None:
    async def scenario() -> None:
        world = await World.make()
        old = await world.joined()
        agent = await world.enrolment.identify(old)
        world.clock.wall += AGENT_LIFE + timedelta(seconds=1)
        with pytest.raises(NotAuthenticated, match="expired at 2026-03-31") as told:
            await world.enrolment.identify(old)
        assert "join" in told.value.hint
        assert not await world.enrolment.still_good(agent)
        world.clock.wall = NOW - timedelta(hours=1)
        with pytest.raises(NotAuthenticated, match="begins at"):
            await world.enrolment.identify(old)

    run(scenario())


def test_strangers_certificates_are_refused() -> None:
    async def scenario() -> None:
        world, stranger = await World.make(), await World.make()
        foreign = await stranger.joined()
        server = world.authorities.current.for_server(make_key().public_key(), ["ctl"], NOW, os.urandom)
        authority = world.authorities.current.certificate
        encoded = [one.public_bytes(serialization.Encoding.DER) for one in (server, authority)]
        for wrong in (foreign, *encoded, b"", b"x", b"\x30\x82" * 50, os.urandom(9000)):
            with pytest.raises(NotAuthenticated):
                await world.enrolment.identify(wrong)

    run(scenario())


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_no_changed_byte_of_a_certificate_says_something_else() -> None:
    """Refused, or (one byte around the signature tells how many of its last bits do not count) the very same."""

    async def scenario() -> None:
        world = await World.make()
        good = await world.joined()
        said = presented(good, world.authorities.trusted, NOW)
        for place in range(len(good)):
            changed = good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :]
            with suppress(NotAuthenticated):
                assert presented(changed, world.authorities.trusted, NOW) == said
                assert good[place - 2] == 0x03  # a bit string: length, then that byte

    run(scenario())


async def restored(world: World, entries: dict[str, bytes]) -> World:
    """A controller over a store that holds what `entries` held."""
    engine = MemoryEngine(world.clock)
    for key, value in entries.items():
        await engine.commit([], [Put(key, value)])
    return await World.make(engine, world.clock)


async def dumped(world: World) -> dict[str, bytes]:
    return {entry.key: entry.value async for page in world.store.engine.snapshot("") for entry in page.entries}


def test_a_restored_dump_locks_out_no_node_and_lets_no_old_certificate_in() -> None:
    async def scenario() -> None:
        world = await World.make()
        first = await world.joined()
        dump = await dumped(world)
        world.clock.wall += timedelta(days=20)
        second = await world.renewed(first)
        await world.enrolment.identify(second)
        late = await world.joined("lb02")  # enrolled after the dump

        again = await restored(world, dump)
        assert (await again.enrolment.identify(second)).node == "lb01"
        assert (await again.audit())[-1][1] == "certificate.adopted"
        with pytest.raises(NotAuthenticated, match="newer"):
            await again.enrolment.identify(first)
        with pytest.raises(NotAuthenticated, match="no node lb02"):
            await again.enrolment.identify(late)

    run(scenario())


def test_strangers_who_guess_tokens_wait_and_do_not_fill_the_audit() -> None:
    async def scenario() -> None:
        world = await World.make()
        token = await world.token()
        outcomes = []
        for n in range(400):
            wrong = f"{token[:-6]}{n:06d}"
            try:
                await world.join(wrong, source=f"10.0.0.{n % 40}")
            except TooManyAttempts:
                outcomes.append("wait")
            except EnrolmentRefused:
                outcomes.append("refused")
        assert outcomes.count("wait") == 0
        assert len(await world.store.audit.oldest(limit=1000)) <= 210
        with pytest.raises(TooManyAttempts):
            await world.join(token, source="10.0.0.1")
        assert (await world.join(token, source="10.0.0.99")).node == "lb01"

    run(scenario())


def test_nothing_stored_holds_a_secret() -> None:
    async def scenario() -> None:
        world = await World.make()
        token = await world.token()
        await world.join(token)
        secret = JoinToken.parse(token).secret
        for key, value in (await dumped(world)).items():
            assert secret not in key + value.decode()
            assert "PRIVATE KEY" not in value.decode()
        invited = [one.record for one in await world.store.audit.oldest() if one.record.action == "node.invite"]
        assert json.loads(invited[0].after)["digest"] == "(hidden)"
        assert repr(await world.enrolment.invite(ADMIN, "shop", "lb09")) == "SecretStr('**********')"

    run(scenario())


def test_what_expired_is_swept_and_nothing_else() -> None:
    async def scenario() -> None:
        world = await World.make()
        first = await world.joined()
        world.clock.wall += timedelta(days=20)
        second = await world.renewed(first)
        await world.enrolment.identify(second)
        await world.token("lb02")
        assert await world.enrolment.sweep() == 1  # the first token
        world.clock.wall += timedelta(days=12)
        assert await world.enrolment.sweep() == 2  # the second token, the first certificate
        assert (await world.enrolment.identify(second)).node == "lb01"

    run(scenario())


# ---- the authorities' record


def test_every_controller_of_a_store_has_the_same_authority_and_needs_the_same_key() -> None:
    async def scenario() -> None:
        engine, clock = MemoryEngine(), WallClock()
        stores = [await Store.open(engine, clock) for _ in range(5)]
        opened = await asyncio.gather(*(Authorities.open(store, SEALER) for store in stores))
        assert len({one.current.fingerprint for one in opened}) == 1
        with pytest.raises(SealBroken):
            await Authorities.open(stores[0], KeyFileSealer(b"x" * 32))

    run(scenario())


def test_a_rotation_cuts_off_nobody_until_the_old_authority_is_withdrawn() -> None:
    async def scenario() -> None:
        world = await World.make()
        other = await world.another()
        old = await world.joined()
        before = world.authorities.current.fingerprint
        early = await world.token("lb02")
        after = await world.authorities.rotate(ADMIN)
        await other.authorities.refresh()
        assert other.authorities.current.fingerprint == after != before
        assert (await other.enrolment.identify(old)).node == "lb01"
        with pytest.raises(EnrolmentRefused, match="has changed"):
            await other.join(early)
        new = await other.joined()
        assert (await other.enrolment.identify(new)).node == "lb01"
        with pytest.raises(UsageError, match="the authority that signs"):
            await world.authorities.withdraw(ADMIN, after)
        with pytest.raises(NotFound):
            await world.authorities.withdraw(ADMIN, "0" * 64)
        with pytest.raises(StateForbids, match="an earlier certificate authority is trusted still"):
            await world.authorities.rotate(ADMIN)
        assert world.authorities.current.fingerprint == after
        last = await world.joined("lb03")
        await world.authorities.withdraw(ADMIN, before)
        with pytest.raises(NotAuthenticated, match="not one of"):
            await world.enrolment.identify(old)
        assert (await world.enrolment.identify(last)).node == "lb03"
        for person in (Person("otto", Role.OPERATOR), Person("bea", Role.ADMIN, frozenset({"shop"}))):
            with pytest.raises(NotPermitted):
                await world.authorities.rotate(person)

    run(scenario())


def test_an_authority_that_was_tampered_with_is_not_used() -> None:
    async def scenario() -> None:
        world, stranger = await World.make(), await World.make()
        name = "other/authority/all"
        mine = json.loads((await dumped(world))[name])
        theirs = json.loads((await dumped(stranger))[name])
        mine["authorities"][0]["certificate"] = theirs["authorities"][0]["certificate"]
        entries = await dumped(world) | {name: json.dumps(mine).encode()}
        with pytest.raises(StoreDamaged):
            await restored(world, entries)

    run(scenario())


def test_an_agent_is_not_a_person() -> None:
    agent = NodeAgent("shop", "lb01", "1", NOW, NOW)
    assert agent.actor == "node:shop/lb01"
