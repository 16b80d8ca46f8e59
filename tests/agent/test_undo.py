"""A way back that fails is said, stays open in the journal, and is taken again by the next run."""

from __future__ import annotations

from pathlib import Path

from tests.agent.services.fakes import FakeManager, node_in

from holdfast.agent.generations import Generations
from holdfast.agent.journal import Begin, Journal, SysctlsBefore, Touching
from holdfast.agent.recovery import Nothing, RollBack, decide
from holdfast.agent.services.base import Node
from holdfast.agent.steps import Steps
from holdfast.agent.undo import put_back
from holdfast.bundle import Service
from holdfast.errors import ApplyError

BEGIN = Begin(attempt="a", node="lb01", digest="d", old=None, new="new", fresh=True)


class Refusing(FakeManager):
    """A service manager that does not answer."""

    refuses = True

    def stop(self, service: Service) -> None:
        if self.refuses:
            raise ApplyError("the supervisor does not answer")
        super().stop(service)


def test_what_can_be_put_back_is_and_the_rest_is_tried_again(tmp_path: Path) -> None:
    plain, host = node_in(tmp_path)
    manager = Refusing()
    node = Node(host, plain.places, manager)
    host.sysctls = {"net.ipv4.ip_forward": "1"}
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append(BEGIN)
    journal.append(SysctlsBefore(values={"net.ipv4.ip_forward": "0"}))
    journal.append(Touching(service=Service.NGINX, was_running=False))

    def again() -> tuple[str, ...]:
        action = decide(journal.entries)
        assert isinstance(action, RollBack)
        return put_back(node, Generations(node.places), journal, action.attempt, Steps(host.monotonic), "it failed")

    assert again() == ("the supervisor does not answer",)
    assert host.sysctls == {"net.ipv4.ip_forward": "0"}
    assert isinstance(decide(Journal(tmp_path / "journal.jsonl").entries), RollBack)
    manager.refuses = False
    assert again() == ()
    assert manager.orders == [("stop", Service.NGINX)]
    assert decide(journal.entries) == Nothing()


def test_a_journal_that_cannot_be_written_stops_no_way_back(tmp_path: Path) -> None:
    node, host = node_in(tmp_path)
    host.sysctls = {"net.ipv4.ip_forward": "1"}
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append(BEGIN)
    journal.append(SysctlsBefore(values={"net.ipv4.ip_forward": "0"}))
    action = decide(journal.entries)
    assert isinstance(action, RollBack)
    (tmp_path / "journal.jsonl").unlink()
    (tmp_path / "journal.jsonl").mkdir()  # every append fails from now on
    steps = Steps(host.monotonic)
    assert put_back(node, Generations(node.places), journal, action.attempt, steps, "x") == ()
    assert host.sysctls == {"net.ipv4.ip_forward": "0"}
