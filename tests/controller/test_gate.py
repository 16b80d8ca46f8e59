"""What the gate keeps out: too much, too often, too slow, not HTTP; and what it never tells."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from dataclasses import replace

import pytest
from tests.controller.world import FREE, WITHIN_S, World, context_of_memory, running

from holdfast.agent.enrolment.tls import joining_context
from holdfast.controller import connections
from holdfast.controller.callers import find_caller
from holdfast.controller.rates import Rates
from holdfast.controller.serving import Options
from holdfast.controller.settings import Limits, Rate
from holdfast.protocol import AgentReport


def test_an_address_of_ipv4_is_called_what_it_is_on_a_listener_of_both_families() -> None:
    async def source(shown: str) -> str:
        scope = {"type": "http", "path": "/api/v1/session", "headers": [], "client": (shown, 1)}
        return (await find_caller(await context_of_memory(), scope)).source

    for shown, meant in (("::ffff:192.0.2.7", "192.0.2.7"), ("2001:db8::1", "2001:db8::1"), ("192.0.2.7", "192.0.2.7")):
        assert asyncio.run(source(shown)) == meant


def limited(limits: Limits):  # type: ignore[no-untyped-def]
    """Options with other limits."""

    def change(options: Options) -> Options:
        return replace(options, settings=replace(options.settings, limits=limits))

    return change


async def raw(world: World, *pieces: bytes) -> bytes:
    """What comes back for bytes that no well-behaved client would send."""
    host, port = world.started.address
    context = joining_context(world.authority)
    reader, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname="127.0.0.1")
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        async with asyncio.timeout(WITHIN_S):
            return await reader.read()
    except (ConnectionResetError, ssl.SSLError):
        return b""
    finally:
        writer.close()


def test_a_body_that_is_too_large_is_not_read() -> None:
    """By its announced length, and by counting where it announces none; a stranger may send least."""

    async def story() -> None:
        async with running(change=limited(replace(FREE, stranger_body=2_000, person_body=200_000))) as world:
            admin = await world.admin()
            stranger = world.client()
            large = {"name": "admin", "password": "x" * 10_000}
            answer = await stranger.post("/api/v1/session", json=large)
            assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")

            async def chunks():  # type: ignore[no-untyped-def]
                for _ in range(100):
                    yield b" " * 1000

            answer = await stranger.post("/api/v1/session", content=chunks())
            assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
            spec = {"spec": "x" * 100_000, "base": 0}
            assert (await admin.post("/api/v1/clusters/shop/revisions", json=spec)).status_code == 404
            spec = {"spec": "x" * 300_000, "base": 0}
            assert (await admin.post("/api/v1/clusters/shop/revisions", json=spec)).status_code == 413
            announced = (
                b"POST /api/v1/session HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                b"Content-Length: 99999999999999999999\r\n\r\n"
            )
            assert b"413" in (await raw(world, announced)).split(b"\r\n")[0] or b"400" in (await raw(world, announced))

    asyncio.run(story())


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async def story() -> None:
        async with running(change=limited(replace(FREE, body_within_s=0.3))) as world:
            answer = await raw(
                world, b"POST /api/v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b"Content-Length: 100\r\n\r\n", b'{"name'
            )  # fmt: skip
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert b"connection: close" in answer.lower()

    asyncio.run(story())


def test_who_says_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither silence nor a request that comes letter by letter holds a connection."""
    monkeypatch.setattr(connections, "HEAD_WITHIN_S", 0.3)

    async def story() -> None:
        async with running() as world:
            assert await raw(world) == b""
            assert await raw(world, b"GET /healthz HT") == b""
            assert (await raw(world, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).endswith(b"}")

    asyncio.run(story())


def test_what_is_no_http_is_refused() -> None:
    async def story() -> None:
        async with running() as world:
            assert (await raw(world, b"\x16\x03\x01 nonsense\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
            head = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100_000
            assert not (await raw(world, head)).startswith(b"HTTP/1.1 200")
            both = b"POST /api/v1/session HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 50\r\n\r\nhello"
            assert (await raw(world, both)).startswith(b"HTTP/1.1 400 ")

    asyncio.run(story())


NONSENSE = (
    b"[" * 60_000,
    b"{",
    b"\xff\xfe",
    b"null",
    b'"x"',
    b'{"name": {"a": 1}, "password": "secret-one"}',
    b"1e999",
)


def test_nonsense_is_a_mistake_of_whoever_sent_it() -> None:
    async def story() -> None:
        async with running() as world:
            headers = {"content-type": "application/json"}
            for body in NONSENSE:
                answer = await world.client().post("/api/v1/session", content=body, headers=headers)
                assert answer.status_code in (400, 422)
                assert answer.json()["error"]["code"]
                assert "secret-one" not in answer.text

    asyncio.run(story())


def test_an_agent_of_another_version_of_the_protocol_is_told_so() -> None:
    async def story() -> None:
        async with running() as world:
            agent = await world.joined(await world.admin(), "lb01")
            report = AgentReport(node="lb01", time=world.store.clock.now()).model_dump(mode="json")
            for path, body in (
                ("/agent/v1/reports", report),
                ("/agent/v1/renew", {"certificate_request": "x"}),
                ("/agent/v1/join", {"token": "t", "certificate_request": "x"}),
            ):
                for version in (0, 2):
                    answer = await agent.client.post(path, json={**body, "version": version})
                    told = answer.json()["error"]
                    assert (answer.status_code, told["code"]) == (422, "other_protocol"), told
                    assert f"speaks version {version} of the protocol, and this controller version 1" in told["message"]
                odd = await agent.client.post(path, json={**body, "version": {"secret": "s3cret"}})
                assert odd.status_code == 422
                assert "s3cret" not in odd.text
            newer = await agent.client.post("/agent/v1/reports", json={**report, "since": "a newer release"})
            assert newer.status_code == 204

    asyncio.run(story())


def test_too_many_requests_have_to_wait() -> None:
    async def story() -> None:
        slow = replace(FREE, stranger_rate=Rate(0.01, 5))
        async with running(change=limited(slow)) as world:
            client = world.client()
            answers = [await client.get("/healthz") for _ in range(10)]
            refused = [answer for answer in answers if answer.status_code == 429]
            assert 5 <= len(refused) < 10  # one request was made before, to see the authority
            assert int(refused[-1].headers["retry-after"]) > 0

    asyncio.run(story())


def test_buckets_fill_with_time_and_are_bounded() -> None:
    rates = Rates(most=2)
    rate = Rate(per_second=2, burst=2)
    assert [rates.take("a", rate, 0.0) for _ in range(3)] == [0.0, 0.0, 0.5]
    assert rates.take("a", rate, 0.5) == 0.0
    assert rates.take("a", rate, 0.4) > 0  # a clock that went back gives nothing
    assert rates.take("b", rate, 0.5) == 0.0
    assert rates.take("c", rate, 0.5) == 0.0
    assert rates.take("a", rate, 0.5) == 0.0  # it was forgotten: whoever does not come for long has a full one


def test_errors_have_one_shape_and_answers_are_not_kept() -> None:
    async def story() -> None:
        async with running() as world:
            client = world.client()
            for method, path, status in (
                ("GET", "/nowhere", 404),
                ("GET", "/agent/v1/nowhere", 404),
                ("PUT", "/healthz", 405),
                ("GET", "/api/v1/users", 401),
                ("GET", "/agent/v1/stream", 401),
            ):
                answer = await client.request(method, path)
                assert answer.status_code == status
                assert set(answer.json()["error"]) >= {"code", "message", "hint"}
                assert answer.headers["cache-control"] == "no-store"
                assert answer.headers["x-content-type-options"] == "nosniff"
                assert answer.headers["x-request-id"]

    asyncio.run(story())


def test_the_log_has_every_request_and_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> str:
        async with running() as world:
            admin = await world.admin()
            token = (await admin.post("/api/v1/tokens", json={"name": "t"})).json()["token"]
            program = world.client(headers={"Authorization": f"Bearer {token}"})
            assert (await program.get("/api/v1/clusters")).status_code == 200
            agent = await world.joined(admin, "lb1")
            wrong = await world.client().post("/api/v1/session", json={"name": "admin", "password": "wrong-password"})
            assert wrong.status_code == 401
            report = await agent.client.post("/agent/v1/reports", json={"node": "lb1"})
            assert report.status_code == 422
            secrets = [token, "wrong-password", *admin.cookies.values(), admin.headers["X-CSRF-Token"]]
            assert world.started.first_password is not None
            return "\n".join([*secrets, world.started.first_password.get_secret_value()])

    with caplog.at_level(logging.DEBUG, logger="holdfast"):
        secrets = asyncio.run(story())
    told = [json.dumps(vars(record), default=str) for record in caplog.records]
    assert any("/agent/v1/reports" in line and "node:shop/lb1" in line for line in told)
    assert any('"user:admin token:t"' in line for line in told)
    for secret in secrets.splitlines():
        assert not any(secret in line for line in told)


def test_what_the_gate_refuses_is_a_page_in_the_language_of_whoever_looks_at_one() -> None:
    """A script, and a program, get what they understand."""

    async def story() -> None:
        async with running(change=limited(replace(FREE, stranger_body=100))) as world:
            stranger = world.client()
            chinese = {"accept": "text/html", "accept-language": "zh-CN"}
            form = {"name": "x" * 200, "password": "y"}
            page = await stranger.post("/console/login", data=form, headers=chinese)
            assert (page.status_code, page.headers["content-type"]) == (413, "text/html; charset=utf-8")
            assert '<html lang="zh-CN">' in page.text
            assert "请求超过 100 字节" in page.text
            box = await stranger.post("/console/login", data=form, headers={**chinese, "hx-request": "true"})
            assert "请求超过 100 字节" in box.text
            assert "<html" not in box.text
            for headers in ({"accept": "application/json"}, {"accept": "*/*"}):
                answer = await stranger.post("/console/login", data=form, headers=headers)
                assert answer.json()["error"]["message"] == "the request is larger than 100 bytes"

    asyncio.run(story())
