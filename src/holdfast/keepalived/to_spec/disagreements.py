"""What peers should say alike and do not: each node keeps its own, and it is told."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.keepalived.tree import Configuration, Node

from .blocks import Values, head
from .losses import Losses

# What is in the adverts, or decides whether they are taken: members that differ in it hear nothing of each other.
_SPOKEN = ("virtual_ipaddress", "advert_int", "authentication", "version")


def tell_disagreements(origin: Values, files: Mapping[str, Configuration], losses: Mapping[str, Losses]) -> None:
    """Note virtual servers that differ or that a node lacks, and groups whose members do not hear each other."""
    for block in origin.get("virtual_server", ()):
        own: Mapping[str, Values] = block.get("nodes") or {}
        keys = sorted({key for values in own.values() for key in values} - {"address"})
        for node in own:
            at = _server(files[node], str(block.get("address") or own[node].get("address")))
            lacking = [other for other in origin["nodes"] if other not in own]
            if lacking:
                losses[node].differs(at, f"{', '.join(lacking)} does not serve it: after a failover nobody does")
            if len(own) > 1 and keys:
                losses[node].differs(at, f"its nodes differ in {', '.join(keys)}: each keeps its own")
    for name, block in origin.get("vrrp_instance", {}).items():
        own = block.get("nodes") or {}
        keys = [key for key in _SPOKEN if _differ(key, own)]
        for node in own if len(own) > 1 and keys else ():
            at = _instance(files[node], str(own[node].get("name", name)))
            losses[node].differs(at, f"its nodes differ in {', '.join(keys)}: both will hold the addresses, as before")


def _differ(key: str, own: Mapping[str, Values]) -> bool:
    values = [one.get(key) for one in own.values()]
    if key == "virtual_ipaddress":  # the adverts hold the bare addresses: interfaces may differ
        values = [sorted(str(line).partition(" ")[0].partition("/")[0] for line in value or ()) for value in values]
    return any(value != values[0] for value in values)


def _server(read: Configuration, address: str) -> Node:
    return next((one for one in read.root.all("virtual_server") if head(one) == address), read.root)


def _instance(read: Configuration, name: str) -> Node:
    return next((one for one in read.root.all("vrrp_instance") if one.arg() == name), read.root)
