"""What would change, node by node, and what each change may do to traffic."""

from .changes import Change
from .difference import FileChange, file_changes, unified_diff
from .fold import Folded, alike, evidence, folded
from .note import Hazard, HazardNote
from .order import Together, Turn, Wave, node_order
from .plan import NodePlan, Plan, make_plan

__all__ = [
    "Change", "FileChange", "Folded", "Hazard", "HazardNote", "NodePlan", "Plan", "Together", "Turn", "Wave", "alike",
    "evidence", "file_changes", "folded", "make_plan", "node_order", "unified_diff",
]  # fmt: skip
