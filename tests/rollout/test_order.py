"""Real servers are ready before directors send to them, and stay until they no longer do."""

from __future__ import annotations

import pytest
from tests.golden.cases import GOLDEN, Case
from tests.plan.test_lvs_changes import WEB02, changed
from tests.rollout.fake import FakeTransport

from holdfast.bundle import Bundle
from holdfast.plan import make_plan
from holdfast.rollout import roll_out

WITH = Case(GOLDEN / "lvs-dr")


def rolled_out(old: dict[str, Bundle], new: dict[str, Bundle], **changes: object) -> FakeTransport:
    empty = {node: Bundle(cluster="golden", node=node, services=(), files=()) for node in new}
    running = {node: [bundle] for node, bundle in {**empty, **old}.items()}
    transport = FakeTransport(running, {"www": "lb01"}, **changes)  # type: ignore[arg-type]
    roll_out(make_plan(old, new), transport)
    return transport


def test_a_new_server_comes_first_and_one_that_leaves_last_with_nothing_left_on_it() -> None:
    with_it, without = WITH.bundles(), changed(WITH, WEB02, "")
    assert rolled_out(without, with_it).order == ["apply web02", "apply lb02", "apply lb01"]
    leaving = rolled_out(with_it, without)
    assert leaving.order == ["apply lb02", "apply lb01", "apply web02"]
    last = leaving.running["web02"][-1]
    assert (last.services, last.files, last.kernel_modules) == ((), (), ())


@pytest.mark.parametrize("refuses", ["lb01", "lb02"])
def test_a_failure_goes_back_the_way_it_came(refuses: str) -> None:
    with_it, without = WITH.bundles(), changed(WITH, WEB02, "")
    nodes = rolled_out(without, with_it, refuses={refuses})
    forward = nodes.order[: nodes.order.index(f"apply {refuses}")]
    back = nodes.order[len(forward) + 1 :]
    assert [step.rpartition(" ")[2] for step in back] == [step.rpartition(" ")[2] for step in reversed(forward)]
    assert back[-1] == "apply web02"  # it had nothing before, so there is no generation to go back to
    assert nodes.running["web02"][-1].services == ()
