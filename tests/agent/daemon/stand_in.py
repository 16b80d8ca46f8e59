"""A small controller for the agent to talk to: real TLS, the real authority, the wire's messages, and no store."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import SecretStr
from tests.agent.services.fakes import FakeManager
from tests.controller.identity.test_enrolment import World
from tests.controller.identity.world import WallClock

from holdfast.agent.credentials import context_from
from holdfast.agent.daemon.enroller import HttpsEnrolment
from holdfast.agent.daemon.loop import Agent
from holdfast.agent.daemon.rotation import Rotation
from holdfast.agent.daemon.wire import Controller
from holdfast.agent.daemon.work import Work
from holdfast.agent.enrolment import join
from holdfast.agent.host.fake import FakeHost
from holdfast.agent.host.port import Places
from holdfast.agent.services.base import Node
from holdfast.bundle import Bundle, BundleFile, Service
from holdfast.controller.identity.authority import pem
from holdfast.controller.identity.tls import server_context
from holdfast.protocol import (
    AgentReport,
    Answer,
    Desired,
    Fence,
    JoinRequest,
    Order,
    Overrides,
    Ping,
    RenewRequest,
    Verb,
)

STORE = "ab" * 16
WITHIN_S = 120.0
KEY = "net.ipv4.ip_nonlocal_bind"


async def until(condition: Callable[[], bool], what: str = "") -> None:
    """Wait generously: a busy machine is no failure."""
    deadline = asyncio.get_running_loop().time() + WITHIN_S
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"never happened: {what}"
        await asyncio.sleep(0.005)


@dataclass
class StandIn:
    """One controller. `lines` is what a new stream begins with; `push` is for those that are open."""

    world: World
    context: ssl.SSLContext
    port: int = 0
    server: asyncio.Server | None = None
    lines: list[bytes] = field(default_factory=list)
    reports: list[AgentReport] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    bundles: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    refuse: dict[str, int] = field(default_factory=dict)  # path → status
    streams: list[asyncio.StreamWriter] = field(default_factory=list)
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def last(self) -> AgentReport:
        return self.reports[-1]

    async def start(self) -> None:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self.context)
        self.port = self.server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Like a kill: every connection breaks."""
        assert self.server is not None
        self.server.close()
        self.streams.clear()
        for writer in tuple(self.writers):
            writer.transport.abort()

    async def push(self, *messages: Desired | Order | Ping | bytes) -> None:
        for writer in self.streams:
            for each in messages:
                await _chunk(writer, each if isinstance(each, bytes) else each.model_dump_json().encode())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                method, path, _ = head.split(" ", 2)
                length = next((int(x.split(":")[1]) for x in head.lower().split("\r\n") if "content-length" in x), 0)
                body = await reader.readexactly(length)
                self.asked.append(f"{method} {path}")
                await self._answer(path, body, writer)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            return
        finally:
            self.writers.discard(writer)
            writer.close()

    async def _answer(self, path: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        shown = writer.get_extra_info("ssl_object").getpeercert(True)
        name = path.rsplit("/", 1)[-1]
        if path in self.refuse:
            await _respond(writer, self.refuse[path], b'{"error": {"message": "no", "hint": "do not"}}')
        elif name == "authority":
            await _respond(writer, 200, pem(self.world.authorities.current.certificate).encode())
        elif name == "join":
            answer = await self.world.enrolment.join(JoinRequest.model_validate_json(body), "192.0.2.1")
            await _respond(writer, 200, answer.model_dump_json().encode())
        elif name == "renew":
            agent = await self.world.enrolment.identify(shown)
            renewed = await self.world.enrolment.renew(agent, RenewRequest.model_validate_json(body))
            await _respond(writer, 200, renewed.model_dump_json().encode())
        elif shown is None:
            await _respond(writer, 401, b"")
        elif name == "stream":
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            await _chunk(writer, Ping(time=datetime.now(UTC)).model_dump_json().encode())
            for line in self.lines:
                await _chunk(writer, line)
            self.streams.append(writer)
        elif name == "reports":
            self.reports.append(AgentReport.model_validate_json(body))
            await _respond(writer, 204, b"")
        elif name == "answers":
            self.answers.append(Answer.model_validate_json(body))
            await _respond(writer, 204, b"")
        elif name in self.bundles:
            await _respond(writer, 200, self.bundles[name])
        else:
            await _respond(writer, 404, b"")


async def _chunk(writer: asyncio.StreamWriter, line: bytes) -> None:
    writer.write(b"%x\r\n%s\n\r\n" % (len(line) + 1, line))
    await writer.drain()


async def _respond(writer: asyncio.StreamWriter, status: int, body: bytes) -> None:
    writer.write(b"HTTP/1.1 %d Well\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body))
    await writer.drain()


@dataclass
class Site:
    """Controllers of one authority, and one node with its agent."""

    world: World
    controllers: list[StandIn]
    folder: Path
    work: Work
    host: FakeHost
    agent: Agent | None = None
    running: asyncio.Task[None] | None = None

    @property
    def first(self) -> StandIn:
        return self.controllers[0]

    @property
    def identity_file(self) -> Path:
        return self.folder / "node.pem"

    async def join(self) -> None:
        token = SecretStr(await self.world.token("lb01"))
        transport = HttpsEnrolment([each.url for each in self.controllers])
        await join(token, transport, self.identity_file, datetime.now(UTC))

    def start(self) -> Agent:
        """A new agent, as after a restart."""

        def connect(url: str) -> Controller:
            return Controller(url, context_from(self.identity_file))

        rotation = Rotation(tuple(each.url for each in self.controllers))
        self.agent = Agent("shop", "lb01", self.work, rotation, connect)
        self.running = asyncio.create_task(self.agent.run())
        return self.agent

    async def stop(self) -> None:
        if self.running is not None:
            self.running.cancel()
            await asyncio.wait({self.running})
            if not self.running.cancelled() and (error := self.running.exception()) is not None:
                raise error
            self.running = None


@asynccontextmanager
async def site(folder: Path, controllers: int = 1, joined_days_ago: int = 0) -> AsyncIterator[Site]:
    """A node that has joined, and its controllers, up and running; no agent yet."""
    now = datetime.now(UTC).replace(microsecond=0)
    world = await World.make(clock=WallClock(now - timedelta(days=joined_days_ago)))
    made = [
        StandIn(world, server_context(world.authorities, ["127.0.0.1"], world.clock.now())[0])
        for _ in range(controllers)
    ]
    for each in made:
        await each.start()
    host = FakeHost()
    host.sysctls = {KEY: "0"}
    work = Work(Node(host, Places(folder / "root"), FakeManager()), judge=lambda bundle: (), prepare=lambda: None)
    found = Site(world, made, folder, work, host)
    try:
        await found.join()
        world.clock.wall = now
        yield found
    finally:
        await found.stop()
        for each in made:
            await each.stop()


def bundle(value: str = "1", node: str = "lb01", more: int = 0) -> Bundle:
    """A bundle that a machine in memory can run: one sysctl."""
    text = f"# Managed by Holdfast\n{KEY} = {value}\n" + "# padding\n" * more
    file = BundleFile(path="/etc/holdfast/sysctl/sysctl.conf", content=text)
    return Bundle(cluster="shop", node=node, services=(Service.SYSCTL,), files=(file,))


def desired(
    number: int,
    wanted: Bundle,
    *,
    epoch: int = 1,
    store: str = STORE,
    inline: bool = True,
    overrides: Overrides | None = None,
) -> Desired:
    return Desired(
        fence=Fence(store_id=store, epoch=epoch, number=number),
        cluster="shop",
        node="lb01",
        revision=number,
        digest=wanted.digest,
        bundle=wanted if inline else None,
        overrides=overrides or Overrides(),
    )


def order(number: int, verb: Verb = Verb.STATUS, *, fence: int = 1, group: str | None = None) -> Order:
    return Order(
        fence=Fence(store_id=STORE, epoch=1, number=fence), id=f"{number:032x}", verb=verb, group=group, within_s=10
    )
