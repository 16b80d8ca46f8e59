"""What goes wrong with virtual servers: protocols, schedulers, quorums, persistence, groups, and addresses nobody "
"holds."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.keepalived.tree import Node
from holdfast.sentences import Sentence

from .model import Model
from .model_lvs import VirtualServer
from .model_values import address_of, host_of, whole
from .rule import ERROR, WARNING, Hit, rule
from .samples import instance, virtual
from .virtual_server_groups import hosts_of

_MAN = "man keepalived.conf: virtual_server"
_UDP_CHECKS = frozenset({"UDP_CHECK", "DNS_CHECK", "PING_CHECK", "MISC_CHECK", "FILE_CHECK", "BFD_CHECK"})
TWO = "real_server 10.0.0.11 80 {\n    TCP_CHECK {\n    }\n}\nreal_server 10.0.0.12 80 {\n    TCP_CHECK {\n    }\n}"


@rule(
    "LVS101",
    ERROR,
    "a virtual server without a protocol",
    effect="keepalived takes it for UDP, not for TCP: no TCP connection to the address is balanced.",
    hint="add `protocol TCP` (or UDP, SCTP)",
    bad=virtual().replace("    protocol TCP\n", "") + instance(),
    good=virtual() + instance(),
    references=(f"{_MAN}, protocol", "measured with keepalived 2.2.7: 'no protocol set - defaulting to UDP'"),
)
def no_protocol(model: Model) -> Iterator[Hit]:
    for one in model.virtual_servers:
        if one.protocol.given or one.get("protocol") is not None or not _by_address(model, one):
            continue
        checks = {check.kind for real in one.real_servers for check in real.checks}
        mild = WARNING if checks and checks <= _UDP_CHECKS else None
        yield Hit(one.node, Sentence("%(label)s has no protocol: keepalived takes UDP", label=one.label), severity=mild)


def _by_address(model: Model, one: VirtualServer) -> bool:
    """Whether a virtual server is reached by addresses, its own or its group's, so that its protocol counts."""
    if one.kind != "group":
        return one.kind == "address"
    group = model.virtual_server_groups.get(one.node.arg(1))
    return group is not None and any(line.name != "fwmark" for line in group.lines)


@rule(
    "LVS102",
    WARNING,
    "a virtual server without a scheduler",
    effect="keepalived takes wlc, weighted least connections.",
    hint="add `lb_algo wlc`, or the one that you mean",
    bad=virtual().replace("    lb_algo wlc\n", "") + instance(),
    good=virtual() + instance(),
    references=(f"{_MAN}, lvs_sched",),
)
def no_scheduler(model: Model) -> Iterator[Hit]:
    for one in model.virtual_servers:
        if not one.scheduler.given:
            yield Hit(one.node, Sentence("%(label)s has no lb_algo: keepalived takes wlc", label=one.label))


@rule(
    "LVS103",
    WARNING,
    "a virtual server without a forwarding method",
    effect="keepalived takes NAT: real servers that do not route their answers through the director never answer.",
    hint="add `lb_kind NAT`, `DR` or `TUN`",
    bad=virtual().replace("    lb_kind DR\n", "") + instance(),
    good=virtual() + instance(),
    references=(f"{_MAN}, lvs_method",),
)
def no_method(model: Model) -> Iterator[Hit]:
    for one in model.virtual_servers:
        if one.method.given or not one.real_servers:
            continue
        if any(real.get("lvs_method") is None for real in one.real_servers):
            yield Hit(one.node, Sentence("%(label)s has no lb_kind: keepalived takes NAT", label=one.label))


@rule(
    "LVS104",
    ERROR,
    "a virtual server without real servers",
    effect="keepalived leaves it out, its sorry server too: connections to the address are refused.",
    hint="add a real_server, or remove the virtual_server",
    bad=virtual("real_server_removed").replace("    real_server_removed\n", "").split("    real_server")[0]
    + "}\n"
    + instance(),
    good=virtual() + instance(),
    references=(_MAN, "measured with keepalived 2.2.7: 'has no real servers - ignoring'"),
)
def no_real_servers(model: Model) -> Iterator[Hit]:
    for one in model.virtual_servers:
        if not one.real_servers:
            yield Hit(one.node, Sentence("%(label)s has no real servers: keepalived leaves it out", label=one.label))


