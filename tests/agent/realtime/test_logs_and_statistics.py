"""What nginx's log and HAProxy's statistics say: counted, bounded, and never taken for more than it is."""

from __future__ import annotations

import json
import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from holdfast.agent.realtime import haproxy, nginx
from holdfast.agent.realtime.nginx import Counts, Growth, LogTail
from holdfast.agent.realtime.web import Web, cut, points, rated, requests
from holdfast.errors import ApplyError
from holdfast.protocol.realtime import MOST_POOLS, Requests, WebKind, WebRow


def line(
    status: int = 200, upstream: str = "10.0.0.11:80", statuses: str = "", took: str = "0.010", **more: Any
) -> bytes:
    said = {
        "listener": "www:80", "site": "shop", "route": "0", "pool": "app", "uri": "/", "status": status,
        "request_time": 0.02, "upstream_addr": upstream, "upstream_status": statuses or str(status),
        "upstream_response_time": took, **more,
    }  # fmt: skip
    return json.dumps(said).encode()


def counted(*lines: bytes, share: float = 1.0) -> dict[tuple[str, str], WebRow]:
    counts = Counts()
    counts.take(Growth(list(lines), share))
    return {(row.kind.value, row.name): row for row in nginx.rows(counts)}


def test_a_request_that_was_tried_twice_counts_once_for_the_pool_and_for_both_servers() -> None:
    tried = line(200, "10.0.0.11:80, [2001:db8::1]:80", "502, 200", "0.100, 0.010")
    found = counted(tried, line(404), line(499, "10.0.0.11:80", "-", "-"))
    assert found["listener", "www:80"].statuses == (0, 1, 0, 2, 0, 0)
    assert found["pool", "app"].requests == 3
    first, second = found["server", "10.0.0.11:80"], found["server", "[2001:db8::1]:80"]
    assert (first.statuses, second.statuses) == ((0, 0, 0, 1, 1, 1), (0, 1, 0, 0, 0, 0))
    assert first.pool == "app"


def test_a_pool_without_a_server_to_ask_is_no_server() -> None:
    found = counted(line(502, "app", "502", "0.000"))
    assert {kind for kind, _ in found} == {"listener", "pool"}


def test_what_is_no_line_of_ours_is_passed_over() -> None:
    found = counted(b"", b"{", b"[]", b"\xff", b'{"status":"x"}', line(), b"[" * 5000)
    assert found["listener", "www:80"].requests == 1


def test_a_part_stands_for_the_whole() -> None:
    assert counted(line(), line(), share=0.1)["listener", "www:80"].requests == 20


def test_names_are_bounded() -> None:
    counts = Counts()
    counts.take(Growth([line(listener=f"l{number}", pool="") for number in range(nginx.MOST_ROWS + 50)], 1.0))
    assert len(counts.rows) == nginx.MOST_ROWS


def test_a_log_is_read_from_now_on_and_only_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(b"before\n")
    tail = LogTail(path)
    assert tail.read(1000).lines == []
    with path.open("ab") as log:
        log.write(b"one\ntw")
        log.flush()
        assert tail.read(1000).lines == [b"one"]
        log.write(b"o\n")
        log.flush()
        assert tail.read(1000).lines == [b"two"]
    assert tail.read(1000).lines == []
    tail.close()


def test_a_log_that_is_moved_away_or_emptied_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    tail = LogTail(path)
    assert tail.read(1000).lines == []  # there is none yet
    path.write_bytes(b"first\n")
    assert tail.read(1000).lines == [b"first"]
    with path.open("ab") as log:
        log.write(b"last of the old\n")
    path.rename(tmp_path / "access.log.1")
    path.write_bytes(b"first of the new\n")
    assert tail.read(1000).lines == [b"last of the old", b"first of the new"]
    path.write_bytes(b"again\n")
    assert tail.read(1000).lines == [b"again"]
    tail.close()


