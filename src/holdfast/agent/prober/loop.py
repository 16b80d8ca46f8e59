"""The prober's loop: asks, counts, and has the marks written; every decision is made in `decide`."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import time
from datetime import UTC, datetime

from pydantic import ValidationError

from holdfast.agent.files import replace
from holdfast.agent.generations import Generations
from holdfast.agent.prober.ask import ask
from holdfast.agent.prober.decide import BURST, next_reload
from holdfast.agent.prober.mailer import Mailer
from holdfast.agent.prober.marks import NotNow, unfinished, write_marks
from holdfast.agent.prober.status_file import ProberStatus, digest_of, status_path
from holdfast.agent.prober.watched import WatchedPool
from holdfast.agent.server_lists import backups_in, down_in, list_path, taken_out
from holdfast.agent.services.base import Node
from holdfast.bundle import PROBER_FILE, ProbedPool, ProbedPools, ProbedServer
from holdfast.errors import ApplyError, HoldfastError
from holdfast.sentences import Sentence

_LOG = logging.getLogger(__name__)
_AT_ONCE = 256  # questions on their way; servers that do not answer each take one for their timeout
_LONGEST_WAIT_S = 86_400.0
_LOOK_EVERY_S = 0.5  # whether another generation is in use, and whether there is something new to say
_BUSY_S = 0.25
_TROUBLE_S = (2.0, 60.0)  # after nginx refused: first, and at most


class Prober:
    """One node's. `node` is what writes and reloads; `run` ends at SIGTERM."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._generations = Generations(node.places)
        self._generation = ""
        self._digest = ""
        self._pools: dict[str, WatchedPool] = {}
        self._trouble = ""
        self._said = ""
        self._lists: dict[str, tuple[tuple[tuple[int, int, int], ...], frozenset[str]]] = {}  # by pool
        self._askers: list[asyncio.Task[None]] = []
        self._wake = asyncio.Event()
        self._broke = asyncio.Event()
        self._places_free = asyncio.Semaphore(_AT_ONCE)
        self._mailer = Mailer()

    async def run(self) -> None:
        """Until SIGTERM; raises ApplyError where there is nothing to work by, OSError where it cannot write."""
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._read_again)
        self._read()
        duties = [asyncio.create_task(duty) for duty in (self._look(), self._mark(), stop.wait(), self._broke.wait())]
        done, _ = await asyncio.wait(duties, return_when=asyncio.FIRST_COMPLETED)
        asked = [task for task in self._askers if task.done() and not task.cancelled()]
        for task in (*duties, *self._askers):
            task.cancel()
        await asyncio.gather(*duties, *self._askers, return_exceptions=True)
        await asyncio.to_thread(self._mailer.stop)
        for task in (*done, *asked):  # what must not happen ends the process, which is then started anew
            task.result()

    # what to ask

    def _read_again(self) -> None:
        try:
            self._read()
        except (HoldfastError, OSError) as error:  # an apply is on its way, or took the prober out: it is told soon
            _LOG.warning("goes on with what it knows: %s", error)

    def _read(self) -> None:
        generation = self._generations.current()
        if generation is None:
            raise ApplyError("no generation is in use", "apply a bundle")
        content = (self._generations.folder(generation) / "prober" / os.path.basename(PROBER_FILE)).read_bytes()
        try:
            wanted = ProbedPools.model_validate_json(content)
        except ValidationError as error:
            raise ApplyError(Sentence("%(file)s is damaged", file=PROBER_FILE), "apply the bundle again") from error
        known, self._pools = self._pools, {pool.pool: self._watch(pool, generation) for pool in wanted.pools}
        self._mailer.address(wanted.mail)
        for name in known.keys() & self._pools.keys():
            self._pools[name].remember(known[name])
        self._generation, self._digest = generation, digest_of(content)
        self._lists = {}
        self._see_overrides()
        self._ask_all()
        self._said = ""
        self._say()
        self._wake.set()
        _LOG.info("asks the servers of %s (generation %s)", ", ".join(self._pools) or "no pool", generation)

    def _watch(self, pool: ProbedPool, generation: str) -> WatchedPool:
        folder = self._generations.folder(generation) / "nginx" / "servers"
        texts = [(folder / os.path.basename(list_path(name))).read_text(errors="replace") for name in pool.upstreams]
        down = frozenset[str]().union(*map(down_in, texts))
        backups = frozenset[str]().union(*map(backups_in, texts))
        return WatchedPool(pool, down, backups, time.monotonic, _today)

    def _ask_all(self) -> None:
        for task in self._askers:
            task.cancel()
        self._askers = [
            asyncio.create_task(self._keep_asking(pool, endpoint, server))
            for pool in self._pools.values()
            for endpoint, server in pool.servers.items()
        ]
        for task in self._askers:
            task.add_done_callback(self._asker_ended)

    def _asker_ended(self, task: asyncio.Task[None]) -> None:
        """A server that is not asked any more would stay as it is for ever."""
        if not task.cancelled():
            self._broke.set()

    async def _keep_asking(self, pool: WatchedPool, endpoint: str, server: ProbedServer) -> None:
        """Spread over the interval, and never slower than it: `fall` × `every` is a promise."""
        check = pool.pool.check
        every = min(check.every_ms / 1000, _LONGEST_WAIT_S)
        await asyncio.sleep(random.uniform(0, every))
        while True:  # ends: when it is cancelled
            started = time.monotonic()
            async with self._places_free:
                good, said = await ask(server, check)
            if pool.answered(endpoint, good, said):
                state = "up" if pool.is_up(endpoint) else "down"
                _LOG.info("%s of pool %s is %s: %s", endpoint, pool.pool.pool, state, said)
                self._mailer.tell(pool.change(endpoint))
            if pool.wanted != pool.marked:
                self._wake.set()
            await asyncio.sleep(max(0.0, started + every * random.uniform(0.9, 1.0) - time.monotonic()))

    # what nginx is told

    async def _mark(self) -> None:
        past: list[float] = []
        since: float | None = None
        not_before, trouble_s = 0.0, _TROUBLE_S[0]
        while True:  # ends: when it is cancelled
            if not self._unmarked() and not unfinished(self._node.places).exists():
                since = None
                self._wake.clear()
                await self._wake.wait()
                continue
            now = time.monotonic()
            since = now if since is None else since
            due = max(next_reload(since, past), not_before)
            if now < due:
                await asyncio.sleep(due - now)
                continue
            try:
                if await self._write():
                    past = [*past, now][-BURST:]
                since, trouble_s, self._trouble = None, _TROUBLE_S[0], ""
            except NotNow:
                not_before = time.monotonic() + _BUSY_S
            except HoldfastError as error:
                past = [*past, now][-BURST:]
                not_before, trouble_s = time.monotonic() + trouble_s, min(2 * trouble_s, _TROUBLE_S[1])
                self._trouble = error.message
                _LOG.error("the marks could not be set: %s", error.message)

    def _unmarked(self) -> bool:
        return any(pool.wanted != pool.marked for pool in self._pools.values())

    async def _write(self) -> bool:
        """Every pool as it should be now, in one reload; what changes meanwhile waits for the next."""
        pools = tuple(self._pools.values())
        wanted = {pool.pool.pool: pool.wanted for pool in pools}
        lists = {upstream: wanted[pool.pool.pool] for pool in pools for upstream in pool.pool.upstreams}
        reloaded = await asyncio.to_thread(write_marks, self._node, self._generation, lists)
        for pool in pools:
            if pool.marked != wanted[pool.pool.pool]:
                out = ", ".join(sorted(wanted[pool.pool.pool])) or "none"
                _LOG.info("pool %s: nginx leaves out %s", pool.pool.pool, out)
            pool.marked = wanted[pool.pool.pool]
        self._say()
        return reloaded

    # what others see

    async def _look(self) -> None:
        while True:  # ends: when it is cancelled
            if self._generations.current() not in (self._generation, None):
                self._read_again()
            self._see_overrides()
            self._say()
            await asyncio.sleep(_LOOK_EVERY_S)

    def _see_overrides(self) -> None:
        """The agent writes into the same lists who is taken out: that counts for how many others must stay."""
        for pool in self._pools.values():
            try:
                out = self._taken_out(pool.pool)
            except OSError:  # the generation has just gone: the next look reads another one
                continue
            if out != pool.out:
                pool.out = out
                self._wake.set()

    def _taken_out(self, pool: ProbedPool) -> frozenset[str]:
        """Read anew only where a list was replaced."""
        folder = self._generations.folder(self._generation) / "nginx" / "servers"
        paths = [folder / os.path.basename(list_path(name)) for name in pool.upstreams]
        stats = tuple((one.st_ino, one.st_mtime_ns, one.st_size) for one in map(os.stat, paths))
        known, out = self._lists.get(pool.pool, ((), frozenset[str]()))
        if stats != known:
            out = frozenset[str]().union(*(taken_out(path.read_text(errors="replace")) for path in paths))
            self._lists[pool.pool] = (stats, out)
        return out

    def _say(self) -> None:
        status = ProberStatus(
            pid=os.getpid(),
            digest=self._digest,
            generation=self._generation,
            trouble=self._trouble,
            pools=tuple(pool.facts() for pool in self._pools.values()),
        )
        text = status.model_dump_json(indent=1)
        if text == self._said:
            return
        try:
            replace(status_path(self._node.places), text.encode())
        except OSError as error:  # a full disk keeps nobody from asking on
            _LOG.warning("the status cannot be written: %s", error)
        self._said = text


def _today() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
