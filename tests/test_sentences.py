"""Sentences are texts for everybody, and keep apart what has to be said in another language."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from holdfast.findings import Finding, Location, Severity
from holdfast.protocol import Failure
from holdfast.protocol.api.plans import StepView
from holdfast.protocol.api.problems import ProblemDetails
from holdfast.rollout.records import NodeState
from holdfast.sentences import Sentence, as_data, cut, from_data, heard
from holdfast.store.models import Event, RevisionContent

SAID = Sentence("%(node)s: %(what)s", node="lb1", what=Sentence("it holds %(n)s groups", n=3))


def test_a_sentence_is_its_text() -> None:
    assert SAID == "lb1: it holds 3 groups"
    assert SAID.template == "%(node)s: %(what)s"
    assert Sentence("100 times") == "100 times"


def test_it_can_be_kept_and_sent_to_another_process() -> None:
    for again in (from_data(json.loads(json.dumps(as_data(SAID)))), pickle.loads(pickle.dumps(SAID))):
        assert again == SAID
        inner = again.values["what"]
        assert isinstance(inner, Sentence)
        assert inner.values == {"n": 3}


@pytest.mark.parametrize(
    "data", [None, "text", [], {}, {"template": "%(a)s", "values": {}}, {"template": "%d", "values": {"a": 1}},
             {"template": 1, "values": {}}, {"template": "100 %", "values": {"a": 1}}],
)  # fmt: skip
def test_what_another_version_kept_is_no_sentence(data: object) -> None:
    assert from_data(data) is None


def test_names_that_look_like_places_are_names() -> None:
    assert Sentence("%(node)s is dead", node="%(node)s %d %") == "%(node)s %d % is dead"


def test_what_is_too_long_is_cut_and_what_fits_stays_a_sentence() -> None:
    assert cut(SAID, 100) is SAID
    assert cut(SAID, 3) == "lb1"


def test_an_event_keeps_the_sentence_beside_what_else_is_known() -> None:
    told = Event(time=datetime.now(UTC), kind="a.b", message=SAID, data=json.dumps({"phase": "applying"}))
    kept = Event.model_validate_json(told.model_dump_json())
    data = json.loads(kept.data)
    assert kept.message == str(SAID)
    assert data["phase"] == "applying"
    assert from_data(data["said"]) == SAID


def test_an_event_without_a_sentence_says_nothing_more() -> None:
    assert Event(time=datetime.now(UTC), kind="a.b", message="text").data == "{}"


def test_answers_keep_sentences_within_the_process_and_are_text_outside() -> None:
    step, problem = StepView(nodes=("lb1",), why=SAID), ProblemDetails(code="conflict", message=SAID)
    assert isinstance(step.why, Sentence)
    assert isinstance(problem.message, Sentence)
    assert json.loads(step.model_dump_json())["why"] == str(SAID)


def test_a_reason_that_is_kept_can_be_said_in_another_language_later() -> None:
    kept = NodeState(old="0" * 64, new="1" * 64, detail=SAID, hint="what a program says")
    again = NodeState.model_validate_json(kept.model_dump_json())
    assert again == kept
    assert isinstance(again.detail, Sentence)
    assert (again.detail.template, type(again.hint)) == (SAID.template, str)


def test_a_reason_that_an_older_version_kept_is_text() -> None:
    older = json.dumps({"old": "0" * 64, "new": "1" * 64, "detail": "lb1: it holds 3 groups"})
    assert NodeState.model_validate_json(older).detail == SAID


@pytest.mark.parametrize(
    "detail", [{}, {"template": "%(a)s", "values": {}}, 1, as_data(Sentence("%(a)s", a="x" * 601))]
)
def test_what_is_no_reason_is_refused(detail: object) -> None:
    with pytest.raises(ValidationError):
        NodeState.model_validate_json(json.dumps({"old": "0" * 64, "new": "1" * 64, "detail": detail}))


def test_what_an_agent_says_is_the_sentence_that_it_says_it_is() -> None:
    said = Failure.of(SAID, "what a program says")
    again = Failure.model_validate_json(said.model_dump_json())
    assert isinstance(again.told, Sentence)
    assert again.told.template == SAID.template
    assert (again.told_hint, type(again.told_hint)) == ("what a program says", str)
    older = Failure(message=str(SAID), hint="do it again")
    assert (older.told, type(older.told)) == (str(SAID), str)
    assert isinstance(heard(as_data(SAID), str(SAID)), Sentence)


@pytest.mark.parametrize(
    "said",
    [
        {"template": "%(a)s", "values": {"a": "another text"}},
        {"template": "%(a)1000000000d", "values": {"a": 1}},
        {"template": "%(a)s", "values": {"a": "x" * 1_000_000}},
        {"template": "%(a)s" * 100_000, "values": {"a": "x"}},
        {"template": "%(a)s", "values": {"a": {"template": "%(a)s", "values": {"a": {}}}}},
        {"template": "%(a)s", "values": {"a": None}},
        {"template": "%(b)s", "values": {"a": "text"}},
        {"template": "", "values": {}},
        {"template": "%(a)d", "values": {"a": 10**400}},
        {},
    ],
)
def test_what_an_agent_says_otherwise_is_its_text(said: dict[str, Any]) -> None:
    told = Failure(message="text", said=said).told
    assert (told, type(told)) == ("text", str)


def test_findings_that_are_kept_with_a_revision_can_be_said_in_another_language_later() -> None:
    finding = Finding(code="KA001", severity=Severity.ERROR, message=SAID, hint="text", location=Location(file="a"))
    kept = RevisionContent(spec="holdfast: 1\n", findings=(finding,))
    again = RevisionContent.model_validate_json(kept.model_dump_json())
    assert again == kept
    message = again.findings[0].message
    assert isinstance(message, Sentence)
    assert message.template == SAID.template
    older = RevisionContent(spec="holdfast: 1\n", findings=(finding.model_copy(update={"message": str(SAID)}),))
    assert older.model_dump_json() == json.dumps(
        {"spec": older.spec, "lock": "", "findings": [older.findings[0].model_dump(mode="json")]}, separators=(",", ":")
    )
    assert RevisionContent.model_validate_json(older.model_dump_json()) == again
