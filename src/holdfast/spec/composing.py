"""YAML text as a tree of nodes with places: small texts by ruamel.yaml's own parser, large ones by libyaml's events."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Literal

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.resolver import VersionedResolver
from ruamel.yaml.tag import Tag

_LARGE = 100_000  # characters, from which on libyaml is asked: it is ten times as fast
_LARGEST_AGAIN = 1_000_000  # that are read a second time: it takes half a minute
_DEEPEST = 100


def compose(text: str) -> list[Node | None]:
    """Every document of a text, None for an empty one; YAMLError, ValueError or RecursionError where it is broken.

    libyaml refuses a little of what YAML 1.2 allows, and has other words for mistakes: what it refuses is read again,
    unless that would take minutes.
    """
    if len(text) > _LARGEST_AGAIN:
        return _Composer().documents(text)
    if len(text) > _LARGE:
        with suppress(YAMLError, ValueError):
            return _Composer().documents(text)
    try:
        return _all(text, "safe")
    except MarkedYAMLError:
        if len(text) <= _LARGE:
            # Its other parser often finds the very place: an open quote, where this one only sees a line that is odd.
            # Not for what is sound, because it leaves signs of its own in folded texts.
            _all(text, "rt")
        raise


def _all(text: str, kind: Literal["safe", "rt"]) -> list[Node | None]:
    yaml = YAML(typ=kind, pure=True)
    yaml.composer.warn_double_anchors = False
    return list(yaml.compose_all(text))


class _Composer:
    """Nodes out of events. It keeps its own stack: libyaml's composer would end the process on deep nesting."""

    def __init__(self) -> None:
        self._resolver = VersionedResolver()
        self._anchors: dict[str, Node] = {}
        self._open: list[tuple[Node, list[Node]]] = []
        self._found: list[Node | None] = []

    def documents(self, text: str) -> list[Node | None]:
        for event in self._events(text):
            if isinstance(event, ScalarEvent):
                self._add(self._scalar(event), event)
            elif isinstance(event, MappingStartEvent | SequenceStartEvent):
                self._begin(event)
            elif isinstance(event, MappingEndEvent | SequenceEndEvent):
                self._end(event)
            elif isinstance(event, AliasEvent):
                if event.anchor not in self._anchors:
                    raise MarkedYAMLError(
                        problem=f"found undefined alias {event.anchor!r}", problem_mark=event.start_mark
                    )
                self._add(self._anchors[event.anchor], None)
            elif isinstance(event, DocumentEndEvent):
                self._anchors = {}
        return self._found

    @staticmethod
    def _events(text: str) -> Iterator[Any]:
        yield from YAML(typ="safe").parse(text)

    def _scalar(self, event: Any) -> Node:
        return ScalarNode(
            self._tag(event, ScalarNode, event.value), event.value, event.start_mark, event.end_mark, style=event.style
        )

    def _begin(self, event: Any) -> None:
        if len(self._open) >= _DEEPEST:
            raise MarkedYAMLError(problem="it is nested too deeply", problem_mark=event.start_mark)
        kind = MappingNode if isinstance(event, MappingStartEvent) else SequenceNode
        tag = self._tag(event, kind, None)
        node = kind(tag, [], event.start_mark, event.end_mark, flow_style=event.flow_style)
        self._add(node, event)
        self._open.append((node, []))

    def _end(self, event: Any) -> None:
        node, inner = self._open.pop()
        node.end_mark = event.end_mark
        node.value = list(zip(inner[::2], inner[1::2], strict=True)) if isinstance(node, MappingNode) else inner

    def _tag(self, event: Any, kind: type[Node], value: str | None) -> Tag:
        said = event.tag
        if said is not None and str(said) != "!":
            return said if isinstance(said, Tag) else Tag(suffix=said)
        implicit = event.implicit
        resolved: Tag = self._resolver.resolve(kind, value, implicit)
        return resolved

    def _add(self, node: Node, event: Any) -> None:
        if event is not None and event.anchor is not None:
            self._anchors[event.anchor] = node
        if self._open:
            self._open[-1][1].append(node)
        else:
            self._found.append(node)
