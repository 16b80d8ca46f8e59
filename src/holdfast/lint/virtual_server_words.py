"""What goes wrong with the words of a virtual server: two for one setting, and bits where a mask is meant."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.sentences import Sentence

from .model import Model
from .model_values import overruled
from .rule import ERROR, INFO, WARNING, Hit, rule
from .samples import instance, virtual

_MAN = "man keepalived.conf: virtual_server"
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
            does = Sentence("%(label)s does not forward by %(lost)s", label=one.label, lost=lost.arg())
            if lost.name in _PAIRS[0]:
                does = Sentence("%(label)s is not balanced by %(lost)s", label=one.label, lost=lost.arg())
            message = Sentence(
                "%(name)s %(last)s at line %(line)s overrules it: %(does)s",
                name=last.name,
                last=last.arg(),
                line=last.line,
                does=does,
            )
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
            message = Sentence(
                "keepalived takes %(value)s for the mask 0.0.0.%(value)s, not for a number of bits", value=found.value
            )
            yield Hit(found.node, message, found.word)


@rule(
    "LVS128",
    INFO,
    "a sorry server without a port",
    effect="keepalived gives it the virtual server's port, or, behind NAT, for a group and for a mark, none: then the "
    "kernel leaves the port that clients ask for as it is.",
    hint="write the port that it listens on behind its address",
    bad=virtual("sorry_server 10.0.0.21") + instance(),
    good=virtual("sorry_server 10.0.0.21 80") + instance(),
    references=("measured with keepalived 2.2.7: its dump shows the port", "Linux: ip_vs_core.c, ip_vs_schedule"),
)
def portless_sorry(model: Model) -> Iterator[Hit]:
    for one in model.virtual_servers:
        node = one.sorry_server
        if node is not None and len(node.args) == 1 and one.kind == "address":
            message = Sentence(
                "the sorry server of %(label)s has no port: clients come to it at port %(port)s",
                label=one.label,
                port=one.port,
            )
            yield Hit(node, message, 1)


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
            message = Sentence(
                "%(label)s is balanced by %(value)s, which reads no weights: those of its real servers, %(least)s to "
                "%(most)s, change nothing",
                label=one.label,
                value=one.scheduler.value,
                least=min(weights),
                most=max(weights),
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
            message = Sentence(
                "%(label)s needs %(needed)s to gain its quorum again, but all weights together are %(total)s",
                label=one.label,
                needed=needed,
                total=total,
            )
            yield Hit(spare.node, message, 1, related=(wanted.node,))


@rule(
    "LVS121",
    ERROR,
    "persistence by SIP calls for what is no UDP",
    effect="IPVS reads calls out of UDP packets alone: of any other protocol it drops every new connection.",
    hint="remove persistence_engine, or balance the UDP port of SIP with it",
    bad=virtual("persistence_timeout 60\npersistence_engine sip", address="10.0.0.100 5060", server="10.0.0.11 5060")
    + instance(),
    good=virtual(
        "protocol UDP\npersistence_timeout 60\npersistence_engine sip",
        address="10.0.0.100 5060",
        server="10.0.0.11 5060",
    )
    + instance(),
    references=(
        "Linux: net/netfilter/ipvs/ip_vs_pe_sip.c, ip_vs_sip_fill_param (-EINVAL for what is no UDP); ip_vs_core.c,"
        " ip_vs_sched_persist (NF_DROP then): as the source says, not measured",
    ),
)
def sip_without_udp(model: Model) -> Iterator[Hit]:
    for one in model.virtual_servers:
        engine = one.get("persistence_engine")
        if engine is None or engine.arg() != "sip" or one.protocol.value == "UDP" or one.kind == "fwmark":
            continue
        if one.get("persistence_timeout") is None:
            continue  # the kernel asks the engine of persistent services alone
        message = Sentence(
            "%(label)s is %(value)s, and sip counts calls in UDP alone: IPVS drops its connections",
            label=one.label,
            value=one.protocol.value,
        )
        yield Hit(engine, message, 1, related=(one.protocol.node,))


@rule(
    "LVS117",
    INFO,
    "checks once a minute",
    effect="Without delay_loop keepalived checks every 60 seconds: a dead server gets connections that long.",
    hint="add `delay_loop 6`, or what you can bear",
    bad=virtual().replace("    delay_loop 6\n", "") + instance(),
    good=virtual() + instance(),
    references=(f"{_MAN}, delay_loop (default: 60)",),
)
def rare_checks(model: Model) -> Iterator[Hit]:
    for one in model.virtual_servers:
        if one.get("delay_loop") is not None or not one.real_servers:
            continue
        first = one.real_servers[0]
        timed = [check for check in first.checks if check.kind not in ("BFD_CHECK", "FILE_CHECK")]
        if first.get("delay_loop") is None and any(check.get("delay_loop") is None for check in timed):
            yield Hit(
                one.node, Sentence("%(label)s has no delay_loop: its servers are checked every 60 s", label=one.label)
            )
