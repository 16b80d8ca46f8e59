"""Files of two nodes as operators write them, each about something seldom: what is imported, they said.

`[150|100]` in a file of the folder `pairs` is what its two nodes differ in.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from tests.keepalived.corpus import DUMP, needs_keepalived
from tests.keepalived.to_spec.meaning import imported, meaning, texts
from tests.keepalived.to_spec.test_corpus import dump, interfaces

from holdfast.keepalived.parse import parse

PAIRS = sorted((Path(__file__).parent / "pairs").glob("*.conf"))
NODES = ("lb1", "lb2")
_EITHER = re.compile(r"\[([^\[\]|{}\n]*)\|([^\[\]|{}\n]*)\]")
# In these keepalived leaves something out for where it stands, and an import does too.
_LEFT_OUT = frozenset({"static", "vmac", "strict", "bfd", "snmp"})
_LONG_S = "5"  # for keepalived to start, read and dump, however busy the machine is

needs_dump = pytest.mark.skipif(not DUMP.exists(), reason="there is no oracle beside the project")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="the oracle makes namespaces: it needs root")


def files(path: Path) -> dict[str, str]:
    """The text of each node."""
    text = path.read_text(encoding="utf-8")
    return {node: _EITHER.sub(lambda found, at=at: found[at], text) for at, node in enumerate(NODES, 1)}  # type: ignore[misc]


@pytest.mark.parametrize("path", PAIRS, ids=lambda path: path.stem)
def test_a_pair_is_carried_whole(path: Path) -> None:
    before = files(path)
    found = imported(**before)
    assert found.complete, found.not_carried
    after = texts(found)
    if path.stem not in _LEFT_OUT and not parse(before["lb1"]).conditions and "$" not in before["lb1"]:
        assert {node: meaning(text) for node, text in after.items()} == {n: meaning(text) for n, text in before.items()}


@pytest.mark.soak
@pytest.mark.timeout(300)
@needs_dump
@needs_keepalived
@needs_root
@pytest.mark.parametrize("path", PAIRS, ids=lambda path: path.stem)
def test_keepalived_understands_a_pair_as_before(path: Path, tmp_path: Path) -> None:
    before = files(path)
    if parse(before["lb1"]).conditions:
        pytest.skip("the oracle gives keepalived no name, so lines for one host count for none")
    after = texts(imported(**before))
    for node in NODES:
        theirs, ours = tmp_path / f"{node}.theirs.conf", tmp_path / f"{node}.ours.conf"
        theirs.write_text(before[node], encoding="utf-8")
        ours.write_text(after[node], encoding="utf-8")
        names = interfaces(parse(before[node], config_id=node).root)
        # With BFD two processes write one dump at once, and lines of one may be lost: never is a dump equal by that.
        tries = 5 if "bfd" in before[node] else 1
        if not any(_said(theirs, names) == _said(ours, names) for _ in range(tries - 1)):
            assert _said(theirs, names) == _said(ours, names), node


def _said(path: Path, names: list[str]) -> dict[str, list[str]]:
    """What keepalived makes of a file; never nothing."""
    found = {kind: sorted(dump(kind, path, names, _LONG_S).splitlines()) for kind in ("-P", "-C")}
    assert any(found.values()), "keepalived says nothing of this file"
    return found
