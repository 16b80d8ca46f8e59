"""Thresholds that a reload changed are carried into the kernel: keepalived 2.2.7 sends them with the next weight alone.

So each such server's weight goes one up and back, through its weight file, while both are looked up in the table. It
is never 0 on the way, and both edits are keepalived's own. A server that weighs nothing (drained, suspended, failed)
is left alone: it takes no connection that a threshold could count, and the weight that it gets back brings them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from holdfast.agent import ipvs_view, overrides, weights
from holdfast.agent.files import replace
from holdfast.agent.services.base import Node
from holdfast.agent.weights import Weighted
from holdfast.bundle import Bundle
from holdfast.errors import VerificationFailed
from holdfast.ipvs.model import Destination
from holdfast.sentences import Sentence

_WITHIN_S = 5.0  # keepalived follows a file within 50 ms; a busy machine takes longer
_POLL_S = 0.01
_MOST = 65535
_Wanted = Callable[[Weighted, Destination], bool]


def carry(node: Node, bundle: Bundle) -> tuple[str, ...]:
    """Bring the thresholds of `bundle` into the kernel's table; returns the servers where that was needed.

    The weight files hold what overrides make of them, before and after. Raises VerificationFailed where the table does
    not follow, TableUnreadable, ApplyError, OSError.
    """
    all_weighted = weights.weighted(bundle, overrides.read(node.places), overrides.now())
    stale = _waiting(node, all_weighted, lambda each, found: found.weight != each.wanted or _right(each, found))
    if not stale:
        return ()
    try:
        _write(node, stale, _step)
        late = _wait(node, stale, lambda each, found: found.weight == (each.wanted or 0) + _step(each))
    finally:
        _write(node, stale, lambda each: 0)
    late += _wait(node, stale, lambda each, found: found.weight == each.wanted and _right(each, found))
    names = tuple(dict.fromkeys(map(_spoken, late)))
    if names:
        raise VerificationFailed(
            Sentence("the kernel's table does not take the thresholds of %(names)s", names=", ".join(names[:20])),
            Sentence(
                "does keepalived follow its weight files? its log is in %(log)s", log=node.places.log / "keepalived"
            ),
        )
    return tuple(map(_spoken, stale))


def _spoken(each: Weighted) -> str:
    return f"{each.spoken} of {each.virtual_server.name}"


def _step(each: Weighted) -> int:
    return 1 if (each.wanted or 0) < _MOST else -1


def _right(each: Weighted, found: Destination) -> bool:
    return (found.upper_threshold, found.lower_threshold) == (each.server.upper, each.server.lower)


def _write(node: Node, those: Collection[Weighted], step: Callable[[Weighted], int]) -> None:
    for each in those:
        replace(node.places.at(each.server.weight_file), f"{each.value + step(each)}\n".encode())


def _waiting(node: Node, those: Collection[Weighted], done: _Wanted) -> list[Weighted]:
    """Those of them that take connections now, and are not as `done` has it: a check may have taken one out."""
    found = ipvs_view.destinations(node.host.virtual_servers()) if those else {}
    waiting = []
    for each in those:
        there = found.get((ipvs_view.service_key(each.virtual_server), ipvs_view.destination_key(each.server)))
        if each.wanted and there is not None and there.weight and not done(each, there):
            waiting.append(each)
    return waiting


def _wait(node: Node, those: Collection[Weighted], done: _Wanted) -> list[Weighted]:
    """Those that are not as `done` has it at the deadline."""
    deadline = node.host.monotonic() + _WITHIN_S
    while (waiting := _waiting(node, those, done)) and node.host.monotonic() < deadline:
        node.host.sleep(_POLL_S)
    return waiting