@rule(
    "LVS105",
    WARNING,
    "a quorum that cannot be met",
    effect="keepalived lowers the quorum to the sum of all weights: one lost server then takes the service down, and "
    "quorum_down runs.",
    hint="set the quorum to what must be up at least, and below the sum of the weights",
    bad=virtual("quorum 5") + instance(),
    good=virtual(f"quorum 1\n{TWO}") + instance(),
    references=(f"{_MAN}, quorum", "measured with keepalived 2.2.7: 'exceeds total weight … reducing quorum'"),
)
def quorum(model: Model) -> Iterator[Hit]:
    for one in model.virtual_servers:
        if not one.real_servers:
            continue
        total = sum(one.weight_of(real).value for real in one.real_servers)
        wanted, spare = one.number("quorum", 1), one.number("hysteresis", 0)
        if wanted.given and wanted.value > total > 0:
            message = Sentence(
                "%(label)s wants a quorum of %(value)s, but all weights together are %(total)s",
                label=one.label,
                value=wanted.value,
                total=total,
            )
            yield Hit(wanted.node, message, 1)
        if spare.given and spare.value >= min(wanted.value, max(total, 1)):
            message = Sentence(
                "hysteresis %(value)s is not below the quorum of %(quorum)s: keepalived lowers it",
                value=spare.value,
                quorum=min(wanted.value, total),
            )
            yield Hit(spare.node, message, 1, hint=Sentence("write a hysteresis below the quorum"))


@rule(
    "LVS106",
    ERROR,
    "no real server has a weight",
    effect="IPVS sends nothing to a server of weight 0: every new connection is refused.",
    hint="give the servers a weight of 1 or more; to take one out for a while, leave the others theirs",
    bad=virtual(real="weight 0\nTCP_CHECK {\n}") + instance(),
    good=virtual(real="weight 1\nTCP_CHECK {\n}") + instance(),
    references=("man ipvsadm: --weight",),
)
def all_weights_zero(model: Model) -> Iterator[Hit]:
    for one in model.virtual_servers:
        if one.real_servers and not any(one.weight_of(real).value for real in one.real_servers):
            if any(
                check.kind == "FILE_CHECK" or check.flag("misc_dynamic") for r in one.real_servers for check in r.checks
            ):
                continue
            weight = one.weight_of(one.real_servers[0])
            message = Sentence("all real servers of %(label)s have weight 0: it accepts no connection", label=one.label)
            yield Hit(weight.node, message, weight.word, related=(one.node,))


@rule(
    "LVS107",
    WARNING,
    "a virtual server whose address nobody holds",
    effect="No instance of this file brings the address to this node: packets for it never arrive, unless something "
    "else "
    "does.",
    hint="add the address to virtual_ipaddress or virtual_ipaddress_excluded of an instance, or correct it",
    bad=virtual(address="10.0.0.222 80") + instance(),
    good=virtual() + instance(),
    references=(_MAN, "man keepalived.conf: virtual_ipaddress"),
)
def nobody_holds(model: Model) -> Iterator[Hit]:
    if not model.instances:
        return
    known = set(model.held) | {address.host for address in model.static_addresses}
    for one in model.virtual_servers:
        if one.kind == "address" and address_of(one.host) is not None and one.host not in known:
            yield Hit(
                one.node,
                Sentence(
                    "no vrrp_instance holds %(host)s: it is on no node, unless something else sets it", host=one.host
                ),
                1,
            )
    for group in model.virtual_server_groups.values():
        for line in group.lines:
            lacking = [host for host in hosts_of(line) if host not in known] if "/" not in line.name else []
            if lacking:
                what = lacking[0]
                if lacking[1:]:
                    what = Sentence(
                        "%(first)s and %(count)s more of %(name)s",
                        first=lacking[0],
                        count=len(lacking) - 1,
                        name=line.name,
                    )
                yield Hit(
                    line,
                    Sentence(
                        "no vrrp_instance holds %(host)s: it is on no node, unless something else sets it", host=what
                    ),
                )


