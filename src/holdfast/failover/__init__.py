"""What happens when something dies: pure simulation of priorities, trackers and holds."""

from .priorities import Ranking, WeightMistake, rank, unproved_weights
from .simulate import Situation, effective_priority, holder

__all__ = ["Ranking", "Situation", "WeightMistake", "effective_priority", "holder", "rank", "unproved_weights"]
