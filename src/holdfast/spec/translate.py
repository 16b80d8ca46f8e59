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
from holdfast.sentences import Sentence

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
            hint = PATTERNS.get(str(first.context.get("pattern")), Sentence("let `holdfast lock` write this file"))
            return self._make("SPEC003", first.path, Sentence("this value cannot be used here"), hint)
        if first.kind == "missing":
            if self._spelt_otherwise(first.path):
                return None
            hint = Sentence("add `%(name)s:`", name=first.name)
            message = Sentence("'%(name)s' is missing here", name=first.name)
            return self._make("SPEC001", first.path, message, hint)
        if first.kind == "extra_forbidden":
            return self._unknown_field(first.path)
        if first.is_key:
            hint = PATTERNS.get(str(first.context.get("pattern")), Sentence("use another name"))
            message = Sentence("%(name)s is not a name that can be used here", name=shown(first.path[-1]))
            return self._make("SPEC003", first.path, message, hint, key=True)
        return self._wrong_value(errors)

    def _make(self, code: str, path: Path, message: Sentence, hint: str, *, key: bool = False) -> Finding:
        where = self._positions.at(path, key=key)
        return Finding(code=code, severity=Severity.ERROR, message=message, hint=hint, location=where)

    def _known(self, path: Path) -> list[str]:
        return known_fields(self._model, self._data, path)

    def _unknown_field(self, path: Path) -> Finding:
        known = self._known(path[:-1])
        where = dotted(path[:-1]) or Sentence("a spec")
        message = Sentence("%(name)s is not a field of %(where)s", name=shown(path[-1]), where=where)
        hint = did_you_mean(str(path[-1]), known) or Sentence("remove it")
        return self._make("SPEC002", path, message, hint, key=True)

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
                    return self._make("SPEC003", path, Sentence("'%(name)s' has no value", name=path[-1]), wrong.hint)
                return self._make("SPEC003", path, wrong.message, wrong.hint)
        specific = next((one for one in errors if one.kind not in EXPECTED and one.kind != "literal_error"), None)
        if specific:
            return self._make("SPEC003", specific.path, *_bounds(specific, given))
        return self._make("SPEC003", errors[0].path, *self._type(errors, given))

    def _at(self, path: Path) -> Any:
        data = self._data
        for part in path:
            data = data[part]
        return data

    def _type(self, errors: list[_Error], given: Any) -> tuple[Sentence, str]:
        """What a place wants instead: every branch of a union in one sentence."""
        path = errors[0].path
        literals = [word for one in errors if one.kind == "literal_error" for word in _literals(one)]
        if isinstance(given, str) and (near := difflib.get_close_matches(given, literals, n=1)):
            return Sentence("%(given)s is not known here", given=shown(given)), _meant(near[0])
        wanted = list(dict.fromkeys([EXPECTED[one.kind] for one in errors if one.kind in EXPECTED] + literals))
        listed = _one_of(wanted)
        message = Sentence("%(given)s is not %(listed)s", given=shown(given), listed=listed)
        if literals:
            message = Sentence("%(given)s is not known here", given=shown(given))
        if given is None and path:
            hint = Sentence("write %(listed)s, or remove the line", listed=listed)
            return Sentence("'%(name)s' has no value", name=path[-1]), hint
        return message, self._hint(path, given, wanted)

    def _hint(self, path: Path, given: Any, wanted: list[str]) -> Sentence:
        if "a text" in wanted and isinstance(given, int | float):
            return Sentence("put it in quotes: '%(given)s'", given=shown(given))
        if "a whole number" in wanted and isinstance(given, str) and (digits := re.fullmatch(r"([0-9]+)\s*%?", given)):
            return Sentence("write a whole number, without quotes: %(digits)s", digits=digits[1])
        if "a list" in wanted and not isinstance(given, dict):
            short = Sentence("write a list: [%(given)s]", given=given)
            return short if len(str(given)) < 40 else Sentence("write a list, in [brackets]")
        if "a list" in wanted:
            return Sentence("begin each entry with '- '")
        fields = ", ".join(self._known(path))
        if wanted == ["a mapping of fields"]:
            return Sentence("write its fields here: %(fields)s", fields=fields)
        if wanted == ["a mapping of names"]:
            return Sentence("write lines of `name: …`")
        if "a mapping of fields" in wanted:
            rest = _one_of([one for one in wanted if one != "a mapping of fields"])
            return Sentence("write %(rest)s, or its fields: %(fields)s", rest=rest, fields=fields)
        return Sentence("write %(listed)s", listed=_one_of(wanted))


