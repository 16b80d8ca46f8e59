"""From pydantic's errors to findings: one for each place, in the words of a spec."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from holdfast.findings import Finding, Severity

from .fields import known_fields
from .positions import Path, Positions, dotted
from .values import WrongError, shown
from .wording import EXPECTED, PATTERNS, SYNONYMS


@dataclass(frozen=True)
class _Error:
    """One error of pydantic's. `path` is its place in the data, with the name that is missing or unknown there."""

    kind: str
    path: Path
    details: ErrorDetails

    @property
    def is_key(self) -> bool:
        return self.details["loc"][-1:] == ("[key]",)

    @property
    def name(self) -> str:
        return str(self.path[-1]) if self.path else ""

    @property
    def context(self) -> dict[str, Any]:
        return self.details.get("ctx") or {}


def translate_errors(model: type[BaseModel], data: Any, error: ValidationError, positions: Positions) -> list[Finding]:
    """pydantic's errors as findings, one for each place."""
    errors = [_placed(data, details) for details in error.errors(include_url=False)]
    groups: dict[tuple[Path, bool], list[_Error]] = {}
    for one in _telling(errors):
        groups.setdefault((one.path, one.is_key), []).append(one)
    translator = _Translator(model, data, positions)
    return [finding for group in groups.values() if (finding := translator.finding(group))]


def _placed(data: Any, details: ErrorDetails) -> _Error:
    path = real_path(data, details["loc"])
    if details["type"] == "missing" or (details["type"] == "extra_forbidden" and path[-1:] != details["loc"][-1:]):
        path = (*path, details["loc"][-1])
    return _Error(details["type"], path, details)


def _telling(errors: list[_Error]) -> list[_Error]:
    """Without what a deeper error says better.

    A union reports every branch: the one that got further is the one meant. And where an entry of a list is wrong,
    pydantic finds the list too short as well.
    """
    inner = {one.path[:length] for one in errors for length in range(len(one.path))}
    return [one for one in errors if one.is_key or one.kind == "missing" or one.path not in inner]


def real_path(data: Any, loc: Iterable[int | str]) -> Path:
    """pydantic's loc without the names of union branches and validators, as far as it exists in the data."""
    path: list[str | int] = []
    for part in loc:
        if isinstance(data, dict) and part in data:
            data = data[part]
        elif isinstance(data, list) and isinstance(part, str) and part.isascii() and part.isdigit():
            part = int(part)  # a list that stands for a mapping of numbered names
            if part >= len(data):
                continue
            data = data[part]
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            continue
        path.append(part)
    return tuple(path)


