"""Whether an answer is on its way, judged by what the kernel counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.agent.answers import SeenIdle, busy
from holdfast.agent.host.port import Connection

ANSWERED = Connection(
    local="10.9.0.3",
    local_port=80,
    remote="10.9.0.100",
    remote_port=40000,
    received_bytes=100,
    sent_bytes=900,
    since_received_ms=500,
    since_sent_ms=499,
)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, False),
        ({"half_open": True}, True),
        ({"unread": 10}, True),
        ({"unsent": 10}, True),
        # A request that came after the last answer.
        ({"since_received_ms": 20, "since_sent_ms": 600}, True),
        # The first request, in the same millisecond as the handshake: nothing was ever sent.
        ({"since_received_ms": 700, "since_sent_ms": 700, "sent_bytes": 0}, True),
        # An answer whose last part was written a moment ago.
        ({"since_received_ms": 12, "since_sent_ms": 10}, True),
        # A slow stream pauses for 300 ms, two seconds after its request.
        ({"since_received_ms": 2300, "since_sent_ms": 300}, True),
        ({"since_received_ms": 3300, "since_sent_ms": 1300}, False),
    ],
)
def test_busy(change: dict[str, int], expected: bool) -> None:
    assert busy(replace(ANSWERED, **change), held_ms=100) is expected


def test_a_connection_without_a_request_gets_time_to_send_it() -> None:
    silent = replace(ANSWERED, received_bytes=0, sent_bytes=0)
    assert busy(silent, held_ms=100)
    assert not busy(silent, held_ms=1500)


def test_each_must_be_seen_idle_once_but_not_all_at_the_same_time() -> None:
    one, two = ANSWERED, replace(ANSWERED, remote_port=40001)
    asking = {"since_received_ms": 1, "since_sent_ms": 400}
    seen = SeenIdle()
    assert seen.look([one, replace(two, **asking)], 100) == 1
    assert seen.look([replace(one, **asking), two], 110) == 0


def test_a_connection_that_ended_is_waited_for_no_longer() -> None:
    seen = SeenIdle()
    assert seen.look([replace(ANSWERED, unread=5)], 100) == 1
    assert seen.look([], 110) == 0
