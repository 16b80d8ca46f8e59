"""What the agent knows is never older than what it was told last, however long a look takes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

from tests.agent.daemon.stand_in import bundle, desired, until
from tests.agent.services.fakes import FakeManager

from holdfast.agent.daemon.state import State
from holdfast.agent.daemon.wire import Controller
from holdfast.agent.daemon.work import Work
from holdfast.agent.down import Down, Logged, Question
from holdfast.agent.host.fake import FakeHost
from holdfast.agent.host.port import Places
from holdfast.agent.services.base import Node
from holdfast.bundle import Probe, ProbedServer
from holdfast.errors import ApplyError
from holdfast.protocol import AgentReport, NodeStatus, OverrideKind, OverrideReport, WeighedServer

DOWN = WeighedServer(virtual_server="shop", source="shop", server="a", wanted=1)


class Director(Work):
    """A node on which one server is down, whose port is asked why."""

    port = 0

    def overrides_now(self) -> OverrideReport:
        return OverrideReport(node="lb01", done=True, servers=(DOWN,))

    def downs_now(self, found: OverrideReport) -> tuple[tuple[Down, ...], Mapping[tuple[str, str], Logged]]:
        server = ProbedServer.model_validate({"name": "server", "address": "127.0.0.1", "port": self.port})
        probe = Probe(http="/", every_ms=1000, timeout_ms=60_000, fall=1, rise=1)
        return (Down(0, ("x", "shop"), server, Question("http /", probe)),), {}


def test_what_comes_in_while_a_server_is_asked_why_it_is_down_is_kept(tmp_path: Path) -> None:
    async def story() -> None:
        asked, answers = asyncio.Event(), asyncio.Event()

        async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.set()
            await answers.wait()
            writer.write(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(slow, "127.0.0.1", 0)
        work = Director(Node(FakeHost(), Places(tmp_path), FakeManager()))
        work.port = server.sockets[0].getsockname()[1]
        state = State("shop", "lb01", work)
        try:
            looks = asyncio.create_task(state.refresh())
            async with asyncio.timeout(120):
                await asked.wait()
                await looks  # it does not wait for the answer
                reported = state.known.override_report
                assert reported is not None
                assert reported.servers[0].why is None
                state.known = replace(state.known, desired=desired(7, bundle("1")), paused=True)
                await state.refresh()  # another look does not lose what the first one finds
                answers.set()
                await until(lambda: _answer(state) == "answers 503", "why")
            assert state.known.desired is not None
            assert state.known.desired.fence.number == 7
            assert state.known.paused
            await state.refresh()
            assert _answer(state) == "answers 503"  # until it is known anew
        finally:
            answers.set()
            server.close()
            state.end()

    asyncio.run(story())


class Blind(Director):
    """A node that can be looked at, and then cannot."""

    sees = True

    def status(self) -> NodeStatus:
        if not self.sees:
            raise ApplyError("the service manager does not answer")
        return NodeStatus(node="lb01")


def test_a_node_that_cannot_be_looked_at_is_not_said_to_be_as_it_was(tmp_path: Path) -> None:
    async def story() -> None:
        work = Blind(Node(FakeHost(), Places(tmp_path), FakeManager()))
        state = State("shop", "lb01", work)
        try:
            await state.refresh()
            seen = state.present()
            assert seen.status is not None
            assert seen.overrides is not None
            work.sees = False
            await state.refresh()
            told = state.present()
            assert (told.status, told.overrides, state.sees) == (None, None, False)
            work.sees = True
            await state.refresh()
            assert (state.present().status is not None, state.sees) == (True, True)
        finally:
            state.end()

    asyncio.run(story())


def _answer(state: State) -> str | None:
    report = state.known.override_report
    why = report.servers[0].why if report is not None else None
    return why.answer if why is not None else None


class Emptying(Work):
    """A director with one drained server, whose connections a test sets."""

    left = 3

    def overrides_now(self) -> OverrideReport:
        row = WeighedServer(
            virtual_server="shop",
            source="shop",
            server="a",
            kind=OverrideKind.DRAINED,
            wanted=0,
            weight=0,
            open=self.left,
        )
        return OverrideReport(node="lb01", done=True, servers=(row,))


class Slow:
    """A controller that takes a report when it is told to."""

    def __init__(self) -> None:
        self.taken: list[int | None] = []
        self.may = asyncio.Event()

    async def report(self, report: AgentReport) -> None:
        assert report.overrides is not None
        await self.may.wait()
        self.taken.append(report.overrides.servers[0].open)


def test_what_a_server_still_has_is_told_when_it_changed_and_never_piles_up(tmp_path: Path) -> None:
    async def story() -> None:
        work = Emptying(Node(FakeHost(), Places(tmp_path), FakeManager()))
        state, controller = State("shop", "lb01", work), Slow()
        state.known = replace(state.known, override_report=work.overrides_now())
        delivery = asyncio.create_task(state.outbox.deliver(cast(Controller, controller)))
        try:
            await asyncio.sleep(0)
            for left in (3, 2, 1):  # the first report is not taken yet
                work.left = left
                await state.recount()
            controller.may.set()
            await until(lambda: not state.outbox.waiting)
            assert controller.taken == [3]
            for left in (1, 1, 0, 0):
                work.left = left
                await state.recount()
                await until(lambda: not state.outbox.waiting)
            assert controller.taken == [3, 1, 0]
        finally:
            delivery.cancel()
            await asyncio.gather(delivery, return_exceptions=True)
            state.end()

    asyncio.run(story())
