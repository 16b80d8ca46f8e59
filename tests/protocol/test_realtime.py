"""Samples across versions, and what no agent of ours would say."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from holdfast.protocol import TO_AGENT
from holdfast.protocol.realtime import Bucket, Sample, Watch, Watching, WebRow

LEAST = {"node": "lb01", "controller": "one"}


def test_what_a_newer_peer_adds_is_passed_over() -> None:
    said = {**LEAST, "version": 1, "tomorrow": 1, "services": [{"name": "tcp 10.0.0.3:80", "colour": "blue"}]}
    assert Sample.model_validate(said).services[0].name == "tcp 10.0.0.3:80"
    watch = TO_AGENT.validate_python({"kind": "watch", "watching": [{"controller": "one", "more": 1}]})
    assert watch == Watch(watching=(Watching(controller="one"),))


def test_another_version_is_refused() -> None:
    with pytest.raises(ValidationError):
        Sample.model_validate({**LEAST, "version": 2})


@pytest.mark.parametrize(
    "figures",
    [
        {"number": 2**63},
        {"seconds": -1},
        {"seconds": "inf"},
        {"web": [{"engine": "nginx", "kind": "pool", "name": "app", "per_s": 1e300}]},
        {"history": [{"number": 1, "values": {"total": [1e300, None, None, None]}}]},
        {"history": [{"number": 1, "values": {"total": ["nan", None, None, None]}}]},
        {"history": [{"number": 1, "values": {"x" * 201: [1, None, None, None]}}]},
    ],
)
def test_figures_that_cannot_be_are_refused(figures: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Sample.model_validate({**LEAST, **figures})


def test_figures_that_are_not_known_are_none() -> None:
    assert Bucket(number=1, values={"total": (1, None, 0, None)}).values["total"] == (1.0, None, 0.0, None)
    assert WebRow.model_validate({"engine": "nginx", "kind": "pool", "name": "app"}).queue is None
