"""Mail about servers as a real mail server gets it, and what becomes of it when that one is slow, away or unwilling."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

import pytest
from tests.agent.prober.test_outbox import DOWN
from tests.agent.smtp_sink import Sink
from tests.waiting import wait_until

from holdfast.agent.prober import mailer, outbox
from holdfast.agent.prober.letter import letter
from holdfast.agent.prober.mailer import Mailer, MailFailed, deliver
from holdfast.agent.prober.outbox import Batch
from holdfast.bundle import ServerMail

OPS = "ops@example.com"
UP = replace(DOWN, up=True, why="HTTP 200 to GET /healthz", in_use=True, up_count=3)
STEPS_S = (0.2, 0.4)  # the first two waits after a failure


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "SETTLE_S", 0.1)
    monkeypatch.setattr(outbox, "INTERVAL_S", 0.2)
    monkeypatch.setattr(outbox, "RETRY_S", STEPS_S)


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as made:
        yield made


@pytest.fixture
def sender() -> Iterator[Mailer]:
    made = Mailer()
    yield made
    made.address(None)
    made.stop()


def settings(port: int, **change: Any) -> ServerMail:
    wanted: dict[str, Any] = {
        "cluster": "shop",
        "node": "lb01",
        "host": "127.0.0.1",
        "port": port,
        "sender": "ha@example.com",
        "recipients": (OPS,),
        "down": True,
        "up": True,
    }
    return ServerMail(**{**wanted, **change})


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_mail_says_who_what_when_and_why(sender: Mailer, sink: Sink) -> None:
    sender.address(settings(sink.port, recipients=(OPS, "night@example.com")))
    sender.tell(replace(DOWN, why="HTTP 503 to GET /healthz"))
    wait_until(lambda: sink.mails)
    sender.stop()
    (mail,) = sink.mails
    assert (mail.helo, mail.sender, mail.recipients) == ("lb01", "ha@example.com", [OPS, "night@example.com"])
    message = mail.message()
    assert message["Subject"] == "[shop] web01:80 of pool web is down (seen by lb01)"
    assert (message["From"], message["To"]) == ("ha@example.com", f"{OPS}, night@example.com")
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"]
    assert abs(message["Date"].datetime - datetime.now(UTC)).total_seconds() < 60
    text = message.get_content()
    assert "web01:80 (10.0.0.7:80) of pool web is DOWN" in text
    for line in (
        "cluster: shop",
        "node:    lb01",
        "  since: 2026-01-02T03:04:05.678+00:00",
        "  why:   HTTP 503 to GET /healthz",
        "  use:   nginx sends it no requests",
        "  pool:  2 of 3 servers are up",
    ):
        assert line in text.splitlines()


def test_what_changes_within_a_moment_is_one_mail(sender: Mailer, sink: Sink) -> None:
    sender.address(settings(sink.port))
    for number in range(3):
        sender.tell(replace(DOWN, server=f"web{number}-80", endpoint=f"10.0.0.{number}:80"))
    sender.tell(replace(UP, server="web1-80", endpoint="10.0.0.1:80"))
    sender.stop()  # sends what waits
    (mail,) = sink.mails
    assert mail.message()["Subject"] == "[shop] servers of pool web: 2 down, 1 back up (seen by lb01)"
    assert mail.message().get_content().count(" is DOWN\n") == 3


@pytest.mark.parametrize(("down", "up"), [(True, False), (False, True)])
def test_only_what_was_asked_for_is_told(sender: Mailer, sink: Sink, down: bool, up: bool) -> None:
    sender.address(settings(sink.port, down=down, up=up))
    sender.tell(DOWN)
    sender.tell(UP)
    sender.stop()
    (mail,) = sink.mails
    assert (" is DOWN\n" in mail.text, " is UP\n" in mail.text) == (down, up)


def test_a_mail_server_that_says_nothing_keeps_nobody_waiting(
    sender: Mailer,
    sink: Sink,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mailer, "_STEP_S", 2.0)
    sink.silent = True
    sender.address(settings(sink.port))
    took = []
    for _ in range(5):
        began = time.monotonic()
        sender.tell(DOWN)
        took.append(time.monotonic() - began)
        time.sleep(0.1)
    assert sorted(took)[2] < 1  # who waits for the mail server does so each time, who has no processor now and then
    wait_until(lambda: lines(caplog))
    expected = f"did not go through 127.0.0.1 port {sink.port}: it does not answer in time; it is tried again in 0.2 s"
    assert expected in lines(caplog)[0]
    sink.silent = False
    wait_until(lambda: sink.mails)  # nothing is lost: the next attempt tells all
    sender.stop()
    assert sum(mail.text.count(" is DOWN") for mail in sink.mails) == 5


def test_a_mail_server_that_drips_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailer, "_WHOLE_S", 0.5)
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                while not ended.wait(0.05):
                    try:
                        connection.sendall(b"2")
                    except OSError:
                        return

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        began = time.monotonic()
        wanted = settings(server.getsockname()[1])
        with pytest.raises(MailFailed) as caught:
            deliver(wanted, letter(wanted, Batch((DOWN,)), datetime.now(UTC)))
        assert time.monotonic() - began < 60  # and not for as long as it drips
        assert not caught.value.for_ever
        ended.set()
        thread.join(60)


def test_a_mail_that_is_refused_for_ever_is_not_sent_again(
    sender: Mailer, sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    sink.refusals[OPS] = "550 no such user"
    sender.address(settings(sink.port))
    sender.tell(DOWN)
    wait_until(lambda: lines(caplog))
    time.sleep(3 * STEPS_S[0])
    sender.stop()
    (line,) = lines(caplog)
    assert line.endswith("it refuses every recipient: 550 no such user; it is not tried again")
    assert f"mail about 1 change(s) of servers to {OPS} did not go through" in line


def test_one_recipient_who_is_refused_keeps_it_from_nobody_else(
    sender: Mailer, sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    sink.refusals["gone@example.com"] = "550 moved"
    sender.address(settings(sink.port, recipients=("gone@example.com", OPS)))
    sender.tell(DOWN)
    sender.stop()
    assert [mail.recipients for mail in sink.mails] == [[OPS]]
    assert lines(caplog) == ["the mail server refuses mail to gone@example.com: 550 moved"]


@pytest.mark.parametrize(
    ("greeting", "said"), [("421 too busy", "it says 421 too busy"), ("HTTP/1.1 400 Bad", "it says -1")]
)
def test_a_mail_server_that_is_busy_is_tried_again(
    sender: Mailer,
    sink: Sink,
    caplog: pytest.LogCaptureFixture,
    greeting: str,
    said: str,
) -> None:
    sink.greeting = greeting
    sender.address(settings(sink.port))
    sender.tell(DOWN)
    wait_until(lambda: lines(caplog))
    assert said in lines(caplog)[0]
    sink.greeting = "220 sink"
    wait_until(lambda: sink.mails)
    sender.stop()


def test_where_nobody_listens_it_says_so_and_what_is_untold_at_the_end(
    sender: Mailer, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as taken:  # bound, but not listening
        taken.bind(("127.0.0.1", 0))
        sender.address(settings(taken.getsockname()[1]))
        sender.tell(DOWN)
        wait_until(lambda: len(lines(caplog)) >= 2)
        sender.stop()
    first, second, *_, last = lines(caplog)
    assert first.endswith("connection refused; it is tried again in 0.2 s")
    assert second.endswith("connection refused; it is tried again in 0.4 s")
    assert last == "ends without having told of 1 change(s) of servers by mail"


def test_nothing_of_an_answer_becomes_a_line_of_the_mail() -> None:
    change = replace(DOWN, why="x\r\nBcc: all@example.com\x00" + "y" * 5000)
    text = letter(settings(25), Batch((change,), left_out=3), datetime.now(UTC)).as_string()
    assert "x??Bcc: all@example.com?yyy" in text.replace("=\n", "")
    assert "\nBcc" not in text
    assert len(text) < 2000
    assert "3 earlier changes were too many to be kept." in text


def test_one_that_fails_but_must_stay_is_told_so() -> None:
    text = letter(settings(25), Batch((replace(DOWN, in_use=True),)), datetime.now(UTC)).get_content()
    assert "nginx goes on sending it requests: too few others are up" in text


def test_what_did_not_go_through_is_forgotten_once_nobody_is_to_be_told(caplog: pytest.LogCaptureFixture) -> None:
    on_its_way, let_go = threading.Event(), threading.Event()

    def fail(mail: ServerMail, message: EmailMessage) -> None:
        on_its_way.set()
        let_go.wait(60)
        raise MailFailed("no", for_ever=False)

    sender = Mailer(send=fail)
    sender.address(settings(25))
    sender.tell(DOWN)
    assert on_its_way.wait(60)
    sender.address(None)
    let_go.set()
    sender.stop()
    (line,) = lines(caplog)
    assert line.endswith("no; nobody is to be told any more")


def test_nobody_is_told_where_nobody_asked() -> None:
    sender = Mailer(send=lambda *_: pytest.fail("a mail was sent"))
    sender.tell(DOWN)
    sender.address(settings(25))
    sender.address(None)
    sender.tell(DOWN)
    sender.stop()
