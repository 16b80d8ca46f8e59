"""A real controller with a cluster that is alive, and a browser that looks at it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from tests.browser.fleet import Fleet
from tests.controller.world import PASSWORD, WITHIN_S, World, running
from tests.waiting import wait_until

from holdfast.controller.serving import Options
from holdfast.controller.settings import MARK_COOKIE, SESSION_COOKIE
from holdfast.store.sqlite import SqliteEngine

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

T = TypeVar("T")
CLUSTER = "shop"
HERE = f"/console/clusters/{CLUSTER}"
OF_A_SESSION = (SESSION_COOKIE, MARK_COOKIE)
BY_THEN_MS = 60_000  # whatever a page is waited for has come; the machine may be busy
SPEC = """\
holdfast: 1
cluster: shop
networks:
  front: {cidr: 10.0.0.0/24}
nodes: {lb01: 10.0.0.5, lb02: 10.0.0.6, web01: 10.0.0.7, web02: 10.0.0.8, app01: 10.0.0.11, app02: 10.0.0.12}
vrrp:
  www: {addresses: [10.0.0.3/24], nodes: [lb01, lb02]}
  mail: {addresses: [10.0.0.4/24], nodes: [lb02, lb01]}
virtual_servers:
  shop: {on: 'www:80', forward: dr, servers: [web01:80, web02:80], check: {tcp: true}}
  smtp: {on: 'mail:25', forward: nat, servers: [app01:25, app02:25], check: {tcp: true}}
pools:
  app: {servers: [app01:8080, app02:8080], check: {http: /healthz}}
sites:
  shop: {hosts: [www.example.com], routes: [{to: app}]}
proxies:
  edge: {engine: nginx, nodes: [web01, web02], listeners: [{on: 'www:80', sites: [shop]}]}
"""


@dataclass
class Console:
    """A controller in a thread of its own, and the agents of its nodes."""

    url: str = ""
    world: World | None = None
    fleet: Fleet | None = None
    loop: asyncio.AbstractEventLoop | None = None
    admin: Any = None
    sessions: dict[str, list[Any]] = field(default_factory=dict)  # cookies, by who has logged in
    _over: threading.Event = field(default_factory=threading.Event)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Something in the controller's own loop."""
        assert self.loop is not None
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(WITHIN_S)

    def change(self, change: Callable[[Fleet], None]) -> None:
        """The nodes become different, and say so."""

        async def changed() -> None:
            assert self.fleet is not None
            change(self.fleet)
            self.fleet.tell()

        self.do(changed())

    def settled(self) -> None:
        """Every rollout has ended: a cluster has one at a time."""

        async def ended() -> bool:
            answer = await self.admin.get(f"/api/v1/clusters/{CLUSTER}/rollouts?limit=1")
            return bool(answer.json()["rollouts"][0]["ended"])

        wait_until(lambda: self.do(ended()), WITHIN_S)

    def apply(self, spec: str, message: str = "") -> None:
        """A new revision."""

        async def applied() -> None:
            newest = (await self.admin.get(f"/api/v1/clusters/{CLUSTER}")).json()["newest"]
            body = {"spec": spec, "base": newest, "message": message, "options": {"without": []}}
            answer = await self.admin.post(f"/api/v1/clusters/{CLUSTER}/revisions", json=body)
            assert answer.status_code == 201, answer.text

        self.do(applied())


def _patient(options: Options) -> Options:
    """On a busy machine nobody loses the lead."""
    return replace(options, settings=replace(options.settings, leader_ttl_s=60))


async def serve(console: Console, folder: Path, spec: str, ready: threading.Event, over: threading.Event) -> None:
    """Until it is over."""
    engine = await SqliteEngine.open(folder / "store.db")
    async with running(engine, folder, _patient) as world:
        console.world, console.url, console.loop = world, world.url, asyncio.get_running_loop()
        console.admin = await world.admin()
        console.fleet = Fleet(world)
        nodes = next(line for line in spec.splitlines() if line.startswith("nodes:"))
        names = [part.partition(":")[0].strip(" {") for part in nodes.removeprefix("nodes:").split(",")]
        await console.fleet.join(console.admin, names, CLUSTER)
        body = {"spec": spec, "base": 0, "message": "the beginning"}
        answer = await console.admin.post(f"/api/v1/clusters/{CLUSTER}/revisions", json=body)
        assert answer.status_code == 201, answer.text
        console.fleet.pools = {"app": {"app01-8080": True, "app02-8080": True}}
        console.fleet.open = {"web01-80": 120, "web02-80": 80}
        async with asyncio.timeout(WITHIN_S):
            while not all(one.progress == "verified" for one in console.fleet.nodes.values()):
                await asyncio.sleep(0.05)
        ready.set()
        await asyncio.to_thread(over.wait)
        await console.fleet.close()


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Console]:
    """A cluster of six nodes whose rollout is done; a module may say SPEC itself."""
    folder = tmp_path_factory.mktemp("console")
    made, ready, over = Console(), threading.Event(), threading.Event()
    failed: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(serve(made, folder, getattr(request.module, "SPEC", SPEC), ready, over))
        except BaseException as error:  # noqa: BLE001  # told to the test that waits
            failed.append(error)
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(WITHIN_S)
        assert not failed, failed
        yield made
    finally:
        over.set()
        thread.join(WITHIN_S)


@dataclass
class Looking:
    """A page, and whatever went wrong in it."""

    page: Page
    console: Console
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def login(self, name: str = "admin", password: str = PASSWORD, path: str = f"{HERE}/") -> None:
        """With the session of whoever was here before, which spares the page; as a person does where it is over."""
        if sessions := self.console.sessions.get(name):
            self.page.context.add_cookies(sessions)
            self.page.goto(self.console.url + path)
            if self.page.url == self.console.url + path:
                return
        self.login_as_a_person(name, password, path)

    def login_as_a_person(self, name: str = "admin", password: str = PASSWORD, path: str = f"{HERE}/") -> None:
        """By the page."""
        self.page.goto(self.console.url + path)
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Log in").click()
        self.page.wait_for_url(self.console.url + path)
        self.console.sessions[name] = [one for one in self.page.context.cookies() if one["name"] in OF_A_SESSION]


@pytest.fixture
def looking(browser: Browser, console: Console) -> Iterator[Looking]:
    """A fresh browser without cookies; the test fails if a page asks for anything elsewhere or complains."""
    context = browser.new_context(ignore_https_errors=True, viewport={"width": 1440, "height": 900}, locale="en-GB")
    context.set_default_timeout(BY_THEN_MS)
    pytest.importorskip("playwright.sync_api").expect.set_options(timeout=BY_THEN_MS)
    page = context.new_page()
    made = Looking(page, console)
    page.on("request", lambda request: made.asked.append(request.url))
    page.on("pageerror", lambda error: made.said.append(str(error)))
    page.on("console", lambda message: made.said.append(message.text) if message.type == "error" else None)
    yield made
    context.close()
    assert all(one.startswith((console.url, "data:")) for one in made.asked), made.asked
    complaints = [one for one in made.said if "Failed to load resource" not in one]
    assert not complaints, made.said
