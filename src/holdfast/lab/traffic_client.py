"""The users of the site, as a process of its own in the client's network namespace (python -m … , plan on stdin).

Open loop: requests are due at a steady rate whatever became of the earlier ones. Every request is written down, and so
is every moment in which this process itself was late, so that a busy machine is not blamed on the cluster.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
from collections import deque
from dataclasses import dataclass, replace
from time import monotonic

from holdfast.lab.traffic_http import Answer, MalformedError
from holdfast.lab.traffic_long import LiveConnection
from holdfast.lab.traffic_other import OtherUsers
from holdfast.lab.traffic_records import (
    CLASSES,
    Finished,
    Late,
    Outstanding,
    Pause,
    Record,
    RequestClass,
    TargetListener,
    TrafficPlan,
    finished_line,
    late_line,
    listener_from_json,
    outstanding_line,
    pause_line,
    record_line,
)
from holdfast.lab.traffic_sockets import Dialer, FailedError, error_kind

HEARTBEAT_S = 0.02
LATE_S = 0.05  # a heartbeat that comes this much too late is written down
FLUSH_S = 0.1
_MOST_BEHIND_S = 1.0  # requests that are overdue by more are left out (and counted), not sent in a burst


class Connection(asyncio.Protocol):
    """One connection with at most one request on it at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.closed = False
        self.first_byte = 0.0
        self._answer: Answer | None = None
        self._waiter: asyncio.Future[Answer] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    async def ask(self, request: bytes) -> Answer:
        """Send and wait for the whole answer; raises FailedError."""
        if self.closed or self.transport is None:
            raise FailedError("closed", unanswered=True)
        self._answer, self.first_byte = Answer(), 0.0
        self._waiter = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        try:
            return await self._waiter
        finally:
            self._waiter = self._answer = None

    def data_received(self, data: bytes) -> None:
        if self._waiter is None or self._answer is None:
            self.close()  # bytes that nobody asked for
            return
        self.first_byte = self.first_byte or monotonic()
        try:
            if self._answer.feed(data) and not self._waiter.done():
                self._waiter.set_result(self._answer)
        except MalformedError:
            self._fail("malformed")

    def eof_received(self) -> None:
        self.closed = True
        if self._waiter and self._answer and self._answer.end() and not self._waiter.done():
            self._waiter.set_result(self._answer)
        self._fail("closed")

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        self._fail(error_kind(error) if error else "closed")

    def close(self) -> None:
        """Drop the connection at once: what is on its way does not matter any more."""
        self.closed = True
        if self.transport:
            self.transport.abort()

    def _fail(self, kind: str) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_exception(FailedError(kind, unanswered=not (self._answer and self._answer.began)))


@dataclass
class _Try:
    """How far the present attempt of a request got."""

    connected: float = 0.0
    first_byte: float = 0.0
    repeated: bool = False


class ListenerUsers:
    """Everybody who uses one listener: those who come anew each time, and those who keep their connections."""

    def __init__(self, listener: TargetListener, plan: TrafficPlan) -> None:
        self.listener, self._plan = listener, plan
        self._idle: deque[Connection] = deque()
        self._asked = dict.fromkeys(CLASSES, 0)
        self._dialer = Dialer(listener)

    async def request(self, request_class: RequestClass) -> Record:
        """Make one request and say what came of it."""
        number = self._asked[request_class]
        self._asked[request_class] += 1
        index = number % len(self.listener.targets)
        slow = self._plan.slow_every > 0 and number % self._plan.slow_every == self._plan.slow_every - 1
        host = self.listener.targets[index].host
        data = self.listener.targets[index].request(
            keep=request_class == "kept", query=self._plan.slow_query if slow else ""
        )
        attempt, start = _Try(), monotonic()
        status, server, error = 0, "", ""
        try:
            async with asyncio.timeout(self._plan.timeout_s):
                answer = await self._exchange(request_class, host, data, attempt)
            status, server = answer.status, answer.origin
            error = f"status {status}" if status >= 400 else ""
        except TimeoutError:
            error = "timeout (no answer)" if attempt.connected else "timeout (no connection)"
        except FailedError as failed:
            error = failed.kind
        return Record(
            self.listener.name, index, request_class, start, attempt.connected, attempt.first_byte, monotonic(),
            status, server, error, attempt.repeated, slow,
        )  # fmt: skip

    async def _exchange(self, request_class: RequestClass, host: str, data: bytes, attempt: _Try) -> Answer:
        reused = self._take_idle() if request_class == "kept" else None
        if reused is not None:
            attempt.connected = monotonic()
            try:
                return await self._ask(reused, data, attempt, keep=True)
            except FailedError as failed:
                if not failed.unanswered:
                    raise
                # What browsers do: the server may close an idle connection at any time, and a GET is safe to repeat.
                attempt.repeated, attempt.connected = True, 0.0
        fresh = await self._dialer.connect(Connection, host)
        attempt.connected = monotonic()
        return await self._ask(fresh, data, attempt, keep=request_class == "kept")

    async def _ask(self, connection: Connection, data: bytes, attempt: _Try, *, keep: bool) -> Answer:
        kept = False
        try:
            answer = await connection.ask(data)
            kept = keep and answer.keep_alive and not connection.closed
            return answer
        finally:
            attempt.first_byte = connection.first_byte
            if kept and len(self._idle) < self._plan.idle_connections:
                self._idle.append(connection)
            else:
                connection.close()

    def _take_idle(self) -> Connection | None:
        while self._idle:
            connection = self._idle.popleft()
            if not connection.closed:
                return connection
        return None

    def close(self) -> None:
        """Drop the idle connections."""
        while self._idle:
            self._idle.popleft().close()


