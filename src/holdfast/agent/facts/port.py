"""What gathering facts asks of the machine beside `Host`: texts, entries of folders, dumps of the kernel, the clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

LINKS, ADDRESSES, ROUTES = 18, 22, 26  # RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE


class Entry(NamedTuple):
    """An entry of a folder, its link not followed: `target` is what a link says."""

    kind: Literal["file", "folder", "link", "other"]
    owner: int
    group: int
    mode: int
    target: str = ""


@dataclass(frozen=True)
class Adjusted:
    """What the kernel thinks of its clock (adjtimex): the greatest error in microseconds."""

    synchronised: bool
    greatest_error_us: int


class Machine(Protocol):
    """The machine's files and kernel, read only. Nothing here needs root; what is refused is an OSError."""

    def text(self, path: str) -> str:
        """The beginning of a file, at most a megabyte; raises OSError."""

    def entry(self, path: str) -> Entry | None:
        """What stands at a path, None where there is nothing; raises OSError where that is not told."""

    def names(self, folder: str) -> tuple[str, ...]:
        """What is in a folder, sorted; raises OSError."""

    def dump(self, question: int, at_most: int) -> list[bytes]:
        """The kernel's answers to LINKS, ADDRESSES or ROUTES; raises OSError."""

    def user(self, name: str) -> int | None:
        """The id of a user, None where there is none of that name."""

    def group(self, name: str) -> int | None:
        """The id of a group, None where there is none of that name."""

    def user_name(self, number: int) -> str:
        """A user's name, or the number where it has none."""

    def command(self, name: str) -> str:
        """Where a program is found on the usual path, empty where it is not."""

    def clock(self) -> Adjusted:
        """How right the clock is; raises OSError."""

    def same_network(self, pid: int) -> bool:
        """Whether a process is in this network namespace; True where that is not told."""
