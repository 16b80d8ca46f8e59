"""What a bundle says of LVS beyond its files: modules of the kernel, its table, names of the policy."""

from __future__ import annotations

from holdfast.bundle import RealServerExpectation, VirtualServerExpectation

from .node_view import NodeView, RealServerView, VirtualServerView
from .renderers.network import tunnel_of

# What unwraps each kind of tunnel. To wrap, IPVS needs none of them.
_TUNNEL_MODULES = {
    "ipip": ("ipip",),
    "ip6tnl": ("ip6_tunnel",),
    "gre": ("ip_gre",),
    "ip6gre": ("ip6_gre",),
    "gue": ("fou", "ipip"),
    "gue6": ("fou", "fou6", "ip6_tunnel"),
}


def kernel_modules(view: NodeView) -> tuple[str, ...]:
    """What the node's kernel must have for its virtual servers, and for those whose packets it unwraps."""
    modules = {f"ip_vs_{vs.scheduler}" for vs in view.director.virtual_servers}
    if view.origin and view.origin.schedulers:
        modules |= {"ip_vs", *(f"ip_vs_{scheduler}" for scheduler in view.origin.schedulers)}
    if view.director.virtual_servers:
        modules.add("ip_vs")
    for served in view.real_server.served:
        if tunnel := tunnel_of(served):
            modules |= set(_TUNNEL_MODULES[tunnel.kind])
    return tuple(sorted(modules))


def virtual_servers(view: NodeView) -> tuple[VirtualServerExpectation, ...]:
    """What must be in the kernel's table of a director."""
    return tuple(_expected(vs) for vs in view.director.virtual_servers)


def weight_files(view: NodeView) -> set[str]:
    """The files that drain real servers and change their weights; they begin with 0."""
    return {server.weight_file for vs in view.director.virtual_servers for server in vs.servers}


def scripts(view: NodeView) -> set[str]:
    """Names of the policy's scripts that check real servers."""
    return {vs.check.script for vs in view.director.virtual_servers if vs.check and vs.check.script}


def hooks(view: NodeView) -> set[str]:
    """Names of the policy's hooks that are run when a quorum or a real server changes."""
    return {hook for vs in view.director.virtual_servers for _, hook in (*vs.quorum_hooks, *vs.hooks)}


def _expected(vs: VirtualServerView) -> VirtualServerExpectation:
    return VirtualServerExpectation(
        name=vs.name,
        source=vs.source,
        group=vs.group,
        address=vs.address,
        port=vs.port,
        mark=vs.mark,
        family=vs.family,
        protocol=vs.protocol,
        forward=vs.forward,
        tunnel=vs.tunnel.kind,
        tunnel_port=vs.tunnel.port,
        scheduler=vs.scheduler,
        flags=vs.flags,
        persistence_s=vs.persistence_s,
        persistence_prefix=vs.persistence_prefix,
        one_packet=vs.one_packet,
        servers=tuple(_server(server) for server in vs.servers),
        sorry=(vs.sorry.address, vs.sorry.port) if vs.sorry else None,
    )


def _server(server: RealServerView) -> RealServerExpectation:
    return RealServerExpectation(
        name=server.name,
        address=server.address,
        port=server.port,
        weight=server.weight,
        upper=server.upper or 0,
        lower=server.lower or 0,
        weight_file=server.weight_file,
    )
