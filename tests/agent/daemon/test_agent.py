"""The agent with controllers over real TLS: what it takes, what it tells, and what it survives."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
import time
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.agent.daemon.stand_in import KEY, STORE, Site, bundle, desired, order, site, until
from tests.disk import fill, small_disk

from holdfast.agent import overrides
from holdfast.agent.daemon import pause as pausing
from holdfast.agent.daemon.telling import read_told
from holdfast.agent.daemon.wanted import Wanted
from holdfast.errors import ApplyError
from holdfast.protocol import Desired, Outcome, OverrideKind, Overrides, Progress, ServerOverride, Verb

pytestmark = pytest.mark.whole


def run(what: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(120):
            await what

    asyncio.run(bounded())


def ended(one: Site, number: int, progress: Progress = Progress.VERIFIED) -> bool:
    return any(
        each.fence is not None and each.fence.number == number and each.progress is progress
        for controller in one.controllers
        for each in controller.reports
    )


def test_a_node_joins_and_applies_what_it_is_sent_telling_every_step(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with site(tmp_path) as one:
            one.first.lines = [desired(1, bundle("1")).model_dump_json().encode()]
            one.start()
            await until(lambda: ended(one, 1), "verified")
            assert one.host.sysctls[KEY] == "1"
            told = [each.progress for each in one.first.reports if each.fence is not None]
            steps = [step for at, step in enumerate(told) if at == 0 or told[at - 1] is not step]
            assert steps == [Progress.ACCEPTED, Progress.WRITTEN, Progress.APPLIED, Progress.VERIFIED]
            await one.first.push(desired(2, bundle("0")))
            await until(lambda: ended(one, 2), "the second one")
            assert one.host.sysctls[KEY] == "0"
            shown = read_told(one.work.node.places)
            await until(lambda: (read_told(one.work.node.places) or shown).report.revision == 2)  # type: ignore[union-attr]
            shown = read_told(one.work.node.places)
            assert shown is not None
            assert shown.controller == one.first.url

    run(scenario())


def test_what_was_replaced_or_is_for_others_has_no_say(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with site(tmp_path) as one:
            one.start()
            await until(lambda: bool(one.first.streams))
            await one.first.push(desired(5, bundle("1"), epoch=2))
            await until(lambda: ended(one, 5))
            stale = (
                desired(4, bundle("0"), epoch=2),  # a leader that was paused
                desired(9, bundle("0"), epoch=1),  # … of before a restoration
                desired(9, bundle("0"), epoch=3, store="cd" * 16),  # another store
                desired(9, bundle("0", node="lb02"), epoch=2).model_copy(update={"node": "lb02"}),
                desired(5, bundle("0"), epoch=2),  # the same fence, with something else
            )
            for each in stale:
                seen = len(one.first.reports)
                await one.first.push(each)
                await until(lambda seen=seen: len(one.first.reports) > seen, "it says what it goes by")  # type: ignore[misc]
                assert one.first.last.revision == 5
            assert one.host.sysctls[KEY] == "1"
            await one.first.push(desired(1, bundle("0"), epoch=3))
            await until(lambda: ended(one, 1))
            assert one.host.sysctls[KEY] == "0"

    run(scenario())


def test_a_restarted_agent_knows_its_fence_with_no_controller_there(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with site(tmp_path) as one:
            one.first.lines = [desired(3, bundle("1")).model_dump_json().encode()]
            one.start()
            await until(lambda: ended(one, 3))
            await one.stop()
            await one.first.stop()
            agent = one.start()
            await until(lambda: agent.known.fence is not None)
            assert agent.known.progress is Progress.VERIFIED
            one.first.lines = [desired(2, bundle("0")).model_dump_json().encode()]
            one.first.reports.clear()
            await one.first.start()
            await until(lambda: bool(one.first.reports), "it comes back by itself")
            await asyncio.sleep(0.1)
            assert one.host.sysctls[KEY] == "1"
            assert not any(each.revision == 2 for each in one.first.reports)

    run(scenario())


def test_another_controller_takes_over_and_an_answer_is_not_lost(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with site(tmp_path, controllers=2) as one:
            first, second = one.controllers
            first.refuse["/agent/v1/answers"] = 503
            one.start()
            await until(lambda: bool(first.streams) and bool(first.reports))
            await first.push(order(7))
            await until(lambda: bool(second.answers), "the answer, from the one that could take it")
            assert second.answers[0].order == f"{7:032x}"
            assert second.answers[0].status is not None
            await until(lambda: bool(second.streams))
            await second.push(order(7))  # sent again
            await until(lambda: len(second.answers) == 2)
            assert second.answers[0] == second.answers[1]

    run(scenario())


def test_a_large_bundle_is_fetched_and_a_wrong_one_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with site(tmp_path) as one:
            big = bundle("1", more=40_000)
            one.first.bundles[big.digest] = big.to_json().encode()
            one.start()
            await until(lambda: bool(one.first.streams))
            await one.first.push(desired(1, big, inline=False))
            await until(lambda: ended(one, 1))
            assert f"GET /agent/v1/bundles/{big.digest}" in one.first.asked
            other = bundle("0")
            one.first.bundles[other.digest] = big.to_json().encode()
            await one.first.push(desired(2, other, inline=False))
            await until(lambda: ended(one, 2, Progress.REFUSED))
            applied = one.first.last.applied
            assert applied is not None
            assert applied.outcome is Outcome.REFUSED
            assert applied.failure is not None
            assert "another bundle" in applied.failure.message
            assert one.host.sysctls[KEY] == "1"
            one.first.asked.clear()
            await one.first.push(desired(3, big, inline=False))  # is here as a generation
            await until(lambda: ended(one, 3))
            assert not any("bundles" in each for each in one.first.asked)

    run(scenario())


def test_a_paused_agent_touches_nothing_and_goes_on_where_it_was(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with site(tmp_path) as one:
            places = one.work.node.places
            pausing.pause(places, "anna", "a new cable", None)
            one.start()
            await until(lambda: bool(one.first.streams))
            await one.first.push(desired(1, bundle("1")), order(1, Verb.HOLD, group="www"), order(2))
            await until(lambda: ended(one, 1, Progress.PAUSED) and len(one.first.answers) == 2)
            by_order = {each.order: each for each in one.first.answers}
            held = by_order[f"{1:032x}"].failure
            assert held is not None
            assert "by hand" in held.message
            assert by_order[f"{2:032x}"].status is not None
            assert by_order[f"{2:032x}"].paused
            assert one.first.last.paused
            assert one.host.sysctls[KEY] == "0"
            assert pausing.resume(places)
            await until(lambda: ended(one, 1))
            assert one.host.sysctls[KEY] == "1"

    run(scenario())


def test_a_refused_bundle_leaves_the_node_as_it_is_and_is_not_tried_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with site(tmp_path) as one:
            bad = bundle("1")
            bad = bad.model_copy(
                update={"files": (bad.files[0].model_copy(update={"content": "# Managed by Holdfast\nnonsense\n"}),)}
            )
            one.first.lines = [desired(1, bad).model_dump_json().encode()]
            one.start()
            await until(lambda: ended(one, 1, Progress.REFUSED))
            await one.stop()
            agent = one.start()
            await until(lambda: agent.known.progress is Progress.REFUSED)
            await until(lambda: len(one.first.streams) == 2)
            assert one.host.sysctls[KEY] == "0"

    run(scenario())


def test_messages_that_nobody_understands_are_passed_over(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with site(tmp_path) as one:
            one.first.lines = [
                b'{"kind": "dance", "version": 9}',
                desired(1, bundle("1")).model_dump_json().replace('"version":1', '"version":2', 1).encode(),
                b"",
            ]
            one.start()
            await until(lambda: bool(one.first.streams))
            await one.first.push(desired(1, bundle("1")))
            await until(lambda: ended(one, 1))
            await one.first.push(b"<html>")  # no controller: the stream is opened anew
            await until(lambda: one.first.asked.count("GET /agent/v1/stream") == 2)

    run(scenario())


def test_the_pause_ends_by_itself_and_a_damaged_file_pauses(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with site(tmp_path) as one:
            places = one.work.node.places
            pausing.pause(places, "", "", datetime(2020, 1, 1, tzinfo=UTC))
            assert pausing.paused(places, datetime.now(UTC)) is None
            pausing.pause_file(places).write_text("?")
            assert pausing.paused(places, datetime.now(UTC)) is not None
            assert STORE

    run(scenario())


def test_a_full_disk_refuses_a_desired_state_and_keeps_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with site(tmp_path) as one:
            one.first.lines = [desired(1, bundle("1")).model_dump_json().encode()]
            one.start()
            await until(lambda: ended(one, 1))
            with monkeypatch.context() as patch:
                patch.setattr(Wanted, "write", full)
                await one.first.push(desired(2, bundle("0")))
                await until(lambda: ended(one, 2, Progress.REFUSED))
            applied = one.first.last.applied
            assert applied is not None
            assert applied.failure is not None
            assert "disk is full" in applied.failure.message
            assert one.host.sysctls[KEY] == "1"
            await one.first.push(desired(3, bundle("0")))
            await until(lambda: ended(one, 3))

    def full(self: Wanted, desired: Desired) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/var/lib/holdfast/agent/wanted.json")

    run(scenario())


def test_on_a_disk_that_is_full_the_node_stays_as_it_is_and_goes_on_once_there_is_room(tmp_path: Path) -> None:
    """The state folder itself, full to the last byte: a desired state, overrides, a restart, and then room."""
    drained = Overrides(servers=(ServerOverride(server="web01:80", kind=OverrideKind.DRAINED),))

    async def scenario(disk: Path) -> None:
        async with site(disk) as one:
            one.first.lines = [desired(1, bundle("1")).model_dump_json().encode()]
            one.start()
            await until(lambda: ended(one, 1))
            before = overrides.read(one.work.node.places)
            ballast = fill(disk)
            await one.first.push(desired(2, bundle("0", more=500)))
            await until(lambda: ended(one, 2, Progress.REFUSED))
            applied = one.first.last.applied
            assert applied is not None
            assert applied.failure is not None
            assert "the disk is full" in applied.failure.message
            assert "make room" in applied.failure.hint
            assert one.host.sysctls[KEY] == "1"
            with pytest.raises(ApplyError, match="the disk is full"):
                one.work.override(drained)
            assert overrides.read(one.work.node.places) == before
            await one.stop()
            one.first.lines = []
            one.start()  # what it knows is on the disk
            await until(lambda: one.first.last.revision == 1)
            assert one.host.sysctls[KEY] == "1"
            assert list(disk.rglob("*.new")) == []
            ballast.unlink()
            await one.stop()
            one.first.lines = [desired(3, bundle("0", more=500), overrides=drained).model_dump_json().encode()]
            one.start()
            await until(lambda: ended(one, 3))
            await until(lambda: overrides.read(one.work.node.places) == drained)
            assert one.host.sysctls[KEY] == "0"

    with small_disk(tmp_path / "disk", 2) as disk:
        run(scenario(disk))


def test_an_attempt_under_way_ends_before_the_agent_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with site(tmp_path) as one:
            begun, done = threading.Event(), threading.Event()
            apply = one.work.apply

            def slowly(*arguments: Any) -> Any:
                begun.set()
                time.sleep(0.3)
                report = apply(*arguments)
                done.set()
                return report

            monkeypatch.setattr(one.work, "apply", slowly)
            one.first.lines = [desired(1, bundle("1")).model_dump_json().encode()]
            one.start()
            await until(begun.is_set)
            await one.stop()
            assert done.is_set()
            assert one.host.sysctls[KEY] == "1"
            monkeypatch.undo()
            one.first.reports.clear()
            one.start()
            await until(lambda: ended(one, 1), "it is found done")

    run(scenario())
