"""Faults of the web servers that play the pools' servers."""

from __future__ import annotations

import re
from signal import SIGKILL
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from holdfast.errors import LabError
from holdfast.lab import backend
from holdfast.lab.fault_base import Fault, NodeFault, in_force
from holdfast.lab.lab import Lab
from holdfast.lab.node import Node
from holdfast.lab.strikes import Strike

_DURATION = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)\s*(ms|s|)")


def _seconds(value: object) -> object:
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    return value if found is None else float(found[1]) * (0.001 if found[2] == "ms" else 1.0)


class SlowBackend(NodeFault):
    """The node's web server takes `delay` seconds longer for each answer."""

    kind: Literal["slow_backend"] = "slow_backend"
    delay: Annotated[float, Field(gt=0, le=60), BeforeValidator(_seconds)]
    ends_with_crash_of = True

    @property
    def title(self) -> str:
        return f"web server of {self.node} slower by {self.delay:g} s"

    def _prepare(self, lab: Lab) -> Strike:
        node = _with_backend(self.up(lab))
        slowest = max(self.delay, _delay(lab, self))
        return lambda: backend.behave(node, delay=slowest)

    def _undo(self, lab: Lab) -> None:
        node = self.up(lab)
        if backend.process(node) is not None:
            backend.behave(node, delay=_delay(lab, self))


class KillBackend(NodeFault):
    """The node's web server dies (SIGKILL), while the node lives on; healing starts it again."""

    kind: Literal["kill_backend"] = "kill_backend"
    ends_with_crash_of = True

    @property
    def title(self) -> str:
        return f"web server of {self.node} killed"

    def _prepare(self, lab: Lab) -> Strike:
        found = backend.process(_with_backend(self.up(lab)))
        if found is None:
            raise LabError(f"The web server of {self.node} does not run, so it cannot be killed")

        def strike() -> None:
            found.signal(SIGKILL)

        return strike

    def _undo(self, lab: Lab) -> None:
        node = self.up(lab)
        backend.start([node])
        backend.behave(node, delay=_delay(lab, self))


def _with_backend(node: Node) -> Node:
    if not node.spec.has_origin:
        raise LabError(f"{node.name} has no web server", hint="name a server of a pool")
    return node


def _delay(lab: Lab, but: Fault) -> float:
    """The delay that the other faults in force want of the same node's web server."""
    same = [f for f in in_force(lab) if isinstance(f, SlowBackend) and f != but and f.node == getattr(but, "node", "")]
    return max((f.delay for f in same), default=0.0)
