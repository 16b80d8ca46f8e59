"""Parts of a spec put, appended and removed in its text: every other byte stays as its author wrote it.

Each change is proved: what is read from the new text is what was read from the old one, changed so, and nothing else.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable
from dataclasses import dataclass
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from holdfast.errors import SpecError, UsageError
from holdfast.sentences import Sentence

from .positions import Path, dotted, read_tree

_MOST_INLINE = 100  # characters; longer values are written over several lines where they are new


@dataclass(frozen=True)
class Put:
    """`value` (plain data) stands at `path`, whatever stood there; what is missing around it is made."""

    path: Path
    value: Any


@dataclass(frozen=True)
class Append:
    """`value` is one entry more of the list at `path`."""

    path: Path
    value: Any


@dataclass(frozen=True)
class Remove:
    """What stands at `path` goes, and what is left empty by that goes, too."""

    path: Path


Rewriting = Put | Append | Remove


@dataclass(frozen=True)
class Document:
    """A spec's text, what is read from it, and where that stands."""

    text: str
    data: Any
    root: Node

    @classmethod
    def of(cls, text: str) -> Document:
        """SpecError for what is no spec's YAML at all, or is too large."""
        return cls(text, *read_tree(text, "the spec"))

    def at(self, path: Path) -> Node | None:
        """What stands at a path."""
        return _node(self.root, path)

    def changed(self, change: Rewriting) -> Document:
        """Raises as `rewrite` does."""
        wanted = _apply(copy.deepcopy(self.data), change)
        if wanted == self.data:
            return self
        match change:
            case Put(path, value):
                new = _put(self.text, self.root, path, value, self.data)
            case Append(path, value):
                new = _appended(self.text, self.root, path, value)
            case Remove(path):
                new = _removed(self.text, self.root, path)
        try:
            after = Document.of(new)
        except SpecError:
            after = None
        if after is None or after.data != wanted:
            raise UsageError(
                Sentence("%(path)s cannot be changed without touching something else", path=dotted(change.path)),
                "edit the text of the spec itself",
            )
        return after


def rewrite(text: str, changes: Iterable[Rewriting]) -> str:
    """The text of a spec after the changes, one after the other.

    UsageError for a path that leads nowhere, and where a change cannot be written without touching anything else (by
    aliases, for one). Whether the result is a sound spec is not looked at.
    """
    document = Document.of(text)
    for change in changes:
        document = document.changed(change)
    return document.text


# --- what the data is to be ------------------------------------------------------------------------------------------


def _apply(data: Any, change: Rewriting) -> Any:
    match change:
        case Put(path, value):
            _hold(data, path)[path[-1]] = value
        case Append(path, value):
            found = _at(data, path)
            if not isinstance(found, list):
                raise UsageError(Sentence("%(path)s is no list", path=dotted(path)), "name one")
            found.append(value)
        case Remove(path):
            _at(data, path)  # it is there
            while True:  # ends: at the root
                outer = _at(data, path[:-1])
                del outer[path[-1]]
                path = path[:-1]
                if outer or not path:
                    break
    return data


def _at(data: Any, path: Path) -> Any:
    for number, part in enumerate(path):
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            raise UsageError(
                Sentence("there is no %(path)s in the spec", path=dotted(path[: number + 1])), "look at its text"
            ) from None
    return data


def _hold(data: Any, path: Path) -> Any:
    """What holds the last part of a path; sections that are missing are made."""
    for number, part in enumerate(path[:-1]):
        if isinstance(data, dict) and isinstance(part, str) and data.get(part) is None:
            data[part] = {}
        data = _at(data, (part,)) if isinstance(data, dict | list) else None
        if data is None:
            raise UsageError(
                Sentence("there is no %(path)s in the spec", path=dotted(path[: number + 2])), "look at its text"
            )
    last = path[-1]
    fits = isinstance(data, dict) if isinstance(last, str) else isinstance(data, list) and last < len(data)
    if not fits:
        raise UsageError(Sentence("there is no place for %(path)s in the spec", path=dotted(path)), "look at its text")
    return data


