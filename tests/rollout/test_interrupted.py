"""A leader that dies at any moment of a rollout: its successor goes on, and nobody can tell."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from tests.rollout.agents import PAIR, Agents, revision_of
from tests.rollout.test_lead import cluster, leader
from tests.rollout.virtual import run

from holdfast.errors import LeaseLost, StoreUnavailable, StoreUnsure
from holdfast.rollout.lead import run_rollout
from holdfast.rollout.propose import propose_rollout
from holdfast.rollout.records import RolloutPhase, RolloutRecord
from holdfast.store.holding import Held
from holdfast.store.memory import MemoryEngine
from holdfast.store.port import Check, Write
from holdfast.store.store import Store


class Died(BaseException):
    """As kill -9: nothing that would catch an error sees it."""


class Mortal:
    """An engine whose process dies at its nth commit, before it or after: then the commit happened, unknown to it.

    With another `error`, it lives on and is told that.
    """

    def __init__(self, engine: MemoryEngine, dies_at: int, after: bool, error: BaseException) -> None:
        self._engine, self._dies_at, self._after, self._error = engine, dies_at, after, error
        self.commits = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)

    async def commit(self, checks: Sequence[Check], writes: Sequence[Write]) -> int:
        self.commits += 1
        dies = self.commits == self._dies_at
        if dies and not self._after:
            self._end()
        version = await self._engine.commit(checks, writes)
        if dies:
            self._end()
        return version

    def _end(self) -> None:
        raise self._error


async def interrupted(
    dies_at: int, *, after: bool, refuses: bool, error: BaseException | None = None
) -> tuple[Agents, bool]:
    """A rollout whose leader dies at a commit, and its successor; whether it died at all."""
    agents = await cluster(refuses={("lb01", 2)} if refuses else set())
    engine = agents.store.engine
    assert isinstance(engine, MemoryEngine)
    made = await propose_rollout(agents.store, "shop", revision=2, bundles=revision_of("two", PAIR), author="ann")
    held = await leader(agents.store)
    mortal = Mortal(engine, dies_at, after, error or Died())
    store = Store(mortal, agents.store.clock, agents.store.identity)  # type: ignore[arg-type]  # passes everything on
    record: RolloutRecord | None = None
    async with agents.there():
        try:
            record = await run_rollout(store, "shop", made.id, held)
        except StoreUnavailable:  # whoever leads tries again when the store is there again
            record = await run_rollout(store, "shop", made.id, held)
        except Died:
            await agents.store.holdings.release(held)
            record = await run_rollout(agents.store, "shop", made.id, await leader(agents.store, "two"))
            # What has ended stays as it is.
            again = await run_rollout(agents.store, "shop", made.id, await _other(agents))
            assert again == record
    assert record.phase is (RolloutPhase.PUT_BACK if refuses else RolloutPhase.SUCCEEDED), record.reason
    return agents, mortal.commits >= dies_at


async def _other(agents: Agents) -> Held:
    await agents.store.engine.revoke((await agents.store.holdings.present.all())[0].lease)
    return await leader(agents.store, "three")


@pytest.mark.parametrize("refuses", [False, True], ids=["goes well", "second node refuses"])
@pytest.mark.parametrize("after", [False, True], ids=["before the commit", "after the commit"])
def test_a_successor_goes_on_from_every_step(after: bool, refuses: bool) -> None:
    """All commits of a rollout, one by one, until one does not happen any more."""
    dies_at, died = 0, True
    while died:  # ends: a rollout takes a bounded number of commits
        dies_at += 1
        assert dies_at < 60
        agents, died = run(interrupted(dies_at, after=after, refuses=refuses))
        # No node is told anything twice, standby comes first, and never both at a time.
        assert agents.log == (["lb02 2", "lb02 1"] if refuses else ["lb02 2", "lb01 2"]), f"at commit {dies_at}"
        assert frozenset({"lb01", "lb02"}) not in agents.most_busy
        wanted = revision_of("one" if refuses else "two", PAIR)
        assert {node: each.digest for node, each in agents.running.items()} == {n: b.digest for n, b in wanted.items()}
        assert set(agents.holders.values()) == {"lb01"}
    assert dies_at > 12  # there was something to interrupt


@pytest.mark.parametrize("after", [False, True], ids=["it did not happen", "it happened"])
def test_nobody_knows_whether_a_write_happened(after: bool) -> None:
    for dies_at in range(1, 20, 3):
        unsure = StoreUnsure("the connection broke in the middle of a write")
        agents, _ = run(interrupted(dies_at, after=after, refuses=False, error=unsure))
        assert agents.log == ["lb02 2", "lb01 2"], f"at commit {dies_at}"


def test_a_store_that_is_away_for_a_moment() -> None:
    for dies_at in range(1, 20, 3):
        away = StoreUnavailable("no quorum")
        agents, _ = run(interrupted(dies_at, after=False, refuses=False, error=away))
        assert agents.log == ["lb02 2", "lb01 2"], f"at commit {dies_at}"


def test_a_leader_that_was_paused_and_does_not_know_of_its_successor() -> None:
    async def scenario() -> None:
        agents = await cluster()
        made = await propose_rollout(agents.store, "shop", revision=2, bundles=revision_of("two", PAIR), author="ann")
        held = await leader(agents.store)
        async with agents.there():
            first = asyncio.create_task(run_rollout(agents.store, "shop", made.id, held))
            while "lb02 2" not in agents.log:
                await asyncio.sleep(0.01)
            await agents.store.holdings.release(held)
            record = await run_rollout(agents.store, "shop", made.id, await leader(agents.store, "two"))
            # Unless the first one saw its end, as any reader may, it has found out that it leads no more.
            (ended,) = await asyncio.gather(first, return_exceptions=True)
        assert isinstance(ended, LeaseLost) or ended == record
        assert record.phase is RolloutPhase.SUCCEEDED
        assert agents.log == ["lb02 2", "lb01 2"]

    run(scenario())
