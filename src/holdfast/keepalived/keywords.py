"""The keyword tables of keepalived, read from TOML: what each block allows, how often, with which arguments.

A row is `keyword = "ARGUMENTS"`, or a table with `args` and any of: `block` or `list` (what the braces behind it hold),
`repeat` (`last`: the last one wins, `first`: later ones are ignored, `many`: each counts), `since` (the first release
that has it), `newer` (release → its ARGUMENTS from there on), `deprecated` (what to write instead), `default`,
`instead` (first words that change what follows them), `options` (what its line
may hold, as a list's), `built` (the library that it must be built with), `named` (a block of its name stands only
once) and `again` (`read`: keepalived reads a second block of the name, though the first one counts; `one`: all blocks
of this kind are one, for what may stand in it once). ARGUMENTS are kinds of values, see values.py, with `?` for one
that may be missing and `*` for any number: `int(-253..253) one(reverse)?`. Of a whole block, `needs` names what it does
nothing without (`a|b`: one of them), and `use` the tables whose rows it has too.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from .values import PLAIN, Check, anything, decimal, integer, one_of

TOPICS = ("global", "vrrp", "lvs")
OLDEST = (2, 2, 7)  # the release whose keywords have no `since`
_ARGUMENT = re.compile(r"([a-z0-9]+)(?:\(([^)]*)\))?([?*]?)")


@dataclass(frozen=True, slots=True)
class Argument:
    """One word behind a keyword: `kind` names it, `note` is what stands in its brackets."""

    kind: str
    note: str
    optional: bool
    many: bool
    check: Check = field(compare=False)


@dataclass(frozen=True, slots=True)
class Listed:
    """What each line of a listing block holds."""

    name: str
    first: tuple[Argument, ...]
    options: dict[str, tuple[Argument, ...]]
    deprecated: dict[str, str]  # option → what to write instead
    instead: dict[str, tuple[Argument, ...]]  # first word → what follows it, in place of `first`
    any: tuple[Argument, ...]  # what may stand among the options without a word before it
    filled: bool  # whether keepalived complains if nothing is listed


@dataclass(frozen=True, slots=True)
class Keyword:
    """One row of the tables."""

    name: str
    arguments: tuple[Argument, ...]
    block: str  # the name of the table that holds for its braces, or empty
    listed: Listed | None
    repeat: str
    since: tuple[int, ...]
    deprecated: str | None  # what to write instead; empty if there is nothing
    default: str
    named: bool
    again: str
    options: Listed | None  # on its own line
    built: str
    instead: dict[str, tuple[Argument, ...]]
    newer: tuple[tuple[tuple[int, ...], tuple[Argument, ...]], ...]
    least: int
    most: int  # -1: any number
    # Statements that were found sound already: thousands of lines of a large file differ in their address alone.
    sound: set[tuple[str, ...]] = field(compare=False, default_factory=set)


Table = dict[str, Keyword]


def _bound(text: str) -> float | int | None:
    return None if not text else float(text) if "." in text else int(text)


def _checker(kind: str, note: str) -> Check:
    if kind in PLAIN:
        return PLAIN[kind]
    if kind in ("one", "any"):
        return one_of(tuple(note.split("|")), any_case=kind == "any")
    if kind in ("int", "uint", "num"):
        low, _, high = note.partition("..")
        lowest, highest = _bound(low), _bound(high)
        if kind == "num":
            return decimal(lowest, highest)
        return integer(
            None if lowest is None else int(lowest), None if highest is None else int(highest), signed=kind == "int"
        )
    return anything


@cache
def arguments(text: str) -> tuple[Argument, ...]:
    """`int(0..9) name?` as arguments; an unknown kind takes any word."""
    return tuple(
        Argument(found[1], found[2] or "", found[3] != "", found[3] == "*", _checker(found[1], found[2] or ""))
        for found in _ARGUMENT.finditer(text)
    )


def _read(topic: str) -> dict[str, dict[str, Any]]:
    text = files(__package__).joinpath("tables", f"{topic}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def lists() -> dict[str, Listed]:
    """Kind of list → what its lines hold."""
    return {name: _listed(name, row) for name, row in _read("lists").items()}


def _listed(name: str, row: dict[str, Any]) -> Listed:
    options: dict[str, str | dict[str, str]] = row.get("options", {})
    columns = {option: {"args": one} if isinstance(one, str) else one for option, one in options.items()}
    return Listed(
        name=name,
        first=arguments(row["first"]),
        options={option: arguments(one["args"]) for option, one in columns.items()},
        deprecated={option: one["deprecated"] for option, one in columns.items() if "deprecated" in one},
        instead={option: arguments(text) for option, text in row.get("instead", {}).items()},
        any=arguments(row.get("any", "")),
        filled=bool(row.get("filled")),
    )


def _keyword(name: str, row: str | dict[str, Any]) -> Keyword:
    columns: dict[str, Any] = {"args": row} if isinstance(row, str) else row
    found = arguments(columns.get("args", ""))
    return Keyword(
        name=name,
        arguments=found,
        block=columns.get("block", ""),
        listed=lists()[columns["list"]] if "list" in columns else None,
        repeat=columns.get("repeat", "last"),
        since=version(columns["since"]) if "since" in columns else OLDEST,
        deprecated=columns.get("deprecated"),
        default=columns.get("default", ""),
        named=bool(columns.get("named")),
        again=columns.get("again", ""),
        options=lists()[columns["options"]] if "options" in columns else None,
        built=columns.get("built", ""),
        instead={word: arguments(text) for word, text in columns.get("instead", {}).items()},
        newer=tuple((version(since), arguments(text)) for since, text in columns.get("newer", {}).items()),
        least=sum(not argument.optional for argument in found),
        most=-1 if any(argument.many for argument in found) else len(found),
    )


@cache
def _raw() -> dict[str, dict[str, Any]]:
    return {block: rows for topic in TOPICS for block, rows in _read(topic).items()}


@cache
def tables() -> dict[str, Table]:
    """Name of a block → its keywords; `root` is what stands outside all blocks."""

    def rows(block: str) -> dict[str, Any]:
        own = {name: row for name, row in _raw()[block].items() if name not in ("use", "needs")}
        return {name: row for other in _raw()[block].get("use", ()) for name, row in rows(other).items()} | own

    return {block: {name: _keyword(name, row) for name, row in rows(block).items()} for block in _raw()}


@cache
def needs() -> dict[str, tuple[tuple[str, ...], ...]]:
    """Name of a block → what keepalived leaves it out without; one of each group is enough."""
    return {
        block: tuple(tuple(group.split("|")) for group in rows["needs"])
        for block, rows in _raw().items()
        if "needs" in rows
    }


@cache
def homes() -> dict[str, tuple[str, ...]]:
    """Keyword → the blocks that have it."""
    found: dict[str, list[str]] = {}
    for block, table in tables().items():
        for name in table:
            if block not in ("checker", "connection"):
                found.setdefault(name, []).append(block)
    return {name: tuple(blocks) for name, blocks in found.items()}


def version(text: str) -> tuple[int, ...]:
    """`2.2.7` as (2, 2, 7); what is no number counts as 0."""
    return tuple(int(part) if part.isdigit() else 0 for part in text.split("."))
