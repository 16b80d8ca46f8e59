"""What is wrong in a cluster, the worst first, each with the thing that it is about. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from holdfast.protocol.api.status import ClusterStatus
from holdfast.sentences import Sentence

ORDER = ("bad", "warning", "busy", "unknown", "off", "ok")
_KINDS = ("node", "group", "virtual_server", "pool", "rollout")  # what a sentence's names are called
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
    """One thing that is wrong, in a sentence.

    `kind` and `name` are what it is about: node, group, virtual_server, pool, rollout, revision; empty: the cluster.
    """

    tone: str
    text: str
    kind: str = ""
    name: str = ""


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
        found.append(_of_rollout(rollout.id, rollout.revision, rollout.phase))
    return tuple(sorted(found, key=lambda one: ORDER.index(one.tone)))


def _of_servers(kind: str, name: str, servers: Sequence[Known]) -> Iterable[Problem]:
    down = [one.name for one in servers if one.state == "bad"]
    if not down:
        return
    named = ", ".join(down[:_MOST_NAMED]) + (" …" if len(down) > _MOST_NAMED else "")
    values: dict[str, str | int] = {"name": name, "down": len(down), "all": len(servers), "servers": named}
    text = Sentence("%(name)s: %(down)s of %(all)s servers are down: %(servers)s", **values)
    yield Problem("warning", text, kind, name)


def _of_rollout(number: int, revision: int, phase: str) -> Problem:
    """One that has not ended; a paused one goes no further before somebody has looked."""
    if phase == "paused":
        text = Sentence("rollout %(id)s of revision %(n)s waits for somebody to continue it", id=number, n=revision)
        return Problem("warning", text, "rollout", str(number))
    text = Sentence("rollout %(id)s of revision %(n)s is %(phase)s", id=number, n=revision, phase=Sentence(phase))
    return Problem("busy", text, "rollout", str(number))


def _of_sentence(said: str, status: ClusterStatus) -> Problem:
    """What the core says, and what it speaks of: the first of its names that there is a page for."""
    names = said.values if isinstance(said, Sentence) else {}
    for kind in _KINDS:
        if kind in names:
            name = str(names[kind])
            heard = kind == "node" and any(one.node == name and one.connected for one in status.nodes)
            mild = heard or (kind == "rollout" and _as_before(status))
            return Problem("warning" if mild else "bad", said, kind, name)
    return Problem("bad", said)


def _as_before(status: ClusterStatus) -> bool:
    """Whether every node that could be reached runs what it ran before the last rollout: users notice nothing of it."""
    return status.rollout is not None and status.rollout.phase in ("put back", "refused")
