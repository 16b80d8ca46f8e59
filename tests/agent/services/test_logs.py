"""What a service writes from a moment on."""

from __future__ import annotations

from pathlib import Path

from holdfast.agent.host.port import Places
from holdfast.agent.services.logs import LogTail, log_lengths
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
