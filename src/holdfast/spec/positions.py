"""YAML 1.2 read with the line and column of every key and value.

ruamel.yaml composes the tree; YAML 1.2 matters, because in 1.1 the key `on` is a boolean and `1:30` a number.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from holdfast.errors import SpecError
from holdfast.findings import Finding, Location, Severity

MAX_BYTES = 4_000_000
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
        table = {**self.values, **self.keys} if key else {**self.keys, **self.values}
        while path and path not in table:
            path = path[:-1]
        line, column = table.get(path, (1, 1))
        return Location(file=self.file, line=line, column=column, field=field)


def dotted(path: Path) -> str:
    """`("pools", "web", "servers", 0)` as `pools.web.servers[0]`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def _failure(file: str, line: int, column: int, message: str, hint: str = "") -> SpecError:
    where = Location(file=file, line=line, column=column)
    finding = Finding(code="YAML001", severity=Severity.ERROR, message=message, hint=hint, location=where)
    return SpecError(f"{file} is not readable YAML", [finding])


def read_yaml(text: str, file: str) -> tuple[Any, Positions]:
    """Plain data and the place of everything in it.

    Raise SpecError on broken YAML, repeated keys, tags, merge keys, and on documents beyond the stated bounds.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise _failure(file, 1, 1, f"the file is larger than {MAX_BYTES // 1_000_000} MB")
    yaml = YAML(typ="rt", pure=True)
    try:
        documents = list(yaml.compose_all(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = str(error.problem or error.context or "it cannot be parsed")
        raise _failure(file, line, column, problem, "check indentation, quotes and brackets here") from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise _failure(file, 1, 1, f"it cannot be parsed: {str(error).splitlines()[0][:200]}") from None
    if len(documents) != 1 or documents[0] is None:
        raise _failure(file, 1, 1, f"one YAML document is expected, here are {len(documents)}")
    return _Reader(file).read(documents[0])


class _Reader:
    """Turns a composed tree into plain data, once, counting nodes so that aliases cannot explode."""

    def __init__(self, file: str) -> None:
        self._positions = Positions(file, {}, {})
        self._count = 0

    def read(self, root: Node) -> tuple[Any, Positions]:
        return self._value(root, ()), self._positions

    def _fail(self, node: Node, message: str, hint: str = "") -> SpecError:
        mark = node.start_mark
        return _failure(self._positions.file, mark.line + 1, mark.column + 1, message, hint)

    def _value(self, node: Node, path: Path) -> Any:
        self._count += 1
        if self._count > MAX_NODES or len(path) > MAX_DEPTH:
            raise self._fail(node, "the document is too large or too deep")
        self._positions.values[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self._value(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                raise self._fail(key_node, "a key must be a plain word")
            key = str(key_node.value)
            if key == "<<":
                raise self._fail(key_node, "merge keys (<<) are not part of the spec's language")
            if key in result:
                raise self._fail(key_node, f"'{key}' is given twice", "remove one of the two")
            self._positions.keys[(*path, key)] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            result[key] = self._value(value_node, (*path, key))
        return result

    def _scalar(self, node: ScalarNode) -> Any:
        tag, text = str(node.tag), str(node.value)
        if tag.endswith(":str") or node.style in ("'", '"', "|", ">"):
            return text
        if tag.endswith(":null"):
            return None
        if tag.endswith(":bool"):
            return text.lower() == "true"
        if tag.endswith(":int") and re.fullmatch(r"[+-]?[0-9]{1,18}", text):
            return int(text)
        if tag.endswith(":float") and re.fullmatch(r"[+-]?[0-9.]{1,30}([eE][+-]?\d{1,3})?", text):
            number = float(text)
            return number if math.isfinite(number) else text
        if tag.startswith("tag:yaml.org,2002:"):
            return text
        raise self._fail(node, f"the tag {tag} is not part of the spec's language", "write the plain value")
