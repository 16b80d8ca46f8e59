"""Single values of a spec changed in its text: every other byte stays as its author wrote it, comments included."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from holdfast.errors import UsageError

from .positions import read_yaml

_PART = re.compile(r"(?P<name>[^.\[\]]+)|\[(?P<item>(?:\[[^\]]*\]|[^\[\]])+)\]")
_ONE_OF = {
    "network": "networks",
    "node": "nodes",
    "pool": "pools",
    "site": "sites",
    "proxy": "proxies",
    "virtual_server": "virtual_servers",
    "group": "vrrp",
    "server": "servers",
}
_NAMING = ("address", "name", "host", "server", "id")  # by which an item of a list is known


@dataclass(frozen=True)
class _Found:
    """What a part of the path means so far, and how it is written there."""

    node: Node
    at: str


def edit(text: str, path: str, value: str) -> str:
    """The text of a spec with another value at `path`: `pools.web.servers[10.0.0.7].weight`, `2`.

    Items of lists are named by their number, or by what they are: a server by its host, or host and port. What is not
    there yet is added to what is around it. `value` is YAML. UsageError says which part of the path leads nowhere;
    whether the result is a sound spec is not looked at.
    """
    read_yaml(text, "the spec")  # refuses what is no spec's YAML at all, and bounds what follows
    new = _value(value)
    root = YAML(typ="rt", pure=True).compose(text)
    parts = _parts(path)
    found = _Found(root, "")
    for number, part in enumerate(parts):
        inner = _inner(found, part)
        if inner is None:
            return _with(text, found, parts[number:], new)
        found = inner
    return _replaced(text, found.node, new)


def _parts(path: str) -> list[tuple[str, bool]]:
    """(name, whether it stands in brackets) of each part."""
    found, at = [], 0
    while at < len(path):
        if path[at] == "." and at:
            at += 1
        match = _PART.match(path, at)
        if match is None:
            raise UsageError(f"'{path}' is no path", "write it as pools.web.servers[10.0.0.7].weight")
        found.append((match["name"], False) if match["name"] else (match["item"], True))
        at = match.end()
    if not found:
        raise UsageError("the path is empty", "write it as pools.web.servers[10.0.0.7].weight")
    return found


def _value(text: str) -> str:
    """A value as it will stand in the text: on one line."""
    try:
        data = YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        data = text
    if data is None and text.strip() not in ("null", "~", ""):
        data = text
    yaml = YAML(typ="rt", pure=True)
    yaml.default_flow_style = True
    yaml.width = 1_000_000
    written = StringIO()
    yaml.dump(data if isinstance(data, dict | list) else [data], written)
    line = written.getvalue().strip()
    if "\n" in line:
        raise UsageError("the value has several lines", "edit the spec itself")
    return line if isinstance(data, dict | list) else line.removeprefix("[").removesuffix("]")


def _inner(found: _Found, part: tuple[str, bool]) -> _Found | None:
    """What a part leads to; None if it is not there, but could be."""
    name, bracketed = part
    node, at = found.node, f"{found.at}[{name}]" if bracketed else f"{found.at}.{name}".removeprefix(".")
    if isinstance(node, MappingNode):
        values = {key.value: value for key, value in node.value}
        meant = name if name in values else _ONE_OF.get(name, name)
        if meant in values:
            return _Found(values[meant], at)
        if found.at == "" or any(isinstance(value, MappingNode) for value in values.values()):
            near = difflib.get_close_matches(name, values, 1, 0.6)
            hint = f"did you mean '{near[0]}'?" if near else f"there is: {', '.join(list(values)[:12])}"
            raise UsageError(f"there is no '{name}' in {found.at or 'the spec'}", hint)
        return None
    if isinstance(node, SequenceNode):
        return _Found(_item(node, name, found.at), at)
    if bracketed:
        raise UsageError(f"{found.at} is no list", "name a field of it: weight")
    return None


def _item(node: SequenceNode, name: str, at: str) -> Node:
    if re.fullmatch(r"[0-9]{1,6}", name) and int(name) < len(node.value):
        item: Node = node.value[int(name)]
        return item
    called = [(_called(item), item) for item in node.value]
    found = [item for names, item in called if name in names]
    if len(found) == 1:
        return found[0]
    known = ", ".join(sorted({names[0] for names, _ in called if names})[:12])
    if not found:
        raise UsageError(f"there is no '{name}' in {at}", f"there is: {known}" if known else "it is empty")
    raise UsageError(f"'{name}' means {len(found)} entries of {at}", f"write which: {known}")


def _called(item: Node) -> list[str]:
    """By what an item of a list may be named, in full first."""
    texts: list[str] = []
    if isinstance(item, ScalarNode):
        texts = [str(item.value)]
    elif isinstance(item, MappingNode):
        texts = [str(v.value) for k, v in item.value if k.value in _NAMING and isinstance(v, ScalarNode)]
    hosts = [text.rpartition(":")[0].removeprefix("[").removesuffix("]") for text in texts if ":" in text]
    return [*texts, *hosts]


def _with(text: str, found: _Found, parts: list[tuple[str, bool]], new: str) -> str:
    """The text with a field more, where nothing of that name is."""
    name, bracketed = parts[0]
    if len(parts) > 1 or bracketed:
        raise UsageError(f"there is no '{name}' in {found.at}", "write it into the spec itself")
    node = found.node
    if isinstance(node, ScalarNode):  # a short form: `web01:80` becomes what it stands for, and the field
        short = text[node.start_mark.index : node.end_mark.index].strip()
        address = short if short.startswith(("'", '"')) else _quoted(short)
        return _spliced(text, node, f"{{address: {address}, {name}: {new}}}")
    assert isinstance(node, MappingNode), "lists have been dealt with"
    if node.flow_style:
        end = node.end_mark.index - 1
        comma = ", " if node.value else ""
        return f"{text[:end].rstrip()}{comma}{name}: {new}{text[end:]}"
    indent = " " * node.value[0][0].start_mark.column
    at = text.rfind("\n", 0, node.value[0][0].start_mark.index) + 1
    before = text[at : node.value[0][0].start_mark.index]
    if before.strip():  # `- address: x`: the first field stands behind a dash
        line = text.find("\n", _end(node.value[0][1]))
        line = len(text) if line < 0 else line
        return f"{text[:line]}\n{indent}{name}: {new}{text[line:]}"
    return f"{text[:at]}{indent}{name}: {new}\n{text[at:]}"


def _end(node: Node) -> int:
    last: Any = node
    while isinstance(last, MappingNode | SequenceNode) and not last.flow_style and last.value:
        last = last.value[-1][1] if isinstance(last, MappingNode) else last.value[-1]
    return int(last.end_mark.index)


def _replaced(text: str, node: Node, new: str) -> str:
    if isinstance(node, MappingNode | SequenceNode) and not node.flow_style:
        raise UsageError("the path leads to a whole section", "name one of its fields, or edit the spec itself")
    if isinstance(node, ScalarNode) and node.style in ("|", ">"):
        raise UsageError("the value there has several lines", "edit the spec itself")
    return _spliced(text, node, new)


def _spliced(text: str, node: Node, new: str) -> str:
    start, end = node.start_mark.index, node.end_mark.index
    if start == end:  # nothing stands there: `weight:`
        new = f" {new}" if text[start - 1 : start] == ":" else new
        return text[:start] + new + text[start:]
    old = text[start:end]
    return text[:start] + new + old[len(old.rstrip()) :] + text[end:]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
