"""Conditions of routes in the words of the spec, out of what the engines look at and compare it with."""

from __future__ import annotations

import re

Condition = tuple[str, str]  # what is looked at, what it must be
_ESCAPED = re.compile(r"\\(.)")
_BELOW = r"(?:/|\z)"


def in_words(conditions: tuple[Condition, ...]) -> str:
    """All conditions of a route, as a spec would say them."""
    return ", ".join(_in_words(looked_at, wanted) for looked_at, wanted in conditions)


def _in_words(looked_at: str, wanted: str) -> str:
    patterns = [line.rpartition("=")[0] for line in wanted.split("\n") if line.rpartition("=")[2] == "1"]
    if "default=1" in wanted.split("\n"):
        return f"{_name(looked_at)} present"
    if looked_at == "$uri":
        return " or ".join(_path(pattern) for pattern in patterns)
    values = [_plain(pattern) for pattern in patterns]
    return f"{_name(looked_at)} {' or '.join(values)}" if any(values) else f"{_name(looked_at)} absent"


def _path(pattern: str) -> str:
    text = pattern.removeprefix("~^")
    if text != pattern and text.endswith(_BELOW):
        return "path " + _ESCAPED.sub(r"\1", text.removesuffix(_BELOW))
    if text != pattern and re.fullmatch(r"(?:[^\\.*+?()|\[\]{}$^]|\\.)*/", text):
        return "path " + _ESCAPED.sub(r"\1", text)
    return f"path_regex {pattern.removeprefix('~')}"


def _name(looked_at: str) -> str:
    if looked_at.startswith("$http_"):
        name = looked_at.removeprefix("$http_").replace("_", "-")
        return "user_agent" if name == "user-agent" else f"header {name}"
    if looked_at.startswith("geo "):
        return "source"
    return {"$request_method": "method"}.get(looked_at, looked_at)


def _plain(pattern: str) -> str:
    text = pattern.removeprefix("~*").removeprefix("~").removeprefix("^").removesuffix(r"\z")
    for blanks in (r"[ \t]*",):
        text = text.removeprefix(blanks).removesuffix(blanks)
    return _ESCAPED.sub(r"\1", text) if re.fullmatch(r"(?:[^\\.*+?()|\[\]{}$^]|\\[^A-Za-z0-9])*", text) else text
