"""The difference of two bundles, file by file."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Literal

from holdfast.bundle import Bundle, BundleFile, Service

ChangeKind = Literal["added", "changed", "removed"]


@dataclass(frozen=True)
class FileChange:
    """One file that differs; `old` or `new` is None where it did not or will not exist."""

    path: str
    old: BundleFile | None
    new: BundleFile | None

    @property
    def kind(self) -> ChangeKind:
        """Added, changed or removed."""
        return "added" if self.old is None else "removed" if self.new is None else "changed"

    @property
    def service(self) -> Service:
        """The service that reads the file: the folder below the configuration's root."""
        return Service(self.path.split("/")[3])

    @property
    def is_secret(self) -> bool:
        """Whether others may not read it, so that no diff may show it."""
        return any(file is not None and not file.mode & 0o004 for file in (self.old, self.new))


def file_changes(old: Bundle | None, new: Bundle | None) -> tuple[FileChange, ...]:
    """Every file whose text, mode or owner differs, by path."""
    before = {file.path: file for file in old.files} if old else {}
    after = {file.path: file for file in new.files} if new else {}
    return tuple(
        FileChange(path, before.get(path), after.get(path))
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    )


_SECRET = re.compile(r"(.*?\b(?:auth_pass|password)\b).*\S", re.DOTALL)  # every word that the spec takes a secret for


def unified_diff(change: FileChange, node: str) -> str:
    """A unified diff; values of secrets are masked, and a change of mode or owner is said in a line of its own."""
    texts = [_lines(file, masked=change.is_secret) for file in (change.old, change.new)]
    name = f"{node}:{change.path}"
    header = [f"{name} (absent)" if file is None else name for file in (change.old, change.new)]
    lines = list(difflib.unified_diff(texts[0], texts[1], header[0], header[1], n=3))
    if change.old and change.new and _access(change.old) != _access(change.new):
        lines.insert(0, f"# access of {name}: {_access(change.old)} → {_access(change.new)}\n")
    if (
        change.old
        and change.new
        and change.is_secret
        and texts[0] == texts[1]
        and change.old.content != change.new.content
    ):
        lines.append(f"# a secret in {name} changes\n")
    return "".join(lines)


def _access(file: BundleFile) -> str:
    return f"{file.mode:04o} {file.owner}:{file.group}"


def _lines(file: BundleFile | None, *, masked: bool) -> list[str]:
    lines = file.content.splitlines(keepends=True) if file else []
    return [_mask(line) for line in lines] if masked else lines


def _mask(line: str) -> str:
    found = _SECRET.match(line)
    return f"{found[1]} ********\n" if found else line
