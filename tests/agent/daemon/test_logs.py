"""Logs of services that nobody rotates do not fill the disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.disk import fill, small_disk

from holdfast.agent.daemon.logs import shortened
from holdfast.agent.host.port import Places


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
    assert (folder / "access.log.1").read_bytes() == b"x" * 200
    assert small.read_text() == "y" * 50
    assert shortened(places, largest=100) == (), "a copy is no log"


def test_what_a_link_leads_to_is_left_alone(tmp_path: Path) -> None:
    """A program that was taken over may make one in its folder; this runs as root."""
    places, victim = Places(tmp_path), tmp_path / "shadow"
    victim.write_text("z" * 500)
    (places.log / "nginx").mkdir(parents=True)
    (places.log / "nginx" / "access.log").symlink_to(victim)
    (places.log / "nginx" / "other.log").write_text("x" * 500)
    (places.log / "nginx" / "other.log.1").symlink_to(victim)
    assert shortened(places, largest=100) == (places.log / "nginx" / "other.log",)
    assert victim.read_text() == "z" * 500


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
        assert not (places.log / "nginx" / "access.log.1").exists()
        (disk / "news").write_bytes(b"x" * 500_000)
