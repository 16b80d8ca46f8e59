"""What every message has in common: the version of the protocol, and how a message is read."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

PROTOCOL_VERSION: Literal[1] = 1


class Message(BaseModel):
    """Base of all messages: frozen; a field that is not known came from a newer peer and is left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")
