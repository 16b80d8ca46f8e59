"""A controller that dies in the middle of a move: whoever follows it finishes or undoes it, and says so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.controller.operations.agents import Members, enrol
from tests.controller.operations.test_moving import THREE
from tests.controller.operations.world import SPEC, Clock, end_rollout, new_desk, request, run

from holdfast.controller.identity.auditing import SYSTEM
from holdfast.controller.operations import cut_off, moving, revisions, status
from holdfast.controller.operations.cut_off import settle
from holdfast.controller.operations.desk import Desk
from holdfast.errors import HoldfastError, LeaseLost, StoreUnavailable
from holdfast.protocol import Answer, Verb
from holdfast.protocol.api.nodes import MaintenanceRequest, MoveRequest
from holdfast.rollout import switchover
from holdfast.rollout.moves import HeldBack, MoveKind, MoveRecord
from holdfast.rollout.orders import Orders
from holdfast.rollout.records import RolloutStore
from holdfast.store.memory import MemoryEngine
from holdfast.store.port import Check, Put, Write
from holdfast.store.store import Store

Act = Callable[[Desk], Awaitable[object]]


class Died(BaseException):
    """As kill -9: nothing that would catch an error sees it."""


def _only_asks(writes: Sequence[Write]) -> bool:
    """Whether a commit asks how a node is: how often that is done depends on how quick the machine is."""
    return any(isinstance(one, Put) and b'"verb":"status"' in one.value for one in writes)


class Mortal:
    """An engine whose process dies at its nth commit, before it or after, and does nothing any more."""

    def __init__(self, engine: MemoryEngine, dies_at: int, after: bool, error: BaseException | None = None) -> None:
        self._engine, self._dies_at, self._after, self._error = engine, dies_at, after, error
        self.commits = 0
        self.dead = False

    def __getattr__(self, name: str) -> object:
        if self.dead and self._error is None:
            raise Died
        if self.dead and name in ("get", "grant", "keep", "watch", "scan", "snapshot", "revoke"):
            assert self._error is not None
            raise self._error
        return getattr(self._engine, name)

    async def commit(self, checks: Sequence[Check], writes: Sequence[Write]) -> int:
        if self.dead:
            self._end()
        if _only_asks(writes):
            return await self._engine.commit(checks, writes)
        self.commits += 1
        if self.commits >= self._dies_at and not self._after:
            self._end()
        version = await self._engine.commit(checks, writes)
        if self.commits >= self._dies_at:
            self._end()
        return version

    def _end(self) -> None:
        self.dead = True
        raise self._error or Died


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is waited for as long as a real keepalived would be."""
    monkeypatch.setattr(switchover, "TAKEN_OVER_WITHIN_S", 0.3)
    monkeypatch.setattr(switchover, "_POLL_S", 0.02)
    monkeypatch.setattr(cut_off, "_HELD_WITHIN_S", 0.5)
    monkeypatch.setattr(cut_off, "_BUSY_S", -10.0)  # agents of these tests are never busy


def _story(
    told: Callable[[Members], Awaitable[None]], spec: str = SPEC, nodes: Sequence[str] = ("lb01", "lb02")
) -> None:
    async def story() -> None:
        desk = await new_desk()
        await enrol(desk, *nodes)
        await end_rollout(desk, await revisions.apply(desk, "shop", request(spec, 0)))
        members = Members(desk, "www", list(nodes))
        async with members.listening():
            await told(members)

    run(story())


def _successor(members: Members) -> Desk:
    """Whoever leads now. What the dead one held has ended."""
    clock = members.desk.store.clock
    assert isinstance(clock, Clock)
    clock.wall += timedelta(seconds=60)
    return replace(members.desk, actor=SYSTEM)


async def _cut_off(members: Members, act: Act, dies_at: int, after: bool, error: BaseException | None = None) -> bool:
    """Do something at a controller that dies at a commit; whether it did."""
    store = members.desk.store
    assert isinstance(store.engine, MemoryEngine)
    mortal = Mortal(store.engine, dies_at, after, error)
    desk = replace(members.desk, store=Store(mortal, store.clock, store.identity))  # type: ignore[arg-type]
    try:
        await act(desk)
    except (Died, HoldfastError):
        assert mortal.dead or members.deaf, "it failed by itself"
    return mortal.dead


async def _kept(members: Members) -> MoveRecord | None:
    kept = RolloutStore(members.desk.store, "shop")
    found = await kept.moves.get(kept.MOVE)
    return found.record if found else None


