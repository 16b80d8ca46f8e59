"""Files that people run: what is compiled from their import, keepalived understands as it did their own.

Needs the corpus and the oracle beside the project, and root. Prints the shares: `pytest -m soak -s` for all files.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.keepalived.corpus import DUMP, corpus, needs_corpus, needs_keepalived
from tests.keepalived.to_spec.meaning import PATH, compiled

from holdfast.keepalived.parse import load
from holdfast.keepalived.to_spec import FOLDER_MARK, import_nodes
from holdfast.keepalived.tree import Node

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="the oracle makes namespaces: it needs root")
_NAMING = frozenset({"interface", "bind_if", "lvs_sync_daemon_interface", "lvs_sync_daemon"})
# Link-local addresses come from the hardware addresses of interfaces that are made anew for each dump.
_RANDOM = re.compile(r"fe80::[0-9a-f:]+")
_KINDS_OF_DUMP = ("-P", "-C")


def interfaces(root: Node) -> list[str]:
    """Those that a file names, so that the oracle makes them."""
    found: list[str] = []
    for node in root.walk():
        words = node.words
        if words and node.name in _NAMING:
            found.append(node.arg())
        if words and node.name in ("track_interface", "interfaces"):
            found += [line.name for line in node.children]
        if "dev" in words[:-1]:
            found.append(words[words.index("dev") + 1])
    return [name for name in dict.fromkeys(found) if 0 < len(name) <= 15 and name != "lo" and name.isascii()][:40]


def dump(kind: str, path: Path, names: list[str], *times: str) -> str:
    """keepalived's own dump; asked for once more, and longer, where it is empty: the machine may be busy."""
    for seconds in times or ("0.7", "2.5"):
        environment = {**os.environ, "DT": seconds}
        argv = [str(DUMP), kind, str(path), *names]
        done = subprocess.run(argv, capture_output=True, timeout=60, env=environment, check=False)
        if done.stdout:
            break
    return _RANDOM.sub("fe80::", done.stdout.decode("utf-8", "surrogateescape"))


def verdict(path: Path, folder: Path, kinds: Sequence[str] = _KINDS_OF_DUMP) -> str:
    """`incomplete`, `empty` (keepalived itself dumps nothing), `equal` or `unequal`."""
    read = load(path, config_id="lb1", folder=FOLDER_MARK)
    found = import_nodes({"lb1": read}, "shop")
    if not found.complete:
        return "incomplete"
    file = compiled(found)["lb1"].file(PATH)
    assert file is not None
    mine = folder / path.name
    mine.write_text(file.content, encoding="utf-8")
    names = interfaces(read.root)
    pairs = [(dump(kind, path, names), dump(kind, mine, names)) for kind in kinds]
    if not any(theirs for theirs, _ in pairs):
        return "empty"
    mixed = b"bfd_instance" in path.read_bytes()
    if not all(_equal(theirs, own, mixed) for theirs, own in pairs):  # a busy machine cuts dumps short: once more
        pairs = [(dump(kind, path, names, "4"), dump(kind, mine, names, "4")) for kind in kinds]
    return "equal" if all(_equal(theirs, own, mixed) for theirs, own in pairs) else "unequal"


def _equal(one: str, other: str, mixed: bool) -> bool:
    """Whether two dumps say the same; with BFD two processes write at once, so the lines are `mixed`."""
    return sorted(one.splitlines()) == sorted(other.splitlines()) if mixed else one == other


def shares(paths: list[Path], folder: Path) -> Counter[str]:
    """How many files have each verdict; names those that are not equal."""
    found: Counter[str] = Counter()
    for path in paths:
        one = verdict(path, folder)
        found[one] += 1
        if one in ("unequal", "incomplete"):
            print(f"{path.parent.name}/{path.name}: {one}")  # noqa: T201
    print(dict(found))  # noqa: T201
    return found


@pytest.mark.lab
@needs_corpus
@needs_keepalived
@needs_root
def test_some_files_that_people_run_mean_the_same(tmp_path: Path) -> None:
    found = shares(corpus("wild")[::22], tmp_path)
    assert found["unequal"] == 0
    assert found["equal"] >= 0.9 * (found.total() - found["empty"])


@pytest.mark.soak
@pytest.mark.timeout(3_000)
@needs_corpus
@needs_keepalived
@needs_root
def test_all_files_that_people_run_mean_the_same(tmp_path: Path) -> None:
    """Floors as measured: wild 168 of 176 equal and none unequal. Dumps of files with BFD mix two processes' lines."""
    found = shares(corpus("wild"), tmp_path)
    assert found["equal"] >= 0.95 * found.total()
    assert found["unequal"] == 0
    found = shares(corpus("devel"), tmp_path)
    assert found["equal"] >= 0.82 * found.total()
    assert found["unequal"] <= 12
