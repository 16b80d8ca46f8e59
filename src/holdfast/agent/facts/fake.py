"""A machine as it was recorded: texts, entries and the kernel's answers, for tests."""

from __future__ import annotations

from dataclasses import dataclass, field

from .port import Adjusted, Entry


@dataclass
class RecordedMachine:
    """Set what it should be; `refused` paths are there, but are not told."""

    texts: dict[str, str] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    dumps: dict[int, list[bytes]] = field(default_factory=dict)
    users: dict[str, int] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)
    commands: dict[str, str] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    adjusted: Adjusted | None = None
    elsewhere: set[int] = field(default_factory=set)

    def text(self, path: str) -> str:
        """See Machine."""
        self._refuse(path)
        if path not in self.texts:
            raise FileNotFoundError(2, "No such file or directory")
        return self.texts[path]

    def entry(self, path: str) -> Entry | None:
        """See Machine."""
        self._refuse(path)
        return self.entries.get(path)

    def names(self, folder: str) -> tuple[str, ...]:
        """See Machine."""
        self._refuse(folder)
        inside = {path[len(folder) + 1 :].split("/")[0] for path in self.texts if path.startswith(f"{folder}/")}
        if not inside:
            raise FileNotFoundError(2, "No such file or directory")
        return tuple(sorted(inside))

    def dump(self, question: int, at_most: int) -> list[bytes]:
        """See Machine."""
        return self.dumps.get(question, [])[:at_most]

    def user(self, name: str) -> int | None:
        """See Machine."""
        return self.users.get(name)

    def group(self, name: str) -> int | None:
        """See Machine."""
        return self.groups.get(name)

    def user_name(self, number: int) -> str:
        """See Machine."""
        return next((name for name, found in self.users.items() if found == number), str(number))

    def command(self, name: str) -> str:
        """See Machine."""
        return self.commands.get(name, "")

    def clock(self) -> Adjusted:
        """See Machine."""
        if self.adjusted is None:
            raise PermissionError(1, "Operation not permitted")
        return self.adjusted

    def same_network(self, pid: int) -> bool:
        """See Machine."""
        return pid not in self.elsewhere

    def _refuse(self, path: str) -> None:
        if path in self.refused:
            raise PermissionError(13, "Permission denied")
