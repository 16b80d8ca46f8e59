"""Where includes come from, and what is refused."""

from __future__ import annotations

import glob
import os
from pathlib import Path

import pytest

from holdfast.keepalived import files, statements
from holdfast.keepalived.files import InMemory, Nowhere, OnDisk, Refusal, braces
from holdfast.keepalived.parse import parse
from holdfast.keepalived.source import Source


def test_braces_in_patterns() -> None:
    assert set(braces("{foo/{,cat,dog},bar}")) == {"foo/", "foo/cat", "foo/dog", "bar"}
    assert braces("plain") == ["plain"]
    assert len(braces("{a,b}" * 30)) <= 1_000


def test_the_disk_matches_as_a_shell_would(tmp_path: Path) -> None:
    for name in ("b.conf", "a.conf", "c.txt"):
        (tmp_path / name).write_text(name)
    disk = OnDisk()
    assert disk.match("*.conf", str(tmp_path)) == [f"{tmp_path}/a.conf", f"{tmp_path}/b.conf"]
    assert disk.match("{c.txt,a.conf}", str(tmp_path)) == [f"{tmp_path}/c.txt", f"{tmp_path}/a.conf"]
    assert disk.match(f"{tmp_path}/c.txt", "/nowhere") == [f"{tmp_path}/c.txt"]
    assert disk.match("nothing*", str(tmp_path)) == []
    assert disk.match("a\0b", str(tmp_path)) == []


def test_hidden_names_folders_and_bare_slashes(tmp_path: Path) -> None:
    for name in (".hidden.conf", "d/a.conf", "d/e/b.conf", "f"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    disk = OnDisk()
    for pattern in ("*", ".*", "*/", "*/*", "*/*.conf", "d/./*.conf", "[df]*", "d/e/../*.conf", "*/e/b.conf", "f/*"):
        at = f"{tmp_path}/{pattern}"
        assert disk.match(pattern, str(tmp_path)) == sorted(glob.glob(at)), pattern


def test_a_pattern_does_not_walk_through_the_whole_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        (tmp_path / f"d{number}").mkdir()
    monkeypatch.setattr(files, "MOST_NAMES", 100)
    disk = OnDisk()
    assert disk.match("*/*/none.conf", str(tmp_path)) == []  # 30, then 30 folders without anything, then nothing
    wide = disk.match("{d*/*,*/d*,d?/*}", str(tmp_path))
    assert isinstance(wide, Refusal)
    assert str(wide.reason) == "looks through more than 100 names"


def test_what_the_patterns_of_a_reading_look_at_is_counted_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        (tmp_path / f"{number}.txt").write_text("")
    monkeypatch.setattr(files, "MOST_NAMES", 100)
    found = parse(b"include *.conf\n" * 5 + b"vrrp_instance a {\n}\n", f"{tmp_path}/a.conf", files=OnDisk())
    assert [one.code for one in found.findings if one.code != "KA040"][:2] == ["KA043", "KA043"]
    assert not found.complete


def test_files_that_one_include_names_count_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        (tmp_path / f"{number}.conf").write_text("preempt\n")
    monkeypatch.setattr(statements, "MOST_INCLUDES", 10)
    found = parse(b"include *.conf\n" * 5, f"{tmp_path}/a.txt", files=OnDisk())
    assert [one.location.line for one in found.findings if one.location and one.code == "KA043"] == [4]  # told once


@pytest.mark.parametrize("kind", ["folder", "pipe", "executable", "missing", "large", "broken link"])
def test_what_is_not_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "executable":
            path.write_text("x")
            path.chmod(0o755)
        case "large":
            path.write_bytes(b"x" * 11)
        case "broken link":
            path.symlink_to(tmp_path / "nowhere")
    assert isinstance(OnDisk().read(str(path), 10), Refusal)


def test_the_disk_reads(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"0123456789")
    assert OnDisk().read(str(tmp_path / "x"), 10) == b"0123456789"


def test_files_in_memory() -> None:
    memory = InMemory({"d/a.conf": b"a", "d/e/b.conf": b"b"})
    assert memory.match("*.conf", "d") == ["d/a.conf"]
    assert memory.match("../d/*/b.conf", "d") == ["d/e/b.conf"]
    assert memory.read("d/a.conf", 10) == b"a"
    assert isinstance(memory.read("d/a.conf", 0), Refusal)
    assert isinstance(memory.read("x", 10), Refusal)


def test_nowhere_has_nothing() -> None:
    assert Nowhere().match("*", "/") == ()
    assert isinstance(Nowhere().read("/etc/hosts", 10), Refusal)


def test_a_line_is_cut_out_once_however_often_it_is_asked_for() -> None:
    source = Source("x.conf", "first\r\n" + "a " * 1_000 + "\nlast")
    assert source.line(2) is source.line(2)
    assert [source.line(number) for number in (1, 3, 1, 0, 4)] == ["first", "last", "first", "", ""]
