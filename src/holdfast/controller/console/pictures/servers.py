"""Virtual servers and the real servers behind them, as a table shows them: what is meant, and what directors see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from holdfast.agent.weights import file_name
from holdfast.protocol import WeighedServer, WhyDown
from holdfast.protocol.api.overrides import OverrideView
from holdfast.spec.cluster import ClusterSpec, Email
from holdfast.spec.overrides import known_servers
from holdfast.spec.resolve_lvs import directors, families, group_of, real_server_address, taken_by
from holdfast.spec.servers import Server
from holdfast.spec.values import format_duration
from holdfast.spec.virtual_servers import VirtualServer

from ...operations.situation import Situation
from ..words import N_
from .checks import CheckWords, check_words

# How a server is, in one word; its state says with which mark it is shown.
STATES = {
    N_("in service"): "ok",
    N_("not checked"): "unknown",
    N_("down"): "bad",
    N_("partly down"): "warning",
    N_("drained"): "off",
    N_("suspended"): "off",
    N_("being drained"): "busy",
    N_("not known"): "unknown",
    N_("not applied yet"): "unknown",
    N_("being changed"): "busy",
}


@dataclass(frozen=True, slots=True)
class Sight:
    """A real server in the kernel's table of one director; `weights` has None for where it is not in the table."""

    node: str
    fresh: bool
    holds: bool
    time: datetime
    weights: tuple[int | None, ...]
    kind: str | None
    as_wanted: bool
    active: int | None
    inactive: int | None
    per_s: int | None
    open: int | None
    persistent: int
    why: WhyDown | None = None  # while its check has taken it out

    @property
    def is_in(self) -> bool:
        """Whether it gets new connections wherever it should."""
        return bool(self.weights) and all(self.weights)

    @property
    def is_out(self) -> bool:
        """Whether it gets none anywhere."""
        return not any(self.weights)

    def state(self, checked: bool) -> str:
        """With which mark it is shown; `checked`: whether anybody asks the server how it is."""
        if not self.fresh:
            return "unknown"
        if not self.as_wanted:
            return "warning"
        if self.is_in:
            return "ok" if checked else "unknown"
        return "off" if self.kind in ("drained", "suspended") else "bad"


@dataclass(frozen=True, slots=True)
class RealServer:
    """A real server: `written` as the spec names it. `override` is what somebody decided about it here."""

    written: str
    host: str
    port: int
    addresses: tuple[str, ...]
    weight: int
    max_connections: int | None
    resume_below: int | None
    word: str
    override: OverrideView | None
    elsewhere: int  # virtual servers that have it, too
    sights: tuple[Sight, ...]
    holder: Sight | None  # whose counts count
    open: int | None  # connections that have not ended, as those who hold the addresses now count them; None: nobody
    everywhere: bool  # whether something was decided about it in all its virtual servers at once

    @property
    def state(self) -> str:
        """With which mark it is shown."""
        return STATES[self.word]

    @property
    def is_empty(self) -> bool:
        """Whether it is known to have no connection left: its holder sends it none, and counts none."""
        return self.word == "drained" and self.holder is not None and self.open == 0

    @property
    def differing(self) -> tuple[Sight, ...]:
        """Directors that see it otherwise than the holder does."""
        if self.holder is None:
            return ()
        return tuple(one for one in self.sights if one.fresh and one.is_in != self.holder.is_in)

    @property
    def whys(self) -> tuple[Sight, ...]:
        """Who says why it is down: the holder, else all who can be heard."""
        said = [one for one in self.sights if one.fresh and one.why is not None]
        return tuple([one for one in said if one.holds] or said)

    @property
    def weight_now(self) -> int | None:
        """The weight that the holder's table shows; None where it is in no table."""
        return self.holder.weights[0] if self.holder and self.holder.weights else None


