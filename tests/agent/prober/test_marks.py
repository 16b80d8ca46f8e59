"""Marks beside an attempt to apply: set while it waits for others, never while it changes something."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.agent import bundles
from tests.agent.prober import pools
from tests.agent.services.fakes import Running

from holdfast.agent.applier import Applier, Tell
from holdfast.agent.generations import Generations
from holdfast.agent.host.fake import FakeHost
from holdfast.agent.host.port import Completed, Places
from holdfast.agent.lock import exclusive
from holdfast.agent.prober.marks import NotNow, write_marks
from holdfast.agent.server_lists import down_in
from holdfast.agent.services.base import Node
from holdfast.bundle import Bundle
from holdfast.errors import ApplyError
from holdfast.protocol import Outcome, Progress

ONE, TWO, THREE = ("127.0.0.1:9001", "127.0.0.1:9002", "127.0.0.1:9003")


@dataclass
class Here:
    node: Node
    generations: Generations

    def apply(self, bundle: Bundle, tell: Tell = lambda progress: None) -> Outcome:
        return Applier(self.node, lambda wanted: (), lambda: None, tell).apply(bundle).outcome

    def mark(self, *down: str) -> bool:
        """In the generation that is in use."""
        return write_marks(self.node, self.generations.current() or "", {"web": frozenset(down)})

    @property
    def down(self) -> frozenset[str]:
        return down_in((self.node.places.config / "current" / "nginx" / "servers" / "web.conf").read_text())


def bundle(text: str) -> Bundle:
    return bundles.bundle(pools.nginx(f"# {text}"), pools.server_list(), pools.pools_file())


@pytest.fixture
def here(tmp_path: Path) -> Here:
    host, places = FakeHost(), Places(tmp_path)
    host.programs["nginx"] = lambda argv, text: Completed(0, "")
    found = Here(Node(host, places, Running(host=host, places=places)), Generations(places))
    assert found.apply(bundle("one")) is Outcome.COMMITTED
    assert found.mark(ONE)
    return found


def test_while_others_are_waited_for_servers_come_and_go_and_what_follows_knows(here: Here) -> None:
    seen: list[frozenset[str]] = []

    def waits(progress: Progress) -> None:
        if progress is Progress.WRITTEN:
            assert here.mark(TWO)
            seen.append(here.down)

    before = here.generations.current()
    assert here.apply(bundle("two"), waits) is Outcome.COMMITTED
    assert seen == [{TWO}]
    assert here.generations.current() != before
    assert here.down == {TWO}


def test_what_is_dropped_instead_leaves_what_was_marked_meanwhile(here: Here) -> None:
    def drops(progress: Progress) -> None:
        here.mark(TWO, THREE)
        raise ApplyError("no word to go came")

    before = here.generations.current()
    assert here.apply(bundle("two"), drops) is Outcome.REFUSED
    assert here.generations.current() == before
    assert here.down == {TWO, THREE}
    assert here.mark(ONE)


def test_nothing_is_marked_while_something_else_changes_the_node(here: Here) -> None:
    def applied(progress: Progress) -> None:
        if progress is Progress.APPLIED:
            with pytest.raises(NotNow):
                here.mark(TWO)

    assert here.apply(bundle("two"), applied) is Outcome.COMMITTED
    with exclusive(here.node.places) as turn:
        with pytest.raises(NotNow):
            here.mark(TWO)
        with turn.marks_meanwhile(), pytest.raises(NotNow):  # it waits for something, but has nothing staged
            here.mark(TWO)
    assert here.down == {ONE}


def test_what_was_staged_by_an_agent_that_was_killed_is_ended_first(here: Here) -> None:
    class Killed(BaseException):
        pass

    def killed(progress: Progress) -> None:
        raise Killed

    with pytest.raises(Killed):
        here.apply(bundle("two"), killed)
    with pytest.raises(NotNow, match="interrupted"):
        here.mark(TWO)
    assert here.apply(bundle("two")) is Outcome.COMMITTED
    assert here.mark(TWO)
