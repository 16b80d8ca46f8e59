"""Where includes come from, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from holdfast.keepalived.files import InMemory, Nowhere, OnDisk, Refusal, braces
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
