"""nginx.conf: the directives of a reverse proxy, and nothing that reads, writes or runs elsewhere; lists of servers."""

from __future__ import annotations

import re

from holdfast.agent.admission.findings import odd_characters, refuse, shown
from holdfast.agent.admission.nginx_lexer import Directive, NotNginxError, Word, directives
from holdfast.agent.admission.nginx_words import BLOCKS, DIRECTIVES, FORMS, SERVER_LIST, SERVER_SETTING, TABLES
from holdfast.agent.server_lists import endpoints
from holdfast.bundle import BundleFile
from holdfast.findings import Finding

_UNIX = re.compile(r"unix:", re.IGNORECASE)
_FILE_TEST = re.compile(r"\(?!?-[fdex]")
_GEO_FILES = ("include", "ranges", "proxy", "proxy_recursive", "delete")
_SETTINGS = "a weight, limits, or `backup`; `down` is for the node's own prober to say"
_HINT = "an agent takes only the directives that a reverse proxy needs"


def check(file: BundleFile) -> list[Finding]:
    """Everything in the file that is not allowed."""
    found = odd_characters(file.path, file.content, "ADM300")
    if found:
        return found
    blocks: list[str] = []
    try:
        for directive in directives(file.content):
            if directive.closes:
                if not blocks:
                    return [*found, refuse("ADM301", "a brace closes that none opened", file.path)]
                blocks.pop()
                continue
            found += _check_directive(directive, blocks[-1] if blocks else "", file.path)
            if directive.opens:
                blocks.append(directive.words[0].text)
    except NotNginxError as error:
        return [*found, refuse("ADM301", error.message, file.path, error.line, error.column)]
    if blocks:
        found.append(refuse("ADM301", "a block is not closed", file.path))
    return found


def check_list(file: BundleFile) -> list[Finding]:
    """A list of servers: one a line, as the prober will read it, and none of them marked yet."""
    found = odd_characters(file.path, file.content, "ADM300")
    if found:
        return found
    try:
        listed = list(directives(file.content))
    except NotNginxError as error:
        return [refuse("ADM301", error.message, file.path, error.line, error.column)]
    for directive in listed:
        if directive.opens or directive.closes or directive.words[0].text != "server":
            first = directive.words[0] if directive.words else Word("}", 1, 1)
            message = f"{shown(first.text)} may not stand in a list of servers"
            found.append(refuse("ADM302", message, file.path, first.line, first.column, _HINT))
        for word in directive.words[2:]:
            if not SERVER_SETTING.fullmatch(word.text):
                message = f"a server may not be given {shown(word.text)}"
                found.append(refuse("ADM303", message, file.path, word.line, word.column, _SETTINGS))
    if not found and [d.words[1].text for d in listed if len(d.words) > 1] != list(endpoints(file.content)):
        hint = "`server ADDRESS:PORT …;`, each in a line of its own"
        found.append(refuse("ADM305", "it is not a list of servers as Holdfast writes it", file.path, hint=hint))
    return found


def _check_directive(directive: Directive, block: str, path: str) -> list[Finding]:
    found = [_refuse("ADM304", word, path) for word in directive.words if _UNIX.search(word.text)]
    name, *values = directive.words
    if name.text == "if" and any(_FILE_TEST.fullmatch(word.text) for word in values):
        found.append(refuse("ADM303", "files of this machine may not be looked for", path, name.line, name.column))
    if block in TABLES:
        return found + _check_entry(directive, block, path)
    if name.text == "include" and block == "upstream" and not directive.opens:
        if len(values) != 1 or not SERVER_LIST.fullmatch(values[0].text):
            message = "only a list of servers may be included"
            found.append(refuse("ADM303", message, path, name.line, name.column, "servers/UPSTREAM.conf"))
        return found
    known = BLOCKS if directive.opens else DIRECTIVES
    if name.text not in known:
        kind = "block" if directive.opens else "directive"
        message = f"the {kind} {shown(name.text)} is not allowed"
        return [*found, refuse("ADM302", message, path, name.line, name.column, _HINT)]
    form = None if directive.opens else FORMS.get(name.text)
    text = " ".join(word.text for word in values)
    if form is not None and (not form.fullmatch(text) or ".." in text):
        message = f"{name.text} may not be {shown(text)}"
        found.append(refuse("ADM303", message, path, name.line, name.column))
    return found


def _check_entry(directive: Directive, block: str, path: str) -> list[Finding]:
    """A line of a table: nginx takes `include` there, whether it is quoted or not."""
    first = directive.words[0]
    if directive.opens or first.text in ("include", *(_GEO_FILES if block == "geo" else ())):
        message = f"{shown(first.text)} may not stand in {block}"
        return [refuse("ADM302", message, path, first.line, first.column, _HINT)]
    return []


def _refuse(code: str, word: Word, path: str) -> Finding:
    message = f"{shown(word.text)}: sockets of this machine may not be used"
    return refuse(code, message, path, word.line, word.column)