class _Translator:
    def __init__(self, model: type[BaseModel], data: Any, positions: Positions) -> None:
        self._model = model
        self._data = data
        self._positions = positions
        # Secrets stay out of messages, which end in terminals and logs.
        self._confidential = bool(getattr(model, "confidential", False))

    def finding(self, errors: list[_Error]) -> Finding | None:
        """The finding for one place, or None where another one says it."""
        first = errors[0]
        if self._confidential and first.kind not in ("missing", "extra_forbidden") and not first.is_key:
            hint = PATTERNS.get(str(first.context.get("pattern")), "let `holdfast lock` write this file")
            return self._make("SPEC003", first.path, "this value cannot be used here", hint)
        if first.kind == "missing":
            if self._spelt_otherwise(first.path):
                return None
            hint = f"add `{first.name}:`"
            return self._make("SPEC001", first.path, f"'{first.name}' is missing here", hint)
        if first.kind == "extra_forbidden":
            return self._unknown_field(first.path)
        if first.is_key:
            hint = PATTERNS.get(str(first.context.get("pattern")), "use another name")
            return self._make(
                "SPEC003", first.path, f"{shown(first.path[-1])} is not a name that can be used here", hint, key=True
            )
        return self._wrong_value(errors)

    def _make(self, code: str, path: Path, message: str, hint: str, *, key: bool = False) -> Finding:
        where = self._positions.at(path, key=key)
        return Finding(code=code, severity=Severity.ERROR, message=message, hint=hint, location=where)

    def _known(self, path: Path) -> list[str]:
        return known_fields(self._model, self._data, path)

    def _unknown_field(self, path: Path) -> Finding:
        known = self._known(path[:-1])
        message = f"{shown(path[-1])} is not a field of {dotted(path[:-1]) or 'a spec'}"
        return self._make("SPEC002", path, message, did_you_mean(str(path[-1]), known) or "remove it", key=True)

    def _spelt_otherwise(self, path: Path) -> bool:
        """Whether a field is missing only because its name is misspelt beside it."""
        mapping = self._data
        for part in path[:-1]:
            mapping = mapping[part]
        known = self._known(path[:-1])
        strange = [str(key) for key in mapping if key not in known] if isinstance(mapping, dict) else []
        return bool(difflib.get_close_matches(str(path[-1]), strange, n=1, cutoff=_NEAR))

    def _wrong_value(self, errors: list[_Error]) -> Finding:
        given = self._at(errors[0].path)
        for one in errors:
            wrong = one.context.get("error")
            if isinstance(wrong, WrongError):
                path = real_path(self._data, (*one.path, *wrong.at))
                if self._at(path) is None and path:
                    return self._make("SPEC003", path, f"'{path[-1]}' has no value", wrong.hint)
                return self._make("SPEC003", path, str(wrong), wrong.hint)
        specific = next((one for one in errors if one.kind not in EXPECTED and one.kind != "literal_error"), None)
        if specific:
            return self._make("SPEC003", specific.path, *_bounds(specific, given))
        return self._make("SPEC003", errors[0].path, *self._type(errors, given))

    def _at(self, path: Path) -> Any:
        data = self._data
        for part in path:
            data = data[part]
        return data

    def _type(self, errors: list[_Error], given: Any) -> tuple[str, str]:
        """What a place wants instead: every branch of a union in one sentence."""
        path = errors[0].path
        literals = [word for one in errors if one.kind == "literal_error" for word in _literals(one)]
        if isinstance(given, str) and (near := difflib.get_close_matches(given, literals, n=1)):
            return f"{shown(given)} is not known here", f"did you mean '{near[0]}'?"
        wanted = [EXPECTED[one.kind] for one in errors if one.kind in EXPECTED] + literals
        wanted = list(dict.fromkeys(wanted))
        listed = " or ".join([", ".join(wanted[:-1]), wanted[-1]]) if len(wanted) > 1 else wanted[0]
        message = f"{shown(given)} is not {listed}" if not literals else f"{shown(given)} is not known here"
        if given is None and path:
            return f"'{path[-1]}' has no value", f"write {listed}, or remove the line"
        return message, self._hint(path, given, wanted, listed)

    def _hint(self, path: Path, given: Any, wanted: list[str], listed: str) -> str:
        if "a text" in wanted and isinstance(given, int | float):
            return f"put it in quotes: '{shown(given)}'"
        if "a whole number" in wanted and isinstance(given, str) and (digits := re.fullmatch(r"([0-9]+)\s*%?", given)):
            return f"write a whole number, without quotes: {digits[1]}"
        if "a list" in wanted and not isinstance(given, dict):
            return f"write a list: [{given}]" if len(str(given)) < 40 else "write a list, in [brackets]"
        if "a list" in wanted:
            return "begin each entry with '- '"
        if wanted == ["a mapping of fields"]:
            return f"write its fields here: {', '.join(self._known(path))}"
        if wanted == ["a mapping of names"]:
            return "write lines of `name: …`"
        if "a mapping of fields" in wanted:
            rest = listed.replace(" or a mapping of fields", "")
            return f"write {rest}, or its fields: {', '.join(self._known(path))}"
        return f"write {listed}"


_NEAR = 0.7


def did_you_mean(name: str, known: list[str]) -> str:
    """The nearest name, and unless it is very near, all of them; empty where nothing is known."""
    near = [word for word in SYNONYMS.get(name, "").split() if word in known]
    if near:
        return f"did you mean '{near[0]}'?"
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    listed = f"known here: {', '.join(known[:12])}" + ("…" if len(known) > 12 else "")
    sure = bool(near) and difflib.SequenceMatcher(None, name, near[0]).ratio() >= _NEAR
    return "; ".join([f"did you mean '{name}'?" for name in near] + ([] if sure or not known else [listed]))


def _literals(error: _Error) -> list[str]:
    """pydantic's `'nginx' or 'haproxy'`, or `True`, as words of YAML."""
    words = str(error.context.get("expected", "")).replace(" or ", ", ").split(", ")
    return [{"True": "true", "False": "false"}.get(word, word.strip("'")) for word in words]


def _bounds(error: _Error, given: Any) -> tuple[str, str]:
    """Numbers out of range, lists and texts too long or too short, and values of the wrong form."""
    context, name = error.context, error.name
    what = f"the list '{name}'" if isinstance(given, list) else f"'{name}'"
    match error.kind:
        case "greater_than_equal":
            return f"{shown(given)} is too small", f"write {context['ge']} or more"
        case "less_than_equal":
            return f"{shown(given)} is too large", f"write {context['le']} or less"
        case "too_short":
            return f"{what} has too few entries", f"write at least {context['min_length']}"
        case "too_long":
            return f"{what} has too many entries", f"write at most {context['max_length']}"
        case "string_too_short":
            return f"{what} is empty", "write a value, or remove the line"
        case "string_too_long":
            return f"{what} is longer than {context['max_length']} characters", "shorten it"
        case "string_pattern_mismatch":
            return f"{shown(given)} cannot be used here", PATTERNS.get(str(context.get("pattern")), "")
    message = error.details["msg"]
    return f"{shown(given)}: {message[:1].lower()}{message[1:]}", "write another value"
