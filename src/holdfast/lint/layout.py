"""What goes wrong with how a file is written, though this release of keepalived understands it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from holdfast.keepalived.source import Source
from holdfast.keepalived.tree import Node
from holdfast.sentences import Sentence

from .model import Model
from .rule import INFO, WARNING, Edit, Hit, rule
from .samples import instance

# The brace first and what stands before it then: a text is searched much faster for a sign than for any of many.
_BRACE = re.compile(r"\{(?<=[^\s#!\"{}$(,~]\{)[ \t]*(?:[#!][^\n]*)?\r?$", re.M)
_SEMICOLON = re.compile(r";[ \t]*(?:[#!][^\n]*)?\r?$", re.M)
_FREE = frozenset(
    {
        "router_id",
        "smtp_server",
        "notification_email_from",
        "auth_pass",
        "script",
        "notify",
        "notify_master",
        "notify_backup",
        "notify_fault",
        "notify_stop",
        "notify_up",
        "notify_down",
        "quorum_up",
        "quorum_down",
        "misc_path",
        "path",
        "virtualhost",
    }
)
_UNUSUAL = re.compile(r"[#!\"]|\$\{|^\s*include")  # a comment, quotes, a variable, the name of a file


@rule(
    "STYLE101",
    WARNING,
    "no blank before a brace",
    effect="keepalived before 1.3 took the brace for a part of the word: the block was lost. 2.2 understands it.",
    hint="write a blank before the {; `holdfast fmt` does",
    bad=instance().replace("web {", "web{"),
    good=instance(),
    references=("keepalived 1.2.7",),
)
def glued_brace(model: Model) -> Iterator[Hit]:
    for source in model.configuration.sources.values():
        line, counted = 1, 0
        for found in _BRACE.finditer(source.text):
            at = found.start()
            line, counted = line + source.text.count("\n", counted, at), at
            begin = source.text.rfind("\n", 0, at) + 1
            if not _UNUSUAL.search(source.text[begin:at]):
                yield _glued(source, line, at - begin + 1)


def _glued(source: Source, line: int, column: int) -> Hit:
    text = source.line(line)
    start = len(text[: column - 1]) - len(text[: column - 1].lstrip())
    words = text[start : column - 1].split()
    node = Node((*words, "{"), source, line, start)
    message = Sentence("%(words)s and its brace are one word to old releases", words=f"{words[-1]!r}")
    edit = Edit(source.name, line, column, column - 1, " ")
    return Hit(node, message, len(words) - 1, fix=(edit,))


@rule(
    "STYLE102",
    INFO,
    "lines that end as those of Windows do",
    effect="Lines that end in CR LF were written by Windows: keepalived reads them, scripts that read the file may "
    "not.",
    hint="save the file with LF alone",
    bad=instance().replace("\n", "\r\n"),
    good=instance(),
    references=("measured with keepalived 2.2.7",),
)
def windows_lines(model: Model) -> Iterator[Hit]:
    for source in model.configuration.sources.values():
        at = source.text.find("\r\n")
        if at >= 0:
            line = source.text.count("\n", 0, at) + 1
            yield Hit(
                Node((source.line(line).strip() or "line",), source, line), Sentence("lines of this file end in CR LF")
            )


@rule(
    "STYLE103",
    WARNING,
    "a semicolon at the end of a line",
    effect="keepalived has no sign for the end of a statement: the semicolon becomes a part of the name, the path or "
    "the password.",
    hint="remove it; where it belongs to the word, put the word in quotes",
    bad="global_defs {\n    router_id lb1;\n}\n" + instance(),
    good="global_defs {\n    router_id lb1\n}\n" + instance(),
    references=("measured with keepalived 2.2.7",),
)
def semicolon(model: Model) -> Iterator[Hit]:
    """Where any word will do: numbers, addresses and names of other things with a semicolon are told themselves."""
    if not any(_SEMICOLON.search(source.text) for source in model.configuration.sources.values()):
        return
    for node in model.root.walk():
        if node.name not in _FREE or len(node.words) < 2 or not node.words[-1].endswith(";"):
            continue
        if _SEMICOLON.search(node.source.line(node.line)):
            message = Sentence("the ; behind %(name)s is no end of it, but a part of its value", name=node.name)
            yield Hit(node, message, len(node.words) - 1)
