"""`holdfast fmt`: prints, checks, shows and writes; refuses what is no file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from tests.cli.conftest import Command

UGLY = "vrrp_instance a{\npriority   10 # why\n}\n"
NEAT = "vrrp_instance a {\n    priority 10 # why\n}\n"


def test_it_prints_what_it_laid_out(holdfast: Command, tmp_path: Path) -> None:
    path = tmp_path / "a.conf"
    path.write_text(UGLY)
    done = holdfast("fmt", path)
    assert (done.returncode, done.stdout, done.stderr) == (0, NEAT, "")
    assert path.read_text() == UGLY


def test_check_says_which_and_ends_with_1(holdfast: Command, tmp_path: Path) -> None:
    ugly, neat = tmp_path / "ugly.conf", tmp_path / "neat.conf"
    ugly.write_text(UGLY)
    neat.write_text(NEAT)
    done = holdfast("fmt", "--check", ugly, neat)
    assert (done.returncode, done.stdout) == (1, f"{ugly} would change\n")
    assert holdfast("fmt", "--check", neat).returncode == 0


def test_diff_shows_and_changes_nothing(holdfast: Command, tmp_path: Path) -> None:
    path = tmp_path / "a.conf"
    path.write_text(UGLY)
    done = holdfast("fmt", "--diff", path)
    assert done.returncode == 0
    assert "-vrrp_instance a{" in done.stdout
    assert "+    priority 10 # why" in done.stdout
    assert path.read_text() == UGLY


def test_write_keeps_mode_and_bytes(holdfast: Command, tmp_path: Path) -> None:
    path = tmp_path / "a.conf"
    path.write_bytes(b"global_defs{\nrouter_id caf\xe9\n}\r\n")
    path.chmod(0o640)
    (tmp_path / "link.conf").symlink_to(path)
    assert holdfast("fmt", "-w", tmp_path / "link.conf").returncode == 0
    assert path.read_bytes() == b"global_defs {\n    router_id caf\xe9\n}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert (tmp_path / "link.conf").is_symlink()
    assert os.listdir(tmp_path).count("a.conf") == 1
    assert [name for name in os.listdir(tmp_path) if name.startswith(".a.conf")] == []


def test_what_cannot_be_read_is_one_sentence(holdfast: Command, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        done = holdfast("fmt", path)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        assert str(path) in done.stderr
    done = holdfast("fmt", "-w", "-")
    assert done.returncode == 2
    assert "standard input" in done.stderr


def test_the_help_has_an_example(holdfast: Command) -> None:
    assert "Example" in holdfast("fmt", "--help").stdout
