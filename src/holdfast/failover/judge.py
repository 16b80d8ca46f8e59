"""From a machine at rest to what users get: who serves each address, or why nobody does (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from holdfast.sentences import Sentence

from .machine import Machine
from .model import Cluster, Place
from .play import Outcome
from .result import Held, Part, Verdict, Way
from .router import Cause, Change, Ranked, State


def holders(machine: Machine, addresses: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Address → the nodes that hold it on a link that carries."""
    found = {}
    for address in addresses:
        places = machine.cluster.holders_of[address]
        found[address] = tuple(dict.fromkeys(place[0] for place in places if _live(machine, place)))
    return found


def _live(machine: Machine, place: Place) -> bool:
    carries = machine.world.carries(place[0], machine.cluster.instance(place).interface)
    return machine.state(place) is State.ACTIVE and carries


def way(outcome: Outcome, before: Mapping[str, tuple[str, ...]]) -> Way:
    """What an outcome is to users; `before` is who held each address, empty where it is the beginning."""
    machine = outcome.machine
    return Way(tuple(_held(outcome, before, *alike) for alike in _alike(machine.cluster)), outcome.changes)


def _alike(cluster: Cluster) -> list[tuple[tuple[Place, ...], tuple[str, ...]]]:
    """Addresses that the same instances may hold, together."""
    found: dict[tuple[Place, ...], list[str]] = {}
    for address, places in cluster.holders_of.items():
        found.setdefault(places, []).append(address)
    return [(places, tuple(addresses)) for places, addresses in found.items()]


def _held(
    outcome: Outcome, before: Mapping[str, tuple[str, ...]], places: tuple[Place, ...], addresses: tuple[str, ...]
) -> Held:
    machine = outcome.machine
    cluster = machine.cluster
    now = holders(machine, addresses)[addresses[0]]
    was = before.get(addresses[0], ())
    since = outcome.active_since
    moved = [since[place] for place in places if place[0] in now and place[0] not in was and place in since]
    verdict = _verdict(outcome, places, addresses, now, was)
    nodes = list(dict.fromkeys(place[0] for place in places))
    able = {place[0] for place in places if machine.state(place) not in (State.DOWN, State.FAULT)}
    able = {node for node in able if not _dead_services(machine, node, addresses)}
    return Held(
        group=cluster.group(places[0]),
        addresses=addresses,
        before=was,
        holders=now,
        verdict=verdict,
        within_s=max(moved) if moved and was else None,
        why=_why(outcome, places, addresses, now),
        left=sum(cluster.nodes[name].capacity for name in nodes if name in able),
        total=sum(cluster.nodes[name].capacity for name in nodes),
        parts=tuple(_part(machine, place) for place in places),
    )


def _part(machine: Machine, place: Place) -> Part:
    state = machine.state(place)
    if state is State.DOWN:
        return Part(place[0], state, None)
    now = machine.standing(place)
    if now.faults or state is State.FAULT:
        return Part(place[0], state, None, now.faults or ("its sync group",))
    return Part(place[0], state, machine.priority(place), now.losses)


def _dead_services(machine: Machine, node: str, addresses: Iterable[str]) -> tuple[str, ...]:
    """Services that what these addresses serve needs, and that do not run on a node."""
    needed = {name for address in addresses for name in machine.cluster.serving.get(address, ())}
    return tuple(sorted(name for name in needed if (node, name) in machine.world.services))


def _verdict(
    outcome: Outcome,
    places: tuple[Place, ...],
    addresses: tuple[str, ...],
    now: tuple[str, ...],
    was: tuple[str, ...],
) -> Verdict:
    machine = outcome.machine
    if not outcome.settled:
        return Verdict.RESTLESS
    if all(_dead_services(machine, node, addresses) for node in now):  # also where nobody holds it
        return Verdict.NOBODY
    if len(now) > 1:
        return Verdict.TWO
    if _stuck(machine, places, now[0]):
        return Verdict.STUCK
    return Verdict.MOVES if was and now != was else Verdict.STAYS


def _stuck(machine: Machine, places: tuple[Place, ...], holder: str) -> bool:
    """Whether the holder has lost something that it tracks, and another node, which it hears of, has not."""
    for place in places:
        if place[0] == holder and not machine.standing(place).losses:
            return False
    others = [place for place in places if place[0] != holder]
    sound = (p for p in others if machine.state(p) is State.STANDBY and not machine.standing(p).losses)
    return next(sound, None) is not None


def _why(
    outcome: Outcome, places: tuple[Place, ...], addresses: tuple[str, ...], now: tuple[str, ...]
) -> tuple[str, ...]:
    """What happened to a group, in the order of time."""
    mine = [change for change in outcome.changes if change.place in places and change.before is not change.after]
    told = [(change.at, in_words(change)) for change in mine]
    told += [(ranked.at, rank_in_words(ranked)) for ranked in outcome.ranked if ranked.place in places]
    said = [text for _, text in sorted(told, key=lambda pair: pair[0])]
    for node in now:
        dead = _dead_services(outcome.machine, node, addresses)
        if dead:
            what = ", ".join(dead)
            said.append(Sentence("%(node)s holds it, but %(what)s does not run there", node=node, what=what))
    if not now:
        said.append(Sentence("no node may hold it"))
    return tuple(said)


def rank_in_words(ranked: Ranked) -> str:
    """`4.00 s: lb1 has priority 244 instead of 250 (script uplink)`."""
    about = f" ({', '.join(ranked.losses)})" if ranked.losses else ""
    return Sentence(
        "%(at)s s: %(node)s has priority %(after)s instead of %(before)s%(about)s",
        at=f"{ranked.at:.2f}",
        node=ranked.place[0],
        after=ranked.after,
        before=ranked.before,
        about=about,
    )


def in_words(change: Change) -> str:
    """`after 0.36 s lb2 takes over: its master fell silent (lb1)`."""
    about = f" ({', '.join(change.about)})" if change.about else ""
    cause = Sentence(change.cause.value)
    when = {"at": f"{change.at:.2f}", "node": change.place[0]}
    if change.cause is Cause.LOST:
        what, now = ", ".join(change.about), Sentence(change.after.value)
        return Sentence("%(at)s s: %(node)s lost %(what)s: %(now)s", **when, what=what, now=now)
    if change.cause is Cause.DIED:
        return Sentence("%(at)s s: %(node)s is dead", **when)
    if change.after is State.ACTIVE:
        return Sentence("%(at)s s: %(node)s takes over: %(cause)s%(about)s", **when, cause=cause, about=about)
    now = Sentence(change.after.value)
    return Sentence("%(at)s s: %(node)s is %(now)s: %(cause)s%(about)s", **when, now=now, cause=cause, about=about)
