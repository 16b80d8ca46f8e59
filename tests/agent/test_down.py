"""Why a server is down: what keepalived asks, what its log says, and what becomes of the same question asked again."""

from __future__ import annotations

import asyncio
import json
import socket
from datetime import datetime
from pathlib import Path

import pytest

from holdfast.agent.daemon.explaining import explained
from holdfast.agent.down import Down, Logged, Question, downs, logged, questions
from holdfast.agent.weights import weighted
from holdfast.bundle import Bundle, Probe, ProbedServer
from holdfast.protocol import OverrideReport, Overrides, WeighedServer

GOLDEN = Path(__file__).parents[1] / "golden"
CONF = GOLDEN / "lvs-dr/lb01/etc/holdfast/keepalived/keepalived.conf"
# As keepalived 2.2.7 wrote it in a rehearsal.
LOG = """\
Sat Nov 21 14:54:45 2026: Activating healthchecker for service [192.168.30.8]:tcp:8080 for VS [172.17.100.100]:tcp:80
Sat Nov 21 14:54:47 2026: HTTP_CHECK on service [192.168.30.8]:tcp:8080 failed after 2 retries.
Sat Nov 21 14:54:47 2026: Removing service [192.168.30.8]:tcp:8080 from VS [172.17.100.100]:tcp:80
Sat Nov 21 14:54:48 2026: TCP_CHECK on service [192.168.30.7]:tcp:25 failed after 1 retries.
Sat Nov 21 14:54:48 2026: Removing service [192.168.30.7]:tcp:25 from VS [172.17.100.100]:tcp:25
Sat Nov 21 14:55:01 2026: HTTP status code success to [192.168.30.8]:tcp:8080 url(/healthz)
Sat Nov 21 14:55:03 2026: Adding service [192.168.30.8]:tcp:8080 to VS [172.17.100.100]:tcp:80
Sat Nov 21 14:55:04 2026: Changing weight from 1 to 0 for inactive service [192.168.30.7]:tcp:25 of VS [A]:tcp:25
no line of keepalived's
""".splitlines()


def test_the_log_says_since_when_and_with_which_words() -> None:
    local = datetime(2026, 11, 21, 14, 54, 48).astimezone()
    found = logged(LOG)
    why = "TCP_CHECK on service [192.168.30.7]:tcp:25 failed after 1 retries."
    assert found == {
        ("[192.168.30.7]:tcp:25", "[172.17.100.100]:tcp:25"): Logged(local, why),
        ("[192.168.30.7]:tcp:25", ""): Logged(None, why),  # for a log that does not go back as far
    }
    first = logged(LOG[:3])["[192.168.30.8]:tcp:8080", "[172.17.100.100]:tcp:80"]
    assert first.since is not None
    assert first.said.startswith("HTTP_CHECK on service")


def test_a_server_of_two_virtual_servers_is_out_of_each_for_itself() -> None:
    server, one, other = "[192.168.30.8]:tcp:8080", "[172.17.100.100]:tcp:80", "FWM 4800001"
    failed = f"Sat Nov 21 14:54:47 2026: HTTP_CHECK on service {server} failed after 2 retries."
    lines = [
        failed,
        f"Sat Nov 21 14:54:47 2026: Removing service {server} from VS {one}",
        f"Sat Nov 21 14:54:50 2026: Removing service {server} from VS {other}",
        f"Sat Nov 21 14:55:03 2026: Adding service {server} to VS {other}",
    ]
    found = logged(lines)
    assert found[server, one] == Logged(datetime(2026, 11, 21, 14, 54, 47).astimezone(), failed[26:])
    assert (server, other) not in found
    both = logged(lines[:3])
    assert both[server, other].since == datetime(2026, 11, 21, 14, 54, 50).astimezone()
    assert logged([*lines, f"Sat Nov 21 14:55:04 2026: Enabling service {server} of VS {one}"]) == {}


def test_the_last_words_may_be_gone_with_an_older_log() -> None:
    line = "Sat Nov 21 14:54:47 2026: Removing service [::1]:tcp:80 from VS [::2]:tcp:80"
    assert logged([line])["[::1]:tcp:80", "[::2]:tcp:80"].said == ""


def test_questions_are_those_of_the_configuration() -> None:
    found = questions(CONF.read_text())
    one = found["shop/web01-80"]
    assert one.words == "http /healthz"
    assert one.probe is not None
    assert (one.probe.http, one.probe.host, one.probe.timeout_ms) == ("/healthz", "shop.example.com", 1000)
    assert one.probe.expect == (200, 300, 301, 302)


def test_a_question_is_not_as_patient_as_keepalived_may_be() -> None:
    asked = questions(CONF.read_text().replace("connect_timeout 1", "connect_timeout 30"))["shop/web01-80"]
    assert asked.probe is not None
    assert asked.probe.timeout_ms == 5000


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*/*/etc/holdfast/keepalived/keepalived.conf")), ids=str)
def test_every_check_that_holdfast_writes_is_understood(path: Path) -> None:
    """As many as there are servers with a check; each has words."""
    text = path.read_text()
    blocks = [one for one in text.split("    real_server ")[1:] if "FILE_CHECK" in one]
    checked = [one for one in blocks if one.count("_CHECK {") + one.count("_GET {") > 1]
    found = questions(text)
    assert len(found) == len(checked)
    assert all(one.words for one in found.values())


def test_only_those_are_down_that_nobody_took_out() -> None:
    folder = GOLDEN / "lvs-dr/lb01"
    fields = json.loads((folder / "bundle.json").read_text())
    for file in fields["files"]:
        file["content"] = (folder / file["path"].lstrip("/")).read_text()
    bundle = Bundle.model_validate(fields, strict=False)
    every = weighted(bundle, Overrides(), datetime.now().astimezone())
    rows = tuple(
        WeighedServer(
            virtual_server=each.virtual_server.name,
            source=each.virtual_server.source,
            server=each.server.name,
            wanted=None if place == 1 else each.wanted,
            weight=None if place < 2 else each.wanted,
        )
        for place, each in enumerate(every)
    )
    (one,) = downs(OverrideReport(node="lb01", done=True, servers=rows), every, bundle)
    assert one.place == 0
    assert one.server is not None
    assert one.logged_as == (f"[{one.server.address}]:tcp:{one.server.port}", "[10.0.0.3]:tcp:80")


def test_what_answers_is_asked_again() -> None:
    async def story() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            closed = free.getsockname()[1]
        row = WeighedServer(virtual_server="shop", source="shop", server="a", wanted=1)
        report = OverrideReport(node="lb01", done=True, servers=(row, row, row))
        probe = Probe(http="/healthz", every_ms=1000, timeout_ms=5000, fall=1, rise=1)
        found = [
            Down(0, ("x", "shop"), _server(port), Question("http /healthz", probe)),
            Down(2, ("y", "shop"), _server(closed), Question("tcp", probe.model_copy(update={"http": None}))),
        ]
        said = {("x", ""): Logged(None, "HTTP_CHECK failed")}
        told = await explained(report, found, said)
        server.close()
        first, none, last = (one.why for one in told.servers)
        assert none is None
        assert first is not None
        assert last is not None
        assert (first.answer, first.said, first.question) == ("answers 503", "HTTP_CHECK failed", "http /healthz")
        assert (last.answer, last.said) == ("connection refused", "")

    asyncio.run(story())


def _server(port: int) -> ProbedServer:
    return ProbedServer.model_validate({"name": "server", "address": "127.0.0.1", "port": port})
