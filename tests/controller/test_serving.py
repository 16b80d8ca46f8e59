"""The controller as a whole: a real server with TLS, started, restarted, replaced and stopped."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.controller.world import CHEAP, WITHIN_S, context_of_memory, login, running

from holdfast.agent.enrolment.identity import Identity
from holdfast.agent.enrolment.tls import client_context, joining_context
from holdfast.controller.connections import ControllerProtocol
from holdfast.controller.identity import Person, open_doors
from holdfast.controller.identity.authority import make_authority, make_key
from holdfast.controller.listening import OwnCertificate, bound, given_certificate
from holdfast.controller.serving import Options
from holdfast.errors import SealBroken, UsageError
from holdfast.store.memory import MemoryEngine
from holdfast.store.models import Role, StoreIdentity
from holdfast.store.port import Check, Put

pytestmark = pytest.mark.whole

DAY = timedelta(days=1)


def test_first_start_to_stop() -> None:
    async def story() -> None:
        async with running() as world:
            client = world.client()
            assert (await client.get("/healthz")).json() == {"status": "ok"}
            assert (await client.get("/readyz")).status_code == 200
            assert world.started.first_password is not None
            me = await login(client, "admin", world.started.first_password.get_secret_value())
            assert me["must_change"] is True
            assert (await client.get("/api/v1/users")).status_code == 403
            admin = await world.admin()
            assert [user["name"] for user in (await admin.get("/api/v1/users")).json()["users"]] == ["admin"]

    asyncio.run(story())


def test_a_second_start_has_no_first_login_and_the_same_authority(tmp_path: Path) -> None:
    async def story() -> None:
        engine = MemoryEngine()
        async with running(engine, tmp_path) as world:
            first, fingerprint = world.started.first_password, world.started.fingerprint
        async with running(engine, tmp_path) as world:
            assert first is not None
            assert world.started.first_password is None
            assert world.started.fingerprint == fingerprint
        (tmp_path / "controller.key").unlink()
        with pytest.raises(SealBroken):
            async with running(engine, tmp_path):
                raise AssertionError("it must not start with another key")

    asyncio.run(story())


def test_two_controllers_of_a_store_serve_the_same(tmp_path: Path) -> None:
    """Who logs in at one is logged in at the other; agents join at one and are known at the other."""

    async def story() -> None:
        engine = MemoryEngine()
        async with running(engine, tmp_path) as one, running(engine, tmp_path) as other:
            admin = await one.admin()
            elsewhere = other.client(cookies=dict(admin.cookies), headers=admin.headers)
            agent = await one.joined(elsewhere, "lb1")
            moved = other.client(client_context(agent.identity))
            body = {"node": "lb1", "time": "2026-01-01T00:00:00Z"}
            assert (await moved.post("/agent/v1/reports", json=body)).status_code == 204
            assert other.started.first_password is None

    asyncio.run(story())


def test_a_restored_store_ends_the_controller(tmp_path: Path) -> None:
    """Its fences would be those of the life before: it must not tell agents anything any more."""

    async def story() -> None:
        async with running() as world:
            identity = await world.engine.get("identity")
            assert identity is not None

            after = world.store.identity.model_copy(update={"epoch": 2})
            assert StoreIdentity.model_validate_json(identity.value).epoch == 1
            await world.engine.commit(
                [Check("identity", identity.version)], [Put("identity", after.model_dump_json().encode())]
            )
            assert "restored" in await asyncio.wait_for(world.serving, WITHIN_S)

    asyncio.run(story())


def test_it_is_not_ready_while_its_store_cannot_be_written() -> None:
    class Failing(MemoryEngine):
        broken = False

        async def health(self):  # type: ignore[no-untyped-def]
            return replace(await super().health(), writable=not self.broken, remark="its past grows")

    async def story() -> None:
        engine = Failing()
        async with running(engine) as world:
            client = world.client()
            ready = await client.get("/readyz")
            assert (ready.status_code, ready.json()["remark"]) == (200, "its past grows")
            engine.broken = True
            assert (await client.get("/readyz")).status_code == 503
            assert (await client.get("/healthz")).status_code == 200

    asyncio.run(story())


def leaf(folder: Path, *names: str) -> tuple[Path, Path, x509.Certificate]:
    """A certificate for people, as another authority signs it, and its key; that authority's certificate."""
    now = datetime.now(UTC)
    authority = make_authority("0" * 32, now, lambda size: b"\1" * size)
    key = make_key()
    signed = authority.for_server(key.public_key(), names, now, lambda size: b"\2" * size)
    (folder / "people.crt").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / "people.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "people.crt", folder / "people.key", authority.certificate


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def test_people_are_shown_a_given_certificate_and_agents_the_own_one(tmp_path: Path) -> None:
    async def story() -> None:
        certificate, key, authority = leaf(tmp_path, "localhost", "127.0.0.1")

        def change(options: Options) -> Options:
            return replace(options, certificate=certificate, key=key, agents=("127.0.0.1", 0))

        async with running(change=change) as world:
            people = world.client(joining_context(pem(authority)))
            assert (await people.get("/healthz")).status_code == 200
            with pytest.raises(httpx.ConnectError):
                await world.client().get("/healthz")
            at = f"https://127.0.0.1:{world.started.agents[1]}"
            async with httpx.AsyncClient(verify=joining_context(world.authority), trust_env=False) as agents:
                assert (await agents.get(f"{at}/readyz")).status_code == 200

    asyncio.run(story())


