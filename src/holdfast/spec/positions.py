"""YAML 1.2 read with the line and column of every key and value.

ruamel.yaml composes the tree; YAML 1.2 matters, because in 1.1 the key `on` is a boolean and `1:30` a number.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Literal

from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode
from ruamel.yaml.reader import ReaderError

from holdfast.errors import SpecError
from holdfast.findings import Finding, Location, Severity
from holdfast.sentences import Sentence

from .composing import compose
from .values import shown
from .wording import yaml_problem

MAX_BYTES = 8_000_000  # five times a thousand imported virtual servers with ten servers each, which take three seconds
MAX_NODES = 400_000
MAX_DEPTH = 40

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Positions:
    """Where each path of a document stands: the key's place for `keys`, the value's for `values`."""

    file: str
    keys: dict[Path, tuple[int, int]]
    values: dict[Path, tuple[int, int]]

    def at(self, path: Path, *, key: bool = False) -> Location:
        """The place of `path`, or of its nearest ancestor that was written down."""
        field = dotted(path)
        while path and path not in self.values:
            path = path[:-1]
        value = self.values.get(path, (1, 1))
        named = self.keys.get(path, value)
        # What begins on a line below its key (a block, or nothing at all) is found by its key.
        line, column = named if key or named[0] < value[0] else value
        return Location(file=self.file, line=line, column=column, field=field)


def dotted(path: Path) -> str:
    """`("pools", "web", "servers", 0)` as `pools.web.servers[0]`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text.removeprefix("."))


def _failure(file: str, line: int, column: int, message: Sentence, hint: Sentence | Literal[""] = "") -> SpecError:
    where = Location(file=file, line=line, column=column)
    finding = Finding(code="YAML001", severity=Severity.ERROR, message=message, hint=hint, location=where)
    return SpecError(Sentence("%(file)s is not readable YAML", file=file), [finding])


def read_yaml(text: str, file: str) -> tuple[Any, Positions]:
    """Plain data and the place of everything in it.

    Raise SpecError on broken YAML, repeated keys, tags, merge keys, and on documents beyond the stated bounds.
    """
    return _Reader(file).read(_root(text, file))


def read_tree(text: str, file: str) -> tuple[Any, Node]:
    """Plain data and the nodes that it was read from, for whoever changes the text. Raises what read_yaml does."""
    root = _root(text, file)
    return _Reader(file).read(root)[0], root


def _root(text: str, file: str) -> Node:
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise _failure(
            file,
            1,
            1,
            Sentence("the file is larger than %(max_bytes)s MB", max_bytes=MAX_BYTES // 1_000_000),
            Sentence("no spec is; check the path"),
        )
    try:
        documents = compose(text)
    except MarkedYAMLError as error:
        raise _marked(file, error) from None
    except ReaderError as error:
        before = text[: error.position].split("\n")
        raise _failure(file, len(before), len(before[-1]) + 1, *yaml_problem(str(error.reason))) from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise _failure(file, 1, 1, *yaml_problem(str(error).partition("\n")[0][:200])) from None
    first = documents[0] if documents else None
    if first is None:
        raise _failure(file, 1, 1, Sentence("the file is empty"), Sentence("begin with `holdfast: 1`"))
    if len(documents) > 1:
        mark = first.end_mark if documents[1] is None else documents[1].start_mark
        message = Sentence("a second YAML document begins here")
        raise _failure(
            file, mark.line + 1, mark.column + 1, message, Sentence("write one cluster a file; remove the line ---")
        )
    return first


def _marked(file: str, error: MarkedYAMLError) -> SpecError:
    problem = str(error.problem or error.context)
    mark, begun = error.problem_mark or error.context_mark, error.context_mark or error.problem_mark
    if mark is None or begun is None:
        return _failure(file, 1, 1, *yaml_problem(problem))
    if "could not find" in problem or "end of stream" in problem:
        mark = begun  # what was begun there never ended: its end is where the parser gave up
    return _failure(file, mark.line + 1, mark.column + 1, *yaml_problem(problem, begun.line + 1))


class _Reader:
    """Turns a composed tree into plain data, once, counting nodes so that aliases cannot explode."""

    def __init__(self, file: str) -> None:
        self._positions = Positions(file, {}, {})
        self._count = 0
        self._open: list[Node] = []  # from the root to the value being read

    def read(self, root: Node) -> tuple[Any, Positions]:
        return self._value(root, ()), self._positions

    def _fail(self, node: Node, message: Sentence, hint: Sentence | Literal[""] = "") -> SpecError:
        mark = node.start_mark
        return _failure(self._positions.file, mark.line + 1, mark.column + 1, message, hint)

    def _value(self, node: Node, path: Path) -> Any:
        self._count += 1
        if self._count > MAX_NODES:
            raise self._fail(
                node, Sentence("the document is too large"), Sentence("aliases (*name) count each time they are used")
            )
        if len(path) > MAX_DEPTH:
            raise self._fail(node, Sentence("it is nested too deeply"), Sentence("no spec needs this many levels"))
        self._positions.values[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        if str(node.tag) not in ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
            raise self._tagged(node)
        if any(node is outer for outer in self._open):
            raise self._fail(node, Sentence("this value contains itself, by an alias"), Sentence("write the value out"))
        self._open.append(node)
        try:
            if isinstance(node, MappingNode):
                return self._mapping(node, path)
            return [self._value(item, (*path, index)) for index, item in enumerate(node.value)]
        finally:
            self._open.pop()

    def _tagged(self, node: Node) -> SpecError:
        return self._fail(
            node,
            Sentence("the tag %(tag)s is not part of the spec's language", tag=shown(str(node.tag))),
            Sentence("write the plain value"),
        )

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                raise self._fail(key_node, Sentence("a key must be a plain word"), Sentence("write `name: …`"))
            key = self._text(key_node)
            if key == "<<":
                hint = Sentence("write the fields out, or use an alias for a whole value")
                raise self._fail(key_node, Sentence("merge keys (<<) are not part of the spec's language"), hint)
            if key in result:
                raise self._fail(
                    key_node, Sentence("%(key)s is given twice", key=shown(key)), Sentence("remove one of the two")
                )
            self._positions.keys[(*path, key)] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            result[key] = self._value(value_node, (*path, key))
        return result

    def _text(self, node: ScalarNode) -> str:
        text = str(node.value)
        if any("\ud800" <= c <= "\udfff" for c in text):
            raise self._fail(
                node,
                Sentence("half of a surrogate pair, which is no character"),
                Sentence("write the character itself"),
            )
        return text

    def _scalar(self, node: ScalarNode) -> Any:
        tag, text = str(node.tag).removeprefix("tag:yaml.org,2002:"), self._text(node)
        if tag not in ("str", "null", "bool", "int", "float", "timestamp"):
            raise self._tagged(node)
        if node.style in ("'", '"', "|", ">"):
            return text
        if tag == "null":
            return None
        if tag == "bool" and text.lower() in ("true", "false"):
            return text.lower() == "true"
        if tag == "int" and re.fullmatch(r"[+-]?[0-9]{1,18}", text):
            return int(text)
        if tag == "float" and re.fullmatch(r"[+-]?[0-9]{0,15}\.?[0-9]{1,15}([eE][+-]?[0-9]{1,3})?", text):
            number = float(text)
            return number if math.isfinite(number) else text
        return text