_NEAR = 0.7


def _one_of(wanted: list[str]) -> str:
    """All of a list as one sentence."""
    if len(wanted) == 1:
        return wanted[0]
    return Sentence("%(rest)s or %(last)s", rest=_listed(wanted[:-1]), last=wanted[-1])


def _listed(wanted: list[str]) -> str:
    if len(wanted) == 1:
        return wanted[0]
    return Sentence("%(rest)s, %(last)s", rest=_listed(wanted[:-1]), last=wanted[-1])


def _meant(name: str) -> Sentence:
    return Sentence("did you mean '%(near)s'?", near=name)


def did_you_mean(name: str, known: list[str]) -> str:
    """The nearest name, and unless it is very near, all of them; empty where nothing is known."""
    near = [word for word in SYNONYMS.get(name, "").split() if word in known]
    if near:
        return _meant(near[0])
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    names = ", ".join(known[:12]) + ("…" if len(known) > 12 else "")
    sure = bool(near) and difflib.SequenceMatcher(None, name, near[0]).ratio() >= _NEAR
    if near and (sure or not known):
        return _meant(near[0])
    if near:
        return Sentence("did you mean '%(near)s'?; known here: %(names)s", near=near[0], names=names)
    return Sentence("known here: %(names)s", names=names) if known else ""


def _literals(error: _Error) -> list[str]:
    """pydantic's `'nginx' or 'haproxy'`, or `True`, as words of YAML."""
    words = str(error.context.get("expected", "")).replace(" or ", ", ").split(", ")
    return [{"True": "true", "False": "false"}.get(word, word.strip("'")) for word in words]


def _bounds(error: _Error, given: Any) -> tuple[Sentence, str]:
    """Numbers out of range, lists and texts too long or too short, and values of the wrong form."""
    context, name = error.context, error.name
    what = Sentence("the list '%(name)s'", name=name) if isinstance(given, list) else f"'{name}'"
    value = shown(given)
    match error.kind:
        case "greater_than_equal":
            return Sentence("%(value)s is too small", value=value), Sentence("write %(n)s or more", n=context["ge"])
        case "less_than_equal":
            return Sentence("%(value)s is too large", value=value), Sentence("write %(n)s or less", n=context["le"])
        case "too_short":
            hint = Sentence("write at least %(n)s", n=context["min_length"])
            return Sentence("%(what)s has too few entries", what=what), hint
        case "too_long":
            hint = Sentence("write at most %(n)s", n=context["max_length"])
            return Sentence("%(what)s has too many entries", what=what), hint
        case "string_too_short":
            return Sentence("%(what)s is empty", what=what), Sentence("write a value, or remove the line")
        case "string_too_long":
            message = Sentence("%(what)s is longer than %(n)s characters", what=what, n=context["max_length"])
            return message, Sentence("shorten it")
        case "string_pattern_mismatch":
            message = Sentence("%(value)s cannot be used here", value=value)
            return message, PATTERNS.get(str(context.get("pattern"))) or ""
    said = error.details["msg"]
    said = f"{said[:1].lower()}{said[1:]}"
    return Sentence("%(value)s: %(said)s", value=value, said=said), Sentence("write another value")
