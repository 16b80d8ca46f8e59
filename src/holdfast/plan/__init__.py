"""What would change, node by node, and what each change may do to traffic."""

from .difference import FileChange, file_changes, unified_diff
from .hazards import Hazard, HazardNote
from .plan import NodePlan, Plan, make_plan

__all__ = ["FileChange", "Hazard", "HazardNote", "NodePlan", "Plan", "file_changes", "make_plan", "unified_diff"]