@dataclass(frozen=True, slots=True)
class VirtualRow:
    """A virtual server. `holders` carry its addresses now, `silent` directors have not said how it is."""

    name: str
    on: tuple[str, ...]
    endpoints: tuple[str, ...]
    group: str | None
    directors: tuple[str, ...]
    holders: tuple[str, ...]
    silent: tuple[str, ...]
    protocol: str
    scheduler: str
    forward: str
    persistence: str
    check: CheckWords | None
    quorum: int
    sorry: str
    hook_up: str
    hook_down: str
    mail_up: bool
    mail_down: bool
    mail_to: tuple[str, ...]
    servers: tuple[RealServer, ...]
    state: str
    word: str

    @property
    def up(self) -> int:
        """How many servers are known to answer."""
        return sum(server.word == "in service" for server in self.servers)

    @property
    def down(self) -> int:
        """How many servers are out though nobody took them out."""
        return sum(server.word in ("down", "partly down") for server in self.servers)

    @property
    def active(self) -> int | None:
        """Connections that are established, by the holder."""
        return _sum(server.holder.active if server.holder else None for server in self.servers)

    @property
    def inactive(self) -> int | None:
        """All others that the holder's kernel remembers."""
        return _sum(server.holder.inactive if server.holder else None for server in self.servers)

    @property
    def per_s(self) -> int | None:
        """New connections in a second, by the holder."""
        return _sum(server.holder.per_s if server.holder else None for server in self.servers)

    @property
    def words(self) -> str:
        """What a filter finds it by."""
        hosts = (f"{one.written} {' '.join(one.addresses)}" for one in self.servers)
        return " ".join((self.name, *self.on, *self.endpoints, self.group or "", *hosts)).lower()


Tables = Mapping[str, Mapping[tuple[str, str], list[WeighedServer]]]


@dataclass(frozen=True, slots=True)
class _Index:
    """What is looked up again and again: servers with their virtual servers, and the directors' tables."""

    known: Mapping[str, tuple[str, ...]]
    tables: Tables


def _index(seen: Situation, spec: ClusterSpec) -> _Index:
    tables: dict[str, dict[tuple[str, str], list[WeighedServer]]] = {}
    for node, heard in seen.heard.items():
        if heard.report.overrides is not None:
            table = tables.setdefault(node, {})
            for row in heard.report.overrides.servers:
                table.setdefault((row.source, row.server), []).append(row)
    return _Index(known_servers(spec), tables)


def rows_of(seen: Situation) -> tuple[VirtualRow, ...]:
    """Every virtual server of the newest spec, in its order."""
    if seen.spec is None:
        return ()
    index = _index(seen, seen.spec)
    return tuple(row_of(seen, seen.spec, name, index) for name in seen.spec.virtual_servers)


def row_of(seen: Situation, spec: ClusterSpec, name: str, index: _Index | None = None) -> VirtualRow:
    """One of them; `name` is in the spec."""
    virtual = spec.virtual_servers[name]
    index = index or _index(seen, spec)
    nodes = directors(spec, name)
    said = {node: index.tables[node] for node in nodes if node in index.tables}
    versions = families(spec, name)
    servers = tuple(
        _server(seen, name, virtual, one, said, index, _addresses(spec, name, one, versions)) for one in virtual.servers
    )
    group = group_of(spec, name)
    holders = next((one.holders for one in seen.told.groups if one.group == group), ())
    silent = tuple(node for node in nodes if node not in said or node not in seen.connected)
    state, word = _status(virtual, servers, holders, nodes, silent)
    email = spec.notify.email
    return VirtualRow(
        name=name,
        on=tuple(_taken(one.target, one.first, one.last) for one in virtual.on) or (f"mark {virtual.mark}",),
        endpoints=_endpoints(spec, name),
        group=group,
        directors=nodes,
        holders=holders,
        silent=silent,
        protocol=virtual.protocol,
        scheduler=" ".join((virtual.scheduler.name, *virtual.scheduler.flags)),
        forward=virtual.forward,
        persistence=format_duration(virtual.persistence.keeps) if virtual.persistence else "",
        check=check_words(virtual.check),
        quorum=virtual.quorum.weight,
        sorry=virtual.sorry.written if virtual.sorry else "",
        hook_up=virtual.hooks.up or "",
        hook_down=virtual.hooks.down or "",
        mail_up=email is not None and "server_up" in spec.notify.on,
        mail_down=email is not None and "server_down" in spec.notify.on,
        mail_to=_recipients(email),
        servers=servers,
        state=state,
        word=word,
    )


def _recipients(email: Email | None) -> tuple[str, ...]:
    return tuple(email.to) if email else ()


def _taken(target: str, first: int, last: int) -> str:
    ports = f"{first}" if first == last else f"{first}-{last}"
    return f"[{target}]:{ports}" if ":" in target else f"{target}:{ports}"


def _endpoints(spec: ClusterSpec, name: str) -> tuple[str, ...]:
    found = (_taken(str(one.address), one.first, one.last) for one in taken_by(spec, name))
    return tuple(dict.fromkeys(found))


def _addresses(spec: ClusterSpec, name: str, server: Server, versions: Iterable[int]) -> tuple[str, ...]:
    found = (real_server_address(spec, name, server.host, version) for version in versions)
    return tuple(str(one) for one in found if one is not None)


