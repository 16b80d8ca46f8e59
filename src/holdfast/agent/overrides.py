"""Overrides on this node: kept over reloads and rollbacks, written to weight files, seen in the kernel's table."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from holdfast.agent import ipvs_view, weights
from holdfast.agent.files import replace
from holdfast.agent.hold import read_hold
from holdfast.agent.host.port import Places
from holdfast.agent.services.base import Node
from holdfast.agent.vrrp_state import groups_of
from holdfast.agent.weights import Weighted
from holdfast.bundle import WEIGHT_DIR, Bundle, Service
from holdfast.errors import ApplyError, UsageError
from holdfast.findings import Finding
from holdfast.ipvs.connections import Connection
from holdfast.ipvs.model import Destination, DestinationKey, ServiceKey
from holdfast.protocol import OverrideKind, OverrideReport, Overrides, WeighedServer
from holdfast.sentences import Sentence, joined, said_of

SEEN_WITHIN_S = 2.0  # keepalived follows a file within 50 ms; a busy machine takes longer
_POLL_S = 0.002
_LARGEST = 16_000_000  # bytes


def now() -> datetime:
    """The time that `until` is compared with."""
    return datetime.now(UTC)


def kept_at(places: Places) -> Path:
    """Where they are kept."""
    return places.state / "overrides.json"


def read(places: Places) -> Overrides:
    """All that are known on this node; raises ApplyError where the file is damaged: nothing is guessed from it."""
    path = kept_at(places)
    try:
        return Overrides.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return Overrides()
    except ValidationError as error:
        raise ApplyError(
            Sentence("%(file)s cannot be understood, so it is not known which servers are drained", file=path),
            Sentence("send the overrides again (holdfast overrides --push), or remove the file if there are none"),
        ) from error


def parse(data: bytes) -> Overrides:
    """What somebody sends; raises UsageError."""
    if len(data) > _LARGEST:
        raise UsageError(Sentence("the overrides are larger than %(most)s bytes", most=_LARGEST))
    try:
        sent = Overrides.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "its beginning"
        raise UsageError(
            Sentence("these are no overrides: %(what)s (at %(where)s)", what=first["msg"], where=where),
            "see `holdfast drain`",
        ) from error
    for each in sent.servers:
        if (each.kind is OverrideKind.WEIGHT) is (each.weight is None):
            raise UsageError(
                Sentence(
                    "the override of %(server)s is %(kind)s, with weight %(weight)s",
                    server=each.server,
                    kind=each.kind,
                    weight=each.weight,
                )
            )
    for one in sent.pools:
        if (one.kind is OverrideKind.WEIGHT) is (one.weight is None):
            raise UsageError(
                Sentence(
                    "the override of %(pool)s/%(server)s is %(kind)s, with weight %(weight)s",
                    pool=one.pool,
                    server=one.server,
                    kind=one.kind,
                    weight=one.weight,
                )
            )
    return sent


def keep(places: Places, sent: Overrides) -> None:
    """Take `sent` for all there is, from the next bundle on; raises OSError."""
    text = sent.model_dump_json(indent=1).encode()
    path = kept_at(places)
    if not path.exists() or path.read_bytes() != text:
        replace(path, text)


def put(places: Places, bundle: Bundle) -> tuple[Weighted, ...]:
    """Write every weight file that is not what overrides make it; returns those servers. Raises OSError, ApplyError."""
    changed = []
    for each in weights.weighted(bundle, read(places), now()):
        path = places.at(each.server.weight_file)
        # What reads as 0 and is not there yet is written as well: keepalived may only watch a file that exists.
        if not path.is_file() or read_hold(path) != each.value:
            replace(path, f"{each.value}\n".encode())
            changed.append(each)
    return tuple(changed)


def differences(node: Node, bundle: Bundle) -> tuple[Finding, ...]:
    """How the kernel's table differs from the bundle and its overrides; raises TableUnreadable, ApplyError."""
    if not bundle.expected.virtual_servers:
        return ()
    weighed = {
        (ipvs_view.service_key(each.virtual_server), ipvs_view.destination_key(each.server)): each.wanted
        for each in weighted_now(node.places, bundle)
        if each.override is not None and each.wanted is not None
    }
    return ipvs_view.differences(bundle, node.host.virtual_servers(), weighed)


