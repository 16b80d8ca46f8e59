"""What the agent tells people on its own node: how it is, in a file below /run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from holdfast.agent.files import replace
from holdfast.agent.host.port import Places
from holdfast.protocol import AgentReport

_LARGEST = 64_000_000  # bytes


class Told(BaseModel):
    """`controller` is the one whose stream is open, None where there is none; `report` what controllers are told."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    pid: Annotated[int, Field(ge=1)]
    controller: str | None = None
    since: AwareDatetime | None = None
    certificate_expires: AwareDatetime | None = None
    report: AgentReport


def told_file(places: Places) -> Path:
    """Where it is."""
    return places.run / "agent" / "told.json"


def tell(places: Places, told: Told) -> None:
    """Raises OSError."""
    replace(told_file(places), told.model_dump_json().encode(), 0o600)


def read_told(places: Places) -> Told | None:
    """What the agent said last; None where it never did. Whether it still runs is another question."""
    try:
        with told_file(places).open("rb") as file:
            return Told.model_validate_json(file.read(_LARGEST))
    except (OSError, ValidationError):
        return None
