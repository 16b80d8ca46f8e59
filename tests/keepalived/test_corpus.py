"""keepalived's own complaints are the floor: each has a finding on the same line. Over a corpus beside the project."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from pathlib import Path

import pytest
from tests.keepalived.corpus import (
    CORPUS,
    DUMP,
    complaints_of_keepalived,
    corpus,
    needs_corpus,
    needs_keepalived,
    samples,
)

from holdfast.keepalived.layout import lay_out
from holdfast.keepalived.parse import load
from holdfast.keepalived.source import decode, encode

pytestmark = [pytest.mark.lab, needs_keepalived]
# What takes a host to see (interfaces, users, scripts, the kernel), or the whole configuration rather than a line.
NOT_OF_THE_LANGUAGE = re.compile(
    r"doesn't exist|not found|tracked interface|uid/gid|default user|script user|SECURITY|script_security"
    r"|no kernel support|unknown interface .* specified|iptables not supported|not executable"
    r"|requires either|WARNING - script|Invalid (?:smtp server|startup|shutdown)|unicast with use_vmac"
    r"|Cannot use|is already using|FILE_CHECK has no track_file|Rule has no preference|cannot track route"
)
_COMPLAINT = re.compile(r"\((?:(.*): )?Line (\d+)\) (.*)")
SHARE = 0.995


def missing(path: Path) -> tuple[int, list[str]]:
    """How many complaints about the language keepalived has, and those on whose line there is no finding."""
    host = socket.gethostname().split(".")[0]
    wanted = set()
    for line in complaints_of_keepalived(path, host).splitlines():
        found = _COMPLAINT.match(line)
        if found and not NOT_OF_THE_LANGUAGE.search(found[3]):
            wanted.add((os.path.normpath(path.parent / (found[1] or path)), int(found[2]), found[3]))
    locations = [one.location for one in load(path, config_id=host).findings if one.location is not None]
    have = {(os.path.normpath(where.file), where.line) for where in locations}
    lost = [f"{Path(file).name}:{line}: {said}" for file, line, said in sorted(wanted) if (file, line) not in have]
    return len(wanted), lost


@pytest.mark.parametrize("path", samples(), ids=lambda path: path.name)
def test_the_complaints_about_the_samples(path: Path) -> None:
    assert missing(path)[1] == []


@needs_corpus
@pytest.mark.parametrize("kind", ["wild", "devel", "mistakes"])
def test_the_complaints_about_the_corpus(kind: str) -> None:
    results = [missing(path) for path in corpus(kind)]
    total, lost = sum(count for count, _ in results), [line for _, lines in results for line in lines]
    share = (total - len(lost)) / total
    assert share >= SHARE, f"{share:.4f} of {total}; without a finding:\n" + "\n".join(lost[:80])


@needs_corpus
def test_clean_files_have_no_errors() -> None:
    for path in sorted((CORPUS / "mistakes").glob("0[01]_clean*")):
        assert load(path).findings == []


@pytest.mark.skipif(not DUMP.exists(), reason="there is no dump of keepalived beside the project")
@pytest.mark.parametrize("part", ["-P", "-C"])
def test_what_is_laid_out_means_the_same_to_keepalived(part: str, tmp_path: Path) -> None:
    """A sample of the corpus, laid out: keepalived's own dump of each is the same, and not empty."""
    compared = 0
    for path in corpus("wild")[:: 12 if part == "-P" else 9]:
        before = _dump(part, path)
        if not before:
            continue
        other = tmp_path / path.name
        other.write_bytes(encode(lay_out(decode(path.read_bytes()))))
        assert _dump(part, other) == before, path.name
        compared += 1
    assert compared >= 3


def _dump(part: str, path: Path) -> bytes:
    argv = [str(DUMP), part, str(path), "eth0", "eth1", "ens33"]
    return subprocess.run(argv, capture_output=True, timeout=60, check=False).stdout
