"""A controller in a thread of its own, with agents in memory, and the command line in front of it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.controller.world import PASSWORD, World, running
from tests.rollout.agents import Agents
from typer.testing import CliRunner, Result

from holdfast.cli.main import app
from holdfast.client.profile import Profile, write_profile
from holdfast.client.trust import fingerprint_of

T = TypeVar("T")

WITHIN_S = 60


@dataclass
class Controlled:
    """The controller, its agents, and where the user's profile lies."""

    world: World
    agents: Agents
    loop: asyncio.AbstractEventLoop
    folder: Path

    def run(self, *words: str, stdin: str = "") -> Result:
        """`holdfast WORDS…`, in this process."""
        environment = {
            "HOLDFAST_PROFILE": str(self.folder / "profile.json"),
            "HOLDFAST_CONTROLLER": "",
            "HOLDFAST_CLUSTER": "",
            "COLUMNS": "200",
            "NO_COLOR": "1",
        }
        return CliRunner().invoke(app, list(words), input=stdin, env=environment)

    def well(self, *words: str, stdin: str = "") -> str:
        """The same, which has to go well; what it printed."""
        done = self.run(*words, stdin=stdin)
        assert done.exit_code == 0, (done.output, done.stderr, done.exception)
        return done.stdout

    def there(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Done where the controller runs."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(WITHIN_S)

    def log_in(self) -> None:
        """As the administrator."""
        fingerprint = fingerprint_of(self.world.authority)
        words = ("login", self.world.url, "--name", "admin", "--password-stdin", "--fingerprint", fingerprint)
        self.well(*words, stdin=f"{PASSWORD}\n")


@contextmanager
def controlled(folder: Path) -> Iterator[Controlled]:
    """A controller on a store in memory; agents carry out what it assigns. Ended, and waited for, afterwards.

    Its key file is `controller.key` in `folder`, beside the profile.
    """
    made: Future[tuple[Controlled, asyncio.Event]] = Future()

    async def live() -> None:
        end = asyncio.Event()
        async with running(folder=folder) as world:
            await world.admin()
            agents = Agents(world.store, {"www": "lb01"})
            async with agents.there():
                made.set_result((Controlled(world, agents, asyncio.get_running_loop(), folder), end))
                await end.wait()

    with ThreadPoolExecutor(max_workers=1) as threads:
        living = threads.submit(asyncio.run, live())
        either: list[Future[Any]] = [made, living]
        wait(either, WITHIN_S, FIRST_COMPLETED)
        if living.done():
            living.result()
        there, end = made.result(timeout=0)
        try:
            yield there
        finally:
            there.loop.call_soon_threadsafe(end.set)
        living.result(WITHIN_S)


def token_profile(folder: Path, controlled: Controlled, token: str) -> None:
    """A profile of somebody who comes with an API token."""
    profile = Profile(controllers=(controlled.world.url,), authority=controlled.world.authority, token=token)
    write_profile(folder / "profile.json", profile)
