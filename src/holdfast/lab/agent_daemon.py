"""The agent as a daemon in a lab's nodes: there once its node has joined a controller, and after each boot."""

from __future__ import annotations

import sys

from holdfast.agent.credentials import IDENTITY_FILE
from holdfast.lab import state
from holdfast.lab.node import Node


def start_where_joined(node: Node) -> bool:
    """Leave it running on `node`, its output in the lab's log NODE-agent; False if the node never joined."""
    if not (node.root / IDENTITY_FILE.lstrip("/")).exists():
        return False
    node.spawn([sys.executable, "-m", "holdfast.agent.daemon"], state.log_file(node.lab, f"{node.name}-agent"))
    return True
