"""Holdfast's own nftables table: VRRP adverts are taken where they belong, and from this link only."""

from __future__ import annotations

from holdfast.bundle import CONFIG_DIR, BundleFile

from ..node_view import NodeView
from ..rendering import Rendering, ownership, template

PATH = f"{CONFIG_DIR}/nftables/holdfast.nft"
_TEMPLATE = template("holdfast.nft.j2", {})


def render(view: NodeView) -> Rendering:
    """Nothing where the node runs no VRRP."""
    if not view.vrrp:
        return Rendering()
    interfaces = sorted({vrrp.interface for vrrp in view.vrrp})
    text = _TEMPLATE(ownership=ownership(view.cluster, view.node), interfaces=interfaces)
    return Rendering((BundleFile(path=PATH, content=text),))
