"""What goes wrong with virtual servers that are no single address and port: all ports, firewall marks, groups."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from holdfast.keepalived.tree import Node
from holdfast.keepalived.values import address_range
from holdfast.sentences import Sentence

from .model import Model
from .model_values import address_of, whole
from .rule import ERROR, WARNING, Hit, rule
from .samples import instance, virtual

_LAST_PORT = 65_535
_MOST_OF_A_RANGE = 1_024  # addresses; a longer range is a mistake of another kind
_MOST_LOOKED_AT = 100_000  # over all groups
_RANGE = "virtual_server_group web {\n    10.0.0.100-101 80\n}\n"
_HELD = instance("virtual_ipaddress {\n    10.0.0.100/24\n    10.0.0.101/24\n}")
MARK = """virtual_server fwmark 1 {
    lb_algo wlc
    lb_kind DR
    real_server 10.0.0.11 {
        TCP_CHECK {
            connect_port 80
        }
    }
}
"""


@rule(
    "LVS110",
    WARNING,
    "all ports without persistence",
    effect="IPVS balances all ports of an address only for persistent services: keepalived makes this one persistent.",
    hint="name a port, or add `persistence_timeout`",
    bad=virtual(address="10.0.0.100 0", real="TCP_CHECK {\n    connect_port 80\n}", server="10.0.0.11") + instance(),
    good=virtual() + instance(),
    references=(
        "man ipvsadm: port zero",
        "measured with keepalived 2.2.7: 'zero port only valid for persistent services'",
    ),
)
def port_zero(model: Model) -> Iterator[Hit]:
    for one in model.virtual_servers:
        if one.get("persistence_timeout") is not None:
            continue
        if one.kind == "address" and not one.port:
            yield Hit(one.node, Sentence("%(label)s names no port: keepalived makes it persistent", label=one.label), 1)
        group = model.virtual_server_groups.get(one.node.arg(1)) if one.kind == "group" else None
        for line in group.lines if group is not None else ():
            if line.name != "fwmark" and not (whole(line.arg()) or 0):
                message = Sentence(
                    "%(name)s names no port: keepalived makes %(label)s persistent, all of it",
                    name=line.name,
                    label=one.label,
                )
                yield Hit(line, message, related=(one.node,))


@rule(
    "LVS111",
    WARNING,
    "a protocol or port beside a firewall mark",
    effect="A mark says all: keepalived ignores the protocol, and the real servers' ports but for NAT.",
    hint="remove the protocol and the ports; the rule that sets the mark chooses them",
    bad=virtual(address="fwmark 3") + instance(),
    good=MARK + instance(),
    references=("man ipvsadm: --fwmark-service",),
)
def marks(model: Model) -> Iterator[Hit]:
    for one in model.virtual_servers:
        if one.kind != "fwmark":
            continue
        if one.protocol.given:
            yield Hit(
                one.protocol.node,
                Sentence("%(label)s is a firewall mark: keepalived ignores its protocol", label=one.label),
            )
        sorry = one.sorry_server
        if sorry is not None and (whole(sorry.arg(1)) or 0) and one.method.value != "NAT":
            yield Hit(
                sorry,
                Sentence("%(label)s is a firewall mark: keepalived clears the sorry server's port", label=one.label),
                2,
            )
        for real in one.real_servers:
            if real.port and one.method_of(real).value != "NAT":
                yield Hit(
                    real.node,
                    Sentence(
                        "%(label)s is a firewall mark: keepalived clears the port %(port)s",
                        label=one.label,
                        port=real.port,
                    ),
                    2,
                )
        suspend = one.get("ha_suspend")
        if suspend is not None:
            yield Hit(
                suspend,
                Sentence(
                    "%(label)s is a firewall mark: keepalived clears ha_suspend, which needs an address",
                    label=one.label,
                ),
            )


@rule(
    "LVS118",
    ERROR,
    "a firewall mark of 0",
    effect="0 is what packets without a mark have: the kernel refuses such a service, and nothing is balanced.",
    hint="use a mark from 1 up, and the rule that sets it",
    bad=MARK.replace("fwmark 1", "fwmark 0") + instance(),
    good=MARK + instance(),
    references=("man ipvsadm: --fwmark-service (an integer greater than zero)",),
)
def no_mark(model: Model) -> Iterator[Hit]:
    for one in model.virtual_servers:
        if one.kind == "fwmark" and whole(one.node.arg(1)) == 0:
            yield Hit(one.node, Sentence("a firewall mark of 0 marks nothing: the kernel refuses the service"), 2)


@rule(
    "LVS113",
    ERROR,
    "a virtual_server_group that is not there",
    effect="The virtual server has no address at all: nothing is balanced.",
    hint="define the group, or correct its name",
    bad=virtual(address="group web"),
    good="virtual_server_group web {\n    10.0.0.100 80\n}\n" + virtual(address="group web") + instance(),
    references=("man keepalived.conf: virtual_server_group",),
    whole=True,
)
def unknown_group(model: Model) -> Iterator[Hit]:
    for one in model.virtual_servers:
        if one.kind == "group" and one.node.arg(1) not in model.virtual_server_groups:
            yield Hit(
                one.node,
                Sentence("there is no virtual_server_group %(name)s: nothing is balanced", name=one.node.arg(1)),
                2,
            )


def _counts(line: Node) -> bool:
    """Whether an entry is one to keepalived, which skips what it cannot read."""
    if line.name == "fwmark":
        return bool(whole(line.arg()))
    port = whole(line.arg()) if len(line.words) > 1 else 0
    return not address_range(line.name) and port is not None and 0 <= port <= _LAST_PORT


@rule(
    "LVS120",
    WARNING,
    "both address families in one virtual_server_group",
    effect="Real servers are of one family, and IPVS translates none: the entries of the other family lead nowhere, "
    "but through tunnels.",
    hint="write a group, and a virtual_server, for each family",
    bad="virtual_server_group web {\n    10.0.0.100 80\n    2001:db8::100 80\n}\n"
    + virtual(address="group web")
    + instance("virtual_ipaddress_excluded {\n    2001:db8::100/64\n}"),
    good="virtual_server_group web {\n    10.0.0.100 80\n}\n" + virtual(address="group web") + instance(),
    references=("man keepalived.conf: virtual_server_group", "man ipvsadm: --ipip"),
)
def two_families(model: Model) -> Iterator[Hit]:
    users: dict[str, set[str]] = {}
    for one in model.virtual_servers:
        if one.kind == "group":
            users.setdefault(one.node.arg(1), set()).add(one.method.value)
    for group in model.virtual_server_groups.values():
        first = next((line for line in group.lines if line.name != "fwmark"), None)
        if users.get(group.name) == {"TUN"}:
            continue
        for line in group.lines:
            if first is not None and line.name != "fwmark" and (":" in line.name) != (":" in first.name):
                message = Sentence(
                    "%(name)s is of another family than %(first)s: its clients reach no real server",
                    name=line.name,
                    first=first.name,
                )
                yield Hit(line, message, related=(first,))
                break


@rule(
    "LVS114",
    WARNING,
    "a virtual_server_group that nothing uses, or that is empty",
    effect="It balances nothing: keepalived removes an empty group, and keeps one that nothing names to no use.",
    hint="write `virtual_server group NAME { … }`, fill the group, or remove it",
    bad="virtual_server_group web {\n    10.0.0.100 80\n}\n" + instance(),
    good="virtual_server_group web {\n    10.0.0.100 80\n}\n" + virtual(address="group web") + instance(),
    references=("man keepalived.conf: virtual_server_group",),
)
def unused_group(model: Model) -> Iterator[Hit]:
    used = {one.node.arg(1) for one in model.virtual_servers if one.kind == "group"}
    for group in model.virtual_server_groups.values():
        if not any(_counts(line) for line in group.lines):
            message = Sentence("the group %(name)s has no entries: keepalived removes it", name=group.name)
            if group.lines:
                message = Sentence(
                    "the group %(name)s has no entries that keepalived can use: keepalived removes it", name=group.name
                )
            yield Hit(group.node, message, at_end=True)
        elif group.name not in used:
            yield Hit(group.node, Sentence("no virtual_server uses the group %(name)s", name=group.name), 1)


@rule(
    "LVS122",
    WARNING,
    "an ip_family that the addresses contradict",
    effect="keepalived ignores ip_family: the family is that of the virtual server's address, or of its real servers.",
    hint="remove ip_family, or correct it; it is for firewall marks whose servers are behind tunnels",
    bad=virtual("ip_family inet6") + instance(),
    good=virtual("ip_family inet") + instance(),
    references=(
        "man keepalived.conf: virtual_server, ip_family",
        "measured with keepalived 2.2.7: 'family inet6 conflicts with server family'",
    ),
)
def contradicted_family(model: Model) -> Iterator[Hit]:
    for one in model.virtual_servers:
        said = one.get("ip_family")
        wanted = {"inet": 4, "inet6": 6}.get(said.arg()) if said is not None else None
        if said is None or wanted is None:
            continue
        hosts = [one.host, *(real.host for real in one.real_servers if one.method_of(real).value != "TUN")]
        own = next((found for host in hosts if (found := address_of(host)) is not None), None)
        if own is not None and own.version != wanted:
            yield Hit(
                said,
                Sentence(
                    "%(own)s is IPv%(version)s: keepalived ignores this ip_family of %(label)s",
                    own=own,
                    version=own.version,
                    label=one.label,
                ),
                1,
            )


@rule(
    "LVS126",
    WARNING,
    "an address and port that two virtual servers have",
    effect="IPVS knows one service of an address, port and protocol: both fill it, and each one's checks take the "
    "other's servers out.",
    hint="name each address and port once, in one group or in one virtual_server",
    bad=_RANGE + virtual(address="group web") + virtual() + _HELD,
    good=_RANGE + virtual(address="group web") + _HELD,
    references=("man ipvsadm: virtual services", "man keepalived.conf: virtual_server_group"),
)
def in_two(model: Model) -> Iterator[Hit]:
    seen: dict[tuple[str, str, str], Node] = {}
    left = _MOST_LOOKED_AT
    for one in model.virtual_servers:
        if one.kind == "address":
            seen.setdefault((one.host, str(one.port), one.protocol.value), one.node)
    for one in model.virtual_servers:
        group = model.virtual_server_groups.get(one.node.arg(1)) if one.kind == "group" else None
        for line in group.lines if group is not None else ():
            for host in islice(hosts_of(line), max(left, 0)):
                left -= 1
                first = seen.setdefault((host, str(whole(line.arg()) or 0), one.protocol.value), line)
                if first is not line:
                    message = Sentence(
                        "%(host)s port %(port)s stands at line %(line)s already",
                        host=host,
                        port=whole(line.arg()) or 0,
                        line=first.line,
                    )
                    yield Hit(line, message, related=(first,))
                    break


def hosts_of(line: Node) -> Iterator[str]:
    """The addresses of an entry; those of long ranges alone as far as one looks."""
    if line.name == "fwmark" or not _counts(line):
        return
    first, _, last = line.name.partition("/")[0].partition("-")
    begin = address_of(first)
    if begin is None:
        return
    end = address_of(last) if last and ("." in last or ":" in last) else None
    base = 16 if begin.version == 6 else 10
    step = end or (begin + max(int(last, base) - _last_part(str(begin), base), 0) if last else begin)
    for number in range(min(int(step) - int(begin), _MOST_OF_A_RANGE) + 1):
        yield str(begin + number)


def _last_part(host: str, base: int) -> int:
    part = host.replace(":", ".").rpartition(".")[2]
    return int(part, base) if part else 0
