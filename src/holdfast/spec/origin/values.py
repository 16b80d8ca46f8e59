"""The small values of what an imported configuration keeps: words, commands, lines and trackers, each bounded.

A field bears the name of keepalived's keyword. `Form` says how it is read from a file and written to one.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from holdfast.sentences import Sentence

from ..values import Frozen, ShortForm, WrongError, as_address, shown

LONGEST = 900  # characters of one statement; keepalived's own buffer holds 1,023 bytes
MOST_LINES = 10_000  # of one list


class Form(Enum):
    """How a field stands in keepalived.conf."""

    FLAG = "the keyword alone"
    SWITCH = "true or false behind it"
    NUMBER = "a number behind it"
    WORD = "one word behind it"
    WORDS = "some words behind it"
    COMMAND = "a command, written in quotes unless it brings its own"
    SECRET = "a word that no spec holds"
    LINES = "a list in braces, or the keyword several times"
    TRACKED = "a list of what is tracked, with weights"


# The one variable that is kept: the folder of the file, which only its node knows.
FOLDER = "${_PWD}"
_PLAIN = r"(?:(?:[^\s\"!#{}$@~\x00-\x1f\x7f]|\$\{_PWD\})(?:[^\s\"!#{}$~\x00-\x1f\x7f]|\$\{_PWD\})*)"
_QUOTED = r"\"[^\"\x00-\x1f\x7f]*\""
_WORDS = re.compile(rf"(?:{_PLAIN}|{_QUOTED})(?: (?:{_PLAIN}|{_QUOTED}))*")
_COMMAND = re.compile(
    r"(?:\$\{_PWD\}|\$(?!\{?_|\{)|[^\"{}#!$@~\x00-\x1f\x7f]|\\[#!]|\"[^\"\x00-\x1f\x7f]*\"|(?<=[^\s{}])[@~])*"
)
_WHOLE = re.compile(r"[A-Za-z0-9_./:=,+@%-]+(?: +[A-Za-z0-9_./:=,+@%-]+)*")
_WORD = re.compile(r"[^\"\x00-\x1f\x7f]*")


def _word(value: str | None) -> str | None:
    if value is not None and not _WORD.fullmatch(value):
        raise WrongError(
            Sentence("%(value)s has quotes or control characters", value=shown(value)), Sentence("write it without")
        )
    return value


def in_quotes(command: str) -> str:
    """A command as keepalived reads it: as a whole, unless it brings quotes, or signs that mean something there."""
    return f'"{command}"' if _WHOLE.fullmatch(command) else command


def from_quotes(text: str) -> str:
    """The command for which `in_quotes` writes what means the same as `text` behind its keyword.

    Without quotes keepalived takes the first word for the command, and what follows for a user.
    """
    if len(text) > 1 and text[0] == text[-1] == '"' and _WHOLE.fullmatch(text[1:-1]):
        return text[1:-1]
    first, blank, rest = text.partition(" ")
    return f'"{first}" {rest}' if blank and _WHOLE.fullmatch(text) else text


def line_mistake(line: str) -> str:
    """Why a line cannot be an item of a list; empty where it can."""
    if len(line) > LONGEST:
        return f"it has {len(line)} characters, {LONGEST} are the most"
    return "" if _WORDS.fullmatch(line) else f"{shown(line)} are no words of keepalived.conf"


def _words(value: str | bool | None) -> str | bool | None:
    if isinstance(value, str) and not _WORDS.fullmatch(value):
        hint = Sentence('one blank between words; put a word with #, !, {, }, $ or ~, or with @ before it, in "quotes"')
        raise WrongError(Sentence("%(value)s are no words of keepalived.conf", value=shown(value)), hint)
    return value


def _command(value: str | None) -> str | None:
    if value is not None and not _COMMAND.fullmatch(value):
        hint = Sentence('put what has #, !, $ or braces in "quotes"')
        raise WrongError(Sentence("%(value)s is no command of keepalived.conf", value=shown(value)), hint)
    return value


def _lines(value: tuple[str, ...] | None) -> tuple[str, ...] | None:
    for line in value or ():
        _words(line)
    return value


def _addresses(value: tuple[str, ...] | None) -> tuple[str, ...] | None:
    for line in value or ():
        if as_address(line.partition(" ")[0].partition("/")[0]) is None:
            hint = Sentence("write it as 10.0.0.3/24 dev eth0")
            raise WrongError(Sentence("%(line)s does not begin with an IP address", line=shown(line)), hint)
    return _lines(value)


class SecretName(Frozen):
    """A password, by the name that it has in CLUSTER.secrets."""

    secret: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]


class Tracked(ShortForm):
    """What is tracked, and what its loss weighs; `weight` left out: what the script, file or process says of itself.

    `on_loss` is what the numbers provably mean, as in `keeps_while`: every peer that is well overtakes this node, and
    it holds on if there is none (`yield`), or it gives the addresses up (`release`). Compilation does not need it.
    """

    short_schema: ClassVar[dict[str, Any]] = {"type": "string"}

    name: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST), AfterValidator(_word)]
    weight: Annotated[int, Field(ge=-254, le=254, strict=True)] | None = None
    reverse: bool | None = Field(None, description="whether success counts as failure")
    on_loss: Literal["release", "yield"] | None = None

    @classmethod
    def from_short(cls, value: Any) -> Any:
        """A name."""
        return {"name": value}

    @model_validator(mode="after")
    def _needs_weight(self) -> Tracked:
        if self.reverse is not None and self.weight is None:
            raise WrongError(
                Sentence("`reverse` stands behind a weight"), Sentence("name the `weight` too"), at=("reverse",)
            )
        return self


def _number_as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


_Text = Annotated[
    str, StringConstraints(max_length=LONGEST), BeforeValidator(_number_as_text, json_schema_input_type=str | int)
]
Flag = Annotated[bool, Form.FLAG]
Switch = Annotated[bool | None, Form.SWITCH]
Number = Annotated[int | None, Field(strict=True), Form.NUMBER]
Unsigned = Annotated[int | None, Field(ge=0, le=4294967295, strict=True), Form.NUMBER]
Decimal = Annotated[int | float | None, Form.NUMBER]
Word = Annotated[_Text | None, AfterValidator(_word), Form.WORD]
Words = Annotated[_Text | None, AfterValidator(_words), Form.WORDS]
# Numbers become text before the choice: 1 would be taken for `true`.
WordsOrNone = Annotated[
    Literal[True] | _Text | None,
    BeforeValidator(_number_as_text, json_schema_input_type=Literal[True] | str | int | None),
    AfterValidator(_words),
    Form.WORDS,
]
Command = Annotated[_Text | None, AfterValidator(_command), Form.COMMAND]
Secret = Annotated[SecretName | None, Form.SECRET]
Lines = Annotated[tuple[_Text, ...] | None, Field(max_length=MOST_LINES), AfterValidator(_lines), Form.LINES]
Addresses = Annotated[tuple[_Text, ...] | None, Field(max_length=MOST_LINES), AfterValidator(_addresses), Form.LINES]
Trackers = Annotated[tuple[Tracked, ...] | None, Field(max_length=1000), Form.TRACKED]
BlockName = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_word)]


class Block(Frozen):
    """Statements of one block of keepalived.conf; what is left out is not written."""
