"""What is sooner on one node than on another: timers that peers do not share."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.sentences import Sentence

from .cluster_model import DEFAULT, Member, deviants, global_place, label, pair, shared
from .model import Model
from .rule import INFO, Hit, cluster_rule
from .samples import instance

_TIMERS = (
    "preempt_delay",
    "garp_master_delay",
    "garp_master_repeat",
    "garp_master_refresh",
    "garp_master_refresh_repeat",
    "garp_lower_prio_delay",
    "garp_lower_prio_repeat",
    "garp_interval",
    "gna_interval",
    "lower_prio_no_advert",
    "higher_prio_send_advert",
    "down_timer_adverts",
    "kernel_rx_buf_size",
)
_GLOBAL_TIMERS = {f"vrrp_{name}" for name in _TIMERS}


@cluster_rule(
    "PEER128",
    INFO,
    "peers with different timers",
    effect="How soon a node takes over, and how often it tells the network, depends on the node.",
    hint="write the same timers on all nodes",
    bad=pair(instance("garp_master_delay 1"), instance("garp_master_delay 10")),
    good=pair(instance("garp_master_delay 1"), instance("garp_master_delay 1")),
    references=("man keepalived.conf: garp_master_delay, preempt_delay",),
)
def different_timers(models: tuple[Model, ...]) -> Iterator[Hit]:
    for router in shared(models):
        for name in _TIMERS:
            for one, other in deviants(router.members, lambda member, name=name: _timer(member, name)):  # type: ignore[misc]
                node = one.instance.block.get(name)
                if node is None and other.instance.block.get(name) is None:
                    continue  # a global setting: told once, below
                ours, theirs = _timer(one, name) or DEFAULT, _timer(other, name) or DEFAULT
                message = Sentence(
                    "%(name)s of %(instance)s is %(ours)s here, %(theirs)s on %(node)s",
                    name=name,
                    instance=one.instance.name,
                    ours=ours,
                    theirs=theirs,
                    node=other.node,
                )
                yield Hit(node or one.instance.node, message)
    yield from _global_timers(models)


def _timer(member: Member, name: str) -> str:
    node = member.instance.block.get(name) or member.model.global_defs.get(f"vrrp_{name}")
    return node.arg(0, "on") if node is not None else ""


def _global_timers(models: tuple[Model, ...]) -> Iterator[Hit]:
    first = models[0]
    for model in models[1:]:
        for name in sorted(_GLOBAL_TIMERS):
            ours, theirs = model.global_defs.get(name), first.global_defs.get(name)
            if (ours.args if ours else None) != (theirs.args if theirs else None):
                said = [node.arg() if node else DEFAULT for node in (ours, theirs)]
                message = Sentence(
                    "%(name)s is %(said)s here, %(theirs)s on %(label)s",
                    name=name,
                    said=said[0],
                    theirs=said[1],
                    label=label(first),
                )
                yield Hit(ours or global_place(model), message, related=(theirs,) if theirs else ())
