"""The files that tests of the language read: samples of the project's own, and a corpus beside it if there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.project.source import ROOT

SAMPLES = Path(__file__).parent / "samples"
SHARED = Path(os.environ.get("HOLDFAST_CORPUS", ROOT.parent / "shared"))
CORPUS = SHARED / "corpus" / "keepalived"
DUMP = SHARED / "oracle" / "keepalived-dump"
# These two multiply a few lines into hundreds of thousands; what they test is tested with smaller ones.
HUGE = frozenset({"2071.conf", "2072.conf"})

needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason="there is no corpus of configurations beside the project")
needs_keepalived = pytest.mark.skipif(shutil.which("keepalived") is None, reason="keepalived is not installed")


def samples() -> list[Path]:
    """The project's own files, each with something that is hard to read."""
    return sorted(path for path in SAMPLES.rglob("*.conf") if path.is_file())


def corpus(*kinds: str) -> list[Path]:
    """Files of the corpus, without the two huge ones; empty where there is none."""
    found = [path for kind in kinds or ("wild", "devel", "mistakes") for path in (CORPUS / kind).glob("*")]
    return sorted(path for path in found if path.name not in HUGE)


def complaints_of_keepalived(path: Path, config_id: str = "") -> str:
    """What `keepalived -t` prints about a file, in a network namespace of its own; needs root."""
    argv = ["unshare", "-n", "-m", "keepalived", "-t", "-f", str(path), *(["-i", config_id] if config_id else [])]
    try:
        said = subprocess.run(argv, cwd=path.parent, capture_output=True, timeout=10, check=False).stderr
    except subprocess.TimeoutExpired as late:  # it can be made to turn for ever; what it said until then counts
        said = late.stderr or b""
    return said.decode("utf-8", "surrogateescape")
