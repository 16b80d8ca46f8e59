"""What the models of the API have in common, and the texts and numbers that occur all over it."""

from __future__ import annotations

import re
from typing import Annotated, Literal, get_args

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from holdfast.sentences import Sentence

LONGEST_SPEC = 8_000_000  # characters
LARGEST_PAGE = 1000


class Asked(BaseModel):
    """Base of what is sent to a controller: a field that is not known is a mistake of whoever sent it."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Told(BaseModel):
    """Base of what a controller answers: a field that is not known came from a newer one and is left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")


def _kept(value: object, usual: ValidatorFunctionWrapHandler) -> str:
    """A sentence stays one, as long as it is in this process."""
    told: str = usual(value)
    return value if isinstance(value, Sentence) else told


_WRITTEN = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d")


def _written(value: object) -> object:
    """pydantic also takes a number for seconds since 1970: "30" would be a moment half a century ago."""
    if (isinstance(value, str) and not _WRITTEN.match(value)) or isinstance(value, int | float):
        raise ValueError("write a time with its zone, such as 2026-05-01T12:00:00Z")
    return value


CLUSTER_NAME = r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$"  # as a spec may name it: a test compares the two
ClusterText = Annotated[str, StringConstraints(pattern=CLUSTER_NAME)]
Moment = Annotated[AwareDatetime, BeforeValidator(_written)]
Saying = Annotated[str, WrapValidator(_kept)]
SpecText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=LONGEST_SPEC),
    Field(description="The spec's YAML, as its author wrote it."),
]
FileName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f]*$"),
    Field(description="What findings call the spec; it is not opened."),
]
Number = Annotated[int, Field(ge=1, le=10**12)]
Count = Annotated[int, Field(ge=0, le=10**12)]
Line = Annotated[str, StringConstraints(max_length=1000)]
Message = Annotated[str, StringConstraints(max_length=10_000)]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
HazardClass = Literal["live", "reload", "simultaneous-reload", "moves-a-vip", "drops-connections"]
HAZARDS: tuple[HazardClass, ...] = get_args(HazardClass)  # the most harmless first


def worse_than(shown: HazardClass | None) -> tuple[HazardClass, ...]:
    """The classes that are worse than the worst of a plan that was shown; all, where it was that nothing changes.

    What nodes run may change between the plan and the word to go ahead: these are then refused.
    """
    return HAZARDS[HAZARDS.index(shown) + 1 :] if shown else HAZARDS
