"""What goes wrong with priorities and the weights that trackers give them: failovers that never happen."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.sentences import Sentence

from .model import Model
from .model_vrrp import DEFAULT_PRIORITY, OWNER
from .rule import ERROR, INFO, WARNING, Hit, rule
from .samples import SCRIPTS, instance, script
from .standings import counted, healthy, without

_MAN = "man keepalived.conf: vrrp_script, weight"
_MEASURED = "measured with keepalived 2.2.7: 152 and 101 with weight 3, 120 and 100 with nopreempt and weight −60"
HIGHEST = 254
LEAST = -254  # of a tracked file: FAULT
SMALL = 10  # weights below it move nothing between peers that are set as most are, ten or more apart
SLOW_S = 10.0  # until a failure is believed
TRACKED = "track_script {\n    check_web\n}"


@rule(
    "PRIO101",
    WARNING,
    "a weight too small to move anything",
    effect="After the failure this node still ranks above a healthy peer and keeps the addresses: it never fails over.",
    hint="use a weight larger than the distance to the peer's priority; or `weight 0`: the node then gives the "
    "addresses "
    "up at once, whatever the priorities",
    bad=SCRIPTS + script("weight -2") + instance(f"priority 150\n{TRACKED}"),
    good=SCRIPTS + script("weight -60") + instance(f"priority 150\n{TRACKED}"),
    references=(_MAN, _MEASURED, "keepalived issue 2599"),
    alone=True,
)
def small_weight(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        base = one.priority.value
        if base == OWNER or (one.nopreempt is not None and one.state.value != "MASTER"):
            continue
        for tracker in counted(model, one):
            weight = tracker.weight
            failed, _ = without(model, one, tracker)
            # A backup in health has what a positive weight adds, too.
            above_usual = base > DEFAULT_PRIORITY and base - abs(weight.value) >= DEFAULT_PRIORITY
            # 101 with weight 2 against 100: what the manual's own sample does.
            just_enough = base > DEFAULT_PRIORITY and base - abs(weight.value) < DEFAULT_PRIORITY
            if abs(weight.value) >= SMALL and not above_usual:
                continue
            if just_enough or not weight.value:  # 0 here: out of range, and counts all the same
                continue
            if failed >= healthy(model, one):
                continue  # reversed: PRIO106
            told = weight.value if weight.given else Sentence("%(weight)s by default", weight=weight.value)
            message = Sentence(
                "losing %(name)s takes %(instance)s from %(healthy)s to %(failed)s (weight %(weight)s): it keeps its "
                "addresses unless a healthy peer ranks above that",
                name=tracker.name,
                instance=one.name,
                healthy=healthy(model, one),
                failed=failed,
                weight=told,
            )
            place = weight.node if weight.given else tracker.node
            yield Hit(place, message, weight.word if weight.given else 0, related=(one.priority.node, tracker.node))


@rule(
    "PRIO102",
    ERROR,
    "nopreempt with a weighted tracker",
    effect="A weight only changes the priority, and with nopreempt a higher priority takes nothing over: the service "
    "fails, the addresses stay.",
    hint="write `weight 0`, so that the failure puts the instance into FAULT and a peer takes over; or remove "
    "nopreempt",
    bad=SCRIPTS + script("weight -60") + instance(f"nopreempt\n{TRACKED}"),
    good=SCRIPTS + script("weight 0") + instance(f"nopreempt\n{TRACKED}"),
    references=(_MAN, _MEASURED),
)
def weight_without_preemption(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        if one.nopreempt is None or one.priority.value == OWNER:
            continue
        mild = (
            WARNING if one.state.value == "MASTER" else None
        )  # there keepalived drops nopreempt, but its peers have it
        for tracker in counted(model, one):
            if tracker.kind == "track_interface" and tracker.weight.value > 0:
                continue
            message = Sentence(
                "%(name)s does not preempt, so losing %(tracker)s (weight %(value)s) moves nothing: it never fails "
                "over",
                name=one.name,
                tracker=tracker.name,
                value=tracker.weight.value,
            )
            yield Hit(one.nopreempt, message, severity=mild, related=(tracker.weight.node, tracker.node))
        for tracker in one.trackers:
            weight = tracker.weight.value
            if tracker.kind == "track_file" and tracker.definition is not None and LEAST < weight < -1:
                message = Sentence(
                    "%(name)s does not preempt, so a number in %(tracker)s (weight %(weight)s times it) moves "
                    "nothing, but for one that makes it -254 or less: that is FAULT",
                    name=one.name,
                    tracker=tracker.name,
                    weight=weight,
                )
                yield Hit(one.nopreempt, message, severity=WARNING, related=(tracker.weight.node, tracker.node))


@rule(
    "PRIO103",
    WARNING,
    "weights that leave the range of priorities",
    effect="Priorities end at 1 and at 254: two nodes that reach the end are equal, and the higher address wins, "
    "not the "
    "healthier node.",
    hint="lower the priority, or the weights, so that all of them together stay within 1 to 254",
    bad=SCRIPTS + script("weight 60") + instance(f"priority 220\n{TRACKED}"),
    good=SCRIPTS + script("weight 30") + instance(f"priority 220\n{TRACKED}"),
    references=(_MAN, "RFC 5798, 5.2.4"),
)
def out_of_range(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        if one.priority.value == OWNER:
            continue
        weights = [tracker.weight.value for tracker in counted(model, one)]
        highest = one.priority.value + sum(weight for weight in weights if weight > 0)
        lowest = one.priority.value + min((weight for weight in weights if weight < 0), default=0)
        if highest > HIGHEST:
            message = Sentence(
                "%(name)s in good health would rank at %(highest)s: keepalived stops at %(limit)s",
                name=one.name,
                highest=highest,
                limit=HIGHEST,
            )
            yield Hit(one.priority.node, message, 1 if one.priority.given else 0)
        elif lowest < 1:
            message = Sentence(
                "one loss would take %(name)s to %(lowest)s: keepalived stops at 1, where all such nodes are equal",
                name=one.name,
                lowest=lowest,
            )
            yield Hit(one.priority.node, message, 1 if one.priority.given else 0, severity=INFO)


@rule(
    "PRIO104",
    WARNING,
    "weights of an address owner",
    effect="Priority 255 never changes: keepalived drops the weighted trackers, and the node never fails over.",
    hint="use a priority of 254 or less, or `weight 0`",
    bad=SCRIPTS + script("weight -60") + instance(f"priority 255\n{TRACKED}", state="MASTER"),
    good=SCRIPTS + script("weight 0") + instance(f"priority 254\n{TRACKED}", state="MASTER"),
    references=("RFC 5798, 5.2.4", _MAN),
)
def weights_of_an_owner(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        if one.priority.value == OWNER:
            for tracker in one.trackers:
                known = tracker.definition is not None or tracker.kind == "track_interface"
                if not known or tracker.kind == "track_file" or not tracker.weight.value:
                    continue
                message = Sentence(
                    "%(name)s has priority 255: keepalived drops the tracker %(tracker)s with its weight",
                    name=one.name,
                    tracker=tracker.name,
                )
                yield Hit(tracker.node, message, related=(one.priority.node,))


@rule(
    "PRIO105",
    INFO,
    "a failure that takes long to be believed",
    effect="Until a script has failed `fall` times in a row nothing happens: clients meet the dead service that "
    "long, and "
    "then three adverts more.",
    hint="lower `interval` or `fall`, or track the process, which is seen at once",
    bad=SCRIPTS + script("interval 10\nfall 3") + instance(TRACKED),
    good=SCRIPTS + script("interval 2\nfall 2") + instance(TRACKED),
    references=(_MAN,),
)
def slow_detection(model: Model) -> Iterator[Hit]:
    for one in model.scripts:
        seconds = one.detection or 0.0
        if seconds > SLOW_S:
            fall = one.block.get("fall")
            message = Sentence(
                "%(name)s takes %(seconds)s s to notice a failure: interval × fall",
                name=one.name,
                seconds=f"{seconds:g}",
            )
            yield Hit(fall or one.block.get("interval") or one.node, message)


@rule(
    "PRIO106",
    WARNING,
    "a weight that rewards the loss",
    effect="With `reverse` the priority falls while all is well and rises when it fails: the broken node is preferred.",
    hint="remove `reverse`, or turn the weight's sign",
    bad=SCRIPTS + script() + instance("track_script {\n    check_web weight -60 reverse\n}"),
    good=SCRIPTS + script() + instance("track_script {\n    check_web weight -60\n}"),
    references=(_MAN,),
)
def reversed_weight(model: Model) -> Iterator[Hit]:
    for one in (*model.instances, *model.sync_groups):
        for tracker in one.trackers:
            if tracker.kind not in ("track_script", "track_process", "track_bfd"):
                continue
            own = tracker.definition.block.get("weight") if tracker.definition is not None else None
            for node in (tracker.node, *((own,) if own is not None else ())):
                if "reverse" in node.words[1:]:
                    message = Sentence(
                        "%(name)s is reversed: %(instance)s is preferred while it fails",
                        name=tracker.name,
                        instance=one.name,
                    )
                    yield Hit(node, message, node.words.index("reverse", 1), related=(tracker.node,))
