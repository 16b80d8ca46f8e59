"""The numbers by which keepalived calls lines: those of the file, but behind NUL bytes and too long lines."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from tests.keepalived.corpus import needs_keepalived
from tests.keepalived.trees import codes

from holdfast.keepalived.numbering import told_as
from holdfast.keepalived.source import Source, decode
from holdfast.lint import engine

_BEHIND = "bogus\nglobal_defs {\nbogus\n}\nvrrp_instance a {\nbogus\n}\nvirtual_server 10.0.0.1 80 {\nbogus\n}\n"
ODD = {
    "a NUL": "a\nb\0\n" + _BEHIND,
    "a NUL first": "a\n\0b\n" + _BEHIND,
    "a NUL in a comment": "a\n# b\0\n" + _BEHIND,
    "a long comment": "# " + "b" * 1_500 + "\n" + _BEHIND,
    "a long comment of signs that take three bytes": "# " + "务" * 500 + "\n" + _BEHIND,
    "a long word": "a\n" + "b" * 1_500 + "\n" + _BEHIND,
    "a word that fills the buffer": "a\n" + "b" * 1_023 + "\n" + _BEHIND,
    "a word that just fits": "a\n" + "b" * 1_022 + "\n" + _BEHIND,
    "many pieces": "a\n" + "b c # " * 900 + "\n" + _BEHIND + "!\n" * 9,  # it counts more lines than there are
    "bytes that are no UTF-8": "a\n" + "\udcff" * 1_100 + "\n" + _BEHIND,
    "a NUL in a long word": "a\n" + "b" * 500 + "\0" + "c" * 900 + "\n" + _BEHIND,
    "no line feed at the end": "a\nb",
    "a quote at the end": 'a\nglobal_defs {\n}\n "',
}


def test_lines_are_called_by_their_numbers() -> None:
    assert list(told_as(Source("a", "a\nb\n"), {1, 2})) == []
    assert list(told_as(Source("a", "a\0\nb\nc"), {2, 3})) == [(2, 1), (3, 1)]


def test_what_is_said_of_a_line_is_said_of_the_other_too() -> None:
    assert codes("! a\0b\n!\nbogus\n") == ["KA034:1", "KA001:3", "KA056:2"]
    remarks = engine.examine([engine.read_text("! a\0b\n!\nvrrp_instance a {\n    interface eth0\n}\n")])
    assert ("KA056", 2) in [(one.finding.code, one.finding.location.line) for one in remarks if one.finding.location]


@pytest.mark.lab
@needs_keepalived
@pytest.mark.parametrize("name", ODD)
def test_keepalived_counts_so(name: str, tmp_path: Path) -> None:
    path = tmp_path / "keepalived.conf"
    path.write_bytes(ODD[name].encode("utf-8", "surrogateescape"))
    done = subprocess.run(["keepalived", "-t", "-f", str(path)], capture_output=True, timeout=20, check=False)
    told = {int(one) for one in re.findall(r"Line (\d+)\)", decode(done.stderr))}
    remarks = engine.examine([engine.read(str(path))])
    lines = {one.finding.location.line for one in remarks if one.finding.location}
    assert told
    assert told <= lines
