"""Who looks at this node, and what they are told: samples, each to the controller by which somebody looks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from holdfast.agent.daemon.log import LOG
from holdfast.agent.daemon.search import first_found
from holdfast.agent.daemon.thrift import give_memory_back
from holdfast.agent.daemon.wire import Controller
from holdfast.agent.host.port import Places
from holdfast.agent.realtime.looker import Looker
from holdfast.agent.steps import translated
from holdfast.errors import HoldfastError, NotTaken
from holdfast.protocol.realtime import (
    BUCKET_S,
    LARGEST_SAMPLE,
    MOST_VALUES,
    Bucket,
    Requests,
    Sample,
    Watch,
    Watching,
)
from holdfast.protocol.realtime_ring import Ring

T = TypeVar("T")

_SHARE = 0.1  # of a processor, while somebody looks: a large table is read less often
_TOLD_WITHIN_S = 10.0
_SEARCH_AGAIN_S = 5.0
_EARLY_S = 0.05


@dataclass
class Telling:
    """One controller by which somebody looks. `way` is where it was found among the node's controllers.

    `last` and `due` are of the monotonic clock: when a sample was taken for it, and when one will be.
    """

    watching: Watching
    way: Controller | None = None
    search_at: float = 0.0
    last: float = 0.0
    due: float = 0.0
    busy: bool = False  # what was seen last is being told
    sent: set[int] = field(default_factory=set)  # buckets of the history that it has


class Realtime:
    """Of one agent. `connect` opens a controller by its address; `controllers` are all of this node's."""

    def __init__(
        self,
        node: str,
        places: Places,
        connect: Callable[[str], Controller],
        controllers: Iterable[str],
        looker: Callable[[Places], Looker] = Looker,
    ) -> None:
        self._node = node
        self._connect = connect
        self._controllers = tuple(controllers)
        self._here: str | None = None  # whose stream is open
        self._tellings: dict[str, Telling] = {}
        self._left: list[Controller] = []  # those by which nobody looks any more
        self._sending: set[asyncio.Task[float]] = set()
        self._changed = asyncio.Event()
        self._looker = looker(places)
        self._thread = ThreadPoolExecutor(1, "realtime")  # the kernel's table is for one thread
        self._waits_s = 0.0  # between two samples, because of what the last one cost
        self._sampled = 0.0  # when that was
        self._looked = False  # for somebody, and what only that needs is not forgotten yet
        self._unable = ""

    def lately(self) -> Requests:
        """What this node's proxies did lately, whether somebody looks or not."""
        return self._looker.lately()

    def connected(self, controller: str | None) -> None:
        """The stream is open, or is not any more: whoever looks will be told anew over the next one."""
        self._here = controller
        if controller is None:
            self.watch(Watch())

    def watch(self, wanted: Watch) -> None:
        """Who looks now, in place of whoever did before."""
        known, self._tellings = self._tellings, {}
        for one in wanted.watching:
            telling = known.pop(one.controller, None)
            if telling is None:
                telling, asks_more = Telling(one), True
            else:
                asks_more = not set(one.connections) <= set(telling.watching.connections)
            self._tellings[one.controller] = telling
            telling.watching = one
            if asks_more:  # somebody waits for it
                telling.due = self._sampled + self._waits_s
            else:
                telling.due = min(telling.due, telling.last + max(one.every_s, self._waits_s))
        self._left += [one.way for one in known.values() if one.way is not None and not one.busy]
        self._changed.set()

    async def keep(self) -> None:
        """Until cancelled."""
        try:
            while True:  # ends: cancelled
                self._changed.clear()
                await self._wait(await self._bounded(self._once()))
        finally:
            for task in self._sending:
                task.cancel()
            await asyncio.gather(*self._sending, return_exceptions=True)
            self._thread.shutdown()
            self._looker.close()

    async def _bounded(self, what: Coroutine[Any, Any, float]) -> float:
        """Seconds until something is due, as `what` says. What goes wrong with it ends there."""
        try:
            return await what
        except Exception as error:  # noqa: BLE001  # pictures are nice to have: no fault of theirs may end the agent
            known = isinstance(error, HoldfastError)
            why = str(error) if known else repr(error)
            if why != self._unable:  # once, not every few seconds
                LOG.warning("what this node does cannot be seen", extra={"why": why}, exc_info=not known)
            self._unable = why
            return float(BUCKET_S)

    async def _once(self) -> float:
        while self._left:  # ends: it is emptied
            await self._left.pop().close()
        if self._tellings:
            return await self._tell()
        if self._looked:
            self._looked = False
            await self._run(self._looker.rest)
            give_memory_back()
        return await self._look()

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(max(0.01, seconds)):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _run(self, what: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, what)

    async def _look(self) -> float:
        """For the history alone."""
        await self._run(self._brief)
        return self._looker.brief_at - time.monotonic()

    def _brief(self) -> None:
        with translated():
            self._looker.brief()

    async def _tell(self) -> float:
        began = time.monotonic()
        free = {name: one for name, one in self._tellings.items() if not one.busy}
        due = {name: one for name, one in free.items() if one.due <= began + _EARLY_S}
        if due:
            self._looked = True
            questions = {find for one in due.values() for find in one.watching.connections}
            sample, cost_s = await self._run(lambda: self._sample(questions))
            self._sampled, self._waits_s = began, cost_s / _SHARE
            for name, one in due.items():
                if self._tellings.get(name) is one:  # still
                    one.last, one.due, one.busy = began, began + max(one.watching.every_s, self._waits_s), True
                    task = asyncio.create_task(self._bounded(self._send(name, one, sample)))
                    self._sending.add(task)
                    task.add_done_callback(self._sending.discard)
        free_at = [one.due for one in self._tellings.values() if not one.busy]  # of the others _send() gives word
        return min(free_at, default=began + BUCKET_S) - time.monotonic()

    def _sample(self, questions: Iterable[str]) -> tuple[Sample, float]:
        began = time.thread_time()
        with translated():
            found = self._looker.sample(self._node, sorted(questions))
        return found, time.thread_time() - began

    async def _send(self, name: str, telling: Telling, sample: Sample) -> float:
        """To one controller, beside all others: one that cannot be reached keeps nobody else waiting."""
        try:
            await self._told(name, telling, sample)
        finally:
            telling.busy = False
            if telling.way is None:
                telling.due = max(telling.due, telling.search_at)
            self._changed.set()
            if self._tellings.get(name) is not telling:  # nobody looks by it any more
                await self._lost(telling)
        return 0.0

    async def _told(self, name: str, telling: Telling, sample: Sample) -> None:
        """One that cannot be reached, or does not take it, is looked for again after a while."""
        body, told, kept = await self._run(lambda: self._written(name, telling, sample))
        try:
            async with asyncio.timeout(_TOLD_WITHIN_S):
                if telling.way is None or not await _taken(telling.way, body):
                    await self._lost(telling)
                    telling.way = await self._search(telling, body)
        except TimeoutError:
            await self._lost(telling)
        if telling.way is not None:
            telling.sent = (telling.sent | told) & kept

    def _written(self, name: str, telling: Telling, sample: Sample) -> tuple[bytes, set[int], set[int]]:
        """What it is told, which buckets are among that, and which there are; where the history is written to."""
        history = unsent(self._looker.ring, telling.sent)
        body = written(addressed(sample, name, telling.watching, history, self._waits_s))
        return body, {one.number for one in history}, set(self._looker.ring.numbers)

    async def _lost(self, telling: Telling) -> None:
        way, telling.way = telling.way, None
        if way is not None:
            await way.close()

    async def _search(self, telling: Telling, body: bytes) -> Controller | None:
        """The controller that takes a sample: the one whose stream is open is asked first, then the others."""
        now = time.monotonic()
        if now < telling.search_at:
            return None
        telling.search_at = now + _SEARCH_AGAIN_S
        telling.sent = set()

        async def ask(url: str) -> Controller | None:
            way = self._connect(url)
            taken = False
            try:
                taken = await _taken(way, body)
            finally:
                if not taken:
                    await way.close()
            return way if taken else None

        places = (*([self._here] if self._here else []), *self._controllers)
        return await first_found(places, ask, lambda way: way.close())


