"""What a real server carries: virtual addresses on lo or behind a tunnel, and the route back through the directors."""

from __future__ import annotations

import json
from collections.abc import Iterable

from pydantic import BaseModel

from holdfast.bundle import NETWORK_FILE, BundleFile, NetworkAddress, NetworkGateway, NetworkTunnel

from ..node_view import NodeView, ServedAddress
from ..rendering import Rendering, ownership

# How what arrives is wrapped, and the family of what wraps it: the device that unwraps it, and its kind. The module
# that brings a kind brings its device under this name, into every network namespace; no second one may take all.
_DEVICES = {
    ("ipip", 4): ("tunl0", "ipip"),
    ("ipip", 6): ("ip6tnl0", "ip6tnl"),
    ("gre", 4): ("gre0", "gre"),
    ("gre", 6): ("ip6gre0", "ip6gre"),
    ("gue", 4): ("tunl0", "gue"),
    ("gue", 6): ("ip6tnl0", "gue6"),
}


def render(view: NodeView) -> Rendering:
    """Nothing where the node is no real server, or one behind NAT whose route is not ours."""
    role = view.real_server
    if not role.served and not role.gateways:
        return Rendering()
    parts = {
        "tunnels": _lines(tunnel for served in role.served if (tunnel := tunnel_of(served)) is not None),
        "addresses": _lines(_address(served) for served in role.served),
        "gateways": _lines(NetworkGateway(address=g.address, device=g.interface) for g in role.gateways),
    }
    listed = {name: "[\n  " + ",\n  ".join(lines) + "\n ]" for name, lines in parts.items() if lines}
    body = ",\n".join(f' "{name}": {lines}' for name, lines in listed.items())
    # The first line says whose the file is, as everywhere.
    first = json.dumps(ownership(view.cluster, view.node, "").strip(), ensure_ascii=False)
    return Rendering((BundleFile(path=NETWORK_FILE, content=f'{{"_": {first},\n{body}\n}}\n'),))


def _lines(items: Iterable[BaseModel]) -> list[str]:
    """Each once, in an order that does not depend on where it comes from."""
    return sorted({json.dumps(item.model_dump(mode="json", exclude_none=True)) for item in items})


def tunnel_of(served: ServedAddress) -> NetworkTunnel | None:
    """The device that unwraps what directors send for this address; None where they do not wrap it."""
    if served.forward != "tun":
        return None
    device, kind = _DEVICES[served.tunnel.kind, served.address.version]
    return NetworkTunnel(device=device, kind=kind, port=served.tunnel.port)


def _address(served: ServedAddress) -> NetworkAddress:
    tunnel = tunnel_of(served)
    host = f"{served.address}/{served.address.max_prefixlen}"
    return NetworkAddress(address=host, device=tunnel.device if tunnel else "lo")
