"""The real servers of keepalived.conf files as what carries the load: whose loss leaves how much."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.failover.model import Backends
from holdfast.keepalived.tree import Configuration, Node

from .taken import whole


def backends_of(files: Mapping[str, Configuration]) -> tuple[Backends, ...]:
    """The virtual servers of all nodes, each once: as the first node has it that has it."""
    found: dict[str, Backends] = {}
    for read in files.values():
        for tree in read.root.all("virtual_server"):
            made = _backends(tree)
            if made.members:
                found.setdefault(made.name, made)
    return tuple(found.values())


def _backends(tree: Node) -> Backends:
    words = ":".join(tree.args[:2]) if tree.arg() not in ("fwmark", "group") else " ".join(tree.args[:2])
    protocol = tree.value("protocol", "TCP").upper()
    weights: dict[str, float] = {}
    usual = whole(tree.value("weight"), 1)
    for server in tree.all("real_server"):
        weight = whole(server.value("weight"), usual)
        weights[server.arg()] = weights.get(server.arg(), 0.0) + weight  # one machine may serve on two ports
    least = whole(tree.value("quorum"), 1) - whole(tree.value("hysteresis"), 0)
    name = f"virtual server {words}" + ("" if protocol == "TCP" else f" {protocol}")
    return Backends(name, weights, least=float(max(least, 0)), sorry=tree.value("sorry_server"))
