"""What happens when something dies: priorities, trackers, keepalived's elections and what is left then; pure."""

from .priorities import Ranking, WeightMistake, rank, unproved_weights

__all__ = ["Ranking", "WeightMistake", "rank", "unproved_weights"]