def tidy(places: Places, bundle: Bundle | None) -> None:
    """Remove weight files of servers that are not directed from here with this bundle; raises OSError."""
    directed = bundle.expected.virtual_servers if bundle else ()
    known = {places.at(server.weight_file) for vs in directed for server in vs.servers}
    folder = places.at(WEIGHT_DIR)
    for inner in sorted(folder.iterdir()) if folder.is_dir() else ():
        if inner.is_dir() and not inner.is_symlink():
            for path in inner.iterdir():
                if path not in known:
                    path.unlink()
            if not any(inner.iterdir()):
                inner.rmdir()


def replace_all(node: Node, bundle: Bundle, sent: Overrides) -> OverrideReport:
    """Take `sent` for all there is, and wait until the kernel's table shows it (for SEEN_WITHIN_S).

    Raises ApplyError, OSError, TableUnreadable.
    """
    places = node.places
    before = {path: read_hold(path) for path in _paths(places, bundle)}
    keep(places, sent)
    started = node.host.monotonic()
    changed = {each.server.weight_file for each in put(places, bundle)}
    seen = _wait(node, bundle, changed, started)
    # 2.2.7, started while a server was suspended, brings it back with weight 0 until its next reload.
    stuck = [
        each
        for each in weighted_now(places, bundle)
        if each.server.weight_file in changed
        and each.wanted
        and before.get(places.at(each.server.weight_file)) == weights.SUSPENDED
        and _weight(node, bundle, each) == 0
    ]
    if stuck and node.manager.status(Service.KEEPALIVED).running:
        node.manager.reload(Service.KEEPALIVED)
        seen = _wait(node, bundle, changed, started)
    return report(node, bundle, changed, seen, reloaded=bool(stuck))


def _paths(places: Places, bundle: Bundle) -> tuple[Path, ...]:
    return tuple(places.at(server.weight_file) for vs in bundle.expected.virtual_servers for server in vs.servers)


def weighted_now(places: Places, bundle: Bundle) -> tuple[Weighted, ...]:
    """Every real server of a bundle, and what the overrides of this moment make of it; raises ApplyError."""
    return weights.weighted(bundle, read(places), now())


def _wait(node: Node, bundle: Bundle, changed: Collection[str], started: float) -> dict[str, float]:
    """When the table showed each changed server as wanted, in seconds after `started`; others are left out.

    The time that it waits begins now: `started` may be longer ago, with a reload in between.
    """
    deadline = node.host.monotonic() + SEEN_WITHIN_S
    waiting = {each.server.weight_file: each for each in weighted_now(node.places, bundle)}
    waiting = {path: each for path, each in waiting.items() if path in changed}
    seen: dict[str, float] = {}
    while waiting:  # ends: at the deadline
        there = ipvs_view.destinations(node.host.virtual_servers())
        passed = node.host.monotonic() - started
        for path, each in tuple(waiting.items()):
            if _as_wanted(each, _find(there, each), strictly=True):
                seen[path] = passed
                del waiting[path]
        if started + passed > deadline:
            break
        if waiting:
            node.host.sleep(_POLL_S)
    return seen


_Table = Mapping[tuple[ServiceKey, DestinationKey], Destination]


def _find(there: _Table, each: Weighted) -> Destination | None:
    return there.get((ipvs_view.service_key(each.virtual_server), ipvs_view.destination_key(each.server)))


def _weight(node: Node, bundle: Bundle, each: Weighted) -> int | None:
    found = _find(ipvs_view.destinations(node.host.virtual_servers()), each)
    return found.weight if found else None


