"""Nodes whose agent is of an older version than what they would get: named before any node is touched."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.errors import HoldfastError, PlanRefused
from holdfast.plan import Plan
from holdfast.sentences import Sentence

from .orders import Looked


def given_lists(plan: Plan) -> tuple[str, ...]:
    """The nodes that would get lists of servers, for which an agent can be too old."""
    return tuple(one.node for one in plan.nodes if one.new is not None and one.new.has_lists)


def refuse_who_knows_no_lists(plan: Plan, looked: Mapping[str, Looked | HoldfastError]) -> None:
    """PlanRefused where an agent would refuse its bundle, after others have changed. `looked`: who was asked."""
    old = [node for node in given_lists(plan) if _knows_none(looked.get(node))]
    if old:
        raise PlanRefused(
            Sentence(
                "the agent of %(nodes)s is too old for what this controller makes of pools; no node was touched",
                nodes=", ".join(old),
            ),
            Sentence(
                "install this controller's version of Holdfast on %(nodes)s first; what runs goes on meanwhile",
                nodes=", ".join(old),
            ),
        )


def _knows_none(looked: Looked | HoldfastError | None) -> bool:
    return isinstance(looked, Looked) and not looked.knows_lists
