"""Prints what keepalived understands of a configuration as a configuration: variables replaced, includes taken in."""

from __future__ import annotations

import re

from .layout import INDENT
from .tree import Node, Quoted

_PLAIN = re.compile(r"[^ \t\r\n\v\f\"!#{}$@~][^ \t\r\n\v\f\"!#{}$~]*")


def write(node: Node) -> str:
    """All below `node` as text, one statement a line, without comments; reading it gives the same words again.

    Commands keep the quotes that they had. A word with a quote in it cannot be written: the reader makes none.
    """
    lines: list[str] = []
    waiting: list[tuple[Node | None, int]] = [(child, 0) for child in reversed(node.children)]
    while waiting:
        one, depth = waiting.pop()
        indent = " " * (INDENT * depth)
        if one is None:
            lines.append(indent + "}")
        elif is_block(one):
            lines.append(f"{indent}{statement(one)} {{")
            waiting.append((None, depth))
            waiting += [(child, depth + 1) for child in reversed(one.children)]
        else:
            lines.append(indent + statement(one))
    return "".join(line + "\n" for line in lines)


def is_block(node: Node) -> bool:
    """Whether a node has braces, even if nothing stands between them."""
    keyword = node.keyword
    return bool(node.children) or (keyword is not None and (bool(keyword.block) or keyword.listed is not None))


def statement(node: Node) -> str:
    """The words of one node, quoted where they must be."""
    keyword = node.keyword
    if keyword is not None and any(argument.kind == "script" for argument in keyword.arguments):
        return node.text if isinstance(node.words, Quoted) else " ".join(node.words)
    return " ".join(quoted(word) for word in node.words)


def quoted(word: str) -> str:
    """`word` as it has to stand in a file."""
    return word if _PLAIN.fullmatch(word) and not word.startswith("include") else f'"{word}"'
