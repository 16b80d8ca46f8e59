"""What a service writes from a moment on."""

from __future__ import annotations

import os
from pathlib import Path

from holdfast.agent.host.port import Places
from holdfast.agent.services.logs import COPY, LogTail, log_lengths
from holdfast.bundle import Service


def test_whole_lines_since_the_moment_and_no_requests(tmp_path: Path) -> None:
    places = Places(tmp_path)
    folder = places.log / "haproxy"
    folder.mkdir(parents=True)
    path = folder / "haproxy.log"
    path.write_text("old\n")
    (folder / "access.log").write_text("")
    tail = LogTail(places, Service.HAPROXY, log_lengths(places, Service.HAPROXY))
    assert tail.lines() == ()
    with path.open("a") as log:
        log.write('new\n{"uri": "/"}\nhalf')
        log.flush()
        assert tail.lines() == ("new",)
        log.write(" a line\n")
    (folder / "access.log").write_text("GET /\n")
    assert tail.lines() == ("new", "half a line")


def test_a_rotated_file_counts_from_its_start(tmp_path: Path) -> None:
    places = Places(tmp_path)
    path = places.log / "nginx" / "error.log"
    path.parent.mkdir(parents=True)
    path.write_text("a long line that was there before\n")
    tail = LogTail(places, Service.NGINX, log_lengths(places, Service.NGINX))
    path.rename(path.with_name("error.log.1"))
    path.write_text("new\n")
    assert tail.lines()[-1] == "new"


def test_a_flood_keeps_the_latest(tmp_path: Path) -> None:
    places = Places(tmp_path)
    path = places.log / "nginx" / "error.log"
    path.parent.mkdir(parents=True)
    tail = LogTail(places, Service.NGINX, {})
    path.write_text("x" * 99 + "\n")
    path.write_text(("x" * 99 + "\n") * 20_000 + "last\n")
    lines = tail.lines()
    assert lines[-1] == "last"
    assert len(lines) <= 1000


def test_copies_of_old_lines_are_not_new(tmp_path: Path) -> None:
    """Of the agent itself, and of logrotate with `copytruncate`."""
    places = Places(tmp_path)
    path = places.log / "nginx" / "error.log"
    path.parent.mkdir(parents=True)
    path.write_text("emerg, last week\n")
    path.with_name("error.log.1").write_text("emerg, last month\n")
    tail = LogTail(places, Service.NGINX, log_lengths(places, Service.NGINX))
    path.with_name("error.log.1").rename(path.with_name("error.log.2"))
    for name in ("error.log.1", f"error.log{COPY}"):
        path.with_name(name).write_text(path.read_text())
    path.write_text("")
    assert tail.lines() == ()
    path.write_text("new\n")
    assert tail.lines() == ("new",)


def test_what_is_older_comes_first_whatever_it_is_called(tmp_path: Path) -> None:
    places = Places(tmp_path)
    path = places.log / "keepalived" / "keepalived.log"
    path.parent.mkdir(parents=True)
    path.write_text("today\n")
    rotated = path.with_name("keepalived.log.1")
    rotated.write_text("yesterday\n")
    os.utime(rotated, (1_000_000, 1_000_000))
    assert LogTail(places, Service.KEEPALIVED, {}).lines() == ("yesterday", "today")
