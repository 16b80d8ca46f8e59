"""Sentences that can be said in another language: what they say in general, and the names and numbers of this time.

Code says them in English, and everybody may take them for the text that they are. Who shows them to people in another
language looks up `template`, and fills in `values` there. Each template is a literal, so that a test finds them all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

_PLACE = re.compile(r"%(?:%|\(\w{1,40}\)[sd])")
_DEEPEST = 5  # sentences within sentences
_LARGEST = 1e15  # number
_WORDY = 200  # characters that names of values may take beyond the text itself

Value: TypeAlias = str | int | float


class Sentence(str):
    """`Sentence("%(node)s holds %(group)s", node="lb1", group="www")` is the text `lb1 holds www`."""

    __slots__ = ("template", "values")
    template: str
    values: Mapping[str, Value]

    def __new__(cls, template: str, /, **values: object) -> Sentence:
        """Of a value that is neither a text nor a number, its text."""
        for name, one in values.items():
            if not isinstance(one, (str, int, float)):  # a union costs thrice of it, and lint says thousands of these
                values[name] = str(one)
        made = super().__new__(cls, template % values)
        made.template, made.values = template, values  # type: ignore[assignment]
        return made

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, Value]]:
        return (self.template,), dict(self.values)


def as_it_is(text: str) -> Sentence:
    """A text without values as the sentence that it is: what data says in fixed words has other languages, too."""
    return Sentence(text.replace("%", "%%"))


def cut(text: str, most: int) -> str:
    """A text of so many characters at most; one that fits stays the sentence that it is."""
    return text if len(text) <= most else text[:most]


def joined(parts: Sequence[str]) -> str:
    """Texts one after another, each of which stays the sentence that it is: halved, as sentences go only so deep."""
    if len(parts) < 2:
        return parts[0] if parts else ""
    half = len(parts) // 2
    return Sentence("%(first)s; %(next)s", first=joined(parts[:half]), next=joined(parts[half:]))


def as_data(text: Sentence) -> dict[str, Any]:
    """A sentence as it can be kept as JSON, with the sentences in it."""
    values = {name: as_data(one) if isinstance(one, Sentence) else one for name, one in text.values.items()}
    return {"template": text.template, "values": values}


def said_of(text: str) -> dict[str, Any]:
    """What stands beside a text for other languages: nothing, where it is no sentence."""
    return as_data(text) if isinstance(text, Sentence) else {}


def heard(data: object, text: str) -> str:
    """A text as the sentence that its author, who is elsewhere, says it is; the text alone where that says another.

    What a stranger made up is not filled in where it could become much longer than the text.
    """
    found = _heard(data, len(text), _DEEPEST)
    return text if found is None or found != text else found


def _heard(data: object, most: int, depth: int) -> Sentence | None:
    match data:
        case {"template": str(template), "values": dict(values)} if depth and 0 < len(template) <= _WORDY + most:
            known = {str(name): _value(one, most, depth) for name, one in values.items()}
            if "%" in _PLACE.sub("", template) or None in known.values():
                return None
            try:
                made = Sentence(template, **known)
            except (TypeError, ValueError, KeyError):
                return None
            return made if len(made) <= most else None
    return None


def _value(value: object, most: int, depth: int) -> Value | None:
    if isinstance(value, dict):
        return _heard(value, most, depth - 1)
    if isinstance(value, str):
        return value if len(value) <= most else None
    return value if isinstance(value, (int, float)) and abs(value) < _LARGEST else None


def from_data(data: object) -> Sentence | None:
    """What `as_data` made; None for anything else, as another version may have kept it."""
    match data:
        case {"template": str(template), "values": dict(values)}:
            known = {str(name): from_data(one) or one for name, one in values.items()}
            try:
                return Sentence(template, **known)
            except (TypeError, ValueError, KeyError):
                return None
    return None
