"""What goes wrong with the words of a virtual server: two for one setting, and bits where a mask is meant."""

from __future__ import annotations

from collections.abc import Iterator

from .model import Model
from .model_values import overruled
from .rule import WARNING, Hit, rule
from .samples import instance, virtual

_BLIND = frozenset({"rr", "lc", "dh"})
_SERVER = "real_server 10.0.0.{} 80 {{\n    weight {}\n    TCP_CHECK {{\n    }}\n}}"
_UNEVEN = _SERVER.format(11, 1) + "\n" + _SERVER.format(12, 5)
_PAIRS = (("lvs_sched", "lb_algo"), ("lvs_method", "lb_kind"))


@rule(
    "LVS123",
    WARNING,
    "two words for one setting",
    effect="lvs_sched and lb_algo are one setting, lvs_method and lb_kind another: keepalived takes the one that "
    "stands last, and says nothing.",
    hint="keep one of the two",
    bad=virtual("lvs_sched rr\nlb_algo wlc") + instance(),
    good=virtual("lb_algo wlc") + instance(),
    references=("measured with keepalived 2.2.7: its dump shows the last one",),
)
def twice(model: Model) -> Iterator[Hit]:
    for one in model.virtual_servers:
        for lost, last in overruled(one.node, _PAIRS):
            does = "is not balanced" if lost.name in _PAIRS[0] else "does not forward"
            message = f"{last.name} {last.arg()} at line {last.line} overrules it: {one.label} {does} by {lost.arg()}"
            yield Hit(lost, message, related=(last,))


@rule(
    "LVS124",
    WARNING,
    "a granularity that is no mask",
    effect="A number of bits is taken for an address: 24 becomes 0.0.0.24, and clients are told apart by two bits.",
    hint="write a mask, as in `persistence_granularity 255.255.255.0`",
    bad=virtual("persistence_timeout 50\npersistence_granularity 24") + instance(),
    good=virtual("persistence_timeout 50\npersistence_granularity 255.255.255.0") + instance(),
    references=("measured with keepalived 2.2.7: its dump shows 0.0.0.24",),
)
def bits_for_a_mask(model: Model) -> Iterator[Hit]:
    for one in model.virtual_servers:
        found = one.text("persistence_granularity")
        families = {":" in real.host for real in one.real_servers} | ({":" in one.host} if one.host else set())
        if found.given and found.value.isascii() and found.value.isdigit() and families == {False}:
            message = f"keepalived takes {found.value} for the mask 0.0.0.{found.value}, not for a number of bits"
            yield Hit(found.node, message, found.word)


@rule(
    "LVS125",
    WARNING,
    "weights that the scheduler does not read",
    effect="rr, lc and dh look at no weight but 0: every real server gets the same share, the weak one too.",
    hint="write wrr instead of rr, wlc instead of lc, mh or sh instead of dh; or remove the weights",
    bad=virtual("lb_algo rr\n" + _UNEVEN) + instance(),
    good=virtual("lb_algo wrr\n" + _UNEVEN) + instance(),
    references=("man ipvsadm: --scheduler", "Linux: ip_vs_rr.c, ip_vs_lc.c and ip_vs_dh.c skip a weight of 0 alone"),
)
def unread(model: Model) -> Iterator[Hit]:
    for one in model.virtual_servers:
        if one.scheduler.value not in _BLIND:
            continue
        weights = {one.weight_of(real).value for real in one.real_servers} - {0}
        if len(weights) > 1:
            message = (
                f"{one.label} is balanced by {one.scheduler.value}, which reads no weights: those of its real servers, "
                f"{min(weights)} to {max(weights)}, change nothing"
            )
            yield Hit(one.scheduler.node, message, 1)


@rule(
    "LVS127",
    WARNING,
    "a quorum that is not gained again",
    effect="A quorum that was lost counts as gained only when the weights in service reach quorum and hysteresis "
    "together. All of them are less: after one loss, clients stay with the sorry server until a restart.",
    hint="write a hysteresis that the weights of all servers leave room for, or none",
    bad=virtual(f"quorum 2\nhysteresis 1\n{_SERVER.format(11, 1)}\n{_SERVER.format(12, 1)}") + instance(),
    good=virtual(f"quorum 2\nhysteresis 1\n{_SERVER.format(11, 2)}\n{_SERVER.format(12, 2)}") + instance(),
    references=("man keepalived.conf: virtual_server, quorum and hysteresis",),
)
def not_gained_again(model: Model) -> Iterator[Hit]:
    for one in model.virtual_servers:
        total = sum(one.weight_of(real).value for real in one.real_servers)
        wanted, spare = one.number("quorum", 1), one.number("hysteresis", 0)
        if spare.given and spare.value < wanted.value <= total < wanted.value + spare.value:
            needed = wanted.value + spare.value
            message = f"{one.label} needs {needed} to gain its quorum again, but all weights together are {total}"
            yield Hit(spare.node, message, 1, related=(wanted.node,))
