"""Servers as the spec writes them: nodes tell of them under the names that files and engines take."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.agent.pool_servers import name_of
from holdfast.agent.weights import file_name
from holdfast.errors import NotFound, SpecError, StoreDamaged
from holdfast.spec.cluster import ClusterSpec
from holdfast.store.store import Store

from .reading import spec_of

Service = tuple[str, str]  # pool or virtual_server, its name
Written = Mapping[tuple[Service, str], str]


def as_written(names: Written, service: Service, server: str) -> str:
    """What people call a server of a service; its own name where the spec has none of that name any more."""
    return names.get((service, server), server)


async def written(store: Store, cluster: str) -> Written:
    """The servers of the newest revision; none where nobody can read it: what nodes say is shown all the same."""
    try:
        newest = await store.cluster(cluster).revisions.newest_number()
        return servers_of((await spec_of(store, cluster, newest)).spec) if newest else {}
    except (NotFound, SpecError, StoreDamaged):
        return {}


def servers_of(spec: ClusterSpec) -> Written:
    """Of each pool and virtual server."""
    found = {
        (("pool", name), name_of(server.written)): server.written
        for name, pool in spec.pools.items()
        for server in pool.servers
    }
    for name, virtual in spec.virtual_servers.items():
        found |= {(("virtual_server", name), file_name(one.written)): one.written for one in virtual.servers}
    return found
