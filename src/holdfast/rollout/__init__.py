"""From a plan to nodes that run it: batch after batch, standby first, each verified, put back on failure."""

from .decide import Apply, NodePhase, Pause, PutBack, RolloutState, Step, Stop, Wait, decide
from .runner import RolloutEvent, RolloutResult, roll_out
from .transport import CommandTransport, Mover, Transport
from .waves import Batch, batches

__all__ = [
    "Apply", "Batch", "CommandTransport", "Mover", "NodePhase", "Pause", "PutBack", "RolloutEvent", "RolloutResult",
    "RolloutState", "Step", "Stop", "Transport", "Wait", "batches", "decide", "roll_out",
]  # fmt: skip
