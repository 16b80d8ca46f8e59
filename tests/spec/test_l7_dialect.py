"""What routes may say: only what both engines understand in the same way."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from holdfast.spec.sites import Route


@pytest.mark.parametrize(
    "regex", ["(?i)x", "(?ims)u", "(?:u)x", "(?!u)", "(?<!u)a", "a{1,9999}", r"\\u", r"^/(a|b)\.php$"]
)
def test_shared_regular_expressions(regex: str) -> None:
    assert Route.model_validate({"path_regex": regex, "to": "web"}).path_regex == regex


@pytest.mark.parametrize(
    "regex",
    ["(?P<uri>x)", r"\u0041", r"\U00000041", r"\N{DIGIT ONE}", "(?a)x", "(?iu)x", "a{1,100000}", "a{100000}", "("],
)
def test_regular_expressions_that_only_one_side_understands(regex: str) -> None:
    with pytest.raises(ValidationError):
        Route.model_validate({"path_regex": regex, "to": "web"})


@pytest.mark.parametrize("respond", [301, 308, {"status": 204, "body": "x"}, {"status": 304, "body": "x"}])
def test_answers_that_are_none(respond: Any) -> None:
    with pytest.raises(ValidationError):
        Route.model_validate({"respond": respond})
