"""Single values of a spec by their paths, as operators write them: what a path means, and the change of the text."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any

from ruamel.yaml.nodes import MappingNode, SequenceNode

from holdfast.errors import SpecError, UsageError
from holdfast.sentences import Sentence

from .positions import Path, dotted, read_yaml
from .rewrite import Document, Put

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
_EXAMPLE = "write it as pools.web.servers[10.0.0.7].weight"


def edit(text: str, changes: Iterable[tuple[str, str]]) -> str:
    """The text of a spec with other values: `pools.web.servers[10.0.0.7].weight`, `2`; one after the other.

    Items of lists are named by their number, or by what they are: a server by its host, or host and port. What is not
    there yet is added to what is around it. Values are YAML. UsageError says which part of a path leads nowhere, or
    that it cannot be changed alone; whether the result is a sound spec is not looked at.
    """
    document = Document.of(text)
    for path, value in changes:
        document = document.changed(_meant(document, _parts(path), _value(value)))
    return document.text


def _parts(path: str) -> list[tuple[str, bool]]:
    """(name, whether it stands in brackets) of each part."""
    found, at = [], 0
    while at < len(path):
        if path[at] == "." and at:
            at += 1
        match = _PART.match(path, at)
        if match is None:
            raise UsageError(Sentence("'%(path)s' is no path", path=path), _EXAMPLE)
        found.append((match["name"], False) if match["name"] else (match["item"], True))
        at = match.end()
    if not found:
        raise UsageError("the path is empty", _EXAMPLE)
    return found


def _value(text: str) -> Any:
    """What is meant: the YAML that it is, else the words as they stand."""
    if not text.strip():
        return None
    try:
        return read_yaml(text, "the value")[0]
    except SpecError:
        return text


def _meant(document: Document, parts: list[tuple[str, bool]], value: Any) -> Put:
    data: Any = document.data
    path: Path = ()
    for number, (name, bracketed) in enumerate(parts):
        step = _step(data, path, name, bracketed=bracketed, last=number == len(parts) - 1)
        if step is None:
            return _with(data, path, parts[number:], value)
        data, path = data[step], (*path, step)
    node = document.at(path)
    section = isinstance(node, MappingNode | SequenceNode) and not node.flow_style
    if section and not isinstance(value, type(data)):
        raise UsageError("the path leads to a whole section", "name one of its fields, or edit the spec itself")
    return Put(path, value)


def _step(data: Any, path: Path, name: str, *, bracketed: bool, last: bool) -> str | int | None:
    """What a part of a path leads to; None if it is not there, but could be."""
    if isinstance(data, dict):
        meant = name if name in data else _ONE_OF.get(name, name)
        if meant in data:
            return meant
        if not path or not last:
            near = difflib.get_close_matches(name, data, 1, 0.6)
            hint = Sentence("there is: %(known)s", known=", ".join(list(data)[:12]))
            if near:
                hint = Sentence("did you mean '%(name)s'?", name=near[0])
            raise UsageError(
                Sentence("there is no '%(name)s' in %(what)s", name=name, what=dotted(path) or Sentence("the spec")),
                hint,
            )
        return None
    if isinstance(data, list):
        return _item(data, name, dotted(path))
    if bracketed:
        raise UsageError(Sentence("%(path)s is no list", path=dotted(path)), "name a field of it: weight")
    return None


def _item(items: list[Any], name: str, at: str) -> int:
    if re.fullmatch(r"[0-9]{1,6}", name) and int(name) < len(items):
        return int(name)
    called = [_called(item) for item in items]
    found = [number for number, names in enumerate(called) if name in names]
    if len(found) == 1:
        return found[0]
    known = ", ".join(sorted({names[0] for names in called if names})[:12])
    if not found:
        raise UsageError(
            Sentence("there is no '%(name)s' in %(at)s", name=name, at=at),
            Sentence("there is: %(known)s", known=known) if known else "it is empty",
        )
    raise UsageError(
        Sentence("'%(name)s' means %(n)s entries of %(at)s", name=name, n=len(found), at=at),
        Sentence("write which: %(known)s", known=known),
    )


def _called(item: Any) -> list[str]:
    """By what an item of a list may be named, in full first."""
    named = [value for key, value in item.items() if key in _NAMING] if isinstance(item, dict) else [item]
    texts = [str(one) for one in named if not isinstance(one, dict | list)]
    hosts = [text.rpartition(":")[0].removeprefix("[").removesuffix("]") for text in texts if ":" in text]
    return [*texts, *hosts]


def _with(data: Any, path: Path, parts: list[tuple[str, bool]], value: Any) -> Put:
    """A field more, where nothing of that name is."""
    name, bracketed = parts[0]
    if len(parts) > 1 or bracketed:
        raise UsageError(
            Sentence("there is no '%(name)s' in %(path)s", name=name, path=dotted(path)),
            "write it into the spec itself",
        )
    if data is None or isinstance(data, dict):
        return Put((*path, name), value)
    return Put(path, {"address": data, name: value})  # a short form, `web01:80`: what it stands for, and the field
