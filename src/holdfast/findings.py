"""A finding: something about a spec or a configuration that its author should know."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, ValidatorFunctionWrapHandler, WrapValidator

from holdfast.sentences import Sentence


def _kept(value: object, usual: ValidatorFunctionWrapHandler) -> str:
    """Pydantic refuses a kind of text that holds bytes which are none, as a file may; a plain one it takes."""
    if isinstance(value, Sentence):
        return value
    told: str = usual(value)
    return told


# A sentence stays one, as long as it is in this process.
Saying = Annotated[str, WrapValidator(_kept)]


class Severity(StrEnum):
    """How bad a finding is. Only `error` stops a compilation."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Location(BaseModel):
    """Where in a file: line and column count from 1; `field` is the dotted path of the field meant."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    line: int = 1
    column: int = 1
    field: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Finding(BaseModel):
    """`code` is stable, `message` says what is wrong or what will happen, `hint` what to write instead."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    severity: Severity
    message: Saying
    hint: Saying = ""
    location: Location | None = None

    def __str__(self) -> str:
        where = f"{self.location}: " if self.location else ""
        field = f" ({self.location.field})" if self.location and self.location.field else ""
        hint = f" — {self.hint}" if self.hint else ""
        return f"{where}{self.severity} {self.code}: {self.message}{field}{hint}"
