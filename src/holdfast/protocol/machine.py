"""What an agent's report says of the machine itself: programs, addresses, the end of the agent's own log."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from holdfast.bundle import HeldAddress

from .message import PROTOCOL_VERSION, Message

MOST_LINES = 40  # of an agent's log in a report
LONGEST_LINE = 300  # characters of one
MOST_ADDRESSES = 200

_Name = Annotated[str, StringConstraints(max_length=255)]


class LogLine(Message):
    """A line of the agent's own log, without secrets; `level` is info, warning or error."""

    time: AwareDatetime
    level: Annotated[str, StringConstraints(max_length=10)]
    text: Annotated[str, StringConstraints(max_length=LONGEST_LINE)]


class MachineFacts(Message):
    """The machine that an agent runs on. `programs` are versions, None: not installed.

    `addresses` are all but those that never leave the machine, at most MOST_ADDRESSES of them.
    """

    version: Literal[1] = PROTOCOL_VERSION
    hostname: _Name
    kernel: _Name
    programs: Annotated[dict[_Name, _Name | None], Field(max_length=20)] = {}
    addresses: Annotated[tuple[HeldAddress, ...], Field(max_length=MOST_ADDRESSES)] = ()