def _as_wanted(each: Weighted, found: Destination | None, strictly: bool) -> bool:
    """A server that is down is in no table: that is right for one that is drained, and no fault of a weight.

    `strictly`: one that should get connections has to be there, and one that is suspended has not.
    """
    if found is None:
        return not (strictly and each.wanted)
    # Suspended, but in the table without weight: so the spec may have it for servers that fail; or not gone yet.
    return found.weight == (each.wanted or 0) and not (strictly and each.wanted is None)


def report(
    node: Node,
    bundle: Bundle,
    changed: Collection[str] = (),
    seen: Mapping[str, float] | None = None,
    *,
    reloaded: bool = False,
) -> OverrideReport:
    """Every real server as it is in the kernel's table now; raises TableUnreadable, ApplyError."""
    places, host = node.places, node.host
    known = read(places)
    all_weighted = weights.weighted(bundle, known, now())
    table = host.virtual_servers() if all_weighted else None
    there = ipvs_view.destinations(table) if table is not None else {}
    overridden = any(each.override for each in all_weighted)
    connections = host.virtual_connections() if overridden else ()
    held = {group.expected.group for group in groups_of(bundle, host, places) if group.holds}
    servers = tuple(
        _row(each, _find(there, each), connections, seen or {}, each.virtual_server.group in held)
        for each in all_weighted
    )
    lacking = ipvs_view.absent(bundle, table) if table is not None else ()
    wrong = [
        (row, each.spoken)
        for row, each in zip(servers, all_weighted, strict=True)
        if _is_wrong(row, each, changed, seen or {})
    ]
    detail = _detail(wrong, lacking)
    return OverrideReport(
        node=bundle.node,
        done=not wrong and not lacking,
        servers=servers,
        expired=tuple(each for each in known.servers if weights.expired(each, now())),
        unknown=weights.unknown(bundle, known),
        reloaded=reloaded,
        sessions_end=host.read_sysctl("net.ipv4.vs.expire_quiescent_template") == "1" if table is not None else True,
        detail=detail,
        said=said_of(detail),
    )


def _is_wrong(row: WeighedServer, each: Weighted, changed: Collection[str], seen: Mapping[str, float]) -> bool:
    """A server without an override may be down, or weigh nothing because it failed; its check decides."""
    if each.override is None:
        return each.server.weight_file in changed and row.weight == 0 and each.server.weight_file not in seen
    return not row.as_wanted


def _row(
    each: Weighted,
    found: Destination | None,
    connections: Collection[Connection],
    seen: Mapping[str, float],
    holds: bool,
) -> WeighedServer:
    key = ipvs_view.service_key(each.virtual_server)
    count = ipvs_view.still_open(key, ipvs_view.destination_key(each.server), connections) if each.override else None
    return WeighedServer(
        virtual_server=each.virtual_server.name,
        source=each.virtual_server.source,
        server=each.server.name,
        kind=each.override.kind if each.override else None,
        wanted=each.wanted,
        weight=found.weight if found else None,
        as_wanted=_as_wanted(each, found, strictly=False),
        holds=holds,
        open=count,
        persistent=found.persistent if found else 0,
        active=found.active if found else None,
        inactive=found.inactive if found else None,
        per_s=found.connections_per_s if found else None,
        seconds=round(seen.get(each.server.weight_file, 0.0), 4),
    )


def _detail(wrong: Collection[tuple[WeighedServer, str]], lacking: Collection[str]) -> str:
    parts = [Sentence("the kernel's table has no virtual server %(names)s", names=name) for name in lacking]
    parts += [
        Sentence(
            "%(server)s of %(virtual_server)s weighs %(weight)s in the kernel's table, not %(wanted)s",
            server=spoken, virtual_server=row.virtual_server, weight=row.weight, wanted=row.wanted or 0,
        )
        for row, spoken in wrong
    ]  # fmt: skip
    return joined(parts[:20])
