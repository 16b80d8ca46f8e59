"""Suppressions silence what they are for and nothing else; without a reason, or without use, they are findings."""

from __future__ import annotations

import pytest

from holdfast.keepalived.files import InMemory
from holdfast.lint import engine, suppressions
from holdfast.lint.samples import instance


def codes(text: str, beside: dict[str, str] | None = None) -> list[str]:
    """Id and line of what is left to say."""
    files = InMemory({name: content.encode() for name, content in (beside or {}).items()})
    subject = engine.read_text(text, "a.conf", files=files)
    left = suppressions.apply(engine.examine([subject]), subject.sources)
    return [f"{one.finding.code}:{one.finding.location.line if one.finding.location else 0}" for one in left]


BAD = instance("nopreempt", state="MASTER")


def test_without_one_it_is_said() -> None:
    assert codes(BAD) == ["VRRP101:6"]


@pytest.mark.parametrize(
    "comment",
    [
        "# holdfast: ignore[VRRP101] it is meant so",
        "! holdfast: ignore[vrrp101] it is meant so",
        "#holdfast:ignore[VRRP] it is meant so",
        "# as agreed. holdfast: ignore[VRRP101, VRRP1] it is meant so",
    ],
)
def test_at_the_end_of_the_line(comment: str) -> None:
    assert codes(BAD.replace("nopreempt", f"nopreempt {comment}")) == []


def test_on_a_line_of_its_own_it_is_for_the_next_that_says_something() -> None:
    before = "# holdfast: ignore[VRRP101] it is meant so\n    # and this is a comment\n\n    nopreempt"
    assert codes(BAD.replace("nopreempt", before)) == []


def test_it_is_for_its_line_alone() -> None:
    text = "# holdfast: ignore[VRRP101] it is meant so\n" + BAD
    assert codes(text) == ["LINT002:1", "VRRP101:7"]


def test_a_whole_file() -> None:
    assert codes(BAD + "# holdfast: ignore-file[VRRP101] it is meant so\n") == []


def test_of_another_file_it_says_nothing() -> None:
    text = "# holdfast: ignore-file[VRRP101] it is meant so\ninclude b.conf\n"
    assert codes(text, {"b.conf": BAD}) == ["LINT002:1", "VRRP101:6"]


@pytest.mark.parametrize("nothing", ["", " ", " --", " :"])
def test_without_a_reason_it_silences_nothing_and_is_a_finding(nothing: str) -> None:
    text = BAD.replace("nopreempt", f"nopreempt # holdfast: ignore[VRRP101]{nothing}")
    assert codes(text) == ["VRRP101:6", "LINT001:6"]


def test_of_no_rule() -> None:
    assert codes(BAD.replace("nopreempt", "nopreempt # holdfast: ignore it")) == ["VRRP101:6", "LINT003:6"]
    assert codes(BAD.replace("nopreempt", "nopreempt # holdfast: ignore[X1] it is meant so")) == [
        "VRRP101:6",
        "LINT003:6",
    ]


def test_of_two_rules_each_must_be_found() -> None:
    comment = "# holdfast: ignore[VRRP101, LVS101] it is meant so"
    assert codes(BAD.replace("nopreempt", f"nopreempt {comment}")) == ["LINT002:6"]


def test_no_suppression_silences_what_is_said_of_suppressions() -> None:
    assert "LINT002:1" in codes("# holdfast: ignore[LINT002, VRRP] it is meant so\n" + instance())
