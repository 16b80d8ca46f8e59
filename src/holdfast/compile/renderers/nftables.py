"""Holdfast's own nftables table: VRRP adverts are taken where they belong, and from this link only; the marks by which
one virtual server takes several addresses and ports; and silence about addresses that are on their way."""

from __future__ import annotations

from holdfast.bundle import CONFIG_DIR, BundleFile

from ..node_view import MarkView, NodeView
from ..rendering import Rendering, ownership, template

PATH = f"{CONFIG_DIR}/nftables/holdfast.nft"
_TEMPLATE = template("holdfast.nft.j2", {})


def render(view: NodeView) -> Rendering:
    """Nothing where the node runs no VRRP."""
    if not view.vrrp:
        return Rendering()
    interfaces = sorted({vrrp.interface for vrrp in view.vrrp})
    text = _TEMPLATE(
        ownership=ownership(view.cluster, view.node),
        interfaces=interfaces,
        marks=[(mark.virtual_server, _rule(mark)) for mark in view.director.marks],
        silences=_silences(view),
    )
    return Rendering((BundleFile(path=PATH, content=text),))


def _rule(mark: MarkView) -> str:
    ports = f"{mark.first_port}" if mark.first_port == mark.last_port else f"{mark.first_port}-{mark.last_port}"
    family = "ip" if mark.address.version == 4 else "ip6"
    return f"{family} daddr {mark.address} {mark.protocol} dport {ports} meta mark set {mark.mark}"


def _silences(view: NodeView) -> list[str]:
    """For nodes that forward: matches of their own "host unreachable" about floating addresses (RFC 792, RFC 4443 3.1).

    The address that was asked for stands in the quoted header: 24 bytes from the beginning of ICMP, 32 with IPv6.
    """
    floating = {held.address.ip for vrrp in view.vrrp for held in vrrp.held}
    forwards = {vs.family for vs in view.director.virtual_servers if vs.forward == "nat"}
    forwards |= {address.version for address in floating & view.gateways}
    about = sorted((a for a in floating if a.version in forwards), key=lambda a: (a.version, int(a)))
    return [
        f"icmp type destination-unreachable icmp code host-unreachable @th,192,32 {int(address):#010x}"
        if address.version == 4
        else f"icmpv6 type destination-unreachable icmpv6 code addr-unreachable @th,256,128 {int(address):#034x}"
        for address in about
    ]