@rule(
    "LVS108",
    ERROR,
    "a virtual server twice",
    effect="IPVS knows one service of an address, port and protocol: both blocks fill it, and each check takes the "
    "other's servers out.",
    hint="bring all real servers into one virtual_server",
    bad=virtual() + virtual(server="10.0.0.12 80") + instance(),
    good=virtual(TWO) + instance(),
    references=("man ipvsadm: virtual services",),
)
def twice(model: Model) -> Iterator[Hit]:
    seen: dict[tuple[str, str, str], Node] = {}
    for one in model.virtual_servers:
        first = seen.setdefault(one.key, one.node)
        if first is not one.node:
            message = Sentence(
                "%(label)s %(value)s stands at line %(line)s already",
                label=one.label,
                value=one.protocol.value,
                line=first.line,
            )
            yield Hit(one.node, message, 1, related=(first,))


@rule(
    "LVS109",
    WARNING,
    "one-packet scheduling of a protocol that has connections",
    effect="keepalived drops `ops`: it is for UDP alone.",
    hint="remove ops, or write `protocol UDP`",
    bad=virtual("ops") + instance(),
    good=virtual("ops\nprotocol UDP", "UDP_CHECK {\n}") + instance(),
    references=(f"{_MAN}, ops", "man ipvsadm: --ops"),
)
def ops(model: Model) -> Iterator[Hit]:
    for one in model.virtual_servers:
        found = one.get("ops")
        if found is not None and one.protocol.given and one.protocol.value != "UDP" and _by_address(model, one):
            yield Hit(
                found,
                Sentence(
                    "%(label)s is %(value)s: keepalived drops ops, which is for UDP alone",
                    label=one.label,
                    value=one.protocol.value,
                ),
            )


@rule(
    "LVS112",
    WARNING,
    "persistence with servers that are quiesced",
    effect="A server of weight 0 stays in the table (one that failed, too, with inhibit_on_failure), and persistent "
    "clients go on being sent to it until their time is over.",
    hint="set the sysctl net.ipv4.vs.expire_quiescent_template to 1 on every director, or remove inhibit_on_failure; "
    "remove a server that is to serve nobody",
    bad=virtual("persistence_timeout 3600", "inhibit_on_failure\nTCP_CHECK {\n}") + instance(),
    good=virtual("persistence_timeout 3600", "TCP_CHECK {\n}") + instance(),
    references=("Linux: Documentation/networking/ipvs-sysctl.rst, expire_quiescent_template",),
)
def quiesced(model: Model) -> Iterator[Hit]:
    for one in model.virtual_servers:
        persistence = one.get("persistence_timeout")
        if persistence is None:
            continue
        found = one.flag("inhibit_on_failure") or next(
            (flag for real in one.real_servers if (flag := real.flag("inhibit_on_failure"))), None
        )
        if found is not None:
            message = Sentence(
                "clients of %(label)s stay with a failed server until their persistence ends", label=one.label
            )
            yield Hit(found, message, related=(persistence,))
        for real in one.drained:
            weight = one.weight_of(real)
            message = Sentence(
                "clients of %(label)s that %(host)s knows go on coming to it, whatever its weight",
                label=one.label,
                host=real.host,
            )
            yield Hit(weight.node, message, weight.word, related=(persistence,))


@rule(
    "LVS115",
    WARNING,
    "a setting of another scheduler, or of persistence that is off",
    effect="keepalived ignores it.",
    hint="remove it, or choose the scheduler or the persistence_timeout that it belongs to",
    bad=virtual("persistence_granularity 255.255.255.0") + instance(),
    good=virtual("persistence_timeout 60\npersistence_granularity 255.255.255.0") + instance(),
    references=(_MAN,),
)
def without_effect(model: Model) -> Iterator[Hit]:
    flags = {"sh-port": "sh", "sh-fallback": "sh", "mh-port": "mh", "mh-fallback": "mh", "hashed": "sh"}
    for one in model.virtual_servers:
        for keyword in ("persistence_granularity", "persistence_engine"):
            setting = one.get(keyword)
            if setting is not None and one.get("persistence_timeout") is None:
                yield Hit(
                    setting,
                    Sentence(
                        "%(label)s is not persistent: its %(keyword)s does nothing", label=one.label, keyword=keyword
                    ),
                )
        for name, scheduler in flags.items():
            found = one.get(name)
            if found is not None and one.scheduler.value != scheduler:
                yield Hit(
                    found,
                    Sentence(
                        "%(name)s is for the scheduler %(scheduler)s: %(label)s uses %(used)s",
                        name=name,
                        scheduler=scheduler,
                        label=one.label,
                        used=one.scheduler.value or "wlc",
                    ),
                )


