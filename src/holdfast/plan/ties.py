"""Groups that are tied to a program which a change stops: their holder gives them up until its new one answers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from holdfast.bundle import Bundle, Service
from holdfast.keepalived.tree import Configuration, Node

from .changes import Change, made
from .course import holders
from .members import State

ENGINES = (Service.NGINX, Service.HAPROXY)
_DEFINED = {
    "track_script": ("vrrp_script",),
    "track_process": ("vrrp_track_process",),
    "track_file": ("track_file", "vrrp_track_file"),
}
_HTTP = re.compile(r"\bhttps?\b")  # a tracker that asks somebody for an answer
_PORT = re.compile(r":(\d{1,5})\b")


def torn(nodes: Mapping[str, tuple[Bundle | None, Bundle | None]], before: State) -> Iterator[tuple[str, Change]]:
    """(node, change) for each group whose holder stops the engine that it watches; `nodes`: bundles, old and new."""
    held = holders(before)
    for place in before.cluster.places:
        node, name = place
        old, new = nodes.get(node, (None, None))
        tree, group = before.trees.get(node), before.group(place)
        if old is None or new is None or tree is None or node not in held.get(group, ()):
            continue
        for engine in ENGINES:
            ports = frozenset(one.port for one in old.expected.listeners if one.service is engine)
            if engine in old.services and engine not in new.services and _watches(tree, name, str(engine), ports):
                yield node, made("group.tied", f"group {group}", f"it is tied to {engine}, which stops on this node")


def _watches(tree: Configuration, group: str, engine: str, ports: frozenset[int]) -> bool:
    instance = next((one for one in tree.root.all("vrrp_instance") if one.arg() == group), None)
    if instance is None:
        return False
    word = re.compile(rf"\b{engine}\b")
    for kind, defined in _DEFINED.items():
        names = {line.name for line in instance.listed(kind)}
        for block in tree.root.all(*defined):
            if block.arg() in names and any(word.search(said) or _asks(said, ports) for said in _words(block)):
                return True
    return False


def _asks(said: str, ports: frozenset[int]) -> bool:
    """Whether a tracker may ask the engine, which listens on `ports`: in doubt it does, but not if it names another."""
    if not _HTTP.search(said):
        return False
    named = {int(port) for port in _PORT.findall(said)}
    return not named or not ports or not named.isdisjoint(ports)


def _words(block: Node) -> Iterator[str]:
    """What a definition names, without its own name, which a group may have in common with a program."""
    for child in block.children:
        yield from child.args