def test_of_a_log_that_grows_fast_the_end_is_read(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.touch()
    tail = LogTail(path)
    tail.read(1000)
    path.write_bytes(b"123456789\n" * 1000)
    found = tail.read(1005)
    assert len(found.lines) == 100
    assert found.share == pytest.approx(0.1)
    assert tail.read(1000) == Growth([], 1.0)
    tail.close()


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_log_that_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "access.log"
    if kind == "link":
        (tmp_path / "other").write_text("secret\n")
        path.symlink_to(tmp_path / "other")
    else:
        os.mkfifo(path)
    with pytest.raises(ApplyError, match="cannot be read"):
        LogTail(path).read(1000)


HEAD = (
    "# pxname,svname,qcur,scur,status,type,check_status,"
    "hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,req_tot,rtime,check_desc\n"
)
STATISTICS = f"""\
{HEAD}\
edge.www,FRONTEND,,4,OPEN,0,,0,90,5,3,2,0,100,,
app.cookie,app01-80,1,2,UP,2,L7OK,0,40,0,0,2,0,,12,Layer7 check passed
app.cookie,app02-80,0,0,DOWN,2,L4CON,0,0,0,0,0,0,,0,Layer4 connection problem
app.cookie,BACKEND,3,2,UP,1,,0,40,0,0,2,0,42,12,
health1,FRONTEND,,0,OPEN,0,,0,0,0,0,0,0,0,,

"""


def test_statistics_of_haproxy() -> None:
    front, one, two, back = haproxy.rows(STATISTICS)
    assert (front.kind, front.name, front.requests, front.active, front.queue) == (
        WebKind.LISTENER,
        "edge.www",
        100,
        4,
        None,
    )
    assert (one.kind, one.pool, one.name, one.requests, one.response_ms) == (
        WebKind.SERVER,
        "app.cookie",
        "app01-80",
        42,
        12,
    )
    assert (two.state, two.check) == ("DOWN", "L4CON Layer4 connection problem")
    assert (back.kind, back.queue, back.requests) == (WebKind.POOL, 3, 42)


@pytest.mark.parametrize("text", ["", "Unknown command", "<html>"])
def test_what_is_no_table_is_refused(text: str) -> None:
    with pytest.raises(ApplyError):
        list(haproxy.rows(text))


@pytest.mark.parametrize("sign", "\x0b\x0c\x1c\x1d\x1e\x85\u2028\r")
def test_a_sign_in_what_a_server_answered_ends_no_row(sign: str) -> None:
    """HAProxy quotes what a health check was answered."""
    odd = STATISTICS.replace("Layer7 check passed", f'"bad{sign}app.cookie,app09-80,0,0,UP,2"')
    found = list(haproxy.rows(odd))
    assert [one.name for one in found] == ["edge.www", "app01-80", "app02-80", "app.cookie"]
    assert found[1].check == "L7OK bad?app.cookie,app09-80,0,0,UP,2"


def test_a_table_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(ApplyError, match="cannot be read"):
        list(haproxy.rows(f"{HEAD}{'x' * 200_000}\n"))


def test_a_socket_that_says_nothing_or_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ApplyError, match="cannot be asked"):
        haproxy.ask(tmp_path / "none.sock")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "a.sock"))
        listening.listen()
        with pytest.raises(ApplyError, match="does not answer"):
            haproxy.ask(tmp_path / "a.sock", 0.05)


def test_an_answer_that_never_ends_is_cut_off(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "a.sock"))
        listening.listen()

        def flood() -> None:
            link, _ = listening.accept()
            with link:
                try:
                    while True:  # ends: the other side closes
                        link.sendall(b"x" * 100_000)
                except OSError:
                    return

        thread = threading.Thread(target=flood)
        thread.start()
        with pytest.raises(ApplyError, match="come to an end"):
            haproxy.ask(tmp_path / "a.sock", 60)
        thread.join()


