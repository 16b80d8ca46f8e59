"""Who of several peers is master, and when another one is: priorities, weights, states, preemption."""

from __future__ import annotations

from collections.abc import Iterator

from .cluster_model import Member, Router, deviants, label, named, pair, routers, shared
from .model import Model
from .model_vrrp import OWNER, Tracker
from .priorities import HIGHEST, TRACKED, weighted
from .rule import ERROR, INFO, WARNING, Hit, cluster_rule
from .samples import SCRIPTS, instance, script

_RFC = "RFC 5798, 6.4: the protocol's states"


@cluster_rule(
    "PEER111",
    ERROR,
    "a weight that moves nothing between these peers",
    effect="After the failure this node still ranks above the healthy peer and keeps the addresses: it never fails "
    "over.",
    hint="use a weight larger than the distance of the priorities; or `weight 0`: the node then gives the addresses "
    "up at once, whatever the priorities",
    bad=pair(
        SCRIPTS + script("weight -20") + instance(f"priority 150\n{TRACKED}"),
        SCRIPTS + script("weight -20") + instance(f"priority 100\n{TRACKED}"),
    ),
    good=pair(
        SCRIPTS + script("weight -60") + instance(f"priority 150\n{TRACKED}"),
        SCRIPTS + script("weight -60") + instance(f"priority 100\n{TRACKED}"),
    ),
    references=("measured with keepalived 2.2.7: 152 and 101 with weight 3", "keepalived issue 2599"),
)
def weights_that_move_nothing(models: tuple[Model, ...]) -> Iterator[Hit]:
    for router in shared(models):
        healthy = [(_healthy(member), member) for member in router.members]
        for ours, member in healthy:
            rivals = [
                (theirs, other)
                for theirs, other in healthy
                if other is not member and theirs <= ours and other.instance.nopreempt is None
            ]
            if not rivals or member.instance.priority.value == OWNER:
                continue
            best = max(rivals, key=lambda one: one[0])
            for tracker in weighted(member.model, member.instance):
                if tracker.kind != "track_file":  # how far it moves depends on the number in the file
                    yield from _moves(member, tracker, ours, best)


def _moves(member: Member, tracker: Tracker, healthy: int, best: tuple[int, Member]) -> Iterator[Hit]:
    theirs, other = best
    failed = max(1, healthy - abs(tracker.weight.value))
    if failed < theirs:
        return
    tie = failed == theirs
    message = (
        f"without {tracker.name} {member.instance.name} goes from {healthy} to {failed} on {member.node}, and"
        f" {other.node} in good health has {theirs}: "
    )
    message += "the higher address wins, not the healthy node" if tie else "the addresses stay"
    weight = tracker.weight
    place, word = (weight.node, weight.word) if weight.given else (tracker.node, 0)
    related = (member.instance.priority.node, other.instance.priority.node)
    yield Hit(place, message, word, severity=WARNING if tie else None, related=related)


def _healthy(member: Member) -> int:
    """The priority of a node on which everything works: positive weights count then, negative ones do not."""
    base = member.instance.priority.value
    if base == OWNER:
        return OWNER
    gains = [
        max(tracker.weight.value, 0)
        for tracker in weighted(member.model, member.instance)
        if tracker.kind != "track_file"
    ]
    return min(base + sum(gains), HIGHEST)


@cluster_rule(
    "PEER112",
    WARNING,
    "peers with equal priorities",
    effect="The node with the higher address becomes master, whichever that is: nobody chose it. Two owners (255) "
    "never give way to each other.",
    hint="give each node another priority, the preferred one the highest; with nopreempt the order matters only at a "
    "start",
    bad=pair(instance("priority 100"), instance("priority 100")),
    good=pair(instance("priority 110"), instance("priority 100")),
    references=("RFC 5798, 6.4.3", "measured with keepalived 2.2.7: the higher address wins"),
)
def equal_priorities(models: tuple[Model, ...]) -> Iterator[Hit]:
    for router in shared(models):
        seen: dict[int, Member] = {}
        kept = all(one.instance.nopreempt is not None and not one.instance.is_master for one in router.members)
        for member in router.members:
            found = member.instance.priority
            first = seen.setdefault(found.value, member)
            if first is member:
                continue
            severity = ERROR if found.value == OWNER else INFO if kept else None
            message = (
                f"{member.instance.name} has priority {found.value} on {member.node} as on {first.node}: the higher"
                " address wins"
            )
            place = (found.node, 1) if found.given else (member.instance.node, 0)
            yield Hit(place[0], message, place[1], severity=severity, related=(first.instance.priority.node,))


@cluster_rule(
    "PEER113",
    WARNING,
    "several peers start as MASTER",
    effect="Each takes the addresses when it starts, before it has heard the other: after every restart of the lesser "
    "node clients meet two masters for a moment. nopreempt does not count with state MASTER.",
    hint="write `state BACKUP` on every node; the priority decides",
    bad=pair(instance("priority 110", state="MASTER"), instance("priority 100", state="MASTER")),
    good=pair(instance("priority 110"), instance("priority 100")),
    references=(_RFC, "man keepalived.conf: state"),
)
def several_masters(models: tuple[Model, ...]) -> Iterator[Hit]:
    for router in shared(models):
        masters = [member for member in router.members if member.instance.state.value == "MASTER"]
        if len(masters) < 2:
            continue
        best = max(masters, key=lambda member: member.instance.priority.value)
        for member in masters:
            if member is not best:
                message = f"{member.instance.name} starts as MASTER on {member.node} and on {best.node}"
                yield Hit(member.instance.state.node, message, 1, related=(best.instance.state.node,))


