"""Which servers somebody means, and what directors say of them: pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from holdfast.agent.weights import file_name
from holdfast.errors import UsageError
from holdfast.protocol import OverrideReport, WeighedServer
from holdfast.spec.cluster import ClusterSpec
from holdfast.spec.overrides import nearest_server, servers_meant


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
