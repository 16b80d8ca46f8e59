"""What would change, node by node, and what each change may do to traffic."""

from .difference import FileChange, file_changes, unified_diff
from .note import Hazard, HazardNote
from .order import Wave
from .plan import NodePlan, Plan, make_plan

__all__ = [
    "FileChange",
    "Hazard",
    "HazardNote",
    "NodePlan",
    "Plan",
    "Wave",
    "file_changes",
    "make_plan",
    "unified_diff",
]
