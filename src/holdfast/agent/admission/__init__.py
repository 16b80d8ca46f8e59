"""Refuses a bundle that asks for more than configuring its own services: the agent's wall against its controller."""

from __future__ import annotations

from holdfast.agent.admission.check import admit

__all__ = ["admit"]
