"""Sentences that can be said in another language: what they say in general, and the names and numbers of this time.

Code says them in English, and everybody may take them for the text that they are. Who shows them to people in another
language looks up `template`, and fills in `values` there. Each template is a literal, so that a test finds them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

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


def cut(text: str, most: int) -> str:
    """A text of so many characters at most; one that fits stays the sentence that it is."""
    return text if len(text) <= most else text[:most]


def as_data(text: Sentence) -> dict[str, Any]:
    """A sentence as it can be kept as JSON, with the sentences in it."""
    values = {name: as_data(one) if isinstance(one, Sentence) else one for name, one in text.values.items()}
    return {"template": text.template, "values": values}


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
