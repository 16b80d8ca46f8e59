"""What a rehearsal on a leash tells of a step is what the controller's API takes."""

from __future__ import annotations

from holdfast.cli.rehearse_child import step_data
from holdfast.lab.scenario import Kind
from holdfast.lab.verdict import StepResult, Verdict
from holdfast.protocol.api.rehearsals import RehearsedStep


def test_a_step_is_told_as_the_api_takes_it() -> None:
    step = StepResult(
        name="lb01 loses its power" + "!" * 2000, kind=Kind.NODE_LOST, began=1.0, acted=1.1, ended=9.0,
        holders_before={"10.0.0.3": ("lb01",)}, holders_after={"10.0.0.3": ("lb02",)},
        expected_after={"10.0.0.3": ("lb02",)}, carried_cut_off={}, failover_s=0.42, failovers={"10.0.0.3": 0.42},
        sent=800, failed=3, errors={"timeout": 3}, repeated=0, longest_gap_s=0.5, longest_gap_listener="www:80",
        double_holder_s=0.0, double_holder_addresses=(), double_carried_s=0.0, answered_twice_s=0.0,
        answered_twice=(), client_late_s=0.0, unsent=0, slowest_s=0.2, verdict=Verdict.FAIL,
        reasons=("3 of 800 requests failed",), reasons_zh=("",), remarks=(),
    )  # fmt: skip
    told = RehearsedStep.model_validate(step_data(step))
    assert (told.kind, told.verdict, told.failover_s, told.failed) == ("node_lost", "fail", 0.42, 3)
    assert (told.before, told.after) == ({"10.0.0.3": ("lb01",)}, {"10.0.0.3": ("lb02",)})
    assert told.reasons == ("3 of 800 requests failed",)
    assert told.name.startswith("lb01 loses its power")
