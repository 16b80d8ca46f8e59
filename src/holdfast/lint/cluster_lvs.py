"""What directors must have in common: virtual servers, real servers, the connections that they tell each other."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.keepalived.tree import Node
from holdfast.sentences import Sentence

from .cluster_model import DEFAULT, global_place, label, named, pair, shared
from .model import Model
from .model_lvs import RealServer, VirtualServer, VirtualServerGroup
from .model_values import host_of, whole
from .rule import ERROR, INFO, WARNING, Hit, cluster_rule
from .samples import instance, virtual

_MAN = "man keepalived.conf: virtual_server"
_DAEMON = "man keepalived.conf: lvs_sync_daemon"
_SETTINGS = {
    "method": ("lvs_method", "lb_kind"),
    "scheduler": ("lvs_sched", "lb_algo"),
    "persistence_timeout": ("persistence_timeout",),
    "persistence_granularity": ("persistence_granularity",),
    "quorum": ("quorum",),
    "sorry_server": ("sorry_server",),
    "ops": ("ops",),
}
_NOT_SET = Sentence("(not set)")
Key = tuple[str, str, str]


def _servers(model: Model) -> dict[Key, VirtualServer]:
    return {one.key: one for one in reversed(model.virtual_servers)}


def _pairs(models: tuple[Model, ...]) -> Iterator[tuple[Model, Model, VirtualServer, VirtualServer]]:
    """(model, first one that has it, its virtual server, the first one's): for every virtual server after its first."""
    first: dict[Key, tuple[Model, VirtualServer]] = {}
    for model in models:
        for key, one in _servers(model).items():
            known, other = first.setdefault(key, (model, one))
            if known is not model:
                yield model, known, one, other


@cluster_rule(
    "PEER141",
    ERROR,
    "a virtual server that a peer does not have",
    effect="After a failover the peer holds the address and refuses the connections.",
    hint="write the same virtual servers on all directors; an include of one file for all of them keeps them the same",
    bad=pair(instance() + virtual() + virtual(address="10.0.0.100 443"), instance() + virtual()),
    good=pair(instance() + virtual(), instance() + virtual()),
    references=(_MAN,),
)
def missing_virtual_server(models: tuple[Model, ...]) -> Iterator[Hit]:
    moving = [
        ({id(member.model) for member in one.members}, frozenset().union(*(member.held for member in one.members)))
        for one in shared(models)
    ]
    moved = frozenset(host for _, hosts in moving for host in hosts)
    for model in models:
        for other in models:
            between = [hosts for nodes, hosts in moving if {id(model), id(other)} <= nodes]
            if other is model or (moving and not between):
                continue  # nothing moves between the two: they are of two groups
            theirs = _servers(other)
            for key, one in _servers(model).items():
                taken_over = any(one.host in hosts for hosts in between)
                if key not in theirs and (taken_over or one.host not in moved):
                    # Marks and addresses that do not move between the two may be meant for one node.
                    severity = None if taken_over else WARNING
                    message = Sentence(
                        "%(label)s has no virtual server %(service)s for when it takes over",
                        label=label(other),
                        service=one.label,
                    )
                    yield Hit(one.node, message, 1, severity=severity)


@cluster_rule(
    "PEER142",
    WARNING,
    "peers with different real servers",
    effect="After a failover clients meet other servers: some get more than they can take, those that are missing get "
    "nothing.",
    hint="write the same real servers on all directors",
    bad=pair(
        instance() + virtual(),
        instance() + virtual("real_server 10.0.0.12 80 {\n    TCP_CHECK {\n    }\n}"),
    ),
    good=pair(instance() + virtual(), instance() + virtual()),
    references=(_MAN,),
)
def different_real_servers(models: tuple[Model, ...]) -> Iterator[Hit]:
    for model, known, one, other in _pairs(models):
        ours, theirs = _real(one), _real(other)
        more, less = ours.keys() - theirs.keys(), theirs.keys() - ours.keys()
        if more:
            place = next(node for endpoint, node in ours.items() if endpoint in more).node
            yield Hit(
                place,
                Sentence(
                    "%(label)s has %(named)s here, but not on %(other)s",
                    label=one.label,
                    named=named(_endpoints(more)),
                    other=label(known),
                ),
                1,
            )
        if less:
            message = Sentence(
                "%(label)s lacks %(named)s here, as it has on %(other)s",
                label=one.label,
                named=named(_endpoints(less)),
                other=label(known),
            )
            yield Hit(one.node, message, 1, related=(other.node,))
        del model


def _real(one: VirtualServer) -> dict[tuple[str, int], RealServer]:
    return {(real.host, real.port or one.port): real for real in reversed(one.real_servers)}


def _endpoints(found: set[tuple[str, int]]) -> list[str]:
    return [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in found]


@cluster_rule(
    "PEER143",
    WARNING,
    "a virtual server that peers run in different ways",
    effect="After a failover connections are spread, kept or forwarded otherwise; with another method the real "
    "servers do not even answer.",
    hint="write the same settings on all directors",
    bad=pair(instance() + virtual("lb_algo wlc"), instance() + virtual("lb_algo rr")),
    good=pair(instance() + virtual("lb_algo wlc"), instance() + virtual("lb_algo wlc")),
    references=(_MAN,),
)
def otherwise(models: tuple[Model, ...]) -> Iterator[Hit]:
    for _, known, one, other in _pairs(models):
        for name, keywords in _SETTINGS.items():
            ours, theirs = one.get(*keywords), other.get(*keywords)
            said, as_said = _said(ours), _said(theirs)
            if said.upper() == as_said.upper():
                continue
            message = Sentence(
                "%(name)s of %(label)s is %(ours)s here, %(theirs)s on %(other)s",
                name=name,
                label=one.label,
                ours=said or _NOT_SET,
                theirs=as_said or _NOT_SET,
                other=label(known),
            )
            severity = ERROR if name == "method" and said and as_said else None
            yield Hit(ours or one.node, message, 1, severity=severity, related=(theirs or other.node,))


def _said(node: Node | None) -> str:
    return "" if node is None else " ".join(host_of(word) for word in node.args) or "on"


@cluster_rule(
    "PEER144",
    INFO,
    "real servers that peers weigh or check in different ways",
    effect="After a failover a server gets another share, or is taken out at another time.",
    hint="write the same weight and the same checks on all directors",
    bad=pair(
        instance() + virtual(real="weight 1\nTCP_CHECK {\n}"), instance() + virtual(real="weight 5\nTCP_CHECK {\n}")
    ),
    good=pair(instance() + virtual(), instance() + virtual()),
    references=("man keepalived.conf: real_server",),
)
def weighed_otherwise(models: tuple[Model, ...]) -> Iterator[Hit]:
    for _, known, one, other in _pairs(models):
        theirs = _real(other)
        for endpoint, real in _real(one).items():
            twin = theirs.get(endpoint)
            if twin is None:
                continue
            where = Sentence("%(server)s of %(label)s", server=named(_endpoints({endpoint})), label=one.label)
            if real.weight.value != twin.weight.value:
                message = Sentence(
                    "%(where)s has weight %(value)s here, %(theirs)s on %(label)s",
                    where=where,
                    value=real.weight.value,
                    theirs=twin.weight.value,
                    label=label(known),
                )
                yield Hit(real.weight.node, message, 1, related=(twin.weight.node,))
            kinds = [sorted(check.kind for check in both.checks) for both in (real, twin)]
            if kinds[0] != kinds[1]:
                said = [", ".join(found) or Sentence("nothing") for found in kinds]
                message = Sentence(
                    "%(where)s is checked by %(said)s here, by %(theirs)s on %(label)s",
                    where=where,
                    said=said[0],
                    theirs=said[1],
                    label=label(known),
                )
                yield Hit(real.node, message, 1, related=(twin.node,))


_SYNC = "global_defs {\n    lvs_sync_daemon eth0 web id 5\n}\n"


@cluster_rule(
    "PEER145",
    ERROR,
    "sync daemons that do not hear each other",
    effect="The backup director does not know the connections: at a failover all of them break.",
    hint="write the same id, group, port and family of lvs_sync_daemon on all directors",
    bad=pair(_SYNC + instance() + virtual(), _SYNC.replace("id 5", "id 6") + instance() + virtual()),
    good=pair(_SYNC + instance() + virtual(), _SYNC + instance() + virtual()),
    references=(_DAEMON,),
)
def deaf_daemons(models: tuple[Model, ...]) -> Iterator[Hit]:
    daemons = [(model, node) for model in models if (node := model.global_defs.get("lvs_sync_daemon")) is not None]
    if not daemons:
        return
    first, reference = daemons[0]
    for model, node in daemons[1:]:
        for name, default in (("id", _first_id(first)), ("group", ""), ("port", "8848")):
            ours, theirs = (
                _option(node, name, _default(model, name, default)),
                _option(reference, name, _default(first, name, default)),
            )
            if ours != theirs:
                message = Sentence(
                    "the sync daemon has %(name)s %(ours)s here, %(theirs)s on %(label)s",
                    name=name,
                    ours=ours or DEFAULT,
                    theirs=theirs or DEFAULT,
                    label=label(first),
                )
                yield Hit(node, message, related=(reference,))
    with_daemon = {id(model) for model, _ in daemons}
    for model in models:
        if id(model) not in with_daemon and model.virtual_servers:
            message = Sentence(
                "%(label)s has an lvs_sync_daemon, %(other)s has none: it knows no connection",
                label=label(first),
                other=label(model),
            )
            yield Hit(global_place(model), message, severity=WARNING, related=(reference,))


def _default(model: Model, name: str, default: str) -> str:
    return _first_id(model) if name == "id" else default


def _first_id(model: Model) -> str:
    """Without an id keepalived takes the virtual_router_id of the daemon's instance."""
    node = model.global_defs.get("lvs_sync_daemon")
    wanted = node.arg(1) if node is not None else ""
    found = next((one for one in model.instances if one.name == wanted), None)
    return str(found.vrid.value) if found is not None else "0"


def _option(node: Node, name: str, default: str) -> str:
    """What stands behind `name`; the id may also be the third word, as older releases have it."""
    words = node.args
    if name in words[:-1]:
        return words[words.index(name) + 1]
    if name == "id" and len(words) > 2 and whole(words[2]) is not None:
        return words[2]
    return default


@cluster_rule(
    "PEER146",
    WARNING,
    "a real server that is one of the directors",
    effect="With DR or TUN the backup director, which has the address on lo, takes what the master sends it for a new "
    "connection to balance, and may send it back: packets go round in a circle.",
    hint="keep directors and real servers apart; or mark on each node what comes from the other director, and balance "
    "only the rest",
    bad=pair(
        instance("unicast_src_ip 10.0.0.11\nunicast_peer {\n    10.0.0.12\n}") + virtual(),
        instance("unicast_src_ip 10.0.0.12\nunicast_peer {\n    10.0.0.11\n}") + virtual(),
    ),
    good=pair(
        instance("unicast_src_ip 10.0.0.1\nunicast_peer {\n    10.0.0.2\n}") + virtual(),
        instance("unicast_src_ip 10.0.0.2\nunicast_peer {\n    10.0.0.1\n}") + virtual(),
    ),
    references=("keepalived issue 2450", "lvs-howto: localnode, two-box clusters"),
)
def director_as_real_server(models: tuple[Model, ...]) -> Iterator[Hit]:
    directors = {
        one.source.value: model for model in models for one in model.instances if one.source.value and one.peers
    }
    for model in models:
        for virtual_server, real in model.real_servers():
            director = directors.get(real.host)
            if director is not None and virtual_server.method_of(real).value.upper() != "NAT":
                message = Sentence(
                    "%(host)s, a real server of %(label)s, is the director %(other)s",
                    host=real.host,
                    label=virtual_server.label,
                    other=label(director),
                )
                yield Hit(real.node, message, 1)


_WEB = "virtual_server_group web {\n    10.0.0.100 80\n    10.0.0.100 443\n}\n"
_GROUPED = virtual(address="group web", server="10.0.0.11", real="TCP_CHECK {\n    connect_port 80\n}")


@cluster_rule(
    "PEER147",
    ERROR,
    "a virtual_server_group that peers fill in different ways",
    effect="After a failover what the peer's group lacks is refused.",
    hint="write the same lines in the group on all directors",
    bad=pair(instance() + _WEB + _GROUPED, instance() + _WEB.replace("    10.0.0.100 443\n", "") + _GROUPED),
    good=pair(instance() + _WEB + _GROUPED, instance() + _WEB + _GROUPED),
    references=("man keepalived.conf: virtual_server_group",),
)
def different_server_groups(models: tuple[Model, ...]) -> Iterator[Hit]:
    first: dict[str, tuple[Model, VirtualServerGroup]] = {}
    for model in models:
        for name, one in model.virtual_server_groups.items():
            known, other = first.setdefault(name, (model, one))
            ours, theirs = _entries(one), _entries(other)
            for words in list(ours.keys() - theirs.keys())[:1]:
                yield Hit(
                    ours[words],
                    Sentence(
                        "%(words)s is not in the group %(name)s of %(label)s",
                        words=" ".join(words),
                        name=name,
                        label=label(known),
                    ),
                )
            for words in list(theirs.keys() - ours.keys())[:1]:
                message = Sentence(
                    "the group %(name)s lacks %(words)s, as it has on %(label)s",
                    name=name,
                    words=" ".join(words),
                    label=label(known),
                )
                yield Hit(one.node, message, 1, related=(theirs[words],))


def _entries(group: VirtualServerGroup) -> dict[tuple[str, ...], Node]:
    return {tuple(host_of(word) for word in line.words): line for line in group.lines}