class Output:
    """Lines for the parent, gathered and written out now and then; a full pipe makes this process late, never lossy."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: list[str] = []
        self.records = 0

    def add(self, line: str) -> None:
        self._lines.append(line)
        self.records += line.startswith('["r"')

    def flush(self) -> None:
        data = memoryview("".join(self._lines).encode())
        self._lines.clear()
        while data:
            data = data[os.write(self._descriptor, data) :]


class Generator:
    """Starts requests when they are due, until told to stop, then waits for those on their way."""

    def __init__(self, plan: TrafficPlan, output: Output) -> None:
        self._plan, self._output = plan, output
        self._users: dict[str, ListenerUsers | OtherUsers] = {}
        self._tickers: list[asyncio.Task[None]] = []
        self._running: dict[asyncio.Task[None], float] = {}  # and when each began, in that order
        self._live: list[LiveConnection] = []
        self._lives: list[asyncio.Task[None]] = []
        self._beat: asyncio.TimerHandle | None = None
        self._due = self._flushed = 0.0
        self.stopping = asyncio.Event()

    def add(self, listener: TargetListener) -> None:
        """Start asking `listener`; nothing happens if a listener of that name is asked already."""
        if listener.name in self._users or not listener.targets:
            return
        plain = listener.protocol in ("tcp", "sctp")
        users = self._users[listener.name] = (ListenerUsers if plain else OtherUsers)(listener, self._plan)
        for offset, request_class in enumerate(listener.classes()):
            rate = self._plan.rate(request_class)
            if rate > 0:
                # Listeners and classes are shifted against each other, so that they do not all ask at the same moment.
                shift = (len(self._users) * 0.37 + offset * 0.5) % 1 / rate
                self._tickers.append(asyncio.create_task(self._tick(users, request_class, 1 / rate, shift)))
        for place in range(self._plan.long_connections if "long" in listener.classes() else 0):
            live = LiveConnection(listener, self._plan, place, self._tell)
            self._live.append(live)
            self._lives.append(asyncio.create_task(live.live(self.stopping, self._write)))

    def _tell(self, pause: Pause) -> None:
        self._output.add(pause_line(pause))

    def _write(self, record: Record) -> None:
        self._output.add(record_line(record))

    async def _tick(
        self, users: ListenerUsers | OtherUsers, request_class: RequestClass, period: float, shift: float
    ) -> None:
        due = monotonic() + shift
        while not self.stopping.is_set():
            wait = due - monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
                continue
            if wait < -_MOST_BEHIND_S:
                missed = int(-wait / period)
                self._output.add(late_line(Late(due, due + missed * period, missed)))
                due += missed * period
            task = asyncio.create_task(self._one(users, request_class))
            self._running[task] = monotonic()
            task.add_done_callback(self._running.pop)
            due += period

    async def _one(self, users: ListenerUsers | OtherUsers, request_class: RequestClass) -> None:
        self._write(await users.request(request_class))

    def begin(self) -> None:
        """Notice from now on when this process does not run although it should, and write out what has gathered.

        A chain of callbacks: fifty times a second, a task that sleeps would cost twice as much.
        """
        now = monotonic()
        self._due, self._flushed = now, now
        self._next_beat(now)

    def _next_beat(self, now: float) -> None:
        self._due = now + HEARTBEAT_S
        self._beat = asyncio.get_running_loop().call_at(self._due, self._heartbeat)

    def _heartbeat(self) -> None:
        now = monotonic()
        if now - self._due > LATE_S:
            self._output.add(late_line(Late(self._due, now)))
        if now - self._flushed > FLUSH_S:
            self._output.add(outstanding_line(Outstanding(now, self._oldest(now))))
            self._output.flush()
            self._flushed = now
        self._next_beat(now)

    def end(self) -> None:
        """No further heartbeat."""
        if self._beat is not None:
            self._beat.cancel()

    def _oldest(self, now: float) -> float:
        """Since when the one waits who has waited longest; `now` if nobody does."""
        silent = [live.waits_since for live in self._live if live.waits_since is not None]
        return min(next(iter(self._running.values()), now), *silent, now)

    async def finish(self) -> None:
        """Start nothing more, wait for what is on its way (no longer than the time limit of a request)."""
        self.stopping.set()
        for ticker in self._tickers:
            ticker.cancel()
        waiting = [*self._running, *self._lives]
        if waiting:
            await asyncio.wait(waiting, timeout=self._plan.timeout_s + 1)
        for live in self._lives:
            live.cancel()
        await asyncio.gather(*self._lives, return_exceptions=True)
        for users in self._users.values():
            users.close()


async def run() -> None:
    """Read the plan and then commands from stdin, one JSON object a line, until `stop` or the end of the input."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=8_000_000)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    output = Output(sys.stdout.fileno())
    first = json.loads(await reader.readline())
    generator = Generator(replace(TrafficPlan(), **first["plan"]), output)
    generator.begin()
    while line := await reader.readline():  # the end of the input means that the parent is gone
        command = json.loads(line)
        if command.get("stop"):
            break
        for listener in command.get("add", ()):
            generator.add(listener_from_json(listener))
    await generator.finish()
    generator.end()
    output.add(finished_line(Finished(output.records)))
    output.flush()


def main() -> None:
    """Entry point of the process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 65_536)), hard))
    try:
        asyncio.run(run())
    except (BrokenPipeError, KeyboardInterrupt):
        raise SystemExit(1) from None  # the parent is gone; there is nobody left to tell


if __name__ == "__main__":
    main()