def row(requests: int, fifth: int = 0, **more: Any) -> WebRow:
    kind = more.pop("kind", WebKind.LISTENER)
    return WebRow(engine="haproxy", kind=kind, name="www", requests=requests, statuses=(0, 0, 0, 0, fifth, 0), **more)


def test_rates_are_differences_and_a_program_that_began_anew_counts_from_nothing() -> None:
    (one,) = rated(Web((row(10, 1),)), Web((row(30, 2),)), 2.0)
    assert (one.per_s, one.statuses_per_s) == (10.0, (0, 0, 0, 0, 0.5, 0))
    (one,) = rated(Web((row(1000, 1),)), Web((row(30, 2),)), 2.0)
    assert one.per_s == 15.0
    (one,) = rated(Web(), Web((row(30),)), 2.0)
    assert one.per_s is None  # what it counted before nobody knows


def test_the_mean_time_of_nginx_is_over_the_time_between_two_looks() -> None:
    key = ("nginx", WebKind.POOL, "app", "")
    now = WebRow(engine="nginx", kind=WebKind.POOL, name="app", requests=20)
    before = now.model_copy(update={"requests": 10})
    (one,) = rated(Web((before,), {key: (1000.0, 10.0)}), Web((now,), {key: (1050.0, 20.0)}), 1.0)
    assert (one.per_s, one.response_ms) == (10.0, 5.0)
    (one,) = rated(Web((now,), {key: (1050.0, 20.0)}), Web((now,), {key: (1050.0, 20.0)}), 1.0)
    assert (one.per_s, one.response_ms) == (0.0, None)
    (one,) = rated(Web(), Web((now,), {key: (100.0, 20.0)}), 2.0)
    assert one.per_s == 10.0  # a row that is new had nothing before


def test_the_history_of_an_engine_is_its_listeners_requests_and_its_pools_times() -> None:
    pools = [
        row(0, kind=WebKind.POOL, per_s=30.0, response_ms=10.0, queue=2),
        row(0, kind=WebKind.POOL, per_s=10.0, response_ms=50.0, queue=1).model_copy(update={"name": "other"}),
    ]
    listener = row(0, per_s=40.0, statuses_per_s=(0, 39, 0, 0, 1, 0))
    found = points([listener, *pools])
    assert found["haproxy total"] == (40.0, 1.0, 20.0, 3)
    assert found["haproxy pool other"] == (10.0, None, 50.0, 1)


def test_what_a_pool_was_sent_is_all_that_its_backends_got() -> None:
    """HAProxy has a backend more where a pool is used in two ways; it is named after the pool, and a dot."""
    rows = [
        WebRow(engine="haproxy", kind=WebKind.LISTENER, name="www:80", per_s=9.5),
        WebRow(engine="haproxy", kind=WebKind.LISTENER, name="www:81"),
        WebRow(engine="haproxy", kind=WebKind.POOL, name="app", per_s=4.0),
        WebRow(engine="haproxy", kind=WebKind.POOL, name="app.2", per_s=1.5),
        WebRow(engine="haproxy", kind=WebKind.POOL, name="new"),
        WebRow(engine="haproxy", kind=WebKind.SERVER, name="app01-8080", pool="app", per_s=4.0),
    ]
    assert requests(rows) == Requests(total=9.5, pools={"app": 5.5})
    assert requests(()) == Requests()
    many = [WebRow(engine="nginx", kind=WebKind.POOL, name=f"p{n}", per_s=float(n)) for n in range(MOST_POOLS + 9)]
    assert len(requests(many).pools) == MOST_POOLS
    assert "p0" not in requests(many).pools


def test_of_too_many_rows_the_servers_that_do_least_are_left_out() -> None:
    servers = tuple(row(0, kind=WebKind.SERVER, per_s=float(number)) for number in range(5))
    listener = row(0, per_s=0.0)
    found, left_out = cut((*servers, listener), most=3)
    assert (found, left_out) == ((listener, servers[4], servers[3]), 3)
    assert cut((*servers, listener)) == ((*servers, listener), 0)
