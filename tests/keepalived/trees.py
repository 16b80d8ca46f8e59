"""Configurations written in short for tests, and trees compared."""

from __future__ import annotations

from typing import TypeAlias

from holdfast.keepalived.complaints import Complaints
from holdfast.keepalived.files import Files, InMemory, Nowhere
from holdfast.keepalived.parse import parse
from holdfast.keepalived.source import Source
from holdfast.keepalived.statements import Statements
from holdfast.keepalived.tree import Configuration, Node

Shape: TypeAlias = "tuple[tuple[str, ...], tuple[Shape, ...]]"


def shape(node: Node) -> tuple[Shape, ...]:
    """The words of a tree without their places."""
    return tuple((tuple(child.words), shape(child)) for child in node.children)


def statements_of(text: str, files: Files | None = None, config_id: str = "") -> list[tuple[str, ...]] | None:
    """All that the language makes of a text, before any table is asked; None where a limit ended the reading."""
    source = Source("x.conf", text)
    into = Configuration(Node((), source, 1))
    found = [tuple(one[0]) for one in Statements(files or Nowhere(), config_id, into, Complaints()).read(source)]
    return found if into.complete or isinstance(files, Nowhere | None) else None


def lines_of(configuration: Configuration) -> list[str]:
    """Every node as one line, indented by its depth."""

    def walk(node: Node, depth: int) -> list[str]:
        return [
            line for child in node.children for line in ["  " * depth + " ".join(child.words), *walk(child, depth + 1)]
        ]

    return walk(configuration.root, 0)


def codes(
    text: str, files: Files | None = None, config_id: str = "", version: tuple[int, ...] = (2, 2, 7)
) -> list[str]:
    """Code and line of each finding."""
    found = parse(text, "x.conf", files=files, config_id=config_id, version=version).findings
    return [f"{one.code}:{one.location.line if one.location else 0}" for one in found]


def instance(*lines: str) -> str:
    """A vrrp_instance whose first inner line is line 2."""
    return "vrrp_instance a {\n" + "\n".join(lines) + "\n}\n"


def in_memory(**files: str) -> InMemory:
    """Files by name: `b_conf` stands for b.conf."""
    return InMemory({name.replace("_", "."): text.encode() for name, text in files.items()})
