"""What a node does at this moment, as the API says it."""

from __future__ import annotations

from pydantic import AwareDatetime, Field

from holdfast.bundle import SafeName

from ..realtime import Bucket, Sample
from .base import Told


class RealtimeView(Told):
    """A node's last sample, and when this controller got it; None where nothing came in time.

    `history` is there where it was asked for: points of ten seconds, of a quarter of an hour.
    """

    cluster: SafeName
    node: SafeName
    time: AwareDatetime
    taken: AwareDatetime | None = None
    sample: Sample | None = None
    history: tuple[Bucket, ...] = Field(default=(), description="The oldest first.")
