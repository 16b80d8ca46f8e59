"""What a report says of an attempt: whatever names files have, it can be sent."""

from __future__ import annotations

import os

import pytest

from holdfast.agent.steps import Steps, failure
from holdfast.errors import ApplyError, NotOurs
from holdfast.protocol import Failure, StageReport
from holdfast.sentences import Sentence

NAME = os.fsdecode(b"/etc/holdfast/\xff.conf")  # a name may be any bytes


def test_a_failure_about_a_file_whose_name_is_no_text_can_be_told() -> None:
    steps = Steps(lambda: 0.0)
    refused = NotOurs(Sentence("files are in the way (%(parts)s)", parts=NAME), f"look at {NAME}")
    with pytest.raises(NotOurs), steps.step("look"):
        raise refused
    told = Failure.model_validate_json(failure(refused).model_dump_json())
    assert told.told == "files are in the way (/etc/holdfast/\\udcff.conf)"
    assert told.hint == "look at /etc/holdfast/\\udcff.conf"
    (stage,) = steps.reports
    assert StageReport.model_validate_json(stage.model_dump_json()).detail == told.message


def test_a_failure_about_a_file_in_another_script_stays_a_sentence() -> None:
    told = failure(ApplyError(Sentence("%(path)s is damaged", path="/etc/配置")))
    assert isinstance(told.told, Sentence)
