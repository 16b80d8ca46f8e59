"""What a look finds on a machine in memory with real files, and what the watch makes of it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.agent import bundles
from tests.agent.daemon.stand_in import KEY, desired, until
from tests.agent.services.fakes import FakeManager

from holdfast.agent.daemon.decide import Known
from holdfast.agent.daemon.drift.looks import AFRESH_EVERY_S, DEAR_EVERY_S, Looks
from holdfast.agent.daemon.drift.watch import DriftWatch
from holdfast.agent.daemon.pause import pause
from holdfast.agent.daemon.state import State
from holdfast.agent.daemon.work import Work
from holdfast.agent.generations import Generations
from holdfast.agent.host.fake import FakeHost
from holdfast.agent.host.port import Completed, LocalAddress, Places
from holdfast.agent.services.base import Node
from holdfast.bundle import Bundle, Service
from holdfast.errors import PolicyRefused
from holdfast.protocol import DriftKind, Outcome, Progress
from holdfast.sentences import Sentence

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="files of a generation belong to root")


class Machine:
    """A node where a bundle was applied."""

    def __init__(self, folder: Path) -> None:
        self.host = FakeHost()
        self.host.sysctls = {KEY: "0"}
        self.manager = FakeManager()
        self.node = Node(self.host, Places(folder), self.manager)
        self.work = Work(self.node, judge=lambda bundle: (), prepare=lambda: None)

    def apply(self, bundle: Bundle) -> None:
        report = self.work.applier().apply(bundle)
        assert report.outcome is Outcome.COMMITTED, report

    def generation(self) -> Path:
        found = Generations(self.node.places)
        name = found.current()
        assert name is not None
        return found.folder(name)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def kinds(looks: Looks) -> list[tuple[str, str]]:
    return [(seen.kind.value, seen.what) for seen in looks.look()]


@needs_root
def test_files_and_sysctls_that_were_changed_by_hand_are_seen(machine: Machine) -> None:
    looks = Looks(machine.node)
    assert looks.look() == ()
    machine.apply(bundles.bundle(bundles.sysctl()))
    assert looks.look() == ()
    file = machine.generation() / "sysctl" / "sysctl.conf"
    file.write_text(file.read_text() + "net.ipv4.tcp_syncookies = 0\n")
    (found,) = looks.look()
    assert (found.kind, found.what) == (DriftKind.FILE, "/etc/holdfast/sysctl/sysctl.conf")
    assert found.diff.splitlines()[-1] == "+net.ipv4.tcp_syncookies = 0"
    file.chmod(0o666)
    assert "mode 0666" in looks.look()[0].detail
    file.unlink()
    assert looks.look()[0].detail == "it was removed"
    assert isinstance(looks.look()[0].detail, Sentence)  # which the console says in Chinese
    (machine.generation() / "sysctl" / "more.conf").write_text("x = 1\n")
    assert len(looks.look()) == 2
    machine.host.sysctls[KEY] = "0"
    assert ("sysctl", KEY) in kinds(looks)
    machine.host.sysctls.clear()  # its module is gone: nothing to compare with
    assert ("sysctl", KEY) not in kinds(looks)


@needs_root
def test_a_link_that_leads_elsewhere_is_seen(machine: Machine) -> None:
    machine.apply(bundles.bundle(bundles.sysctl()))
    looks = Looks(machine.node)
    assert looks.look() == ()
    link = machine.node.places.config / "sysctl"
    link.unlink()
    link.symlink_to("/tmp")
    assert [seen.what for seen in looks.look()] == [str(link)]


@needs_root
def test_services_and_addresses_are_seen_without_asking_for_every_process_each_time(machine: Machine) -> None:
    machine.apply(bundles.bundle(bundles.sysctl()))
    looks = Looks(machine.node)
    assert looks.look() == ()
    watched = looks._watched
    assert watched is not None
    light = bundles.bundle(bundles.sysctl(), bundles.nginx(), bundles.keepalived()).model_copy(update={"files": ()})
    watched.bundle = light
    machine.manager.pids = {Service.NGINX: os.getpid(), Service.KEEPALIVED: os.getpid()}
    assert kinds(looks) == []
    asked = machine.manager.pids.pop(Service.NGINX)
    assert kinds(looks) == []  # its process lives: that is enough until the next thorough look
    machine.host.sleep(DEAR_EVERY_S + 1)
    assert kinds(looks) == [("service", "nginx")]
    machine.manager.pids[Service.NGINX] = asked
    assert kinds(looks) == []
    machine.host.local_addresses = {LocalAddress("eth0", "169.254.255.51/32")}
    assert kinds(looks) == [("address", "10.9.0.3/24 on eth0")]
    machine.host.local_addresses = set()  # a standby has none of them
    assert kinds(looks) == []


@needs_root
def test_tables_of_nftables_are_listed_when_the_kernel_tells_of_a_change_and_seldom_else(machine: Machine) -> None:
    there, listed = "table inet holdfast {\n}\n", 0

    def nft(argv: Sequence[str], stdin: str) -> Completed:
        nonlocal listed
        listed += "list" in argv
        return Completed(0, there if "list" in argv else "", "")

    def looked(after_s: float = 3.0) -> tuple[list[tuple[str, str]], int]:
        machine.host.sleep(after_s)
        before = listed
        return kinds(looks), listed - before

    machine.host.programs["nft"] = nft
    machine.apply(bundles.bundle(bundles.nftables()))
    machine.host.ruleset = 1
    looks, wrong = Looks(machine.node), [("service", "nftables")]
    assert looked() == ([], 1)
    assert [looked(20) for _ in range(20)] == [([], 0)] * 20
    machine.host.ruleset, there = 2, "table inet holdfast {\n\tchain by_hand {\n\t}\n}\n"
    assert looked() == (wrong, 1)  # within seconds
    assert looked() == (wrong, 0)
    machine.host.ruleset, there = 3, "table inet holdfast {\n}\n"
    assert looked() == ([], 1)
    for machine.host.ruleset in range(4, 13):  # somebody else changes tables of his own all the time
        assert looked() == ([], 0)
    assert looked() == ([], 1)
    assert looked(AFRESH_EVERY_S) == ([], 0)
    assert looked(DEAR_EVERY_S) == ([], 1)
    machine.host.ruleset = None  # a kernel that does not count
    assert [looked(DEAR_EVERY_S)[1] for _ in range(3)] == [1, 1, 1]


async def watched(
    machine: Machine, allowed: tuple[str, ...] | None, known: Known | None = None
) -> tuple[State, asyncio.Task[None]]:
    def policy() -> tuple[str, ...]:
        if allowed is None:
            raise PolicyRefused("policy.toml is wrong")
        return allowed

    state = State("shop", "lb01", machine.work)
    state.known = known or state.known
    return state, asyncio.create_task(DriftWatch(state, every_s=0.02, allowed=policy).keep())


async def ended(state: State, task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})
    state.end()


@needs_root
@pytest.mark.parametrize("allowed", [(), ("service",), None])
def test_drift_is_told_and_left_alone_unless_the_policy_says_otherwise(
    machine: Machine, allowed: tuple[str, ...] | None
) -> None:
    async def scenario() -> None:
        machine.apply(bundles.bundle(bundles.sysctl()))
        state, task = await watched(machine, allowed)
        machine.host.sysctls[KEY] = "0"
        await until(lambda: bool(state.drift))
        await asyncio.sleep(0.1)
        assert machine.host.sysctls[KEY] == "0"
        assert not state.drift[0].corrected
        machine.host.sysctls[KEY] = "1"
        await until(lambda: not state.drift, "what is as it should be is not told any more")
        await ended(state, task)

    asyncio.run(scenario())


@needs_root
def test_drift_is_put_right_where_the_policy_says_so_but_not_while_paused(machine: Machine) -> None:
    async def scenario() -> None:
        machine.apply(bundles.bundle(bundles.sysctl()))
        state, task = await watched(machine, ("sysctl", "file"))
        state.known = type(state.known)("shop", "lb01", paused=True)
        pause(machine.node.places, "anna", "", None)
        file = machine.generation() / "sysctl" / "sysctl.conf"
        file.write_text("# by hand\n")
        machine.host.sysctls[KEY] = "0"
        await until(lambda: len(state.drift) == 2)
        await asyncio.sleep(0.1)
        assert machine.host.sysctls[KEY] == "0"
        state.known = type(state.known)("shop", "lb01")
        await until(lambda: [each.corrected for each in state.drift] == [True, True])
        assert machine.host.sysctls[KEY] == "1"
        assert "by hand" not in (machine.generation() / "sysctl" / "sysctl.conf").read_text()
        kept = list((machine.node.places.state / "adopted").rglob("sysctl.conf"))
        assert [path.read_text() for path in kept] == ["# by hand\n"]
        assert all(each.since <= datetime.now(UTC) for each in state.drift)
        await ended(state, task)

    asyncio.run(scenario())


@needs_root
@pytest.mark.parametrize(("revision", "progress"), [(1, Progress.VERIFIED), (2, Progress.REFUSED)])
def test_a_state_that_was_refused_for_a_file_is_verified_once_that_is_put_right(
    machine: Machine, revision: int, progress: Progress
) -> None:
    """That of the generation in use alone: nobody has come any nearer to another one."""

    async def scenario() -> None:
        first = bundles.bundle(bundles.sysctl())
        machine.apply(first)
        state, task = await watched(machine, ())
        (machine.generation() / "sysctl" / "sysctl.conf").write_text("# by hand\n")
        wanted = desired(
            revision, first if revision == 1 else bundles.bundle(bundles.sysctl(net__ipv6__ip_nonlocal_bind="1"))
        )
        report = await state.change(lambda: machine.work.apply(wanted.bundle, wanted, lambda progress: None))
        assert report.outcome is Outcome.REFUSED
        state.known = replace(state.known, desired=wanted, progress=Progress.REFUSED, applied=report)
        state.wanted.write(wanted)
        state.wanted.end(state.known)
        await ended(state, task)
        state, task = await watched(machine, ("file",), state.known)
        await until(lambda: [each.corrected for each in state.drift] == [True])
        assert state.known.progress is progress
        assert state.wanted.read("shop", "lb01").progress is progress
        await ended(state, task)

    asyncio.run(scenario())
