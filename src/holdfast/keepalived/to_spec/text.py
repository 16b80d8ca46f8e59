"""An imported spec as YAML that an operator goes on editing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./@]*(?:[ -]+[A-Za-z0-9_./@-]*[A-Za-z0-9_./])*")
_ADDRESS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?:/[0-9]{1,2})?(?: [A-Za-z0-9_./ -]*[A-Za-z0-9_./])?")
_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})  # readers of YAML 1.1 take them so
_DURATION = re.compile(r"[0-9]{1,9}m?s")
_NUMBER = re.compile(r"-?[1-9][0-9]{0,8}|0")
_NUMBERS = frozenset({"weight", "persistence_timeout"})  # fields of words that are numbers mostly
_WIDEST = 110
_INDENT = 2


def yaml_of(data: dict[str, Any]) -> str:
    """The document's text."""
    return "".join(f"{line}\n" for line in _mapping(data, 0))


def comment(lines: Iterable[str]) -> str:
    """Lines as a comment; nothing in them can end it."""
    return "".join(f"# {''.join(s if s.isprintable() else '?' for s in line)}".rstrip() + "\n" for line in lines)


def scalar(value: object) -> str:
    """A scalar as it stands behind its key, quoted where YAML would take it for something else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    text = str(value)
    if (_PLAIN.fullmatch(text) and text.lower() not in _WORDS) or _ADDRESS.fullmatch(text) or _DURATION.fullmatch(text):
        return text
    return "'" + text.replace("'", "''") + "'"


def _mapping(data: dict[str, Any], depth: int) -> Iterator[str]:
    indent = " " * (_INDENT * depth)
    for key, value in data.items():
        name, value = f"{indent}{scalar(key)}:", _as_number(key, value)
        short = _short(value)
        if short is not None and len(name) + 1 + len(short) <= _WIDEST and depth:
            yield f"{name} {short}"
        elif isinstance(value, dict) and value:
            yield name
            yield from _mapping(value, depth + 1)
        elif isinstance(value, list | tuple) and value:
            yield name
            yield from _sequence(value, depth + 1)
        else:
            yield f"{name} {_short(value, always=True)}"


def _sequence(data: Sequence[Any], depth: int) -> Iterator[str]:
    indent = " " * (_INDENT * depth)
    for item in data:
        if isinstance(item, dict) and list(item) == ["name"]:
            item = item["name"]  # a tracker of which no more is said
        short = _short(item)
        if short is not None and len(indent) + 2 + len(short) <= _WIDEST:
            yield f"{indent}- {short}"
        elif isinstance(item, dict) and item:
            lines = _mapping(item, depth + 1)
            yield f"{indent}- {next(lines).lstrip()}"
            yield from lines
        else:
            yield f"{indent}- {_short(item, always=True)}"


def _short(value: Any, *, always: bool = False) -> str | None:
    """A value on one line; None where it is large, or holds what is itself a mapping of several."""
    if isinstance(value, dict):
        if not always and (len(value) > 4 or any(isinstance(one, dict | list) and one for one in value.values())):
            small = len(value) == 1 and _small(next(iter(value.values())))
            if not small:
                return None
        return (
            "{"
            + ", ".join(f"{scalar(key)}: {_short(_as_number(key, one), always=True)}" for key, one in value.items())
            + "}"
        )
    if isinstance(value, list | tuple):
        if not always and (len(value) > 3 or any(isinstance(one, dict | list) for one in value)):
            return None
        return "[" + ", ".join(_short(one, always=True) or "" for one in value) + "]"
    return scalar(value)


def _as_number(key: str, value: Any) -> Any:
    return int(value) if key in _NUMBERS and isinstance(value, str) and _NUMBER.fullmatch(value) else value


def _small(value: Any) -> bool:
    """A mapping of a few scalars."""
    return isinstance(value, dict) and len(value) <= 4 and not any(isinstance(v, dict | list) for v in value.values())
