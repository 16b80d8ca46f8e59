"""What goes wrong with the checks of real servers: ports, times, protocols, and what they ask for."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.sentences import Sentence

from .model import Model, once
from .model_lvs import Check, RealServer, VirtualServer
from .model_values import address_of, host_of, whole
from .rule import ERROR, INFO, WARNING, Hit, rule
from .samples import instance, virtual

_MAN = "man keepalived.conf: real_server, checkers"
_OF_TCP = frozenset({"TCP_CHECK", "HTTP_GET", "SSL_GET", "SMTP_CHECK"})
_OF_WEB = frozenset({80, 443, 8080, 8443})  # where neither mail nor names are asked for
_SLOW_S = 30.0
_DELAY_S, _CONNECT_S = 60.0, 5.0  # keepalived's defaults
_WEB = ("HTTP_GET", "SSL_GET")
_GET = "HTTP_GET {\n    url {\n        path /\n    }\n}"


@once
def checks(model: Model) -> Iterator[tuple[VirtualServer, RealServer, Check]]:
    """Each check with its servers."""
    for virtual_server, real in model.real_servers():
        for check in real.checks:
            yield virtual_server, real, check


@rule(
    "CHECK101",
    WARNING,
    "a check of another port",
    effect="The check tells of another service: the real one may be dead while the check succeeds, or the other way "
    "round.",
    hint="check the port that serves; if the other port is a health endpoint that knows it, suppress this with a "
    "reason",
    bad=virtual(real="TCP_CHECK {\n    connect_port 8081\n}") + instance(),
    good=virtual(real="TCP_CHECK {\n    connect_port 80\n}") + instance(),
    references=(_MAN,),
)
def other_port(model: Model) -> Iterator[Hit]:
    for virtual_server, real, check in checks(model):
        node = check.get("connect_port")
        if node is None or not check.connects:
            continue
        port = whole(node.arg())
        serves = real.port or virtual_server.port
        if virtual_server.kind == "address" and virtual_server.method_of(real).value != "NAT":
            serves = virtual_server.port or serves
        if serves and port and port != serves:
            mild = INFO if check.kind in _WEB else None
            yield Hit(
                node,
                Sentence(
                    "%(kind)s asks port %(port)s, but %(host)s serves on port %(serves)s",
                    kind=check.kind,
                    port=port,
                    host=real.host,
                    serves=serves,
                ),
                1,
                severity=mild,
            )


@rule(
    "CHECK102",
    WARNING,
    "a check of another host",
    effect="The check tells of another machine: this server may be dead while the check succeeds.",
    hint="remove connect_ip; if this address is the same machine's, suppress this with a reason",
    bad=virtual(real="TCP_CHECK {\n    connect_ip 10.0.0.12\n}") + instance(),
    good=virtual(real="TCP_CHECK {\n    connect_ip 10.0.0.11\n}") + instance(),
    references=(_MAN,),
)
def other_host(model: Model) -> Iterator[Hit]:
    for virtual_server, real, check in checks(model):
        node = check.get("connect_ip")
        found = address_of(node.arg()) if node is not None else None
        if node is not None and found is not None and check.connects and str(found) != real.host:
            message = Sentence("%(kind)s asks %(found)s, not %(host)s", kind=check.kind, found=found, host=real.host)
            if str(found) == virtual_server.host:
                message = Sentence(
                    "%(kind)s asks %(found)s, not %(host)s (the virtual address: whichever server answers)",
                    kind=check.kind,
                    found=found,
                    host=real.host,
                )
            yield Hit(node, message, 1)


@rule(
    "CHECK103",
    WARNING,
    "a check that may take longer than its interval",
    effect="A server that hangs is asked less often than delay_loop says, and its failure is noticed late.",
    hint="set connect_timeout (or misc_timeout) below delay_loop",
    bad=virtual("delay_loop 3", "TCP_CHECK {\n    connect_timeout 10\n}") + instance(),
    good=virtual("delay_loop 6", "TCP_CHECK {\n    connect_timeout 3\n}") + instance(),
    references=(_MAN,),
)
def slow(model: Model) -> Iterator[Hit]:
    for virtual_server in model.virtual_servers:
        outer_delay = virtual_server.seconds("delay_loop")
        outer_limit = virtual_server.get("connect_timeout")
        if outer_delay and outer_delay < _CONNECT_S and outer_limit is None:
            yield from _slow_by_default(virtual_server, outer_delay)
        for real in virtual_server.real_servers:
            for check in real.checks:
                limit = check.get("misc_timeout" if check.kind == "MISC_CHECK" else "connect_timeout")
                if limit is None and check.connects:
                    limit = real.get("connect_timeout") or outer_limit
                if limit is None or (check.kind != "MISC_CHECK" and not check.connects):
                    continue
                seconds = _seconds(limit.arg())
                own = (check.seconds("delay_loop"), real.seconds("delay_loop"), outer_delay)
                delay = next((one for one in own if one), _DELAY_S)
                if seconds > delay:
                    message = Sentence(
                        "%(kind)s of %(host)s may take %(seconds)s s, but is due every %(delay)s s",
                        kind=check.kind,
                        host=real.host,
                        seconds=f"{seconds:g}",
                        delay=f"{delay:g}",
                    )
                    yield Hit(limit, message, 1)


def _slow_by_default(virtual_server: VirtualServer, delay: float) -> Iterator[Hit]:
    """The first check that says nothing of its time, and so has keepalived's 5 s."""
    for real in virtual_server.real_servers:
        for check in real.checks:
            own = [block.get(name) for block in (check, real) for name in ("connect_timeout", "delay_loop")]
            if check.connects and not any(own):
                message = Sentence(
                    "%(kind)s of %(host)s may take %(seconds)s s by default, but is due every %(delay)s s",
                    kind=check.kind,
                    host=real.host,
                    seconds=f"{_CONNECT_S:g}",
                    delay=f"{delay:g}",
                )
                yield Hit(
                    check.node,
                    message,
                    severity=INFO,
                    hint=Sentence("add `connect_timeout %(delay)s`, or less", delay=f"{delay:g}"),
                )
                return