def _server(
    seen: Situation,
    name: str,
    virtual: VirtualServer,
    server: Server,
    said: Tables,
    index: _Index,
    addresses: tuple[str, ...],
) -> RealServer:
    override = override_of(seen.told.overrides, server.written, name)
    sights = tuple(_sights(seen, said, name, server))
    fresh = [one for one in sights if one.fresh]
    holder = next((one for one in fresh if one.holds), None)
    return RealServer(
        written=server.written,
        host=server.host,
        port=server.port,
        addresses=addresses,
        weight=server.weight,
        max_connections=server.max_connections,
        resume_below=server.resume_below,
        word=_word(virtual, override, holder, fresh) if sights or not said else "not applied yet",
        override=override,
        elsewhere=len(index.known[server.written]) - 1,
        sights=sights,
        holder=holder,
        open=_sum(one.open for one in fresh if one.holds),
        everywhere=any(
            (one.target, one.virtual_server, one.pool) == (server.written, None, None)
            and one.kind.value != "maintenance"
            for one in seen.told.overrides
        ),
    )


def override_of(overrides: Iterable[OverrideView], server: str, virtual_server: str) -> OverrideView | None:
    """What is in force for a server in a virtual server: what was said of it there counts more."""
    there = [
        one
        for one in overrides
        if one.target == server and one.virtual_server in (None, virtual_server) and one.pool is None and not one.over
    ]
    return max(there, key=lambda one: (one.virtual_server is not None, one.since), default=None)


def _sights(seen: Situation, said: Tables, name: str, server: Server) -> Iterable[Sight]:
    key = (name, file_name(server.written))
    for node, table in said.items():
        if rows := table.get(key):
            yield _sight(node, node in seen.connected, seen.heard[node].time, rows)


def _sight(node: str, fresh: bool, time: datetime, rows: list[WeighedServer]) -> Sight:
    kinds = [row.kind.value for row in rows if row.kind is not None]
    return Sight(
        node=node,
        fresh=fresh,
        holds=any(row.holds for row in rows),
        time=time,
        weights=tuple(dict.fromkeys(row.weight for row in rows)),
        kind=kinds[0] if kinds else None,
        as_wanted=all(row.as_wanted for row in rows),
        active=_sum(row.active for row in rows),
        inactive=_sum(row.inactive for row in rows),
        per_s=_sum(row.per_s for row in rows),
        open=_sum(row.open for row in rows),
        persistent=sum(row.persistent for row in rows),
        why=next((row.why for row in rows if row.why is not None), None),
    )


def _word(virtual: VirtualServer, override: OverrideView | None, holder: Sight | None, fresh: list[Sight]) -> str:
    """By the holder's table; where nobody holds the addresses, by what all say who can be heard."""
    judged = [holder] if holder else fresh
    if not judged:
        return "not known"
    decided = override.kind.value if override else None
    if any(one.kind != decided for one in judged):
        return "being drained" if decided == "drained" else "being changed"
    if decided in ("drained", "suspended"):
        done = all(one.is_out and one.as_wanted for one in judged)
        return decided if done else ("being drained" if decided == "drained" else "being changed")
    if all(one.is_in for one in judged):
        return "in service" if virtual.check else "not checked"
    return "down" if all(one.is_out for one in judged) else "partly down"


def _status(
    virtual: VirtualServer,
    servers: tuple[RealServer, ...],
    holders: tuple[str, ...],
    nodes: tuple[str, ...],
    silent: tuple[str, ...],
) -> tuple[str, str]:
    """(mark, word): only what a holder's table shows is in service."""
    words = {server.word for server in servers}
    if words == {"not applied yet"}:
        return "unknown", N_("not applied yet")
    if not holders:
        return ("unknown", N_("not known")) if set(nodes) <= set(silent) else ("bad", N_("nobody holds it"))
    if len(holders) > 1:
        return "bad", N_("two holders")
    if words <= {"not known", "not applied yet"}:
        return "unknown", N_("not known")
    serving = [one for one in servers if one.word in ("in service", "not checked", "partly down")]
    if not serving:
        return ("warning", N_("sorry server answers")) if virtual.sorry else ("bad", N_("no server left"))
    if words & {"down", "partly down"}:
        return "warning", N_("some servers are down")
    if "in service" not in words:
        return "unknown", N_("not checked")
    return rest_of(words)


def rest_of(words: set[str]) -> tuple[str, str]:
    """(mark, word) where some are in service and none is down: green only if nothing else is to be said of the rest."""
    if words & {"not known", "not applied yet"}:
        return "unknown", N_("some servers are not known")
    if "not checked" in words:
        return "unknown", N_("some servers are not checked")
    if words & {"being drained", "being changed"}:
        return "busy", N_("being changed")
    return "ok", N_("in service")


def _sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
