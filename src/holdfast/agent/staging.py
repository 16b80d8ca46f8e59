"""What a staged generation needs beside its own files: state that is on this node already, or that begins with it."""

from __future__ import annotations

from holdfast.agent import overrides, pool_overrides
from holdfast.agent.files import create_folder, replace, write_new
from holdfast.agent.generations import Generations
from holdfast.agent.hold import MAY_HOLD
from holdfast.agent.server_lists import listed, overridden
from holdfast.agent.services.base import Node
from holdfast.bundle import CONFIG_DIR, HAPROXY_STATE, Bundle, Service
from holdfast.protocol import Overrides


def create_state_files(node: Node, bundle: Bundle) -> None:
    """Those of the bundle that are not there yet; raises OSError."""
    for path in (*bundle.state_files, *(expected.hold_file for expected in bundle.expected.vrrp)):
        place = node.places.at(path)
        if not place.exists():
            create_folder(place.parent)
            write_new(place, f"{MAY_HOLD}\n".encode(), 0o644)
    if Service.HAPROXY in bundle.services and not node.places.at(HAPROXY_STATE).exists():
        pool_overrides.put_states(node.places, bundle, Overrides(), overrides.now())


def carry_state(node: Node, generations: Generations, bundle: Bundle, name: str, *, read_anew: bool) -> None:
    """Give the lists of servers of generation `name` the marks of the one in use, and what operators override.

    `read_anew`: nginx will read them, so what is wanted now counts. Else it goes on with what it has read, and the
    lists must not say more than that: by a difference it is found that nginx has to be told. OSError, ApplyError.
    """
    generations.carry_state(bundle, name)
    current = generations.current()
    if name == current:
        return
    if read_anew:
        known = overrides.read(node.places)
        pool_overrides.put_lists(bundle, generations.folder(name), known, overrides.now())
        return
    for file in bundle.files:
        if file.state and current is not None:
            _carry_wishes(generations, current, name, file.path.removeprefix(f"{CONFIG_DIR}/"))


def _carry_wishes(generations: Generations, current: str, name: str, path: str) -> None:
    source, target = generations.folder(current) / path, generations.folder(name) / path
    if not source.is_file():
        return
    text = target.read_text(errors="replace")
    wishes = {one.endpoint: one for one in listed(source.read_text(errors="replace")) if one.said}
    if (carried := overridden(text, text, wishes)) != text:
        replace(target, carried.encode())


def put_back(node: Node, generations: Generations, name: str | None, *, read_anew: bool) -> None:
    """Of the generation that is in use again: what proxies read when they are told to. Raises OSError, ApplyError."""
    bundle = generations.bundle(name)
    if bundle is None or name is None:
        return
    known, now = overrides.read(node.places), overrides.now()
    if read_anew:
        pool_overrides.put_lists(bundle, generations.folder(name), known, now)
    pool_overrides.put_states(node.places, bundle, known, now)
