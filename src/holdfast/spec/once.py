"""What is found out of a spec once: rules ask the same of it again and again, and so does every node's compilation."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from .cluster import ClusterSpec

P = ParamSpec("P")
T = TypeVar("T")


def once(
    ask: Callable[Concatenate[ClusterSpec, P], T],
) -> Callable[Concatenate[ClusterSpec, P], T]:
    """A function of a spec that keeps its answers with that spec, by its other arguments: answers never change."""

    @wraps(ask)
    def answered(spec: ClusterSpec, /, *args: P.args, **named: P.kwargs) -> T:
        key: tuple[Hashable, ...] = (ask, *args, *named.items())
        found: dict[Hashable, Any] = spec.found_out
        if key not in found:
            found[key] = ask(spec, *args, **named)
        answer: T = found[key]
        return answer

    return answered
