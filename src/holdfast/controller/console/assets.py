"""The console's own files for browsers: read once, addressed by what is in them, so that they may be kept for long."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "static"
_MEDIA = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file: `digest` is a part of its address."""

    media: str
    content: bytes
    packed: bytes
    digest: str


@cache
def assets() -> Mapping[str, Asset]:
    """By path below the folder; what is not in here is not served."""
    found = {}
    for path in sorted(FOLDER.rglob("*")):
        if path.is_file() and path.suffix in _MEDIA:
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()[:16]
            packed = gzip.compress(content, mtime=0)
            found[path.relative_to(FOLDER).as_posix()] = Asset(_MEDIA[path.suffix], content, packed, digest)
    return found
