"""What a command makes of an overrides file, and how many connections are left: pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from holdfast.agent.weights import file_name
from holdfast.errors import UsageError
from holdfast.protocol import OverrideReport, Overrides, ServerOverride, WeighedServer
from holdfast.spec.cluster import ClusterSpec
from holdfast.spec.overrides import (
    LoadedOverrides,
    Override,
    OverrideKind,
    message_of,
    nearest_server,
    parse_moment,
    servers_meant,
)
from holdfast.spec.overrides_text import with_override, without_override
from holdfast.spec.values import WrongError, parse_duration


@dataclass(frozen=True)
class Wish:
    """What somebody wants of servers; `kind` None ends what was wanted before."""

    kind: OverrideKind | None
    weight: int | None = None
    who: str | None = None
    why: str | None = None
    until: datetime | None = None


def meant(spec: ClusterSpec, server: str, virtual_server: str | None) -> tuple[str, ...]:
    """Servers as the spec writes them; UsageError names what there is."""
    if virtual_server is not None and virtual_server not in spec.virtual_servers:
        known = ", ".join(sorted(spec.virtual_servers))
        raise UsageError(f"there is no virtual server '{virtual_server}'", f"known: {known}")
    found = servers_meant(spec, server, virtual_server)
    if not found:
        where = f"'{virtual_server}' has no server" if virtual_server else "no virtual server has a server"
        raise UsageError(f"{where} '{server}'", nearest_server(spec, server))
    return found


def parse_until(text: str | None, now: datetime) -> datetime | None:
    """`2h` from now, or a moment; UsageError."""
    if text is None:
        return None
    try:
        return now + timedelta(milliseconds=parse_duration(text))
    except WrongError:
        pass
    try:
        until = parse_moment(text)
    except WrongError as wrong:
        raise UsageError(str(wrong), f"{wrong.hint}, or how long from now: 2h") from None
    if until <= now:
        raise UsageError(f"{text} is over already", "name a moment to come, or how long from now: 2h")
    return until


def edited(
    known: LoadedOverrides, cluster: str, servers: Iterable[str], virtual_server: str | None, wish: Wish, now: datetime
) -> str:
    """The file's new text. Without a virtual server, what was said of a server in single ones goes too."""
    text = known.text
    for server in servers:
        everywhere = any(each.key == (server, None) for each in known.overrides)
        if virtual_server is not None and wish.kind is None and everywhere:
            raise UsageError(f"'{server}' is overridden in all its virtual servers", "leave --from out")
        for each in known.overrides:
            if each.server == server and virtual_server in (None, each.virtual_server):
                text = without_override(text, each.key)
        if wish.kind is not None:
            text = with_override(text, cluster, _override(server, virtual_server, wish, now))
    return text


def _override(server: str, virtual_server: str | None, wish: Wish, now: datetime) -> Override:
    return Override(
        server=server,
        virtual_server=virtual_server,
        kind=wish.kind or "drained",
        weight=wish.weight,
        who=wish.who,
        why=wish.why,
        since=now.replace(microsecond=0),
        until=wish.until,
    )


def as_message(overrides: Iterable[Override]) -> Overrides:
    """For the agents of directors."""
    return Overrides(servers=tuple(ServerOverride.model_validate(message_of(each)) for each in overrides))


def rows(report: OverrideReport, servers: Iterable[str], virtual_server: str | None) -> Iterator[WeighedServer]:
    """Of a director's report, those about these servers."""
    names = {file_name(server) for server in servers}
    return (row for row in report.servers if row.server in names and virtual_server in (None, row.source))


def left(reports: Iterable[OverrideReport], servers: Collection[str], virtual_server: str | None) -> int:
    """Connections that have not ended, as the holders of the addresses count them.

    Where sessions of drained servers stay, the clients that are bound to one count as well: they will be back.
    """
    several = [(report, row) for report in reports for row in rows(report, servers, virtual_server)]
    counting = [pair for pair in several if pair[1].holds] or several
    return sum((row.open or 0) + (0 if report.sessions_end else row.persistent) for report, row in counting)