@rule(
    "LVS116",
    WARNING,
    "a sorry server that is no help",
    effect="It is lost together with the real servers, or never used.",
    hint="use a server of its own, on the port of the service (but for NAT), that always has something to say",
    bad=virtual("sorry_server 10.0.0.11 80") + instance(),
    good=virtual("sorry_server 10.0.0.21 80") + instance(),
    references=(f"{_MAN}, sorry_server",),
)
def sorry(model: Model) -> Iterator[Hit]:
    for one in model.virtual_servers:
        node = one.sorry_server
        if node is None:
            inhibit = one.get("sorry_server_inhibit")
            if inhibit is not None:
                yield Hit(
                    inhibit,
                    Sentence("%(label)s has no sorry_server before this: keepalived ignores it", label=one.label),
                )
            continue
        host, port = host_of(node.arg()), whole(node.arg(1)) or 0
        same = next((real for real in one.real_servers if real.host == host and real.port in (port, 0)), None)
        if same is not None:
            message = Sentence(
                "the sorry server of %(label)s is its real server %(host)s: when that fails, so does this",
                label=one.label,
                host=host,
            )
            yield Hit(node, message, 1, related=(same.node,))
        elif host == one.host:
            yield Hit(node, Sentence("the sorry server of %(label)s is the virtual address itself", label=one.label), 1)
        elif one.kind == "address" and port and one.port and port != one.port and _method_of_sorry(one) != "NAT":
            message = Sentence(
                "%(method)s cannot change ports: keepalived sends sorry clients to port %(port)s",
                method=_method_of_sorry(one),
                port=one.port,
            )
            yield Hit(node, message, 2)


@rule(
    "LVS119",
    ERROR,
    "a sorry server of another family",
    effect="keepalived leaves it out: when no real server is left, clients get nothing.",
    hint="use a sorry server of the virtual server's family, or `sorry_server_lvs_method TUN`",
    bad=virtual("sorry_server 2001:db8::21 80") + instance(),
    good=virtual("sorry_server 10.0.0.21 80") + instance(),
    references=("measured with keepalived 2.2.7: 'Address family of virtual server and sorry server … don't match'",),
)
def sorry_family(model: Model) -> Iterator[Hit]:
    for one in model.virtual_servers:
        node = one.sorry_server
        found = address_of(node.arg()) if node is not None else None
        if node is None or found is None or _method_of_sorry(one) == "TUN":
            continue
        family = family_of(model, one)
        if family and found.version != family:
            message = Sentence(
                "%(found)s is not of the family of %(label)s (IPv%(family)s): keepalived leaves it out",
                found=found,
                label=one.label,
                family=family,
            )
            yield Hit(one.node, message, at_end=True, related=(node,))


def family_of(model: Model, one: VirtualServer) -> int:
    """4 or 6: of its address, as it says, of its group, or of its first real server; 0 where nothing says it."""
    own = address_of(one.host)
    said = own.version if own is not None else {"inet": 4, "inet6": 6}.get(one.text("ip_family").value, 0)
    if said:
        return said
    group = model.virtual_server_groups.get(one.node.arg(1)) if one.kind == "group" else None
    hosts = [line.name.partition("-")[0] for line in (group.lines if group is not None else ())]
    hosts += [real.host for real in one.real_servers]
    return next((found.version for host in hosts if (found := address_of(host)) is not None), 0)


def _method_of_sorry(one: VirtualServer) -> str:
    return one.text("sorry_server_lvs_method", one.method.value).value