@pytest.mark.parametrize(
    ("ahead", "said"), [(timedelta(), []), (400 * DAY, ["has expired"]), (-30 * DAY, ["is good from"])]
)
def test_a_given_certificate_whose_time_it_is_not_is_taken_and_called_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, ahead: timedelta, said: list[str]
) -> None:
    """Agents do not need it: a controller that starts at night must not stay away for it."""
    certificate, key, _ = leaf(tmp_path, "localhost")
    given_certificate(certificate, key, datetime.now(UTC) + ahead)
    assert len(caplog.messages) == len(said)
    for told, one in zip(caplog.messages, said, strict=True):
        assert one in told
        assert str(certificate) in told


def test_a_given_certificate_of_an_odd_form_is_taken_as_tls_takes_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As `openssl x509 -trustout` writes it: who serves with it today must not be kept from starting."""
    certificate, key, _ = leaf(tmp_path, "localhost")
    certificate.write_text(certificate.read_text().replace(" CERTIFICATE-", " TRUSTED CERTIFICATE-"))
    given_certificate(certificate, key, datetime.now(UTC))
    (told,) = caplog.messages
    assert f"until when {certificate} is good cannot be read" in told


def test_what_cannot_be_listened_with_is_said(tmp_path: Path) -> None:
    certificate, key, _ = leaf(tmp_path, "localhost")
    with pytest.raises(UsageError, match="cannot be used"):
        given_certificate(key, certificate, datetime.now(UTC))
    with pytest.raises(UsageError, match="No such file"):
        given_certificate(tmp_path / "none", key, datetime.now(UTC))
    other = ec.generate_private_key(ec.SECP256R1())
    encrypted = serialization.BestAvailableEncryption(b"secret")
    key.write_bytes(other.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encrypted))
    with pytest.raises(UsageError, match="cannot be used"):
        given_certificate(certificate, key, datetime.now(UTC))
    with bound("127.0.0.1", 0) as taken, pytest.raises(UsageError, match="cannot listen"):
        bound("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(UsageError, match="cannot listen"):
        bound("192.0.2.1", 0)


def test_the_body_of_an_answer_does_not_wait_until_its_head_was_acknowledged() -> None:
    """RFC 896 holds a second small segment back, and the peer's RFC 1122 delays its word by 40 ms: of each answer."""
    with bound("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def self_made(expires: timedelta) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A certificate of nobody's authority."""
    key, now = make_key(), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "somebody")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(now - 30 * DAY).not_valid_after(now + expires)
    return builder.sign(key, hashes.SHA256()), key


def test_strangers_certificates_end_the_handshake() -> None:
    async def story() -> None:
        async with running() as world:
            authority = x509.load_pem_x509_certificate(world.authority.encode())
            certificate, key = self_made(DAY)
            forged = Identity("shop", "lb1", key, certificate, authority)
            with pytest.raises(httpx.TransportError):
                await world.client(client_context(forged)).get("/agent/v1/stream")

    asyncio.run(story())


def test_an_expired_certificate_is_refused(tmp_path: Path) -> None:
    """OpenSSL says so in the handshake; a connection that lives on longer is asked at its next request."""

    async def story() -> None:
        async with running(folder=tmp_path) as world:
            admin = await world.admin()
            agent = await world.joined(admin, "lb1")
            doors = await open_doors(world.store, tmp_path / "controller.key", cost=CHEAP)
            past = datetime.now(UTC) - timedelta(days=40)
            old = doors.authorities.current.for_agent(
                agent.identity.key.public_key(), "shop", "lb1", past, lambda size: b"\3" * size
            )
            expired = replace(agent.identity, certificate=old)
            with pytest.raises(httpx.TransportError):
                await world.client(client_context(expired)).get("/agent/v1/stream")
            assert (await agent.client.get("/agent/v1/bundles/" + "0" * 64)).status_code == 404

    asyncio.run(story())


def test_the_own_certificate_is_renewed_while_it_is_in_use() -> None:
    """After two thirds of its life, or when another authority signs; who pinned the old one goes on."""

    async def story() -> None:
        context = await context_of_memory()
        now = datetime.now(UTC)
        own = OwnCertificate(context.doors.authorities, ("localhost",), now)
        first = own.certificate
        assert not own.due(now + 50 * DAY)
        assert own.due(now + 61 * DAY)

        pinned = context.doors.authorities.current.certificate
        await context.doors.authorities.rotate(Person("admin", Role.ADMIN))
        assert own.due(now)
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=own.context)
        async with server:
            port = server.sockets[0].getsockname()[1]
            seen = []
            for _ in range(2):
                _, writer = await asyncio.open_connection(
                    "127.0.0.1", port, ssl=joining_context(pem(pinned)), server_hostname="localhost"
                )
                tls = writer.get_extra_info("ssl_object")
                seen.append(x509.load_der_x509_certificate(tls.getpeercert(True)))
                writer.close()
                own.renew(now)
        assert seen[0] == first
        assert seen[1].serial_number != first.serial_number
        assert seen[1].issuer != first.issuer

    asyncio.run(story())


def test_a_connection_takes_little_memory_to_read_into(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand agents are connected and say little; what is large is read in parts."""
    made: list[int] = []  # bytes
    begin = ControllerProtocol.connection_made

    def seen(self: ControllerProtocol, transport: Any) -> None:
        made.append(len(transport._ssl_protocol._ssl_buffer))
        begin(self, transport)

    monkeypatch.setattr(ControllerProtocol, "connection_made", seen)

    async def story() -> None:
        async with running() as world:
            client = world.client()
            body = {"name": "admin", "password": "x" * 60_000}
            assert (await client.post("/api/v1/session", json=body)).status_code in (401, 422)
            assert made
            assert max(made) <= 16 * 1024

    asyncio.run(story())
