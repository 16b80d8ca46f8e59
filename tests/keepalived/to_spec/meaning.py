"""What a keepalived.conf means, in a form that can be compared: the order of keywords, quotes and comments gone."""

from __future__ import annotations

from typing import Any

from holdfast.bundle import Bundle
from holdfast.compile.compiler import CompileInput, compile_cluster
from holdfast.compile.lock import Lock, Secrets
from holdfast.keepalived.keywords import Argument
from holdfast.keepalived.parse import parse
from holdfast.keepalived.to_spec import Imported, import_nodes
from holdfast.keepalived.tree import Node
from holdfast.spec import parse_spec

PATH = "/etc/holdfast/keepalived/keepalived.conf"


def imported(cluster: str = "shop", **texts: str | bytes) -> Imported:
    """The import of these files, one a node."""
    return import_nodes({node: parse(text, f"{node}.conf", config_id=node) for node, text in texts.items()}, cluster)


def compiled(found: Imported) -> dict[str, Bundle]:
    """The bundles of an imported spec, by node."""
    secrets = Secrets(cluster=found.cluster, origin=dict(found.secrets))
    return compile_cluster(CompileInput(parse_spec(found.text), Lock(cluster=found.cluster), secrets))


def texts(found: Imported) -> dict[str, str]:
    """keepalived.conf of every node, compiled from an imported spec."""
    files = {node: bundle.file(PATH) for node, bundle in compiled(found).items()}
    return {node: file.content for node, file in files.items() if file is not None}


def meaning(text: str) -> Any:
    """The blocks of a file by kind and in order; within a block, statements by keyword and in order."""
    return _block(parse(text).root)


def _block(node: Node) -> Any:
    found: dict[str, list[Any]] = {}
    for child in node.children:
        found.setdefault(child.name, []).append([list(_words(child)), _block(child)])
    if node.keyword is not None and node.keyword.listed is not None:
        return [list(line.words) for line in node.children]
    return dict(sorted(found.items()))


def _words(node: Node) -> tuple[str, ...]:
    keyword = node.keyword
    arguments: tuple[Argument, ...] = keyword.arguments if keyword else ()
    if any(argument.kind == "script" for argument in arguments):
        return node.command
    if len(arguments) == 1 and arguments[0].kind == "bool":
        return ("false" if node.arg() in ("off", "no", "false") else "true",)
    return tuple(f"{float(word):g}" if _is_number(word) else word for word in node.args)


def _is_number(word: str) -> bool:
    return word.replace(".", "", 1).isdigit() and word.isascii() and len(word) < 12
