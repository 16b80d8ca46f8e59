"""Records of the store that are not understood, as the API says them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from .base import Asked, Count, Number, Saying, Told

_Kind = Annotated[str, StringConstraints(min_length=1, max_length=40)]
_Name = Annotated[str, StringConstraints(min_length=1, max_length=400)]


class DamagedRecord(Told):
    """One record: it was written by a newer version, by hand, or by a broken disk."""

    kind: str = Field(examples=["override"])
    name: str = Field(examples=["drained/web01:80"])
    version: Count
    why: str = Field(description="What is not understood.")
    clearable: bool = Field(description="Whether it may be removed.")
    then: str = Field(description="What is lost with it, or takes its place.")


class DamagedPlace(Told):
    """A numbered record that is not understood, among others that are."""

    number: Number
    why: Saying = Field(description="What is not understood.")
    hint: Saying = Field(default="", description="What to do.")


class DamagedList(Told):
    """Every record of a cluster that is not understood."""

    records: tuple[DamagedRecord, ...] = ()


class ClearRequest(Asked):
    """Which one is to be removed; with `version`, only if it is still what was looked at."""

    kind: _Kind
    name: _Name
    version: Count | None = None
