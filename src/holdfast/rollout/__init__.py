"""From a plan to nodes that run it: one after the other, standby first, each verified, put back on failure."""

from .decide import Apply, NodePhase, PutBack, RolloutState, Step, Stop, decide
from .runner import RolloutEvent, RolloutResult, roll_out
from .transport import CommandTransport, Transport

__all__ = [
    "Apply", "CommandTransport", "NodePhase", "PutBack", "RolloutEvent", "RolloutResult", "RolloutState", "Step",
    "Stop", "Transport", "decide", "roll_out",
]  # fmt: skip