async def _trouble(members: Members) -> list[str]:
    """But for what is wrong all the time in these tests: no agent reports."""
    found = (await status.status(members.desk.store, "shop")).trouble
    return [said for said in found if not said.endswith("its agent has never reported")]


def _move(**asked: object) -> Act:
    return lambda desk: moving.move(desk, "shop", "www", MoveRequest.model_validate(asked))


def _begin(node: str = "lb01") -> Act:
    return lambda desk: moving.begin_maintenance(desk, "shop", node, MaintenanceRequest(why="a disk"))


def _end(node: str = "lb01") -> Act:
    return lambda desk: moving.end_maintenance(desk, "shop", node)


ACTS: dict[str, tuple[Act, Act | None, set[str]]] = {  # what is done, after what, and who is held back at its end
    "away": (_move(), None, {"lb01"}),
    "to the third": (_move(node="lb03"), None, {"lb01", "lb02"}),
    "back": (_move(back=True), _move(), set()),
    "to the best": (_move(node="lb01"), _move(), set()),
    "maintenance": (_begin(), None, {"lb01"}),
    "in service again": (_end(), _begin(), set()),
}


@pytest.mark.parametrize("deaf", [False, True], ids=["others take over", "nobody takes over"])
@pytest.mark.parametrize("after", [False, True], ids=["before the commit", "after the commit"])
@pytest.mark.parametrize("name", ACTS)
def test_a_successor_settles_it_wherever_it_was_cut_off(name: str, after: bool, deaf: bool) -> None:
    act, first, done = ACTS[name]
    dies_at, died = 0, True

    async def told(members: Members) -> None:
        nonlocal died
        if first is not None:
            await first(members.desk)
        elif deaf:
            members.deaf = {"lb02", "lb03"}
        before = set(members.held_back)
        died = await _cut_off(members, act, dies_at, after)
        where = f"commit {dies_at}, {members.orders}"
        assert await settle(_successor(members), "shop"), where
        assert await _kept(members) is None, where
        assert members.holder is not None, where
        assert members.held_back in ([before] if members.deaf else [before, done]), where
        if name in ("maintenance", "in service again"):
            overrides = await members.desk.store.cluster("shop").overrides.all()
            assert bool(overrides) == (members.held_back == {"lb01"}), where
        assert await _trouble(members) == [], where

    while died:  # ends: a move takes a bounded number of commits
        dies_at += 1
        assert dies_at < 30
        _story(told, THREE, ["lb01", "lb02", "lb03"])
    assert dies_at > 4  # there was something to interrupt


async def _until_given_up(members: Members, act: Act) -> None:
    """Cut it off after the holder has given its group up, while nobody takes over."""
    for dies_at in range(1, 30):
        if "lb01" in members.held_back:
            return
        await _cut_off(members, act, dies_at, after=True)
        _successor(members)  # the lease is over
    raise AssertionError("nobody gave anything up")


def test_what_becomes_of_it_is_told() -> None:
    async def told(members: Members) -> None:
        members.deaf.add("lb02")
        await _until_given_up(members, _move())
        assert members.holder is None
        assert await _trouble(members) == [
            "what ada began with www was cut off in the middle: the controller that leads finishes or undoes it"
        ]
        assert await settle(_successor(members), "shop")
        assert (members.holder, await _trouble(members)) == ("lb01", [])
        event = (await members.desk.store.events.newest())[0].record
        assert (event.kind, event.message) == (
            "move.undone", "what ada began with www was cut off in the middle: it was undone, and lb01 holds www",
        )  # fmt: skip
        audit = (await members.desk.store.audit.newest())[0].record
        assert (audit.actor, audit.action, audit.target, audit.outcome) == (SYSTEM, "group.move", "www", "failed")
        assert await settle(_successor(members), "shop")  # once
        assert (await members.desk.store.events.newest())[0].record == event

    _story(told)


def test_an_agent_that_does_not_answer_is_told_when_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    patiently = Orders.ask

    async def ask(self: Orders, node: str, verb: Verb, **given: object) -> Answer:
        return await patiently(self, node, verb, group=given.get("group"), within_s=1.0, work_s=1.0)  # type: ignore[arg-type]

    monkeypatch.setattr(Orders, "ask", ask)

    async def told(members: Members) -> None:
        await _until_given_up(members, _begin())
        members.silent.add("lb01")
        members.deaf.add("lb02")  # else it would wait for lb01, to finish
        assert not await settle(_successor(members), "shop")
        assert await _trouble(members) == ["lb01 may hold www again, and will be told so as soon as it answers"]
        events = len(await members.desk.store.events.newest())
        assert not await settle(_successor(members), "shop")
        assert len(await members.desk.store.events.newest()) == events, "it is told once"
        members.silent.clear()
        assert await settle(_successor(members), "shop")
        assert (members.holder, members.held_back, await _trouble(members)) == ("lb01", set(), [])

    _story(told)


