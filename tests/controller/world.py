"""A controller that runs in the test's own event loop, with TLS, and those who talk to it."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from pydantic import SecretStr

from holdfast.agent.enrolment.identity import Identity, certificate_request, checked, make_key
from holdfast.agent.enrolment.tls import client_context, joining_context
from holdfast.controller.agents.hub import Hub
from holdfast.controller.context import Context
from holdfast.controller.identity import open_doors
from holdfast.controller.identity.passwords import Cost
from holdfast.controller.serving import Options, Started, serve
from holdfast.controller.settings import Limits, Rate, Settings
from holdfast.protocol import JoinRequest
from holdfast.store.memory import MemoryEngine
from holdfast.store.port import Engine
from holdfast.store.store import Store

CHEAP = Cost(passes=1, memory_kib=8, parallelism=1)
WITHIN_S = 120.0
PASSWORD = "a password that nobody else knows"
MANY = Rate(100_000, 100_000)
FREE = Limits(stranger_rate=MANY, node_rate=MANY, person_rate=MANY)


@dataclass
class World:
    """One running controller, as its clients and its store see it."""

    engine: Engine
    store: Store
    started: Started
    serving: asyncio.Task[str]
    authority: str
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.started.address[1]}"

    def client(self, context: ssl.SSLContext | None = None, **options: Any) -> httpx.AsyncClient:
        """A client that trusts the controller's authority alone."""
        verify = context or joining_context(self.authority)
        made = httpx.AsyncClient(base_url=self.url, verify=verify, timeout=WITHIN_S, trust_env=False, **options)
        self.clients.append(made)
        return made

    async def admin(self) -> httpx.AsyncClient:
        """Logged in as the administrator, who has chosen a password of their own."""
        assert self.started.first_password is not None
        first = self.client()
        await login(first, "admin", self.started.first_password.get_secret_value())
        body = {"old": self.started.first_password.get_secret_value(), "new": PASSWORD}
        assert (await first.put("/api/v1/session/password", json=body)).status_code == 204
        second = self.client()
        await login(second, "admin", PASSWORD)
        return second

    async def joined(self, admin: httpx.AsyncClient, node: str, cluster: str = "shop") -> Agent:
        """A node that has joined, and its connection."""
        made = await admin.post("/api/v1/clusters", json={"name": cluster})
        assert made.status_code in (201, 409), made.text
        answer = await admin.post(f"/api/v1/clusters/{cluster}/nodes/{node}/join-token", json={})
        assert answer.status_code == 201, answer.text
        return await self.pasted(answer.json()["token"])

    async def pasted(self, token: str) -> Agent:
        """A node that has joined with what it was given, and its connection."""
        identity = await join(self.client(), self.authority, token)
        return Agent(identity, self.client(client_context(identity)))


@dataclass
class Agent:
    """A node's agent, as far as it speaks to controllers."""

    identity: Identity
    client: httpx.AsyncClient


async def login(client: httpx.AsyncClient, name: str, password: str) -> dict[str, Any]:
    """Log in, and send what belongs to it with every request from now on."""
    answer = await client.post("/api/v1/session", json={"name": name, "password": password})
    assert answer.status_code == 200, answer.text
    client.headers["X-CSRF-Token"] = answer.json()["csrf"]
    told: dict[str, Any] = answer.json()
    return told


async def join(client: httpx.AsyncClient, authority: str, token: str) -> Identity:
    """What a node does with a join token."""
    key = make_key()
    request = JoinRequest(token=SecretStr(token), certificate_request=certificate_request(key))
    answer = await client.post("/agent/v1/join", content=request.wire(), headers={"content-type": "application/json"})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    pinned = x509.load_pem_x509_certificate(authority.encode())
    return checked(key, told["certificate"], pinned, told["cluster"], told["node"], datetime.now(UTC))


def options_for(folder: Path, limits: Limits = FREE, holder: str = "one") -> Options:
    """A controller on this machine's loopback, at whichever port is free."""
    settings = Settings(holder=holder, names=("localhost", "127.0.0.1"), limits=limits, leader_ttl_s=2)
    return Options(listen=("127.0.0.1", 0), key_file=folder / "controller.key", settings=settings, cost=CHEAP)


@asynccontextmanager
async def running(
    engine: Engine | None = None, folder: Path | None = None, change: Callable[[Options], Options] = replace
) -> AsyncIterator[World]:
    """A controller on a store in memory, or on the one given; it is stopped at the end, if it has not ended."""
    engine = engine or MemoryEngine()
    with tempfile.TemporaryDirectory() as made:
        told: asyncio.Future[Started] = asyncio.get_running_loop().create_future()
        serving = asyncio.ensure_future(serve(engine, change(options_for(folder or Path(made))), told.set_result))
        await asyncio.wait((told, serving), timeout=WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        started = told.result()
        store = await Store.open(engine)
        world = World(engine, store, started, serving, await _authority(started))
        try:
            yield world
        finally:
            for client in world.clients:
                await client.aclose()
            started.stop("the test is over")
            await asyncio.wait_for(serving, WITHIN_S)


async def _authority(started: Started) -> str:
    """What a node does first: look at the authority over a connection that proves nothing, and compare."""
    unproved = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unproved.check_hostname = False
    unproved.verify_mode = ssl.CERT_NONE
    async with httpx.AsyncClient(verify=unproved, trust_env=False, timeout=WITHIN_S) as client:
        answer = await client.get(f"https://127.0.0.1:{started.agents[1]}/agent/v1/authority")
    certificate = x509.load_pem_x509_certificate(answer.content)
    assert certificate.public_bytes(serialization.Encoding.PEM).decode() == answer.text
    return answer.text


async def context_of_memory() -> Context:
    """A context without a server around it."""
    store = await Store.open(MemoryEngine())
    with tempfile.TemporaryDirectory() as folder:
        options = options_for(Path(folder))
        doors = await open_doors(store, options.key_file, cost=CHEAP)
    return Context(store, doors, options.settings, Hub(store))


async def eventually(true: Callable[[], bool]) -> None:
    """Wait until something has become true."""
    async with asyncio.timeout(WITHIN_S):
        while not true():
            await asyncio.sleep(0.01)
