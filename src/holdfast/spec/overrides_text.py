"""Edits of an overrides file's text: an entry more or less, and every other line as its author wrote it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from io import StringIO
from itertools import pairwise
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from .overrides import Key, Override, message_of, says_anything

_HEAD = """\
# What was decided about servers of cluster {cluster} for a while: drained, suspended, or another weight.
# `holdfast drain`, `suspend`, `weight` and `resume` write this file and tell the directors. Comments of yours stay.
holdfast_overrides: 1
cluster: '{cluster}'
servers: []
"""


def new_text(cluster: str) -> str:
    """The text of a file without any override."""
    return _HEAD.format(cluster=cluster)


def with_override(text: str, cluster: str, override: Override) -> str:
    """`text` (empty: a new file) with `override`, in place of what it said about the same server before."""
    text = without_override(text, override.key) if says_anything(text) else text + new_text(cluster)
    found = _servers(text)
    if found is None or found.entries is None:
        return _dumped(text, add=override)
    lines = text.splitlines(keepends=True)
    if found.entries:
        at = found.entries[-1].end
    else:
        lines[found.line] = _ended(lines[found.line].replace("[]", "", 1).rstrip() + "\n")
        at = found.line + 1
    lines[at - 1] = _ended(lines[at - 1])
    indent = " " * found.column
    entry = [f"{indent}{'  ' if number else '- '}{line}\n" for number, line in enumerate(_lines(override))]
    return "".join([*lines[:at], *entry, *lines[at:]])


def without_override(text: str, key: Key) -> str:
    """`text` without what it says about a server, `(web01:80, None)` or `(web01:80, shop)`; unchanged if nothing."""
    found = _servers(text)
    if found is None:
        return text
    if found.entries is None:
        return _dumped(text, remove=key)
    gone = [entry for entry in found.entries if entry.key == key]
    lines = text.splitlines(keepends=True)
    for entry in reversed(gone):
        del lines[entry.start : entry.end]
    if gone and len(gone) == len(found.entries):
        lines[found.line] = lines[found.line].rstrip() + " []\n"
    return "".join(lines)


@dataclass(frozen=True)
class _Entry:
    """An entry of the list: lines `start` up to, but without `end`."""

    key: Key
    start: int
    end: int


@dataclass(frozen=True)
class _Servers:
    """`servers:` on `line` (from 0), its dashes in `column`; `entries` is None where it cannot be edited by lines."""

    line: int
    column: int
    entries: tuple[_Entry, ...] | None


def _servers(text: str) -> _Servers | None:
    root = YAML(typ="rt", pure=True).compose(text)
    pairs = root.value if isinstance(root, MappingNode) and not root.flow_style else []
    for key, value in pairs:
        if key.value != "servers":
            continue
        line = key.start_mark.line
        if not isinstance(value, SequenceNode) or _has_anchor(value) or re.search(_ODD_ENDS, text):
            return _Servers(line, 2, None)
        if not value.value:
            rest = text.splitlines()[line].partition(":")[2].strip()
            return _Servers(line, 2, () if rest == "[]" else None)
        if value.flow_style:
            return _Servers(line, 2, None)
        entries = tuple(_entry(item) for item in value.value)
        plain = all(one.end <= two.start for one, two in pairwise(entries))
        simple = plain and line < entries[0].start and all(isinstance(item, MappingNode) for item in value.value)
        return _Servers(line, value.start_mark.column, entries if simple else None)
    return _Servers(0, 2, None) if isinstance(root, MappingNode) else None


_ODD_ENDS = "[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]"  # lines end there for Python, for YAML they do not


def _has_anchor(node: Node) -> bool:
    """Whether something else may be written as *what stands here."""
    inner = node.value if isinstance(node, SequenceNode | MappingNode) else ()
    parts = (part for each in inner for part in (each if isinstance(each, tuple) else (each,)))
    return bool(node.anchor) or any(_has_anchor(part) for part in parts)


def _entry(item: Node) -> _Entry:
    values = {key.value: value.value for key, value in item.value} if isinstance(item, MappingNode) else {}
    key = (str(values.get("server")), values.get("virtual_server"), values.get("pool"))
    return _Entry(key, item.start_mark.line, _last_line(item) + 1)


def _last_line(node: Node) -> int:
    """The last line of what is written: the end of a block lies behind the blank lines and comments after it."""
    if isinstance(node, ScalarNode) or node.flow_style or not node.value:
        end = node.end_mark
        return int(end.line - 1 if end.column == 0 and end.line > node.start_mark.line else end.line)
    last = node.value[-1]
    return _last_line(last[1] if isinstance(last, tuple) else last)


def _lines(override: Override) -> list[str]:
    return [f"{key}: {_quoted(value) if key in _TEXTS else value}" for key, value in message_of(override).items()]


_TEXTS = ("server", "who", "why", "virtual_server", "pool")


def _quoted(value: str) -> str:
    if value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    escaped = (c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in value)
    return '"' + "".join(escaped) + '"'


def _ended(line: str) -> str:
    return line if line.endswith("\n") else line + "\n"


def _dumped(text: str, *, add: Override | None = None, remove: Key | None = None) -> str:
    """The same by reading and writing the whole: for lists in brackets, aliases and the like."""
    yaml = YAML(typ="rt", pure=True)
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 4096
    tree: Any = yaml.load(text)
    names = ("server", "virtual_server", "pool")
    entries = [e for e in tree.get("servers") or [] if tuple(map(e.get, names)) != remove]
    tree["servers"] = [*entries, message_of(add)] if add else entries
    written = StringIO()
    yaml.dump(tree, written)
    return written.getvalue()
