"""Where included files come from: a port, the disk, a dictionary, and nowhere."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from glob import has_magic
from posixpath import dirname, join, normpath
from typing import Protocol

from holdfast.sentences import Sentence

MOST_FILES = 1_000  # that one pattern may match
MOST_NAMES = 200_000  # that the patterns of one reading may look at: `/*/*/*/*/*` would walk through a whole disk
_BRACES = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a file cannot be read, as the second half of a sentence."""

    reason: Sentence


class Files(Protocol):
    """Reads what `include` names."""

    def match(self, pattern: str, folder: str) -> Sequence[str] | Refusal:
        """The names of the files that `pattern` matches, sorted; relative patterns count from `folder`."""

    def read(self, name: str, most: int) -> bytes | Refusal:
        """All bytes of a file that `match` returned, if they are `most` at most."""


class Nowhere:
    """Follows no include at all: for text that came from elsewhere."""

    def match(self, pattern: str, folder: str) -> Sequence[str]:
        """Nothing matches."""
        return ()

    def read(self, name: str, most: int) -> bytes | Refusal:
        """Nothing is read."""
        return Refusal(Sentence("is not read here"))


class InMemory:
    """Files by name; for tests, and for bundles that were not written yet."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = {normpath(name): content for name, content in files.items()}

    def match(self, pattern: str, folder: str) -> Sequence[str]:
        """By whole path, with `*`, `?`, `[…]` and braces; `*` does not cross a slash."""
        wanted = [normpath(join(folder, one)) for one in braces(pattern)]
        return sorted(
            name
            for name in self._files
            if any(name.count("/") == one.count("/") and fnmatchcase(name, one) for one in wanted)
        )[:MOST_FILES]

    def read(self, name: str, most: int) -> bytes | Refusal:
        """The content under that name."""
        content = self._files.get(normpath(name))
        if content is None:
            return Refusal(Sentence("is not there"))
        return content if len(content) <= most else _too_large(most)


class _TooWide(Exception):
    """The patterns of one reading have looked at as many names as they may."""


class OnDisk:
    """The files of this machine, for one reading, with the checks that keepalived makes: regular, not executable."""

    def __init__(self) -> None:
        self._left = MOST_NAMES

    def match(self, pattern: str, folder: str) -> Sequence[str] | Refusal:
        """As glob(3) matches, braces included."""
        found: dict[str, None] = {}
        try:
            for one in braces(pattern):
                found.update(dict.fromkeys(self._matched(join(folder, one))))
                if len(found) > MOST_FILES:
                    break
        except _TooWide:
            return Refusal(Sentence("looks through more than %(most)s names", most=f"{MOST_NAMES:,}"))
        return list(found)[:MOST_FILES]

    def _matched(self, pattern: str) -> list[str]:
        """One folder after the other, and not with glob.glob: that has no end before it has seen all that is there."""
        if "\0" in pattern:
            return []
        folders = ["/" if pattern.startswith("/") else ""]
        for part in filter(None, pattern.split("/")):
            folders = [name for folder in folders for name in self._within(folder, part)]
        if pattern.endswith("/"):
            folders = [f"{name}/" for name in folders if os.path.isdir(name)]
        return sorted(folders)

    def _within(self, folder: str, part: str) -> list[str]:
        if not has_magic(part):
            self._look()
            name = join(folder, part)
            return [name] if os.path.lexists(name) else []
        found = []
        try:
            with os.scandir(folder or ".") as entries:
                for entry in entries:
                    self._look()
                    if fnmatchcase(entry.name, part) and (part[0] == "." or entry.name[0] != "."):
                        found.append(join(folder, entry.name))
        except OSError:  # no folder, or none that may be read: nothing in it matches, says glob(3)
            return []
        return found

    def _look(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise _TooWide

    def read(self, name: str, most: int) -> bytes | Refusal:
        """Never blocks on a pipe or a device: what is not a regular file is refused before it is opened for reading."""
        try:
            number = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError) as error:
            return Refusal(Sentence("cannot be opened (%(why)s)", why=getattr(error, "strerror", None) or error))
        mode = os.fstat(number).st_mode
        if not stat.S_ISREG(mode) or mode & 0o111:
            os.close(number)
            if stat.S_ISDIR(mode):
                return Refusal(Sentence("is a folder"))
            executable = Sentence("is executable, and keepalived reads no executable files")
            return Refusal(executable if stat.S_ISREG(mode) else Sentence("is not a regular file"))
        with os.fdopen(number, "rb") as file:
            try:
                content = file.read(most + 1)
            except OSError as error:
                return Refusal(Sentence("cannot be read (%(why)s)", why=error.strerror or error))
        return content if len(content) <= most else _too_large(most)


def _too_large(most: int) -> Refusal:
    return Refusal(Sentence("has more than %(most)s bytes", most=f"{most:,}"))


def braces(pattern: str) -> list[str]:
    """`a{b,c}` as ab and ac, nested ones from the inside; no more than `MOST_FILES`."""
    done: list[str] = []
    waiting = [pattern]
    while waiting and len(done) + len(waiting) <= MOST_FILES:
        one = waiting.pop()
        inner = _BRACES.search(one)
        if inner is None:
            done.append(one)
        else:
            parts = inner[1].split(",")
            waiting += [one[: inner.start()] + part + one[inner.end() :] for part in reversed(parts)]
    return done


def folder_of(name: str) -> str:
    """The folder that relative includes of the file `name` count from."""
    return dirname(name)
