"""Who of several peers is master, and when another one is: priorities, weights, states, preemption."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.sentences import Sentence

from .cluster_model import Member, Router, deviants, label, named, pair, routers, shared
from .model import Model
from .model_vrrp import OWNER, Tracker
from .priorities import TRACKED
from .rule import ERROR, INFO, WARNING, Hit, cluster_rule
from .samples import SCRIPTS, instance, script
from .standings import counted, healthy, without

_BOTH = "vrrp_sync_group both {\n    group {\n        web\n        inner\n    }\n}\n"
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
        ranked = [(_rank(member), member) for member in router.members]
        for ours, member in ranked:
            rivals = [
                (theirs, other)
                for theirs, other in ranked
                if other is not member and theirs <= ours and other.instance.nopreempt is None
            ]
            if not rivals or member.instance.priority.value == OWNER:
                continue
            best = max(rivals, key=lambda one: one[0])
            for tracker in counted(member.model, member.instance):
                yield from _moves(member, tracker, ours, best)


def _moves(member: Member, tracker: Tracker, ours: int, best: tuple[int, Member]) -> Iterator[Hit]:
    theirs, other = best
    failed, fault = without(member.model, member.instance, tracker)
    if failed < theirs or fault:
        return
    tie = failed == theirs
    outcome = Sentence("the addresses stay")
    if tie:
        outcome = Sentence("the higher address wins, not the healthy node")
    message = Sentence(
        "without %(name)s %(instance)s goes from %(ours)s to %(failed)s on %(node)s, and %(other)s in good health has "
        "%(theirs)s: %(outcome)s",
        name=tracker.name,
        instance=member.instance.name,
        ours=ours,
        failed=failed,
        node=member.node,
        other=other.node,
        theirs=theirs,
        outcome=outcome,
    )
    weight = tracker.weight
    place, word = (weight.node, weight.word) if weight.given else (tracker.node, 0)
    related = (member.instance.priority.node, other.instance.priority.node)
    yield Hit(place, message, word, severity=WARNING if tie else None, related=related)


def _rank(member: Member) -> int:
    """The priority of a node on which everything works."""
    return healthy(member.model, member.instance)


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
            found, rank = member.instance.priority, _rank(member)
            first = seen.setdefault(rank, member)
            if first is member:
                continue
            severity = ERROR if found.value == OWNER else INFO if kept else None
            message = Sentence(
                "%(name)s has priority %(value)s on %(node)s as on %(other)s: the higher address wins",
                name=member.instance.name,
                value=found.value,
                node=member.node,
                other=first.node,
            )
            if found.value != first.instance.priority.value:
                message = Sentence(
                    "%(name)s ranks at %(rank)s on %(node)s as on %(other)s while all is well (priorities %(ours)s "
                    "and %(theirs)s, weights, and the limit of 254): the higher address wins",
                    name=member.instance.name,
                    rank=rank,
                    node=member.node,
                    other=first.node,
                    ours=found.value,
                    theirs=first.instance.priority.value,
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
        best = max(masters, key=_rank)
        for member in masters:
            if member is not best:
                message = Sentence(
                    "%(name)s starts as MASTER on %(node)s and on %(other)s",
                    name=member.instance.name,
                    node=member.node,
                    other=best.node,
                )
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
        best = max(router.members, key=_rank)
        if best.instance.state.value == "MASTER":
            continue
        for member in router.members:
            if member.instance.state.value == "MASTER" and _rank(member) < _rank(best):
                message = Sentence(
                    "%(name)s starts as MASTER on %(node)s with priority %(rank)s, but %(other)s has %(other_rank)s",
                    name=member.instance.name,
                    node=member.node,
                    rank=_rank(member),
                    other=best.node,
                    other_rank=_rank(best),
                )
                yield Hit(member.instance.state.node, message, 1, related=(best.instance.priority.node,))


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
        best = max(router.members, key=_rank)
        if best.instance.nopreempt is not None:
            yield from _preempting(router, best)
            continue
        for member in router.members:
            if member.instance.nopreempt is not None and _rank(member) < _rank(best):
                message = Sentence(
                    "%(name)s has the highest priority on %(node)s, but no nopreempt: it takes the addresses back "
                    "from %(other)s",
                    name=best.instance.name,
                    node=best.node,
                    other=member.node,
                )
                yield Hit(best.instance.node, message, related=(member.instance.nopreempt,))
                break


def _preempting(router: Router, best: Member) -> Iterator[Hit]:
    """A node in the middle that takes the addresses from the last one, though the first would leave them."""
    last = min(_rank(member) for member in router.members)
    for member in router.members:
        if member is not best and member.instance.nopreempt is None and _rank(member) > last:
            message = Sentence(
                "%(name)s has no nopreempt on %(node)s, as it has on %(other)s",
                name=member.instance.name,
                node=member.node,
                other=best.node,
            )
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
            message = Sentence(
                "nobody takes %(named)s over from %(node)s: %(others)s has no such instance",
                named=named(one.held),
                node=one.node,
                others=named(others),
            )
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
                message = Sentence(
                    "%(name)s is in strict mode on %(node)s, but not on %(other)s",
                    name=strict.instance.name,
                    node=strict.node,
                    other=loose.node,
                )
                yield Hit(strict.instance.strict, message, related=(loose.instance.node,))


@cluster_rule(
    "PEER119",
    WARNING,
    "weights that prefer another node than the priorities",
    effect="While all is well the node with the lower priority holds the addresses: its trackers lift it above the "
    "preferred one.",
    hint="write the same weights, with the same sign, on all nodes",
    bad=pair(
        SCRIPTS + script("weight -60") + instance(f"priority 150\n{TRACKED}"),
        SCRIPTS + script("weight 60") + instance(f"priority 100\n{TRACKED}"),
    ),
    good=pair(
        SCRIPTS + script("weight -60") + instance(f"priority 150\n{TRACKED}"),
        SCRIPTS + script("weight -60") + instance(f"priority 100\n{TRACKED}"),
    ),
    references=("man keepalived.conf: vrrp_script, weight",),
)
def lifted_by_weights(models: tuple[Model, ...]) -> Iterator[Hit]:
    for router in shared(models):
        preferred = max(router.members, key=lambda member: member.instance.priority.value)
        for member in router.members:
            base = member.instance.priority.value
            if base >= preferred.instance.priority.value or _rank(member) <= _rank(preferred):
                continue
            lifts = next((t for t in counted(member.model, member.instance) if t.weight.value > 0), None)
            place, word = (lifts.weight.node, lifts.weight.word) if lifts else (member.instance.priority.node, 1)
            message = Sentence(
                "%(name)s has priority %(base)s on %(node)s, but ranks at %(rank)s while all is well, above the "
                "%(other_rank)s of %(other)s, whose priority is %(value)s",
                name=member.instance.name,
                base=base,
                node=member.node,
                rank=_rank(member),
                other_rank=_rank(preferred),
                other=preferred.node,
                value=preferred.instance.priority.value,
            )
            yield Hit(place, message, word, related=(preferred.instance.priority.node,))


@cluster_rule(
    "PEER130",
    WARNING,
    "members of one sync group that prefer different nodes",
    effect="A member with a lower priority than its peer keeps its whole group from taking over: no preference counts, "
    "and who holds the addresses hangs on which node started first.",
    hint="give all members of the group the same order of nodes",
    bad=pair(
        _BOTH + instance("priority 150") + instance("priority 100", name="inner", vrid=52, address="10.1.0.100/24"),
        _BOTH + instance("priority 100") + instance("priority 150", name="inner", vrid=52, address="10.1.0.100/24"),
    ),
    good=pair(
        _BOTH + instance("priority 150") + instance("priority 150", name="inner", vrid=52, address="10.1.0.100/24"),
        _BOTH + instance("priority 100") + instance("priority 100", name="inner", vrid=52, address="10.1.0.100/24"),
    ),
    references=("docs/decisions: keepalived as a model", "measured with keepalived 2.2.7"),
)
def preferred_apart(models: tuple[Model, ...]) -> Iterator[Hit]:
    first: dict[tuple[str, str], Member] = {}  # node and sync group → the preferred member of its first router
    for router in shared(models):
        best = max(router.members, key=_rank)
        if sum(_rank(member) == _rank(best) for member in router.members) > 1:
            continue
        for member in router.members:
            group = member.model.group_of(member.instance)
            if group is None:
                continue
            before = first.setdefault((member.node, group.name), best)
            if before.node != best.node:
                message = Sentence(
                    "%(name)s prefers %(node)s (%(rank)s), but %(instance)s of the same sync group prefers %(other)s "
                    "(%(other_rank)s)",
                    name=best.instance.name,
                    node=best.node,
                    rank=_rank(best),
                    instance=before.instance.name,
                    other=before.node,
                    other_rank=_rank(before),
                )
                yield Hit(best.instance.priority.node, message, 1, related=(before.instance.priority.node,))
                break
