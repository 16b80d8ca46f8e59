"""haproxy.cfg and its maps: the keywords of a reverse proxy, and nothing that reads, writes or runs elsewhere."""

from __future__ import annotations

import re
from collections.abc import Sequence

from holdfast.agent.admission.findings import odd_characters, refuse, shown
from holdfast.agent.admission.haproxy_lexer import NotHaproxyError, Word, split
from holdfast.agent.admission.haproxy_words import (
    ANSWER,
    BIND_ADDRESS,
    BIND_OPTIONS,
    GLOBAL,
    HTTP_ACTIONS,
    MAILERS,
    MAILERS_NAME,
    OPTIONS,
    OWN_MAP,
    PROXY,
    RESOLVERS,
    SECTIONS,
    SERVER_ADDRESS,
    SERVER_OPTIONS,
    TCP_ACTIONS,
)
from holdfast.bundle import BundleFile
from holdfast.findings import Finding

_LONGEST_LINE = 2000  # characters; HAProxy's own buffer is 2048
_MAP = re.compile(r"map(?:_[a-z0-9_]+)?\(\s*([^,)]*)")
_BEYOND = re.compile(r"(?:^|[\[(,{ ])(?:lua\.|env\()")
_SOCKET = re.compile(r"(?:^|[,= +])(?:unix|abns|uxst|uxdg|fd|sockpair|rhttp|file|opt|virt)@", re.IGNORECASE)
_CONDITION = ("if", "unless")
_HINT = "an agent takes only the keywords that a reverse proxy needs"


def check(file: BundleFile) -> list[Finding]:
    """Everything in the file that is not allowed."""
    found = odd_characters(file.path, file.content, "ADM400")
    if found or not file.path.endswith(".cfg"):
        return found  # maps and error files are data: HAProxy looks for no keyword in them
    section = ""
    for number, line in enumerate(file.content.split("\n"), start=1):
        try:
            if len(line) > _LONGEST_LINE:
                raise NotHaproxyError(f"a line is longer than {_LONGEST_LINE} characters", 1)
            words = split(line)
            if words and words[0].text in SECTIONS:
                section = words[0].text
                if section == "mailers" and [word.text for word in words[1:]] != [MAILERS_NAME]:
                    raise NotHaproxyError(f"mailers may only be called {MAILERS_NAME}", words[0].column)
            elif words:
                _check_line(section, words)
        except NotHaproxyError as error:
            found.append(refuse("ADM401", error.message, file.path, number, error.column, _HINT))
    return found


def _check_line(section: str, words: Sequence[Word]) -> None:
    """Raise NotHaproxyError on the first word that is not allowed."""
    keyword, *values = words
    if not keyword.plain:
        raise NotHaproxyError(f"the keyword {shown(keyword.text)} is quoted", keyword.column)
    if keyword.text == "no" and values and values[0].text in ("log", "option"):
        keyword, *values = values
        if keyword.text == "log":
            return
    _check_everywhere(values)
    match section:
        case "global":
            _match(GLOBAL, keyword, values)
        case "resolvers":
            _match(RESOLVERS, keyword, values)
        case "mailers":
            _match(MAILERS, keyword, values)
        case "":
            raise NotHaproxyError(f"{shown(keyword.text)} begins no section that is allowed", keyword.column)
        case _:
            _check_proxy(keyword, values)


def _check_everywhere(values: Sequence[Word]) -> None:
    """What any expression, anywhere, might reach: files, the environment, Lua, sockets of this machine."""
    for position, word in enumerate(values):
        for path in _MAP.findall(word.text):
            if not OWN_MAP.fullmatch(path):
                raise NotHaproxyError(f"the map {shown(path)} is not the bundle's own", word.column)
        if _BEYOND.search(word.text) or _SOCKET.search(word.text):
            raise NotHaproxyError(f"{shown(word.text)} reaches beyond the proxy", word.column)
        if word.text == "-f":
            follower = values[position + 1].text if position + 1 < len(values) else ""
            if not OWN_MAP.fullmatch(follower):
                raise NotHaproxyError(f"the list {shown(follower)} is not the bundle's own", word.column)


def _check_proxy(keyword: Word, values: Sequence[Word]) -> None:
    first = values[0].text if values else ""
    match keyword.text:
        case "option":
            if first not in OPTIONS:
                raise NotHaproxyError(f"option {shown(first)} is not allowed", keyword.column)
        case "bind":
            _check_address(BIND_ADDRESS, keyword, values[:1])
            _check_options(BIND_OPTIONS, values[1:])
        case "server":
            _check_address(SERVER_ADDRESS, keyword, values[1:2])
            _check_options(SERVER_OPTIONS, values[2:])
        case "default-server":
            _check_options(SERVER_OPTIONS, values)
        case "http-request" | "http-response" | "http-after-response":
            _check_action(HTTP_ACTIONS, keyword, values)
        case "tcp-request" | "tcp-response":
            if first != "inspect-delay":
                _check_action(TCP_ACTIONS, keyword, values[1:])
        case "http-error":
            _check_answer(values)
        case _:
            _match(PROXY, keyword, values)


def _match(forms: dict[str, re.Pattern[str]], keyword: Word, values: Sequence[Word]) -> None:
    form = forms.get(keyword.text)
    if form is None:
        raise NotHaproxyError(f"the keyword {shown(keyword.text)} is not allowed here", keyword.column)
    text = " ".join(word.text for word in values)
    if not form.fullmatch(text) or (".." in text and "/" in form.pattern):
        raise NotHaproxyError(f"{keyword.text} may not be {shown(text)}", keyword.column)


def _check_address(form: re.Pattern[str], keyword: Word, values: Sequence[Word]) -> None:
    text = values[0].text if values else ""
    if not form.fullmatch(text):
        raise NotHaproxyError(f"{shown(text)} is not an address with a port", keyword.column)


def _check_options(options: dict[str, re.Pattern[str]], values: Sequence[Word]) -> None:
    rest = list(values)
    while rest:
        word = rest.pop(0)
        form = options.get(word.text)
        if form is None:
            raise NotHaproxyError(f"{shown(word.text)} is not allowed here", word.column)
        if form.pattern:
            value = rest.pop(0).text if rest else ""
            if not form.fullmatch(value) or (".." in value and "/" in form.pattern):
                raise NotHaproxyError(f"{word.text} may not be {shown(value)}", word.column)


def _check_action(actions: frozenset[str], keyword: Word, values: Sequence[Word]) -> None:
    action = values[0].text.partition("(")[0] if values else ""
    if action not in actions:
        raise NotHaproxyError(f"{keyword.text} {shown(action)} is not allowed", keyword.column)
    if action in ("return", "deny", "tarpit"):
        _check_answer(values[1:])


def _check_answer(values: Sequence[Word]) -> None:
    rest = list(values)
    while rest and rest[0].text not in _CONDITION:
        word = rest.pop(0)
        if word.text not in ANSWER:
            raise NotHaproxyError(f"{shown(word.text)} may not make an answer", word.column)
        del rest[: ANSWER[word.text]]
