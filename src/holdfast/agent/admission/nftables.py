"""Packet filter rules: only tables of Holdfast's own, which may mark, count, accept and drop."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.agent.admission.findings import odd_characters, refuse, shown
from holdfast.bundle import BundleFile
from holdfast.findings import Finding

_LARGEST = 1_000_000  # characters
_TOKEN = re.compile(r'[ \t]+|#[^\n]*|\n|;|\{|\}|"[^"\n]*"|[A-Za-z0-9_.:/@*+<>=!&|^~(),%-]+|.')
_OWN_TABLE = re.compile(r"((add|create|delete|destroy|flush) )?table inet holdfast[a-z0-9_-]{0,40}")
_STRING = re.compile(r'"[A-Za-z0-9 ._:*+/@-]{0,64}"')
# They read other files, hide words in variables, or send packets elsewhere instead of judging them.
_FORBIDDEN = frozenset(
    [
        "include",
        "define",
        "redefine",
        "undefine",
        "dnat",
        "snat",
        "masquerade",
        "redirect",
        "tproxy",
        "queue",
        "dup",
        "fwd",
        "synproxy",
        "ruleset",
        "flowtable",
        "offload",
        "secmark",
        "import",
        "export",
        "monitor",
        "rename",
        "replace",
        "insert",
        "reset",
    ]
)


@dataclass(frozen=True)
class _Token:
    text: str
    line: int


def check(file: BundleFile) -> list[Finding]:
    """Every statement outside braces is about a table `inet holdfast…`; inside, no word that reaches beyond it."""
    found = odd_characters(file.path, file.content, "ADM600")
    if len(file.content) > _LARGEST:
        found.append(refuse("ADM609", f"it is larger than {_LARGEST} characters", file.path))
    depth = 0
    statement: list[_Token] = []
    for token in _tokens(file.content):
        found += _check_token(token, file.path)
        if token.text == "}":
            depth -= 1
        elif depth == 0 and token.text in ("\n", ";", "{"):
            found += _check_statement(statement, file.path)
            statement = []
        elif depth == 0:
            statement.append(token)
        depth += token.text == "{"
        if depth < 0:
            return [*found, refuse("ADM603", "a brace closes that none opened", file.path, token.line)]
    if depth:
        found.append(refuse("ADM603", "a brace is not closed", file.path))
    return found + _check_statement(statement, file.path)


def _check_token(token: _Token, path: str) -> list[Finding]:
    text = token.text
    if text.startswith('"'):
        if _STRING.fullmatch(text):
            return []
        return [refuse("ADM604", f"the string {shown(text)} may not be written", path, token.line)]
    if len(text) == 1 and text not in ";{}\n" and not re.fullmatch(r"[A-Za-z0-9_.:/@*+<>=!&|^~(),%-]", text):
        return [refuse("ADM604", f"the sign {shown(text)} may not be written", path, token.line)]
    if text.lower() in _FORBIDDEN:
        return [refuse("ADM602", f"{shown(text)} reaches beyond Holdfast's own tables", path, token.line)]
    return []


def _check_statement(statement: list[_Token], path: str) -> list[Finding]:
    if not statement:
        return []
    text = " ".join(token.text for token in statement)
    if _OWN_TABLE.fullmatch(text):
        return []
    hint = "only tables `inet holdfast…` may be added, deleted, flushed and filled"
    return [refuse("ADM601", f"{shown(text)} is not about a table of Holdfast", path, statement[0].line, hint=hint)]


def _tokens(content: str) -> Iterator[_Token]:
    line = 1
    for match in _TOKEN.finditer(content):
        text = match[0]
        if not text.startswith((" ", "\t", "#")):
            yield _Token(text, line)
        line += text == "\n"
