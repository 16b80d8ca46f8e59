"""Rules about the kept shape of imported nodes: the names in it exist."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.sentences import Sentence

from .cluster import ClusterSpec
from .mistakes import Mistake, unknown
from .positions import Path


def origin_nodes_exist(spec: ClusterSpec) -> Iterator[Mistake]:
    """`origin` names nodes of the spec, and its blocks name nodes of `origin`."""
    origin = spec.origin
    if origin is None:
        return
    for index, node in enumerate(origin.nodes):
        if node not in spec.nodes:
            yield unknown("ORIGIN001", ("origin", "nodes", index), Sentence("node"), node, spec.nodes)
    for path, nodes in _blocks(spec):
        for node in nodes:
            if node not in origin.nodes:
                where = Sentence(" in `origin.nodes`")
                yield unknown(
                    "ORIGIN002", (*path, "nodes", node), Sentence("node"), node, origin.nodes, where=where, key=True
                )


def _blocks(spec: ClusterSpec) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """The place of every block of the origin, and the nodes that it names."""
    origin = spec.origin
    for kind in type(origin).model_fields if origin else ():
        found = getattr(origin, kind)
        if isinstance(found, dict):
            yield from ((("origin", kind, name), tuple(block.nodes)) for name, block in found.items())
        elif kind in ("garp_group", "virtual_server"):
            yield from ((("origin", kind, index), tuple(block.nodes)) for index, block in enumerate(found))
        elif kind != "nodes":
            yield ("origin", kind), tuple(found.nodes)


RULES = (origin_nodes_exist,)
