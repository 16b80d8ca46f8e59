"""The table of hazards: which change has which class, why, and what would be safer. It is data, in hazards.toml."""

from __future__ import annotations

import fnmatch
import re
import tomllib
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

from .facts import How
from .note import Hazard

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Row:
    """One row: `kinds` of facts whose change (in one of the ways `on`) has the class `hazard`.

    `together` means on all members of a group at once; `also` is the kind of a further change that comes with it.
    """

    id: str
    title: str
    kinds: tuple[str, ...]
    on: tuple[How, ...]
    hazard: Hazard
    why: str
    safer: str
    evidence: str
    together: bool
    also: str

    def names(self, kind: str) -> bool:
        """Whether the row names the kind itself, without a `*`."""
        return kind in self.kinds


@dataclass(frozen=True)
class Table:
    """All rows, in the order in which they are looked through."""

    rows: tuple[Row, ...]
    words: dict[str, str]

    @cached_property
    def _known(self) -> dict[tuple[str, How], Row]:
        return {}

    def row(self, kind: str, how: How) -> Row:
        """The row of a change; for what no row knows, the most careful one."""
        found = self._known.get((kind, how))
        if found is None:
            fitting = [row for row in self.rows if how in row.on and _matcher(row.kinds).fullmatch(kind)]
            exact = [row for row in fitting if row.names(kind)]
            found = self._known[kind, how] = next(iter([*exact, *fitting]), self.named(UNKNOWN))
        return found

    def named(self, kind: str) -> Row:
        """The row that names a kind of Holdfast's own making."""
        return next(row for row in self.rows if row.names(kind))


@cache
def _matcher(kinds: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(fnmatch.translate(kind) for kind in kinds))


@cache
def table() -> Table:
    """The table as it is shipped."""
    document = tomllib.loads(files(__package__).joinpath("hazards.toml").read_text(encoding="utf-8"))
    return Table(tuple(_row(row) for row in document["row"]), document["words"])


def _row(row: dict[str, Any]) -> Row:
    return Row(
        id=row["id"],
        title=row["title"],
        kinds=tuple(row["kinds"]),
        on=tuple(row.get("on", ("added", "changed", "removed"))),
        hazard=Hazard(row["class"]),
        why=row["why"],
        safer=row.get("safer", ""),
        evidence=row["evidence"],
        together=bool(row.get("together")),
        also=row.get("also", ""),
    )
