"""What the prober says of itself and of the servers that it asks, for the agent's other commands."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from holdfast.agent.host.port import Places
from holdfast.protocol import PoolFacts

_LARGEST = 64_000_000  # bytes


class ProberStatus(BaseModel):
    """`digest` is of the pools.json that it works by; `trouble` why nginx was not told lately, or empty."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    pid: int
    digest: str
    generation: str
    trouble: str = ""
    pools: tuple[PoolFacts, ...] = ()


def status_path(places: Places) -> Path:
    """Where it is."""
    return places.run / "prober" / "status.json"


def digest_of(content: bytes) -> str:
    """Of a pools.json."""
    return hashlib.sha256(content).hexdigest()


def read_status(places: Places) -> ProberStatus | None:
    """What it said last, or None; whether it still runs is for the service manager to say."""
    try:
        with status_path(places).open("rb") as file:
            return ProberStatus.model_validate_json(file.read(_LARGEST))
    except (OSError, ValidationError):
        return None