def _seconds(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return 0.0


@rule(
    "CHECK104",
    WARNING,
    "a check of another protocol",
    effect="A TCP port says nothing about a service that speaks UDP, nor the other way round: the check fails for a "
    "healthy server, or succeeds for a dead one.",
    hint="use UDP_CHECK, DNS_CHECK or MISC_CHECK for UDP; TCP_CHECK, HTTP_GET or SMTP_CHECK for TCP",
    bad=virtual("protocol UDP", "TCP_CHECK {\n}") + instance(),
    good=virtual("protocol UDP", "UDP_CHECK {\n}") + instance(),
    references=(_MAN,),
)
def other_protocol(model: Model) -> Iterator[Hit]:
    for virtual_server, real, check in checks(model):
        spoken = virtual_server.protocol
        if not spoken.given:
            continue
        port = whole(check.node.value("connect_port")) or real.port or virtual_server.port
        foreign = (check.kind, port) if port in _OF_WEB else ("", 0)
        wrong = (spoken.value == "UDP" and check.kind in _OF_TCP) or (
            spoken.value == "TCP" and check.kind == "UDP_CHECK"
        )
        if wrong or foreign[0] in ("SMTP_CHECK", "DNS_CHECK"):
            message = Sentence(
                "%(kind)s asks %(host)s another way than its clients, who speak %(spoken)s on port %(port)s",
                kind=check.kind,
                host=real.host,
                spoken=spoken.value,
                port=port,
            )
            yield Hit(check.node, message, related=(spoken.node,))


@rule(
    "CHECK105",
    ERROR,
    "HTTP_GET without a url",
    effect="keepalived 2.2.7 crashes on it, `keepalived -t` too (exit status 139); other releases drop the check.",
    hint="add `url { path / }`",
    bad=virtual(real="HTTP_GET {\n    connect_timeout 3\n}") + instance(),
    good=virtual(real=_GET) + instance(),
    references=("measured with keepalived 2.2.7",),
    replaces=("KA012",),
)
def no_url(model: Model) -> Iterator[Hit]:
    for _, real, check in checks(model):
        if check.kind in _WEB and not any(child.name == "url" and child.has("path") for child in check.node.children):
            message = Sentence(
                "%(kind)s of %(host)s has no url with a path: keepalived crashes", kind=check.kind, host=real.host
            )
            yield Hit(check.node, message, at_end=True)


@rule(
    "CHECK106",
    WARNING,
    "a path that is not one",
    effect="The request line that it makes is no HTTP: servers answer 400, and the check fails for healthy ones.",
    hint="begin the path with a slash",
    bad=virtual(real="HTTP_GET {\n    url {\n        path health\n    }\n}") + instance(),
    good=virtual(real=_GET) + instance(),
    references=("RFC 9112, 3.2.1",),
)
def path(model: Model) -> Iterator[Hit]:
    for _, _, check in checks(model):
        if check.kind not in _WEB:
            continue
        for url in check.node.all("url"):
            found = url.get("path")
            if found is not None and found.arg() and not found.arg().startswith("/"):
                yield Hit(
                    found,
                    Sentence(
                        "the path %(found)s of %(kind)s does not begin with a slash",
                        found=f"{found.arg()!r}",
                        kind=check.kind,
                    ),
                    1,
                )


@rule(
    "CHECK107",
    WARNING,
    "plain HTTP on the port of HTTPS",
    effect="The server expects TLS and refuses what HTTP_GET sends: the check fails for a healthy server.",
    hint="use SSL_GET",
    bad=virtual(real=_GET, address="10.0.0.100 443", server="10.0.0.11 443") + instance(),
    good=virtual(real=_GET.replace("HTTP", "SSL"), address="10.0.0.100 443", server="10.0.0.11 443") + instance(),
    references=(_MAN,),
)
def no_tls(model: Model) -> Iterator[Hit]:
    usual = {("HTTP_GET", 443): "HTTPS", ("HTTP_GET", 8443): "HTTPS", ("SSL_GET", 80): Sentence("plain HTTP")}
    for virtual_server, real, check in checks(model):
        if check.kind not in _WEB:
            continue
        port = check.number("connect_port", real.port or virtual_server.port).value
        spoken = usual.get((check.kind, port))
        if spoken is not None:
            message = Sentence(
                "%(kind)s asks port %(port)s of %(host)s, where %(spoken)s is usual",
                kind=check.kind,
                port=port,
                host=real.host,
                spoken=spoken,
            )
            yield Hit(check.node, message, hint=Sentence("use HTTP_GET") if check.kind == "SSL_GET" else None)


@rule(
    "CHECK108",
    ERROR,
    "a check of something that is not defined",
    effect="keepalived leaves the check out: the server counts as healthy for ever.",
    hint="define it before the virtual server, or correct the name",
    bad=virtual(real="FILE_CHECK {\n    track_file web\n}") + instance(),
    good="track_file web {\n    file /run/web\n    weight 0\n}\n"
    + virtual(real="FILE_CHECK {\n    track_file web\n}")
    + instance(),
    references=(_MAN, "measured with keepalived 2.2.7: 'track_file … not found'"),
    whole=True,
)
def undefined(model: Model) -> Iterator[Hit]:
    names = {"FILE_CHECK": ("track_file", "track_file"), "BFD_CHECK": ("name", "track_bfd")}
    order = {id(node): place for place, node in enumerate(model.root.children)}
    for virtual_server, real, check in checks(model):
        if check.kind not in names:
            continue
        keyword, kind = names[check.kind]
        message: Sentence | None = None
        for node in check.node.all(keyword):
            known = model.definitions.get((kind, node.arg()))
            if not node.arg():
                continue
            if known is None:
                message = Sentence(
                    "there is no %(kind)s %(name)s", kind=kind.replace("track_bfd", "bfd_instance"), name=node.arg()
                )
            elif kind == "track_file" and order[id(known.node)] > order[id(virtual_server.node)]:
                message = Sentence(
                    "%(name)s is defined below, at line %(line)s, where it is too late",
                    name=node.arg(),
                    line=known.node.line,
                )
            elif known.missing:
                message = Sentence(
                    "%(name)s has no %(missing)s, so keepalived leaves it out", name=node.arg(), missing=known.missing
                )
            else:
                continue
            yield Hit(node, Sentence("%(message)s: %(host)s is not checked", message=message, host=real.host), 1)
        if message is not None:
            yield Hit(
                check.node,
                Sentence(
                    "%(message)s: keepalived leaves %(kind)s of %(host)s out",
                    message=message,
                    kind=check.kind,
                    host=real.host,
                ),
                at_end=True,
            )


@rule(
    "CHECK109",
    INFO,
    "a failure that takes long to be believed",
    effect="Until all retries have failed the dead server stays in the table and gets its share of the connections.",
    hint="lower delay_loop, connect_timeout, retry or delay_before_retry",
    bad=virtual("delay_loop 20", "TCP_CHECK {\n    connect_timeout 10\n    retry 3\n    delay_before_retry 10\n}")
    + instance(),
    good=virtual("delay_loop 5", "TCP_CHECK {\n    connect_timeout 2\n    retry 2\n    delay_before_retry 1\n}")
    + instance(),
    references=(_MAN,),
)
def slow_detection(model: Model) -> Iterator[Hit]:
    for virtual_server in model.virtual_servers:
        seen: set[tuple[tuple[str, ...], ...]] = set()
        for real in virtual_server.real_servers:
            alike = tuple([child.words for check in real.checks for child in check.node.children])
            if alike in seen:
                continue
            seen.add(alike)
            late = next((found for check in real.checks if (found := _late(virtual_server, check)) > _SLOW_S), 0.0)
            if late:
                message = Sentence(
                    "a dead server of %(label)s stays for up to %(late)s s (%(host)s)",
                    label=virtual_server.label,
                    late=f"{late:g}",
                    host=real.host,
                )
                yield Hit(real.checks[0].node, message)
                break  # the others of a virtual server are mostly written the same way


def _late(virtual_server: VirtualServer, check: Check) -> float:
    """Seconds from a server's death to its removal, at most; 0 where nothing was said about times."""
    if not check.connects or virtual_server.get("delay_loop") is None:
        return 0.0
    delay = virtual_server.decimal("delay_loop", _DELAY_S).value
    limit = check.decimal("connect_timeout", _CONNECT_S).value
    retries = check.number("retry", check.number("nb_get_retry", 1).value).value
    pause = check.decimal("delay_before_retry", 1.0).value
    return delay + limit + retries * (pause + limit)


@rule(
    "CHECK110",
    WARNING,
    "a source address of another family",
    effect="keepalived drops bindto: the check goes out by another address than was meant.",
    hint="use a bindto of the family of the address that is checked",
    bad=virtual(real="TCP_CHECK {\n    bindto fd00::1\n}") + instance(),
    good=virtual(real="TCP_CHECK {\n    bindto 10.0.0.1\n}") + instance(),
    references=("measured with keepalived 2.2.7: 'does not match address family'",),
)
def bind_family(model: Model) -> Iterator[Hit]:
    for _, real, check in checks(model):
        node = check.get("bindto")
        if node is None:
            continue
        own, asked = address_of(node.arg()), address_of(check.text("connect_ip", real.host).value)
        if own is not None and asked is not None and own.version != asked.version:
            message = Sentence(
                "bindto %(own)s of %(kind)s is not of the family of %(asked)s: keepalived drops it",
                own=own,
                kind=check.kind,
                asked=asked,
            )
            asks, servers = check.get("connect_ip"), address_of(real.host)
            # keepalived compares each with what it knows by then, which is the server's address at first.
            later = (
                asks is not None and asks.line > node.line and servers is not None and servers.version == own.version
            )
            yield Hit(asks if asks is not None and later else node, message, 1)


@rule(
    "CHECK112",
    WARNING,
    "a check that goes out by a virtual address",
    effect="Only the master has the address: on the backup the check cannot be sent, all real servers count as dead "
    "there, and a failover begins without any.",
    hint="remove bindto, or bind to an address that the node always has",
    bad=virtual(real="TCP_CHECK {\n    bindto 10.0.0.100\n}") + instance(),
    good=virtual(real="TCP_CHECK {\n    bindto 10.0.0.1\n}") + instance(),
    references=(_MAN,),
)
def bound_to_a_virtual_address(model: Model) -> Iterator[Hit]:
    for _, _, check in checks(model):
        node = check.get("bindto")
        held = model.held.get(host_of(node.arg())) if node is not None else None
        if node is not None and held is not None:
            message = Sentence(
                "%(address)s is on the master alone: on a backup this %(kind)s cannot be sent, and fails",
                address=node.arg(),
                kind=check.kind,
            )
            yield Hit(node, message, 1, related=(held.node,))
