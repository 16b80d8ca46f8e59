"""What goes wrong with sync groups: members that are none, and trackers that are dropped."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.keepalived.tree import Node
from holdfast.sentences import Sentence

from .model import Model
from .rule import ERROR, INFO, WARNING, Hit, rule
from .samples import SCRIPTS, instance, script
from .standings import blocked

_MAN = "man keepalived.conf: vrrp_sync_group"
INNER = instance(name="inner", vrid=52, address="10.1.0.100/24").replace("eth0", "eth1")
_GROUP = "vrrp_sync_group both {\n    group {\n        web\n        inner\n    }\n}\n"
_TRACK = "track_script {\n    check_web\n}"
_GROUP_TRACKS = _GROUP.removesuffix("}\n") + "    track_script {\n        check_web\n    }\n}\n"


@rule(
    "SYNC101",
    ERROR,
    "a member that does not exist",
    effect="keepalived ignores it: the instances that were to move together move alone.",
    hint="correct the name, or define the instance; letter case counts",
    bad=_GROUP.replace("inner", "innner") + instance() + INNER,
    good=_GROUP + instance() + INNER,
    references=(_MAN,),
    whole=True,
)
def unknown_member(model: Model) -> Iterator[Hit]:
    names = {one.name for one in model.instances}
    for group in model.sync_groups:
        for member in group.members:
            if member.value not in names:
                message = Sentence(
                    "there is no vrrp_instance %(value)s: keepalived leaves it out of %(name)s",
                    value=member.value,
                    name=group.name,
                )
                yield Hit(member.node, message, member.word)


@rule(
    "SYNC102",
    WARNING,
    "a group of one",
    effect="There is nothing to keep together; with one member, keepalived only drops its weighted trackers.",
    hint="add the other instances, or remove the group",
    bad="vrrp_sync_group both {\n    group {\n        web\n    }\n}\n" + instance(),
    good=_GROUP + instance() + INNER,
    references=(_MAN,),
)
def lonely(model: Model) -> Iterator[Hit]:
    names = {one.name for one in model.instances}
    for group in model.sync_groups:
        known = {member.value for member in group.members} & names
        if group.members and len(known) < 2:
            message = Sentence(
                "the sync group %(name)s has no instance in it: it keeps nothing together", name=group.name
            )
            if known:
                message = Sentence(
                    "the sync group %(name)s has one instance in it: it keeps nothing together", name=group.name
                )
            yield Hit(group.node, message, 1)


@rule(
    "SYNC103",
    ERROR,
    "a weighted tracker of a member",
    effect="keepalived drops it: no instance of a sync group may rank by itself, so the loss changes nothing. Of a "
    "tracked interface it says that it ignores the weight, and counts it all the same.",
    hint="track it in the group, or write `weight 0`, or add `sync_group_tracking_weight` to the group",
    bad=SCRIPTS + script("weight -20") + _GROUP + instance(_TRACK) + INNER,
    good=SCRIPTS + script("weight 0") + _GROUP + instance(_TRACK) + INNER,
    references=(_MAN, "keepalived issue 2105", "measured with keepalived 2.2.7"),
)
def weights_of_members(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        group = model.group_of(one)
        if group is None or group.keeps_weights:
            continue
        for tracker in one.trackers:
            weight = tracker.weight.value
            if not weight or (tracker.definition is None and tracker.kind != "track_interface"):
                continue
            if tracker.kind == "track_process":
                continue  # the one kind whose weight counts here: measured
            if tracker.kind == "track_file" and weight == 1:
                message = Sentence(
                    "%(name)s is in the sync group %(group)s: %(tracker)s counts as weight 0, not 1",
                    name=one.name,
                    group=group.name,
                    tracker=tracker.name,
                )
                yield Hit(tracker.node, message, severity=WARNING, related=(group.node,))
                continue
            if tracker.kind == "track_interface":
                message = Sentence(
                    "%(name)s is in the sync group %(group)s: keepalived says that it ignores the weight of "
                    "%(tracker)s, but counts it (2.2.7)",
                    name=one.name,
                    group=group.name,
                    tracker=tracker.name,
                )
                yield Hit(tracker.node, message, severity=WARNING, related=(group.node,))
            else:
                message = Sentence(
                    "%(name)s is in the sync group %(group)s: keepalived drops %(tracker)s (weight %(weight)s)",
                    name=one.name,
                    group=group.name,
                    tracker=tracker.name,
                    weight=weight,
                )
                yield Hit(tracker.node, message, related=(group.node, tracker.weight.node))


@rule(
    "SYNC108",
    ERROR,
    "a script that an instance and its sync group both track",
    effect="keepalived waits for the script's first answer twice, and is given it once: the group never leaves FAULT, "
    "and nobody holds its addresses.",
    hint="keep the group's line, and remove the instance's",
    bad=SCRIPTS + script("weight 0") + _GROUP_TRACKS + instance(_TRACK) + INNER,
    good=SCRIPTS + script("weight 0") + _GROUP_TRACKS + instance() + INNER,
    references=("docs/decisions: keepalived as a model", "measured with keepalived 2.2.7"),
)
def never_up(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        group = model.group_of(one)
        if group is None or not blocked(model, one):
            continue
        theirs = {tracker.name: tracker.node for tracker in group.trackers if tracker.kind == "track_script"}
        for tracker in one.trackers:
            if tracker.kind == "track_script" and tracker.name in theirs:
                message = Sentence(
                    "%(name)s tracks %(tracker)s too: %(instance)s, and all of the group, stay in FAULT",
                    name=group.name,
                    tracker=tracker.name,
                    instance=one.name,
                )
                yield Hit(tracker.node, message, related=(theirs[tracker.name],))


@rule(
    "SYNC104",
    ERROR,
    "a member of two groups",
    effect="An instance follows one group: the others lose it, and their members move without it.",
    hint="name each instance in one group; instances that move together all belong into one",
    bad=_GROUP + _GROUP.replace("both", "other") + instance() + INNER,
    good=_GROUP + instance() + INNER,
    references=(_MAN,),
)
def in_two_groups(model: Model) -> Iterator[Hit]:
    seen: dict[str, tuple[str, Node]] = {}
    for group in model.sync_groups:
        for member in group.members:
            name, node = seen.setdefault(member.value, (group.name, member.node))
            if name != group.name:
                yield Hit(
                    member.node,
                    Sentence("%(value)s is in the sync group %(name)s already", value=member.value, name=name),
                    member.word,
                    related=(node,),
                )


@rule(
    "SYNC105",
    WARNING,
    "members that start in different states",
    effect="A group moves as one: keepalived starts all of its members as BACKUP.",
    hint="give all members of the group the same state; BACKUP is best",
    bad=_GROUP + instance(state="MASTER") + INNER,
    good=_GROUP + instance() + INNER,
    references=(_MAN,),
)
def different_states(model: Model) -> Iterator[Hit]:
    by_name = {one.name: one for one in model.instances}
    for group in model.sync_groups:
        members = [by_name[member.value] for member in group.members if member.value in by_name]
        masters = [one for one in members if one.state.value == "MASTER"]
        if masters and len(masters) < len(members):
            message = Sentence(
                "%(name)s says MASTER, others of %(group)s do not: all of them start as BACKUP",
                name=masters[0].name,
                group=group.name,
            )
            yield Hit(masters[0].state.node, message, 1, related=(group.node,))


@rule(
    "SYNC106",
    WARNING,
    "members that disagree about preemption",
    effect="One member takes its addresses back while another may not: the group goes back and forth.",
    hint="give all members of the group nopreempt, or none; and priorities in the same order on all nodes",
    bad=_GROUP + instance("nopreempt") + INNER,
    good=_GROUP + instance("nopreempt") + INNER.replace("    priority", "    nopreempt\n    priority"),
    references=(_MAN,),
)
def different_preemption(model: Model) -> Iterator[Hit]:
    by_name = {one.name: one for one in model.instances}
    for group in model.sync_groups:
        members = [by_name[member.value] for member in group.members if member.value in by_name]
        still = [one for one in members if one.nopreempt is not None and one.state.value != "MASTER"]
        if still and len(still) < len(members):
            place = still[0].nopreempt
            if place is not None:
                message = Sentence(
                    "%(name)s does not preempt, but others of the sync group %(group)s do",
                    name=still[0].name,
                    group=group.name,
                )
                yield Hit(place, message, related=(group.node,))


@rule(
    "SYNC107",
    WARNING,
    "a member named twice",
    effect="keepalived counts it once.",
    hint="remove one of the two; was another instance meant?",
    bad="vrrp_sync_group both {\n    group {\n        web\n        web\n    }\n}\n" + instance() + INNER,
    good=_GROUP + instance() + INNER,
    references=(_MAN,),
)
def named_twice(model: Model) -> Iterator[Hit]:
    for group in model.sync_groups:
        seen: set[str] = set()
        for member in group.members:
            if member.value in seen:
                yield Hit(
                    member.node,
                    Sentence("%(value)s is named in %(name)s already", value=member.value, name=group.name),
                    member.word,
                )
            seen.add(member.value)


@rule(
    "SYNC109",
    INFO,
    "members of different priorities",
    effect="A group moves as one: where one member is preferred here and another one on a peer, the group goes back "
    "and forth between them.",
    hint="give all members of the group the same priority on a node",
    bad=_GROUP + instance("priority 150") + INNER,
    good=_GROUP + instance() + INNER,
    references=(_MAN,),
)
def different_priorities(model: Model) -> Iterator[Hit]:
    by_name = {one.name: one for one in model.instances}
    for group in model.sync_groups:
        members = [by_name[member.value] for member in group.members if member.value in by_name]
        for other in members[1:]:
            if other.priority.value != members[0].priority.value:
                message = Sentence(
                    "%(name)s has priority %(value)s, %(first)s of the same sync group %(group)s %(priority)s: do all "
                    "peers prefer one node for both?",
                    name=other.name,
                    value=other.priority.value,
                    first=members[0].name,
                    group=group.name,
                    priority=members[0].priority.value,
                )
                yield Hit(other.priority.node, message, other.priority.word, related=(members[0].priority.node,))
                break
