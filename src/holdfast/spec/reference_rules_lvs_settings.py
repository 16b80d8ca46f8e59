"""Rules about a virtual server's own numbers and words: scheduler, quorum, thresholds, checks."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.findings import Severity
from holdfast.sentences import Sentence

from .checks import Check
from .cluster import ClusterSpec
from .mistakes import Mistake
from .positions import Path
from .resolve_lvs import taken_by
from .values import format_duration
from .virtual_servers import VirtualServer

_FLAGGED = ("sh", "mh")
_WEIGHTLESS = ("rr", "lc", "dh")  # of ip_vs's schedulers; the others count weights
_OVER_TCP = ("http", "https", "tcp", "smtp")


def schedulers_do_what_is_asked(spec: ClusterSpec) -> Iterator[Mistake]:
    """Flags belong to the schedulers that hash; weights to those that count them; single packets to UDP."""
    for name, virtual in spec.virtual_servers.items():
        path: Path = ("virtual_servers", name)
        scheduler = virtual.scheduler
        if scheduler.flags and scheduler.name not in _FLAGGED:
            yield Mistake(
                "LVS017",
                (*path, "scheduler", "flags"),
                Sentence("the scheduler '%(name)s' knows no flags", name=scheduler.name),
                Sentence("remove them, or take `sh` or `mh`, which choose by the client's address"),
            )
        if scheduler.name in _WEIGHTLESS and len({server.weight for server in virtual.servers}) > 1:
            better = {"rr": "wrr", "lc": "wlc", "dh": "mh"}[scheduler.name]
            yield Mistake(
                "LVS032",
                (*path, "scheduler"),
                Sentence("'%(name)s' counts no weights: all servers get the same", name=scheduler.name),
                Sentence("take `%(better)s`, or remove the weights", better=better),
                Severity.WARNING,
            )
        if virtual.one_packet and virtual.protocol != "udp":
            yield Mistake(
                "LVS018",
                (*path, "one_packet"),
                Sentence(
                    "%(protocol)s connections have many packets, and each would go to another server",
                    protocol=virtual.protocol.upper(),
                ),
                Sentence("remove `one_packet`, or take `protocol: udp`"),
            )
        if virtual.forward != "tun" and "tunnel" in virtual.model_fields_set:
            yield Mistake(
                "LVS024", (*path, "tunnel"), Sentence("`forward: %(forward)s` uses no tunnel", forward=virtual.forward),
                Sentence("remove `tunnel`, or write `forward: tun`"),
            )  # fmt: skip


def numbers_can_be_reached(spec: ClusterSpec) -> Iterator[Mistake]:
    """A quorum that the servers can reach, and thresholds that leave a way back."""
    for name, virtual in spec.virtual_servers.items():
        path: Path = ("virtual_servers", name)
        quorum = virtual.quorum
        total = sum(server.weight for server in virtual.servers)
        if quorum.weight + quorum.hysteresis > total:
            needed: str = f"{quorum.weight}"
            if quorum.hysteresis:
                needed = Sentence("%(weight)s and %(n)s more", weight=quorum.weight, n=quorum.hysteresis)
            message = Sentence(
                "a quorum of %(needed)s is never gained: all servers together weigh %(total)s",
                needed=needed,
                total=total,
            )
            yield Mistake(
                "LVS022", (*path, "quorum"), message, Sentence("write %(total)s or less, or add servers", total=total)
            )
        elif quorum.hysteresis >= quorum.weight:
            yield Mistake(
                "LVS023",
                (*path, "quorum", "hysteresis"),
                Sentence(
                    "with a hysteresis of %(hysteresis)s a quorum of %(weight)s is never lost",
                    hysteresis=quorum.hysteresis,
                    weight=quorum.weight,
                ),
                Sentence("write %(weight)s or less", weight=quorum.weight - 1),
            )
        yield from _thresholds(virtual, path)


def _thresholds(virtual: VirtualServer, path: Path) -> Iterator[Mistake]:
    for index, server in enumerate(virtual.servers):
        place: Path = (*path, "servers", index)
        if server.backup:
            yield Mistake(
                "LVS021",
                (*place, "backup"),
                Sentence("a virtual server knows no backups: all of its servers get traffic"),
                Sentence("name it as `sorry`, who answers when the others are gone"),
            )
        if server.resume_below is None:
            continue
        if server.max_connections is None:
            message = Sentence("`resume_below` says when `max_connections` ends, and that is missing")
            hint = Sentence("add it, above this")
            yield Mistake("LVS020", (*place, "resume_below"), message, hint)
        elif server.resume_below >= server.max_connections:
            yield Mistake(
                "LVS020",
                (*place, "resume_below"),
                Sentence(
                    "a server with %(max_connections)s connections at most is below %(resume_below)s at once",
                    max_connections=server.max_connections,
                    resume_below=server.resume_below,
                ),
                Sentence("write less than %(max_connections)s", max_connections=server.max_connections),
            )


def clients_leave_a_dead_server(spec: ClusterSpec) -> Iterator[Mistake]:
    """A server of weight 0 keeps its persistent clients, unless the kernel is told to expire their templates."""
    for name, virtual in spec.virtual_servers.items():
        stays = virtual.failed == "weightless" and spec.directors.sessions_of_drained == "stay"
        if virtual.persistence and stays:
            yield Mistake(
                "LVS034",
                ("virtual_servers", name, "failed"),
                Sentence(
                    "persistent clients of a failed server would go on being sent to it: it stays, and so do they"
                ),
                Sentence("write `failed: removed`, or `directors: {sessions_of_drained: end}`"),
                Severity.WARNING,
            )


def somebody_asks_the_real_servers(spec: ClusterSpec) -> Iterator[Mistake]:
    """Every server is asked, and what it is asked tells whether it serves."""
    for name, virtual in spec.virtual_servers.items():
        path: Path = ("virtual_servers", name)
        if virtual.check is None:
            yield Mistake(
                "LVS025",
                path,
                Sentence(
                    "nobody asks the servers of '%(name)s': one that died would go on getting its share", name=name
                ),
                Sentence("give it a `check`, such as `check: {tcp: true}`"),
                Severity.WARNING,
                key=True,
            )
            continue
        check = virtual.check
        if check.timeout > check.every:
            yield Mistake(
                "LVS027",
                (*path, "check", "timeout"),
                Sentence(
                    "an answer is waited for longer (%(timeout)s) than until the next question (%(every)s)",
                    timeout=format_duration(check.timeout),
                    every=format_duration(check.every),
                ),
                Sentence("write a `timeout` of at most `every`"),
                Severity.WARNING,
            )
        yield from _port_of_check(spec, name, virtual, check)
        yield from _other_protocol(virtual, check, (*path, "check", check.kind))


def _port_of_check(spec: ClusterSpec, name: str, virtual: VirtualServer, check: Check) -> Iterator[Mistake]:
    """Where servers keep the port that was asked for, a question needs one of its own."""
    portless = [server for server in virtual.servers if not server.port]
    ports = {port for one in taken_by(spec, name) for port in (one.first, one.last)}
    unknown = not ports and virtual.mark is None  # `on` leads nowhere, which is told already
    if check.port is None and check.kind not in ("ping", "script") and portless and len(ports) != 1 and not unknown:
        yield Mistake(
            "LVS026", ("virtual_servers", name, "check"),
            Sentence("%(host)s has no port of its own, so nobody knows where to ask it", host=portless[0].host),
            Sentence("add `port:` to the check"),
        )  # fmt: skip


def _other_protocol(virtual: VirtualServer, check: Check, path: Path) -> Iterator[Mistake]:
    asks = "TCP" if check.kind in _OVER_TCP else "UDP" if check.kind == "udp" else ""
    if not asks or asks.lower() == virtual.protocol or check.port is not None:
        return
    better = "`udp: true`, `ping: true`" if virtual.protocol == "udp" else "`tcp: true`"
    better = "`ping: true`" if virtual.protocol == "sctp" else better
    yield Mistake(
        "LVS019",
        path,
        Sentence(
            "the clients speak %(protocol)s, but the check asks over %(asks)s: a server that "
            "does not is taken for dead",
            protocol=virtual.protocol.upper(),
            asks=asks,
        ),
        Sentence("take %(better)s, or a `script`; or say on which `port` it answers", better=better),
        Severity.WARNING,
    )


def who_is_drained_refuses_nobody(spec: ClusterSpec) -> Iterator[Mistake]:
    """A drained server keeps its part of mh's table (Linux 4.18+, `last_weight`); measured: its clients are refused."""
    for name, virtual in spec.virtual_servers.items():
        if virtual.scheduler.name == "mh" and "fallback" not in virtual.scheduler.flags:
            flags = ", ".join(["fallback", *virtual.scheduler.flags])
            yield Mistake(
                "LVS036",
                ("virtual_servers", name, "scheduler"),
                Sentence(
                    "while one of the servers is drained, the kernel refuses new connections of "
                    "the clients whose hash leads to it, instead of sending them elsewhere"
                ),
                Sentence("write `scheduler: {name: mh, flags: [%(flags)s]}`", flags=flags),
                Severity.WARNING,
            )


RULES = (
    schedulers_do_what_is_asked,
    who_is_drained_refuses_nobody,
    numbers_can_be_reached,
    clients_leave_a_dead_server,
    somebody_asks_the_real_servers,
)
