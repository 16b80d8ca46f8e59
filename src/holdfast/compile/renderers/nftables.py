"""Holdfast's own nftables table: VRRP adverts are taken where they belong, and from this link only; and the marks by
which one virtual server takes several addresses and ports."""

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
    )
    return Rendering((BundleFile(path=PATH, content=text),))


def _rule(mark: MarkView) -> str:
    ports = f"{mark.first_port}" if mark.first_port == mark.last_port else f"{mark.first_port}-{mark.last_port}"
    family = "ip" if mark.address.version == 4 else "ip6"
    return f"{family} daddr {mark.address} {mark.protocol} dport {ports} meta mark set {mark.mark}"
