"""Who looks is told, by whichever controller, as often as asked; what nobody looks at costs next to nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from tests.agent.daemon.stand_in import until
from tests.agent.realtime.test_looker import Clock, InForce, Kernel

from holdfast.agent.daemon import realtime as module
from holdfast.agent.daemon.connection import understood
from holdfast.agent.daemon.realtime import Realtime, unsent, written
from holdfast.agent.daemon.wire import Controller
from holdfast.agent.host.port import Places
from holdfast.agent.realtime.looker import Looker
from holdfast.errors import ControllerUnreachable, NotTaken
from holdfast.protocol.realtime import (
    LARGEST_SAMPLE,
    MOST_FILTERS,
    MOST_VALUES,
    Sample,
    TableServer,
    TableService,
    Watch,
    Watching,
    WebKind,
    WebRow,
)
from holdfast.protocol.realtime_ring import Ring

pytestmark = pytest.mark.whole  # nobody is told more often than each second

ONE, TWO = "https://one:8443", "https://two:8443"


@dataclass
class Controllers:
    """What each takes: the name of the controller there, or None for one that is gone."""

    names: dict[str, str | None]
    told: list[tuple[str, Sample]] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    held: dict[str, asyncio.Event] = field(default_factory=dict)  # until then, it takes nothing and says nothing

    def connect(self, url: str) -> Controller:
        return cast(Controller, _There(self, url))


@dataclass
class _There:
    all: Controllers
    url: str

    async def sample(self, body: bytes) -> None:
        self.all.tried.append(self.url)
        if self.url in self.all.held:
            await self.all.held[self.url].wait()
        name = self.all.names[self.url]
        if name is None:
            raise ControllerUnreachable("gone", "")
        said = Sample.model_validate_json(body)
        if said.controller != name:
            raise NotTaken("nobody looks here", "")
        self.all.told.append((self.url, said))

    async def close(self) -> None:
        self.all.closed.append(self.url)


def play(tmp_path: Path, names: dict[str, str | None], story: Callable[[Realtime, Controllers], Any]) -> Kernel:
    """A node whose kernel has a table, and its controllers."""
    clock = Clock()
    kernel = Kernel(clock)

    def looker(places: Places) -> Looker:
        return Looker(places, lambda: kernel, InForce(directs=True))

    async def played() -> None:
        controllers = Controllers(names)
        realtime = Realtime("lb01", Places(tmp_path), controllers.connect, tuple(names), looker)
        running = asyncio.create_task(realtime.keep())
        try:
            await story(realtime, controllers)
        finally:
            running.cancel()
            await asyncio.wait({running})

    asyncio.run(played())
    return kernel


def watch(*names: str, find: tuple[str, ...] = ()) -> Watch:
    return Watch(watching=tuple(Watching(controller=name, every_s=1.0, connections=find) for name in names))


def test_while_nobody_looks_nobody_is_told(tmp_path: Path) -> None:
    async def story(realtime: Realtime, controllers: Controllers) -> None:
        realtime.connected(ONE)
        await until(lambda: realtime._looker.brief_at > 0, "a look for the history")
        assert controllers.tried == []

    once = ["table", "close"]  # … or twice, where ten seconds have ended meanwhile
    assert play(tmp_path, {ONE: "one"}, story).asked in (once, ["table", *once])


def test_whoever_looks_is_told_again_and_again_and_then_no_more(tmp_path: Path) -> None:
    async def story(realtime: Realtime, controllers: Controllers) -> None:
        realtime.connected(ONE)
        realtime.watch(watch("one", find=("10.9",)))
        await until(lambda: len(controllers.told) >= 2, "samples")
        first, second = (said for _, said in controllers.told[:2])
        assert (first.seconds, first.services[0].source) == (0.0, "shop")
        assert second.seconds > 0
        assert [one.find for one in second.connections] == ["10.9"]
        realtime.watch(Watch())
        await until(lambda: controllers.closed == [ONE], "the connection is let go")
        told = len(controllers.told)
        await asyncio.sleep(1.3)
        assert len(controllers.told) <= told + 1  # one may have been on its way

    play(tmp_path, {ONE: "one"}, story)


def test_a_controller_that_the_stream_does_not_come_from_is_found_among_all(tmp_path: Path) -> None:
    async def story(realtime: Realtime, controllers: Controllers) -> None:
        realtime.connected(ONE)
        realtime.watch(watch("two", find=("x",)))
        await until(lambda: len(controllers.told) >= 2, "samples")
        assert {url for url, _ in controllers.told} == {TWO}
        assert controllers.tried.count(ONE) == 1  # it was asked once, and not again

    play(tmp_path, {ONE: "one", TWO: "two", "https://gone:8443": None}, story)


def test_two_controllers_get_what_each_asked_for(tmp_path: Path) -> None:
    async def story(realtime: Realtime, controllers: Controllers) -> None:
        realtime.connected(ONE)
        a, b = Watching(controller="one", every_s=1, connections=("a",)), Watching(controller="two", every_s=1)
        realtime.watch(Watch(watching=(a, b)))
        await until(lambda: len({url for url, _ in controllers.told}) == 2, "both")
        for url, said in controllers.told:
            assert [one.find for one in said.connections] == (["a"] if url == ONE else [])

    play(tmp_path, {ONE: "one", TWO: "two"}, story)


def test_as_many_controllers_as_may_look_ask_as_much_as_each_may(tmp_path: Path) -> None:
    async def story(realtime: Realtime, controllers: Controllers) -> None:
        asks = [
            Watching(controller=name, connections=tuple(f"{name} {number}" for number in range(MOST_FILTERS)))
            for name in ("one", "two")
        ]
        realtime.watch(Watch(watching=tuple(asks)))
        await until(lambda: len({url for url, _ in controllers.told}) == 2, "both")
        for url, said in controllers.told:
            asked = asks[url == TWO].connections
            assert [one.find for one in said.connections] == list(asked)

    play(tmp_path, {ONE: "one", TWO: "two"}, story)


def test_a_controller_that_says_nothing_keeps_nobody_else_waiting_and_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TOLD_WITHIN_S", 1000.0)

    async def story(realtime: Realtime, controllers: Controllers) -> None:
        controllers.held[TWO] = asyncio.Event()
        realtime.connected(ONE)
        realtime.watch(watch("one", "two"))
        await until(lambda: len(controllers.told) >= 3, "samples")
        assert {url for url, _ in controllers.told} == {ONE}
        assert controllers.tried.count(TWO) == 1
        realtime.watch(watch("one"))
        controllers.held[TWO].set()  # it is found when nobody looks by it any more
        await until(lambda: TWO in controllers.closed, "the connection is let go")

    play(tmp_path, {ONE: "one", TWO: "two"}, story)


def test_who_looks_is_told_anew_and_the_node_does_not_look_more_often_for_it(tmp_path: Path) -> None:
    async def story(realtime: Realtime, controllers: Controllers) -> None:
        realtime.connected(ONE)
        realtime.watch(watch("one"))
        await until(lambda: bool(controllers.told), "a sample")
        telling = realtime._tellings["one"]
        due = telling.due
        realtime.watch(watch("one"))
        assert telling.due == due
        realtime._waits_s = 1000.0  # the last look was dear
        realtime.watch(watch("one", "two", find=("new",)))
        dues = {name: one.due - realtime._sampled for name, one in realtime._tellings.items()}
        assert dues == {"one": pytest.approx(1000.0), "two": pytest.approx(1000.0)}
        realtime._waits_s = 0.1
        realtime.watch(watch("one", find=("newer",)))
        await until(lambda: [one.find for one in controllers.told[-1][1].connections] == ["newer"], "an answer")

    play(tmp_path, {ONE: "one", TWO: "two"}, story)


def test_what_is_wrong_with_a_look_does_not_end_the_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is: here a fault in the program itself."""

    def wrong(self: Looker, node: str, questions: object) -> Sample:
        raise ZeroDivisionError

    monkeypatch.setattr(module, "BUCKET_S", 0.01)

    async def story(realtime: Realtime, controllers: Controllers) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Looker, "sample", wrong)
            realtime.watch(watch("one"))
            await until(lambda: "ZeroDivision" in realtime._unable, "it is noticed")
        await until(lambda: bool(controllers.told), "a sample")

    play(tmp_path, {ONE: "one"}, story)


