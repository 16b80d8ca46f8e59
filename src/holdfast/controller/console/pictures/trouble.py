"""What is wrong in a cluster, the worst first, each with the thing that it is about. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from holdfast.protocol.api.status import ClusterStatus

from ..words import N_

ORDER = ("bad", "warning", "busy", "unknown", "off", "ok")
_MOST_NAMED = 4  # servers that one line names


class Known(Protocol):
    """A server, as far as trouble goes."""

    @property
    def name(self) -> str:
        """As the spec writes it."""

    @property
    def state(self) -> str:
        """ok, bad, unknown, off."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `text` is a whole sentence of the core, or an N_ text with `values` to fill in.

    `kind` and `name` are what it is about: node, group, virtual_server, pool, rollout, revision; empty: the cluster.
    """

    tone: str
    text: str
    kind: str = ""
    name: str = ""
    values: Mapping[str, object] = field(default_factory=dict)


def worst(tones: Iterable[str]) -> str:
    """The worst of several; ok if there is none."""
    return min((one for one in tones if one in ORDER), key=ORDER.index, default="ok")


def problems_of(status: ClusterStatus, rows: Sequence[tuple[str, str, Sequence[Known]]]) -> tuple[Problem, ...]:
    """All that somebody should know before they look at anything else: what is wrong, under way, or overridden."""
    found = [_of_sentence(said, status) for said in status.trouble]
    dead = {(one.kind, one.name) for one in found}
    found += [one for row in rows if (row[0], row[1]) not in dead for one in _of_servers(*row)]
    rollout = status.rollout
    if rollout is not None and not rollout.over:
        text = N_("rollout %(id)s of revision %(revision)s is %(phase)s")
        values = {"id": rollout.id, "revision": rollout.revision, "phase": rollout.phase}
        found.append(Problem("busy", text, "rollout", str(rollout.id), values))
    return tuple(sorted(found, key=lambda one: ORDER.index(one.tone)))


def _of_servers(kind: str, name: str, servers: Sequence[Known]) -> Iterable[Problem]:
    down = [one.name for one in servers if one.state == "bad"]
    if not down:
        return
    named = ", ".join(down[:_MOST_NAMED]) + (" …" if len(down) > _MOST_NAMED else "")
    values = {"name": name, "down": len(down), "all": len(servers), "servers": named}
    yield Problem("warning", N_("%(name)s: %(down)s of %(all)s servers are down: %(servers)s"), kind, name, values)


def _of_sentence(said: str, status: ClusterStatus) -> Problem:
    """What the core says, and what it speaks of: the node before the colon, or a name that there is."""
    node, colon, _ = said.partition(": ")
    if colon and node in {one.node for one in status.nodes}:
        silent = any(one.node == node and not one.connected for one in status.nodes)
        return Problem("bad" if silent else "warning", said, "node", node)
    rollout = re.match(r"rollout (\d+) of revision ", said)
    if rollout:
        return Problem("bad", said, "rollout", rollout[1])
    for kind, names in _names(status):
        for name in names:
            if re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", said):
                return Problem("bad", said, kind, name)
    return Problem("bad", said)


def _names(status: ClusterStatus) -> Iterable[tuple[str, Iterable[str]]]:
    yield "group", [one.group for one in status.groups]
    for kind in ("virtual_server", "pool"):
        yield kind, [one.name for one in status.services if one.kind == kind]
