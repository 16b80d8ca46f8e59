"""Kernel settings of directors and real servers."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.spec.virtual_servers import SYNC_ROUND_MS

from ..node_view import NodeView
from .network import tunnel_of

Setting = tuple[str, str, str]  # key, value, why


def settings(view: NodeView) -> Iterator[Setting]:
    """What the virtual servers that the node directs, and those that it serves, need of the kernel."""
    yield from _director(view)
    yield from _forwarding(view)
    yield from _checks(view)
    if any(served.address.version == 4 for served in view.real_server.served):
        # The highest of `all` and the interface's own counts, so this holds for interfaces that are not in the spec.
        why = "Another node answers for the virtual address: this one must not."
        yield "net.ipv4.conf.all.arp_ignore", "1", why
        yield "net.ipv4.conf.all.arp_announce", "2", "ARP never names an address of another interface."
    for tunnel in sorted({t.device for served in view.real_server.served if (t := tunnel_of(served))}):
        if not tunnel.startswith("ip6"):
            # Loose: the way back to the client must exist, but it leads through another interface.
            why = "What comes out of the tunnel is answered directly."
            yield f"net.ipv4.conf.{tunnel}.rp_filter", "2", why


def _director(view: NodeView) -> Iterator[Setting]:
    director = view.director
    if not director.virtual_servers:
        return
    ends = "1" if director.end_sessions_of_drained else "0"
    why = "Persistent sessions of a drained server are sent elsewhere." if ends == "1" else (
        "Persistent sessions of a drained server stay until they expire."
    )  # fmt: skip
    yield "net.ipv4.vs.expire_quiescent_template", ends, why
    yield (
        "net.ipv4.vs.expire_nodest_conn",
        "1",
        "A connection to a server that was removed ends at once, not in silence.",
    )
    if director.sync:
        # By default the other director hears of a connection with its third packet, then with every 50th: one that says
        # little would be unknown there, or forgotten.
        yield "net.ipv4.vs.sync_threshold", "0 0", "The other directors hear of a connection as soon as it stands."
        yield (
            "net.ipv4.vs.sync_refresh_period",
            str(SYNC_ROUND_MS // 1000),
            "And again after this many seconds, if it is still used.",
        )


def _forwarding(view: NodeView) -> Iterator[Setting]:
    nat = {vs.family for vs in view.director.virtual_servers if vs.forward == "nat"}
    why = "Answers of real servers behind NAT are routed through this node."
    if 4 in nat:
        yield "net.ipv4.ip_forward", "1", why
        # The kernel sends redirects if either `all` or the interface says so.
        for interface in ("all", *view.director.nat_interfaces):
            key = f"net.ipv4.conf.{interface.replace('.', '/')}.send_redirects"
            yield key, "0", "Real servers must not learn of a way that leads around this node."
    if 6 in nat:
        yield "net.ipv6.conf.all.forwarding", "1", why


def _checks(view: NodeView) -> Iterator[Setting]:
    checks = [vs.check for vs in view.director.virtual_servers if vs.check]
    if any(check.kind == "ping" for check in checks):
        # keepalived would widen it by itself, but not from inside a sandbox; where it cannot, it never asks, and all
        # servers count as up. These are systemd's own bounds.
        yield "net.ipv4.ping_group_range", "0 2147483647", "Checks that ping open ICMP sockets."