@cluster_rule(
    "PEER114",
    WARNING,
    "state MASTER on the lesser node",
    effect="It starts as master, and gives the addresses up as soon as it hears the better node: they move twice at "
    "every start.",
    hint="write `state BACKUP` here, or turn the priorities round if this is the preferred node",
    bad=pair(instance("priority 90", state="MASTER"), instance("priority 100")),
    good=pair(instance("priority 110", state="MASTER"), instance("priority 100")),
    references=(_RFC,),
)
def lesser_master(models: tuple[Model, ...]) -> Iterator[Hit]:
    for router in shared(models):
        best = max(router.members, key=lambda member: member.instance.priority.value)
        if best.instance.state.value == "MASTER":
            continue
        for member in router.members:
            if member.instance.state.value == "MASTER" and member.instance.priority.value < _priority(best):
                message = (
                    f"{member.instance.name} starts as MASTER on {member.node} with priority"
                    f" {member.instance.priority.value}, but {best.node} has {_priority(best)}"
                )
                yield Hit(member.instance.state.node, message, 1, related=(best.instance.priority.node,))


def _priority(member: Member) -> int:
    return member.instance.priority.value


@cluster_rule(
    "PEER115",
    WARNING,
    "nopreempt where it changes nothing",
    effect="nopreempt keeps a node from taking the addresses back. The preferred node does not have it, so it takes "
    "them back whenever it returns: a second interruption.",
    hint="write `nopreempt` (with `state BACKUP`) on the preferred node, best on all",
    bad=pair(instance("priority 110"), instance("priority 100\nnopreempt")),
    good=pair(instance("priority 110\nnopreempt"), instance("priority 100\nnopreempt")),
    references=("man keepalived.conf: nopreempt", "keepalived issue 346"),
)
def idle_nopreempt(models: tuple[Model, ...]) -> Iterator[Hit]:
    for router in shared(models):
        best = max(router.members, key=_priority)
        if best.instance.nopreempt is not None:
            yield from _preempting(router, best)
            continue
        for member in router.members:
            if member.instance.nopreempt is not None and _priority(member) < _priority(best):
                message = (
                    f"{best.instance.name} has the highest priority on {best.node}, but no nopreempt: it takes the"
                    f" addresses back from {member.node}"
                )
                yield Hit(best.instance.node, message, related=(member.instance.nopreempt,))
                break


def _preempting(router: Router, best: Member) -> Iterator[Hit]:
    """A node in the middle that takes the addresses from the last one, though the first would leave them."""
    last = min(_priority(member) for member in router.members)
    for member in router.members:
        if member is not best and member.instance.nopreempt is None and _priority(member) > last:
            message = f"{member.instance.name} has no nopreempt on {member.node}, as it has on {best.node}"
            related = (best.instance.nopreempt,) if best.instance.nopreempt is not None else ()
            yield Hit(member.instance.node, message, severity=INFO, related=related)


@cluster_rule(
    "PEER116",
    WARNING,
    "an instance that only one node has",
    effect="When that node fails, nobody takes its addresses over.",
    hint="add the instance to the other nodes, with the same virtual_router_id and addresses",
    bad=pair(instance() + instance(name="mail", vrid=52, address="10.0.0.200/24"), instance()),
    good=pair(instance(), instance()),
    references=(_RFC,),
)
def alone(models: tuple[Model, ...]) -> Iterator[Hit]:
    if len(models) < 2:
        return
    for router in routers(models):
        if len(router.members) == 1 and router.members[0].held:
            one = router.members[0]
            others = [label(model) for model in models if model is not one.model]
            message = f"nobody takes {named(one.held)} over from {one.node}: {named(others)} has no such instance"
            yield Hit(one.instance.node, message, 1)


@cluster_rule(
    "PEER117",
    WARNING,
    "strict mode on some peers only",
    effect="The strict node drops what is sent to the addresses and resets settings, the other one does not: a service "
    "works on one node alone.",
    hint="remove vrrp_strict on all nodes",
    bad=pair(instance(), "global_defs {\n    vrrp_strict\n    vrrp_version 3\n}\n" + instance("accept\nversion 2")),
    good=pair(instance(), instance()),
    references=("man keepalived.conf: vrrp_strict",),
)
def strict_on_some(models: tuple[Model, ...]) -> Iterator[Hit]:
    for router in shared(models):
        for one, other in deviants(router.members, lambda member: member.instance.strict is not None):
            strict, loose = (one, other) if one.instance.strict is not None else (other, one)
            if strict.instance.strict is not None:
                message = f"{strict.instance.name} is in strict mode on {strict.node}, but not on {loose.node}"
                yield Hit(strict.instance.strict, message, related=(loose.instance.node,))
