"""Logs of services that nobody rotates do not fill the disk."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from pathlib import Path

import pytest
from tests.agent.services.fakes import FakeManager
from tests.disk import fill, small_disk

from holdfast.agent.daemon import logs
from holdfast.agent.daemon.logs import LogKeeper, _send, shortened
from holdfast.agent.daemon.state import State
from holdfast.agent.daemon.work import Work
from holdfast.agent.host.fake import FakeHost
from holdfast.agent.host.port import Places
from holdfast.agent.lock import exclusive
from holdfast.agent.services.base import Node
from holdfast.agent.services.logs import LogTail
from holdfast.bundle import Service


def test_a_log_that_is_too_large_is_begun_anew_under_whoever_writes_it(tmp_path: Path) -> None:
    places = Places(tmp_path)
    folder = places.log / "nginx"
    folder.mkdir(parents=True)
    small, large = folder / "error.log", folder / "access.log"
    small.write_text("y" * 50)
    with large.open("ab", buffering=0) as nginx:
        nginx.write(b"x" * 200)
        assert shortened(places, largest=100) == (large,)
        nginx.write(b"after\n")
    assert large.read_bytes() == b"after\n"
    assert (folder / "access.log.cut").read_bytes() == b"x" * 200
    assert small.read_text() == "y" * 50
    assert shortened(places, largest=100) == (), "a copy is no log"


def test_a_log_is_begun_anew_once_under_a_program_that_does_not_append(tmp_path: Path) -> None:
    """HAProxy sets O_NONBLOCK on its output, and takes O_APPEND from it: it writes on where it was."""
    places = Places(tmp_path)
    log, copy = places.log / "haproxy" / "haproxy.log", places.log / "haproxy" / "haproxy.log.cut"
    log.parent.mkdir(parents=True)
    with log.open("wb", buffering=0) as haproxy:
        haproxy.write(b"x" * 999_999 + b"\n")
        assert shortened(places, largest=300_000) == (log,)
        haproxy.write(b"after\n")
        assert log.stat().st_size == 1_000_006
        assert shortened(places, largest=300_000) == (), "what it wrote since is short"
        assert copy.stat().st_size == 1_000_000
        haproxy.write(b"y" * 400_000 + b"\n")
        assert shortened(places, largest=300_000) == (log,)
        assert copy.read_bytes() == b"after\n" + b"y" * 400_000 + b"\n"
        tail = LogTail(places, Service.HAPROXY, {})
        haproxy.write(b"[ALERT] new\n")
        assert tail.lines() == ("[ALERT] new",)


def test_what_a_link_leads_to_is_left_alone(tmp_path: Path) -> None:
    """A program that was taken over may make one in its folder; this runs as root."""
    places, victim = Places(tmp_path), tmp_path / "shadow"
    victim.write_text("z" * 500)
    (places.log / "nginx").mkdir(parents=True)
    (places.log / "nginx" / "access.log").symlink_to(victim)
    (places.log / "nginx" / "other.log").write_text("x" * 500)
    (places.log / "nginx" / "other.log.cut").symlink_to(victim)
    assert shortened(places, largest=100) == (places.log / "nginx" / "other.log",)
    assert victim.read_text() == "z" * 500


def test_what_others_rotated_is_not_touched(tmp_path: Path) -> None:
    places = Places(tmp_path)
    log, rotated = places.log / "nginx" / "error.log", places.log / "nginx" / "error.log.1"
    log.parent.mkdir(parents=True)
    log.write_text("x" * 500)
    rotated.write_text("of yesterday")
    assert shortened(places, largest=100) == (log,)
    assert rotated.read_text() == "of yesterday"


def test_what_is_written_during_the_copy_is_copied_as_well(tmp_path: Path) -> None:
    log, copy = tmp_path / "log", tmp_path / "copy"
    log.write_text("x" * 1000)
    with log.open("rb") as source, copy.open("wb") as target:
        _send(source.fileno(), target.fileno(), 2 * 900)  # it had 900 when the copy began
        assert copy.stat().st_size == 1000
        log.write_text("x" * 5000)
        target.seek(0)
        _send(source.fileno(), target.fileno(), 2 * 900)
    assert copy.stat().st_size == 1800


def test_a_log_that_decides_about_an_attempt_under_way_is_not_shortened(tmp_path: Path) -> None:
    """By this agent, or by a command that somebody gave by hand."""
    places = Places(tmp_path)
    log = places.log / "nginx" / "error.log"
    log.parent.mkdir(parents=True)
    log.write_text("x" * 500)
    with exclusive(places):
        assert shortened(places, largest=100) == ()
    assert log.stat().st_size == 500
    assert shortened(places, largest=100) == (log,)


def test_a_disk_that_cannot_be_read_does_not_end_the_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logging.getLogger("holdfast.agent"), "propagate", True)
    asked: list[Places] = []

    def broken(places: Places) -> tuple[Path, ...]:
        asked.append(places)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(logs, "_logs", broken)

    async def story() -> None:
        state = State("shop", "lb01", Work(Node(FakeHost(), Places(tmp_path), FakeManager())))
        keeper = LogKeeper(state)
        try:
            await keeper.look()
            await keeper.look()
            state.busy = 1
            await keeper.look()
        finally:
            state.end()

    asyncio.run(story())
    assert len(asked) == 2  # not while it is busy
    assert [record.message for record in caplog.records] == ["logs cannot be looked after"]


@pytest.mark.lab
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it mounts a small disk")
def test_the_copy_before_makes_room_for_the_next_and_some_is_left(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 4) as disk:
        places = Places(disk)
        log, copy = places.log / "nginx" / "access.log", places.log / "nginx" / "access.log.cut"
        log.parent.mkdir(parents=True)
        for letter in ("x", "y"):
            log.write_text(letter * 1_800_000)
            assert shortened(places) == (log,)
            assert copy.read_text() == letter * 1_800_000
        log.write_text("z" * 2_000_000)
        (disk / "ballast").write_bytes(b"-" * 150_000)  # there would be room for a copy, but for nothing else
        assert shortened(places) == (log,)
        assert not copy.exists()


@pytest.mark.lab
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it mounts a small disk")
def test_on_a_full_disk_there_is_room_again(tmp_path: Path) -> None:
    """A log is at most a sixteenth of its disk, and goes without a copy where none has room."""
    with small_disk(tmp_path / "disk", 2) as disk:
        places = Places(disk)
        (places.log / "nginx").mkdir(parents=True)
        log = places.log / "nginx" / "access.log"
        log.write_bytes(b"x" * 1_000_000)
        fill(disk)
        assert shortened(places) == (log,)
        assert log.stat().st_size == 0
        assert not (places.log / "nginx" / "access.log.cut").exists()
        (disk / "news").write_bytes(b"x" * 500_000)
