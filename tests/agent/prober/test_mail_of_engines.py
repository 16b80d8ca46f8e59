"""Servers die and come back behind real nginx and real HAProxy: what a real mail server gets to hear of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.agent import smtp_sink
from tests.agent.machine import PYTHON, Machine
from tests.agent.prober import mail_spec
from tests.agent.smtp_sink import Mail
from tests.waiting import wait_until

pytestmark = pytest.mark.lab

HERE = Path(__file__).parent
PROMPT_S = 8.0  # less than the ten seconds for which a mail server may keep its silence


@contextmanager
def running(node: Machine, *argv: str) -> Iterator[None]:
    child = node.spawn(PYTHON, *argv)
    try:
        yield
    finally:
        assert child.stdin is not None
        child.stdin.close()
        child.wait(timeout=60)


@contextmanager
def serving(node: Machine, *sink: str) -> Iterator[None]:
    """The servers of the pools and a mail server; `sink`: `silent`, where it is to say nothing."""
    backend, server = str(HERE / "backend.py"), str(Path(smtp_sink.__file__))
    with ExitStack() as stack:
        ports = (f"s{port}:10.9.0.5:{port}" for port in mail_spec.PORTS)
        stack.enter_context(running(node, backend, *ports))
        stack.enter_context(running(node, server, str(mail_spec.SMTP_PORT), mail_spec.MAILS, *sink))
        yield


def mails(node: Machine) -> list[Mail]:
    return smtp_sink.kept(node.root / mail_spec.MAILS.lstrip("/"))


def about(node: Machine, *words: str) -> list[Mail]:
    """Those in whose text each of `words` stands."""
    return [mail for mail in mails(node) if all(word in mail.text for word in words)]


def break_one(node: Machine, port: int) -> None:
    node.run("touch", f"/tmp/BROKEN.s{port}")


def mend(node: Machine, port: int) -> None:
    node.run("rm", "-f", f"/tmp/BROKEN.s{port}")


def down_in_nginx(node: Machine) -> set[int]:
    lines = node.read("/etc/holdfast/nginx/servers/web.conf").splitlines()
    return {int(line.split()[1].rpartition(":")[2]) for line in lines if " down;" in line}


def test_behind_nginx(node: Machine) -> None:
    with serving(node):
        report = node.apply(mail_spec.bundle("nginx"))
        assert report["outcome"] == "committed", report
        # From the start one server of the other pool takes no connections.
        wait_until(lambda: about(node, "10.9.0.5:9009 of pool tcp is DOWN", "connection refused"))
        break_one(node, 9002)
        wait_until(lambda: about(node, "10.9.0.5:9002 of pool web is DOWN"))
        mend(node, 9002)
        wait_until(lambda: about(node, "10.9.0.5:9002 of pool web is UP"))
        (mail,) = about(node, "10.9.0.5:9002 of pool web is DOWN")
        assert (mail.helo, mail.sender, mail.recipients) == ("lb01", "ha@example.com", ["ops@example.com"])
        assert mail.message()["Subject"] == "[shop] 10.9.0.5:9002 of pool web is down (seen by lb01)"
        for line in (
            "cluster: shop",
            "node:    lb01",
            "  why:   HTTP 500 to GET /healthz",
            "  pool:  1 of 2 servers are up",
        ):
            assert line in mail.text.splitlines()
        assert len(mails(node)) == 3


def test_a_mail_server_that_hangs_delays_neither_questions_nor_marks(node: Machine) -> None:
    with serving(node, "silent"):
        assert node.apply(mail_spec.bundle("nginx"))["outcome"] == "committed"
        for port in mail_spec.PORTS:  # few enough reloads that none has to wait for its turn
            break_one(node, port)
            wait_until(lambda port=port: down_in_nginx(node) == {port}, within_s=PROMPT_S)
            mend(node, port)
            wait_until(lambda: down_in_nginx(node) == set(), within_s=PROMPT_S)
        log = "/var/log/holdfast/prober/prober.log"
        wait_until(lambda: "it does not answer in time; it is tried again in 10 s" in node.read(log))
        assert mails(node) == []
        stopped = time.monotonic()
        node.run(
            "kill", "-TERM", str(next(s["pid"] for s in node.agent("status")["services"] if s["service"] == "prober"))
        )
        wait_until(lambda: "ends without having told of" in node.read(log))
        assert time.monotonic() - stopped < 9


def test_behind_haproxy(node: Machine) -> None:
    with serving(node):
        report = node.apply(mail_spec.bundle("haproxy"))
        assert report["outcome"] == "committed", report
        who = "cluster shop, node lb01"
        wait_until(lambda: about(node, "Server tcp/10-9-0-5-9009 is DOWN", who, "Connection refused"))
        break_one(node, 9002)
        wait_until(lambda: about(node, "Server web/10-9-0-5-9002 is DOWN"))
        mend(node, 9002)
        wait_until(lambda: about(node, "Server web/10-9-0-5-9002 is UP", who))
        (mail,) = about(node, "Server web/10-9-0-5-9002 is DOWN")
        assert (mail.helo, mail.sender, mail.recipients) == ("lb01.shop", "ha@example.com", ["ops@example.com"])
        assert f'code: 500, info: "{who}, asked 10.9.0.5 port 9002"' in mail.text
        assert len(mails(node)) == 3


def test_behind_haproxy_only_what_goes_down_where_nothing_else_was_asked_for(node: Machine) -> None:
    with serving(node):
        assert node.apply(mail_spec.bundle("haproxy", "server_down"))["outcome"] == "committed"
        for _ in range(2):
            known = len(about(node, "Server web/10-9-0-5-9002 is DOWN"))
            break_one(node, 9002)
            wait_until(lambda known=known: len(about(node, "Server web/10-9-0-5-9002 is DOWN")) == known + 1)
            mend(node, 9002)
            time.sleep(1.5)
        assert about(node, "is UP") == []