def test_an_operator_who_changes_his_mind_meanwhile_has_his_way() -> None:
    async def ended(members: Members) -> None:
        await _until_given_up(members, _begin())
        await _end()(_successor(members))
        assert (members.holder, members.held_back, await _kept(members)) == ("lb01", set(), None)
        assert not await members.desk.store.cluster("shop").overrides.all()

    async def again(members: Members) -> None:
        await _until_given_up(members, _begin())
        await _begin()(_successor(members))
        assert (members.holder, members.held_back, await _kept(members)) == ("lb02", {"lb01"}, None)

    async def back(members: Members) -> None:
        await _until_given_up(members, _move())
        await _move(back=True)(_successor(members))
        assert (members.holder, members.held_back, await _kept(members)) == ("lb01", set(), None)

    async def by_hand(members: Members) -> None:
        await _until_given_up(members, _move())
        members.held_back.clear()  # holdfast-agent release, on the node
        assert await settle(_successor(members), "shop")
        assert (members.holder, members.held_back, await _kept(members)) == ("lb01", set(), None)

    async def other_node(members: Members) -> None:
        await _until_given_up(members, _begin())
        with pytest.raises(HoldfastError, match="no other node could hold 'www'"):
            await _begin("lb02")(_successor(members))
        assert (members.holder, members.held_back, await _kept(members)) == ("lb02", {"lb01"}, None)

    for each in (ended, again, back, by_hand, other_node):
        _story(each)


class Robbed(Mortal):
    """An engine whose process was paused before its nth commit, for longer than its leases last."""

    async def commit(self, checks: Sequence[Check], writes: Sequence[Write]) -> int:
        self.commits += not _only_asks(writes)
        if self.commits == self._dies_at and not self.dead:
            self.dead = True
            for held in await (await Store.open(self._engine)).holdings.present.all():
                await self._engine.revoke(held.lease)
        return await self._engine.commit(checks, writes)

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)


def test_a_controller_that_was_paused_orders_nothing_once_it_has_lost_its_lease() -> None:
    async def told(members: Members) -> None:
        store = members.desk.store
        assert isinstance(store.engine, MemoryEngine)
        for lost_at in range(2, 30):
            robbed = Robbed(store.engine, lost_at, False)
            desk = replace(members.desk, store=Store(robbed, store.clock, store.identity))  # type: ignore[arg-type]
            given = len(members.orders)
            with suppress(LeaseLost):
                await moving.move(desk, "shop", "www", MoveRequest(node="lb03"))
                assert not robbed.dead, "it has not found out"
                assert lost_at > 4
                return
            assert await settle(_successor(members), "shop")
            verbs = [verb for _, verb in members.orders[given:]]
            assert members.holder in ("lb01", "lb03"), verbs
            await moving.move(members.desk, "shop", "www", MoveRequest(back=True))
        raise AssertionError("it never ended")

    _story(told, THREE, ["lb01", "lb02", "lb03"])


def test_a_store_that_is_away_in_the_middle_is_no_reason_to_leave_it() -> None:
    async def told(members: Members) -> None:
        members.deaf.add("lb02")
        for dies_at in range(1, 30):
            await _cut_off(members, _move(), dies_at, True, StoreUnavailable("no quorum"))
            _successor(members)
            if "lb01" in members.held_back:
                break
        assert members.holder is None
        assert await settle(_successor(members), "shop")
        assert (members.holder, await _kept(members)) == ("lb01", None)

    _story(told)


def test_what_a_restored_store_says_of_a_move_is_not_acted_upon() -> None:
    async def told(members: Members) -> None:
        kept = RolloutStore(members.desk.store, "shop")
        members.held_back.add("lb01")  # since then somebody has moved it
        old = MoveRecord(
            epoch=7, kind=MoveKind.MOVE, target="www", who="user:ada", since=members.desk.now(),
            held=(HeldBack(node="lb01", group="www", held=True),),
        )  # fmt: skip
        await kept.moves.create(kept.MOVE, old)
        assert await settle(_successor(members), "shop")
        assert (members.held_back, await _kept(members)) == ({"lb01"}, None)
        assert "the store was restored since" in (await members.desk.store.events.newest())[0].record.message

    _story(told)
