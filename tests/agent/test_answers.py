"""Whether an answer is on its way, judged by what the kernel counts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.agent.answers import Picture, SeenIdle, Uploads, busy
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
        # Lost once on the way: it still arrives. In vain three times: nobody is there (the client gave up while the
        # addresses were elsewhere), and a move that waits for it holds everybody else back.
        ({"unsent": 10, "repeats": 1}, True),
        ({"unsent": 10, "repeats": 3}, False),
        ({"unsent": 10, "repeats": 3, "closed": True}, False),
        # A request that came after the last answer.
        ({"since_received_ms": 20, "since_sent_ms": 600}, True),
        # The first request, in the same millisecond as the handshake: nothing was ever sent.
        ({"since_received_ms": 700, "since_sent_ms": 700, "sent_bytes": 0}, True),
        # An answer whose last part was written a moment ago.
        ({"since_received_ms": 12, "since_sent_ms": 10}, True),
        # A slow stream pauses for 300 ms, two seconds after its request.
        ({"since_received_ms": 2300, "since_sent_ms": 300}, True),
        ({"since_received_ms": 2900, "since_sent_ms": 900}, False),
    ],
)
def test_busy(change: dict[str, int], expected: bool) -> None:
    assert busy(replace(ANSWERED, **change), held_ms=100) is expected


def test_a_connection_without_a_request_gets_time_to_send_it() -> None:
    silent = replace(ANSWERED, received_bytes=0, sent_bytes=0)
    assert busy(silent, held_ms=100)
    assert not busy(silent, held_ms=1500)


def test_what_was_relayed_just_now_may_go_on() -> None:
    part = replace(ANSWERED, since_received_ms=404, since_sent_ms=400)
    behind = Connection("10.0.0.1", 51234, "10.0.0.50", 80, received_bytes=5, since_received_ms=402, since_sent_ms=406)
    other = replace(behind, since_received_ms=300)
    assert picture(part, behind).busy(500) == (part,)
    assert picture(part, other).busy(500) == ()
    silent = replace(part, since_received_ms=904, since_sent_ms=900)
    assert picture(silent, replace(behind, since_received_ms=902)).busy(500) == ()


def picture(*connections: Connection) -> Picture:
    return Picture.of(connections, {"10.9.0.3"}, {80})


def test_connections_to_other_addresses_and_from_here_are_not_clients() -> None:
    from_the_address = replace(ANSWERED, local_port=51234, remote="10.0.0.50", remote_port=80)
    elsewhere = replace(ANSWERED, local="10.9.0.4")
    found = picture(ANSWERED, from_the_address, elsewhere)
    assert found.clients == (ANSWERED,)
    assert found.upstreams == (from_the_address,)


def test_each_must_be_seen_idle_once_but_not_all_at_the_same_time() -> None:
    one, two = ANSWERED, replace(ANSWERED, remote_port=40001)
    asking = {"since_received_ms": 1, "since_sent_ms": 400}
    seen = SeenIdle()
    assert seen.look(picture(one, replace(two, **asking)), 100) == 1
    assert seen.look(picture(replace(one, **asking), two), 110) == 0


def test_the_next_request_shows_that_the_answer_before_had_ended() -> None:
    just_answered = replace(ANSWERED, since_received_ms=9, since_sent_ms=8)
    asking_again = replace(ANSWERED, since_received_ms=2, since_sent_ms=14, received_bytes=200)
    seen = SeenIdle()
    assert seen.look(picture(just_answered), 100) == 1
    assert seen.look(picture(asking_again), 110) == 0


def test_the_rest_of_an_upload_shows_nothing() -> None:
    uploading = replace(ANSWERED, since_received_ms=2, since_sent_ms=900)
    seen = SeenIdle()
    assert seen.look(picture(uploading), 100) == 1
    assert seen.look(picture(replace(uploading, received_bytes=5000)), 110) == 1


def test_a_connection_that_ended_is_waited_for_no_longer() -> None:
    seen = SeenIdle()
    assert seen.look(picture(replace(ANSWERED, unread=5)), 100) == 1
    assert seen.look(picture(), 110) == 0


def test_an_upload_is_not_held_back_before_its_end() -> None:
    uploading = replace(ANSWERED, since_received_ms=2, since_sent_ms=900)
    waiting = replace(uploading, remote_port=40001)
    answered = replace(ANSWERED, remote_port=40002)
    uploads = Uploads()
    assert uploads.sent_all([uploading, waiting, answered]) == (answered,)
    more = replace(uploading, received_bytes=5000)
    assert uploads.sent_all([more, waiting, answered]) == (waiting, answered)
    assert uploads.sent_all([more, waiting, answered]) == (more, waiting, answered)
