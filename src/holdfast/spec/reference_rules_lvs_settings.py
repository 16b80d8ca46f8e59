"""Rules about a virtual server's own numbers and words: scheduler, quorum, thresholds, checks."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.findings import Severity

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
                "LVS017", (*path, "scheduler", "flags"), f"the scheduler '{scheduler.name}' knows no flags",
                "remove them, or take `sh` or `mh`, which choose by the client's address",
            )  # fmt: skip
        if scheduler.name in _WEIGHTLESS and len({server.weight for server in virtual.servers}) > 1:
            better = {"rr": "wrr", "lc": "wlc", "dh": "mh"}[scheduler.name]
            yield Mistake(
                "LVS032", (*path, "scheduler"), f"'{scheduler.name}' counts no weights: all servers get the same",
                f"take `{better}`, or remove the weights", Severity.WARNING,
            )  # fmt: skip
        if virtual.one_packet and virtual.protocol != "udp":
            yield Mistake(
                "LVS018", (*path, "one_packet"),
                f"{virtual.protocol.upper()} connections have many packets, and each would go to another server",
                "remove `one_packet`, or take `protocol: udp`",
            )  # fmt: skip
        if virtual.forward != "tun" and "tunnel" in virtual.model_fields_set:
            yield Mistake(
                "LVS024", (*path, "tunnel"), f"`forward: {virtual.forward}` uses no tunnel",
                "remove `tunnel`, or write `forward: tun`",
            )  # fmt: skip


def numbers_can_be_reached(spec: ClusterSpec) -> Iterator[Mistake]:
    """A quorum that the servers can reach, and thresholds that leave a way back."""
    for name, virtual in spec.virtual_servers.items():
        path: Path = ("virtual_servers", name)
        quorum = virtual.quorum
        total = sum(server.weight for server in virtual.servers)
        if quorum.weight + quorum.hysteresis > total:
            needed = f"{quorum.weight}" + (f" and {quorum.hysteresis} more" if quorum.hysteresis else "")
            message = f"a quorum of {needed} is never gained: all servers together weigh {total}"
            yield Mistake("LVS022", (*path, "quorum"), message, f"write {total} or less, or add servers")
        elif quorum.hysteresis >= quorum.weight:
            yield Mistake(
                "LVS023", (*path, "quorum", "hysteresis"),
                f"with a hysteresis of {quorum.hysteresis} a quorum of {quorum.weight} is never lost",
                f"write {quorum.weight - 1} or less",
            )  # fmt: skip
        yield from _thresholds(virtual, path)


def _thresholds(virtual: VirtualServer, path: Path) -> Iterator[Mistake]:
    for index, server in enumerate(virtual.servers):
        place: Path = (*path, "servers", index)
        if server.backup:
            yield Mistake(
                "LVS021", (*place, "backup"), "a virtual server knows no backups: all of its servers get traffic",
                "name it as `sorry`, who answers when the others are gone",
            )  # fmt: skip
        if server.resume_below is None:
            continue
        if server.max_connections is None:
            message, hint = "`resume_below` says when `max_connections` ends, and that is missing", "add it, above this"
            yield Mistake("LVS020", (*place, "resume_below"), message, hint)
        elif server.resume_below >= server.max_connections:
            yield Mistake(
                "LVS020", (*place, "resume_below"),
                f"a server with {server.max_connections} connections at most is below {server.resume_below} at once",
                f"write less than {server.max_connections}",
            )  # fmt: skip


def clients_leave_a_dead_server(spec: ClusterSpec) -> Iterator[Mistake]:
    """A server of weight 0 keeps its persistent clients, unless the kernel is told to expire their templates."""
    for name, virtual in spec.virtual_servers.items():
        stays = virtual.failed == "weightless" and spec.directors.sessions_of_drained == "stay"
        if virtual.persistence and stays:
            yield Mistake(
                "LVS034", ("virtual_servers", name, "failed"),
                "persistent clients of a failed server would go on being sent to it: it stays, and so do they",
                "write `failed: removed`, or `directors: {sessions_of_drained: end}`", Severity.WARNING,
            )  # fmt: skip


def somebody_asks_the_real_servers(spec: ClusterSpec) -> Iterator[Mistake]:
    """Every server is asked, and what it is asked tells whether it serves."""
    for name, virtual in spec.virtual_servers.items():
        path: Path = ("virtual_servers", name)
        if virtual.check is None:
            yield Mistake(
                "LVS025", path, f"nobody asks the servers of '{name}': one that died would go on getting its share",
                "give it a `check`, such as `check: {tcp: true}`", Severity.WARNING, key=True,
            )  # fmt: skip
            continue
        check = virtual.check
        if check.timeout > check.every:
            yield Mistake(
                "LVS027", (*path, "check", "timeout"),
                f"an answer is waited for longer ({format_duration(check.timeout)}) than until the next question "
                f"({format_duration(check.every)})",
                "write a `timeout` of at most `every`", Severity.WARNING,
            )  # fmt: skip
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
            f"{portless[0].host} has no port of its own, so nobody knows where to ask it",
            "add `port:` to the check",
        )  # fmt: skip


def _other_protocol(virtual: VirtualServer, check: Check, path: Path) -> Iterator[Mistake]:
    asks = "TCP" if check.kind in _OVER_TCP else "UDP" if check.kind == "udp" else ""
    if not asks or asks.lower() == virtual.protocol or check.port is not None:
        return
    better = "`udp: true`, `ping: true`" if virtual.protocol == "udp" else "`tcp: true`"
    better = "`ping: true`" if virtual.protocol == "sctp" else better
    yield Mistake(
        "LVS019", path,
        f"the clients speak {virtual.protocol.upper()}, but the check asks over {asks}: "
        "a server that does not is taken for dead",
        f"take {better}, or a `script`; or say on which `port` it answers", Severity.WARNING,
    )  # fmt: skip


def who_is_drained_refuses_nobody(spec: ClusterSpec) -> Iterator[Mistake]:
    """A drained server keeps its part of mh's table (Linux 4.18+, `last_weight`); measured: its clients are refused."""
    for name, virtual in spec.virtual_servers.items():
        if virtual.scheduler.name == "mh" and "fallback" not in virtual.scheduler.flags:
            flags = ", ".join(["fallback", *virtual.scheduler.flags])
            yield Mistake(
                "LVS036", ("virtual_servers", name, "scheduler"),
                "while one of the servers is drained, the kernel refuses new connections of the clients whose hash "
                "leads to it, instead of sending them elsewhere",
                f"write `scheduler: {{name: mh, flags: [{flags}]}}`", Severity.WARNING,
            )  # fmt: skip


RULES = (
    schedulers_do_what_is_asked,
    who_is_drained_refuses_nobody,
    numbers_can_be_reached,
    clients_leave_a_dead_server,
    somebody_asks_the_real_servers,
)