async def _taken(way: Controller, body: bytes) -> bool:
    """Whether somebody looks there. Each time over a connection of its own, or the one that was kept."""
    try:
        await way.sample(body)
    except NotTaken:
        return False
    except HoldfastError as error:
        LOG.info("a sample was not told", extra={"why": error.message})
        return False
    return True


def unsent(ring: Ring, sent: set[int]) -> tuple[Bucket, ...]:
    """What a controller does not have of the history, the newest first, and not more of it at once than is told."""
    found: list[Bucket] = []
    values = 0
    for number in reversed(ring.numbers):
        if number not in sent:
            found.append(ring.bucket(number))
            values += len(found[-1].values)
            if values > MOST_VALUES:
                break
    return tuple(found)


def addressed(
    sample: Sample, controller: str, watching: Watching, history: tuple[Bucket, ...], waits_s: float
) -> Sample:
    """A sample for one controller: with what it asked."""
    return sample.model_copy(
        update={
            "controller": controller,
            "every_s": round(max(watching.every_s, waits_s), 1),
            "history": history,
            "connections": tuple(one for one in sample.connections if one.find in watching.connections),
        }
    )


def written(sample: Sample) -> bytes:
    """As JSON that a controller takes: of one that is too large, the rows that do least are left out."""
    body = _json(sample)
    while len(body) > LARGEST_SAMPLE:  # ends: there is less of it each time
        rows, web = len(sample.services) // 2, len(sample.web) // 2
        gone = sum(1 + len(one.servers) for one in sample.services[rows:]) + len(sample.web) - web
        sample = sample.model_copy(
            update={
                "history": (),
                "services": sample.services[:rows],
                "left_out": sample.left_out + gone,
                "web": sample.web[:web],
            }
        )
        body = _json(sample)
    return body


def _json(sample: Sample) -> bytes:
    """Without what is as it is by default; but a message always says its version."""
    return f'{{"version":{sample.version},'.encode() + sample.model_dump_json(exclude_defaults=True).encode()[1:]