# --- the text --------------------------------------------------------------------------------------------------------


def _put(text: str, root: Node, path: Path, value: Any, data: Any) -> str:
    node = _node(root, path)
    if node is not None:
        return _replaced(text, root, path, node, value, data)
    around = _node(root, path[:-1])
    if around is None or (isinstance(around, ScalarNode) and around.tag.endswith(":null")):
        return _put(text, root, path[:-1], {str(path[-1]): value}, data)
    if not isinstance(around, MappingNode):
        raise UsageError(Sentence("there is no place for %(path)s in the spec", path=dotted(path)), "look at its text")
    return _entered(text, around, str(path[-1]), value, top=len(path) == 1)


def _replaced(text: str, root: Node, path: Path, node: Node, value: Any, data: Any) -> str:
    if isinstance(node, ScalarNode) and node.style in ("|", ">"):
        raise UsageError(Sentence("%(path)s has several lines", path=dotted(path)), "edit the text of the spec itself")
    present = _at(data, path)
    if isinstance(node, MappingNode) and isinstance(value, dict) and value:
        gone = [Remove((*path, key)) for key in present if key not in value]
        put = [Put((*path, key), item) for key, item in value.items() if key not in present or present[key] != item]
        return rewrite(text, [*put, *gone])
    if isinstance(node, SequenceNode) and isinstance(value, list) and value:
        common = min(len(present), len(value))
        put = [Put((*path, i), value[i]) for i in range(common) if present[i] != value[i]]
        gone = [Remove((*path, i)) for i in reversed(range(common, len(present)))]
        return rewrite(text, [*put, *(Append(path, item) for item in value[common:]), *gone])
    if isinstance(node, MappingNode | SequenceNode) and not node.flow_style:
        if isinstance(path[-1], int):
            raise UsageError(
                Sentence("%(path)s is a whole section", path=dotted(path)), "edit the text of the spec itself"
            )
        return rewrite(text, [Remove(path), Put(path, value)])
    return _spliced(text, root, path, node, _inline(value))


def _entered(text: str, around: MappingNode, key: str, value: Any, *, top: bool) -> str:
    """A key more in a mapping, at its end."""
    if around.flow_style:
        entry = f"{_inline(key)}: {_inline(value)}"
        return _into_brackets(text, around, around.value[-1][1] if around.value else None, entry)
    column = around.value[0][0].start_mark.column
    at = _next_line(text, around.value[-1][1])
    before, after, end = _ended(text[:at]), text[at:], _line_end(text)
    blank = end if top else ""
    return before + blank + "".join(f"{line}{end}" for line in _block(key, value, " " * column)) + after


def _appended(text: str, root: Node, path: Path, value: Any) -> str:
    node = _node(root, path)
    assert isinstance(node, SequenceNode), "the data has a list there"
    if node.flow_style or not node.value:
        return _into_brackets(text, node, node.value[-1] if node.value else None, _inline(value))
    column = node.start_mark.column
    at = _next_line(text, node.value[-1])
    return f"{_ended(text[:at])}{' ' * column}- {_inline(value)}{_line_end(text)}{text[at:]}"


def _into_brackets(text: str, node: Node, last: Node | None, entry: str) -> str:
    if last is None:
        at = node.start_mark.index + 1
        return f"{text[:at]}{entry}{text[at:]}"
    end: int = last.end_mark.index
    return f"{text[:end].rstrip(' ')}, {entry}{text[end:]}"


def _removed(text: str, root: Node, path: Path) -> str:
    around = _node(root, path[:-1])
    if isinstance(around, MappingNode):
        number = next(i for i, (key, _) in enumerate(around.value) if key.value == path[-1])
        parts = [(key.start_mark.index, value) for key, value in around.value]
    else:
        assert isinstance(around, SequenceNode), "the data has it there"
        number, parts = int(path[-1]), [(item.start_mark.index, item) for item in around.value]
    if len(parts) == 1:
        if len(path) == 1:
            raise UsageError("nothing would be left of the spec", "edit its text")
        return _removed(text, root, path[:-1])
    if around.flow_style:
        return _out_of_brackets(text, parts, number)
    return _out_of_block(text, parts, number, path)