def test_with_the_stream_everybody_who_looked_is_gone(tmp_path: Path) -> None:
    async def story(realtime: Realtime, controllers: Controllers) -> None:
        realtime.connected(ONE)
        realtime.watch(watch("one"))
        await until(lambda: bool(controllers.told), "a sample")
        realtime.connected(None)
        await until(lambda: controllers.closed == [ONE], "the connection is let go")

    play(tmp_path, {ONE: "one"}, story)


def test_a_controller_that_cannot_be_found_is_not_looked_for_all_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SEARCH_AGAIN_S", 1000.0)

    async def story(realtime: Realtime, controllers: Controllers) -> None:
        realtime.connected(ONE)
        realtime.watch(watch("three"))
        await until(lambda: len(controllers.tried) == 2, "both are asked")
        await asyncio.sleep(1.5)
        assert sorted(controllers.tried) == [ONE, TWO]

    play(tmp_path, {ONE: "one", TWO: "two"}, story)


def test_an_agent_understands_who_looks() -> None:
    assert understood(watch("one").model_dump_json().encode()) == watch("one")


def test_the_history_is_told_newest_first_in_pieces_and_only_once() -> None:
    ring = Ring()
    for number in range(5):
        ring.add(number, {f"s{each}": (1.0, None, None, None) for each in range(MOST_VALUES // 15)})
    assert [one.number for one in unsent(ring, {4})] == [3, 2, 1, 0]
    for number in range(5, 80):
        ring.add(number, {f"s{each}": (1.0, None, None, None) for each in range(MOST_VALUES // 15)})
    assert [one.number for one in unsent(ring, set())] == list(range(79, 63, -1))


def test_a_sample_that_is_too_large_is_cut_and_says_so() -> None:
    server = TableServer(name="x" * 190, address="10.0.0.1", weight=1)
    services = tuple(TableService(name=f"{number}", servers=(server,) * 100) for number in range(220))
    web = (WebRow(engine="nginx", kind=WebKind.SERVER, name="a"),) * 3
    body = written(Sample(node="lb01", controller="one", services=services, web=web))
    assert len(body) <= LARGEST_SAMPLE
    cut = Sample.model_validate_json(body)
    assert (len(cut.services), len(cut.web), cut.left_out) == (110, 1, 110 * 101 + 2)
    assert body.startswith(b'{"version":1,')
