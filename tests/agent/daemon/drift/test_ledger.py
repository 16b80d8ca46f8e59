"""What stands, since when, and what may be put right; and diffs that show no secret."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.agent.daemon.drift.diff import masked, unified
from holdfast.agent.daemon.drift.ledger import Ledger, Seen
from holdfast.controller.console.words import words_of
from holdfast.protocol import DriftKind
from holdfast.protocol.desired import LONGEST_DIFF
from holdfast.sentences import Sentence, heard

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FILE = Seen(DriftKind.FILE, "/etc/holdfast/nginx/nginx.conf", "it was changed by hand")
SERVICE = Seen(DriftKind.SERVICE, "nginx", "nginx does not run")
TABLE = Seen(DriftKind.TABLE, "IPVS011 weight")
EVERYTHING = tuple(kind.value for kind in DriftKind)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_a_file_stands_at_once_and_a_service_only_when_it_is_seen_twice() -> None:
    ledger = Ledger().after([FILE, SERVICE], NOW)
    assert [each.what for each in ledger.drifts] == [FILE.what]
    assert not ledger.to_correct(EVERYTHING, NOW)
    ledger = ledger.after([FILE, SERVICE], later(3))
    assert [each.what for each in ledger.drifts] == [FILE.what, "nginx"]
    assert {each.since for each in ledger.drifts} == {NOW}
    assert ledger.to_correct(EVERYTHING, later(3)) == {DriftKind.FILE, DriftKind.SERVICE}
    assert Ledger().after([SERVICE], NOW).after([], later(3)).after([SERVICE], later(6)).drifts == ()


def test_what_is_said_of_a_difference_can_be_said_in_another_language() -> None:
    said = Sentence("it is %(now)s, and should be %(wanted)s", now="0", wanted="1")
    (drift,) = Ledger().after([Seen(DriftKind.SYSCTL, "net.ipv4.ip_forward", said)], NOW).drifts
    assert heard(drift.said, drift.detail) == drift.detail == "it is 0, and should be 1"
    assert words_of("zh").tell(heard(drift.said, drift.detail)) == "现为 0，应为 1"


def test_what_a_person_has_to_see_keeps_everything_as_it_is() -> None:
    ledger = Ledger().after([FILE, SERVICE], NOW).after([FILE, SERVICE], later(3))
    assert not ledger.to_correct(["service"], later(3))
    assert not ledger.to_correct([], later(3))
    both = Ledger().after([SERVICE, TABLE], NOW).after([SERVICE, TABLE], later(3))
    assert not both.to_correct(["service", "file", "address", "sysctl"], later(3))


def test_what_was_put_right_is_told_for_a_while() -> None:
    ledger = Ledger().after([FILE], NOW).corrected(True, later(1))
    assert [each.corrected for each in ledger.drifts] == [True]
    assert [each.corrected for each in ledger.after([], later(60)).drifts] == [True]
    assert ledger.after([], later(300)).drifts == ()
    assert [each.corrected for each in ledger.after([FILE], later(3)).drifts] == [False]  # it is there again


def test_what_cannot_be_put_right_is_tried_less_and_less_often() -> None:
    ledger = Ledger().after([FILE], NOW)
    waits = []
    at = NOW
    for _ in range(10):
        ledger = ledger.corrected(False, at).after([FILE], at)
        start = at
        while not ledger.to_correct(EVERYTHING, at):
            at += timedelta(seconds=10)
            assert at - start <= timedelta(hours=1)
        waits.append(at - start)
    assert waits == sorted(waits)
    assert waits[0] == timedelta(seconds=30)
    assert waits[-1] == timedelta(hours=1)
    back = ledger.corrected(False, at)
    assert back.to_correct(EVERYTHING, at - timedelta(days=365))  # the clock was set back


SECRETS = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=12, max_size=20).map(lambda text: f"Z{text}")


@given(SECRETS, SECRETS, st.sampled_from(("auth_pass {}", '    password "{}"', "user x password {}", "API_KEY: {}")))
@settings(max_examples=60, deadline=None)
def test_no_secret_is_in_a_diff(one: str, other: str, form: str) -> None:
    text = unified("/f", f"a\n{form.format(one)}\nb\n", f"a\n{form.format(other)}\nc\n")
    assert one not in text
    assert other not in text
    assert "+c" in text
    only = unified("/f", form.format(one) + "\n", form.format(other) + "\n")
    assert one not in only
    assert only


def test_a_diff_is_bounded() -> None:
    before = "\n".join(f"line {number}" for number in range(5000))
    after = "\n".join(f"other {number}" for number in range(5000))
    assert len(unified("/f", before, after)) <= LONGEST_DIFF
    assert "too many" in unified("/f", "x\n" * 30_000, "y\n" * 30_000)
    assert masked("    priority 150") == "    priority 150"
    assert masked("proxy_pass http://pool;") == "proxy_pass http://pool;"