def _out_of_brackets(text: str, parts: list[tuple[int, Node]], number: int) -> str:
    start, node = parts[number]
    if number + 1 < len(parts):
        return text[:start] + text[parts[number + 1][0] :]
    return text[: parts[number - 1][1].end_mark.index] + text[node.end_mark.index :]


def _out_of_block(text: str, parts: list[tuple[int, Node]], number: int, path: Path) -> str:
    start, node = parts[number]
    line = text.rfind("\n", 0, start) + 1
    before = text[line:start]
    mark = r" *- +" if isinstance(path[-1], int) else r" *"
    if re.fullmatch(mark, before):
        return text[:line] + text[_next_line(text, node) :]
    if number + 1 < len(parts) and re.fullmatch(r" *- +", before):  # the first field of an entry, behind its dash
        return text[:start] + text[parts[number + 1][0] :]
    raise UsageError(Sentence("%(path)s cannot be taken out", path=dotted(path)), "edit the text of the spec itself")


def _node(root: Node, path: Path) -> Node | None:
    node: Node | None = root
    for part in path:
        if isinstance(node, MappingNode):
            node = next((value for key, value in node.value if key.value == part), None)
        elif isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
        else:
            return None
    return node


def _next_line(text: str, node: Node) -> int:
    """Where the line begins that follows what is written: the end of a block lies behind the comments after it."""
    last: Node = node
    while isinstance(last, MappingNode | SequenceNode) and not last.flow_style and last.value:
        last = last.value[-1][1] if isinstance(last, MappingNode) else last.value[-1]
    end: int = last.end_mark.index
    if last.start_mark.index < end and text[end - 1 : end] == "\n":
        return end  # a text of several lines
    found = text.find("\n", end)
    return len(text) if found < 0 else found + 1


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + _line_end(text)


def _line_end(text: str) -> str:
    """As the author's own lines end."""
    return "\r\n" if text[: text.find("\n") + 1].endswith("\r\n") else "\n"


def _spliced(text: str, root: Node, path: Path, node: Node, new: str) -> str:
    start, end = node.start_mark.index, node.end_mark.index
    if start < end:
        return text[:start] + new + text[start + len(text[start:end].rstrip()) :]
    around = _node(root, path[:-1])  # nothing stands there, `weight:`, and its mark may be anywhere behind
    key = next((key for key, item in around.value if item is node), None) if isinstance(around, MappingNode) else None
    if key is None:
        raise UsageError(Sentence("%(path)s is empty", path=dotted(path)), "edit the text of the spec itself")
    colon = text.index(":", key.end_mark.index) + 1
    return f"{text[:colon]} {new}{text[colon:]}"


def _block(key: str, value: Any, indent: str) -> list[str]:
    """New lines: a mapping has a line for each of its fields, a list of mappings or a long one has its entries."""
    head = f"{indent}{_inline(key)}:"
    if isinstance(value, dict) and value and (not indent or len(_inline(value)) > _MOST_INLINE):
        return [head, *(line for name, item in value.items() for line in _block(name, item, indent + "  "))]
    if isinstance(value, list) and len(value) > 1 and len(_inline(value)) > _MOST_INLINE // 2:
        return [head, *(f"{indent}  - {_inline(item)}" for item in value)]
    return [f"{head} {_inline(value)}"]


def _inline(value: Any) -> str:
    """A value on one line."""
    yaml = YAML(typ="rt", pure=True)
    yaml.default_flow_style = True
    yaml.width = 1_000_000
    written = StringIO()
    boxed = value if isinstance(value, dict | list) and value else [value]
    yaml.dump(boxed, written)
    line = written.getvalue().strip()
    if "\n" in line:
        raise UsageError("the value has several lines", "edit the text of the spec itself")
    return line if boxed is value else line[1:-1]
