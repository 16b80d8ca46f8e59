"""What this node is and can do, told with as few rights as possible: see `gather.host_facts`."""

from __future__ import annotations

from .gather import host_facts
from .programs import VERSIONS

__all__ = ["VERSIONS", "host_facts"]
