"""Kernel settings that the other programs rely on, as `key = value` lines."""

from __future__ import annotations

from holdfast.bundle import CONFIG_DIR, BundleFile

from ..node_view import NodeView
from ..rendering import Rendering, ownership
from . import sysctl_lvs

PATH = f"{CONFIG_DIR}/sysctl/sysctl.conf"


def render(view: NodeView) -> Rendering:
    """Nothing where the node needs no setting."""
    settings = _settings(view)
    if not settings:
        return Rendering()
    lines = [ownership(view.cluster, view.node), ""]
    for key, (value, reason) in sorted(settings.items()):
        lines += [f"# {reason}", f"{key} = {value}"]
    return Rendering((BundleFile(path=PATH, content="\n".join(lines) + "\n"),))


def _settings(view: NodeView) -> dict[str, tuple[str, str]]:
    settings: dict[str, tuple[str, str]] = {}
    floating = {held.address.ip for vrrp in view.vrrp for held in vrrp.held}
    listened = {a for proxy in view.proxies for listener in proxy.listeners for a in listener.addresses}
    bind = "A standby listens on addresses that it does not carry yet."
    # A real server has its virtual addresses as long as it is one; but proxies are tried out before it gets them.
    bound = (floating | {served.address for served in view.real_server.served}) & listened
    if any(address.version == 4 for address in bound):
        settings["net.ipv4.ip_nonlocal_bind"] = ("1", bind)
    if any(address.version == 6 for address in bound):
        settings["net.ipv6.ip_nonlocal_bind"] = ("1", bind)
    if any(address.version == 4 for address in floating & view.gateways):
        settings["net.ipv4.ip_forward"] = ("1", "A floating address is the gateway of a network.")
    if any(address.version == 6 for address in floating & view.gateways):
        settings["net.ipv6.conf.all.forwarding"] = ("1", "A floating address is the gateway of a network.")
    carrying = {h.interface for vrrp in view.vrrp for h in vrrp.held if h.address.version == 4}
    for interface in sorted(carrying):
        # "." separates the parts of a key; in an interface's name it is written "/" (sysctl.d(5)).
        key = f"net.ipv4.conf.{interface.replace('.', '/')}"
        settings[f"{key}.arp_ignore"] = ("1", "An address is answered for only where it is carried.")
        settings[f"{key}.arp_announce"] = ("2", "ARP never names an address of another interface.")
    if view.engines("haproxy"):
        # A key of Linux 5.14. The "-" of sysctl.d(5): HAProxy does without it where it is not there, or may not be set.
        why = "HAProxy on a busy machine may open its ports anew at a reload: what waits at the old ones is served."
        settings["-net.ipv4.tcp_migrate_req"] = ("1", why)
    for name, value, reason in sysctl_lvs.settings(view):
        settings.setdefault(name, (value, reason))
    return settings
