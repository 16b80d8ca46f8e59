"""From the kept shape of imported nodes to the blocks that one node has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.bundle import PROBE_DIR, HeldAddress, ImportedGroupExpectation
from holdfast.spec.cluster import ClusterSpec
from holdfast.spec.origin import Block, Form, Origin, SecretName, on_node
from holdfast.spec.origin.instances import Instance

# Kinds of blocks that bear names, in the order in which they are written: what others lean on comes first.
NAMED = (
    "track_group",
    "track_file",
    "vrrp_script",
    "vrrp_track_process",
    "bfd_instance",
    "vrrp_sync_group",
    "vrrp_instance",
    "virtual_server_group",
)
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_CALL = re.compile(rf"{re.escape(PROBE_DIR)}/probe (script|hook) ([A-Za-z0-9][A-Za-z0-9._-]{{0,62}})(?![A-Za-z0-9._-])")
_PRIORITY, _OWNER = 100, 255  # what keepalived takes where no number is given


@dataclass(frozen=True)
class OriginView:
    """What an imported node keeps: (keyword, words behind it, block) in order, and the passwords that they name."""

    outside: Block | None
    blocks: tuple[tuple[str, str, Block], ...]
    secrets: tuple[tuple[str, str], ...]

    @property
    def schedulers(self) -> tuple[str, ...]:
        """The schedulers of its virtual servers, without repetition; rr where nothing is said, as keepalived does."""
        found = [
            getattr(block, "lvs_sched", None) or getattr(block, "lb_algo", None) or "rr"
            for kind, _, block in self.blocks
            if kind == "virtual_server"
        ]
        return tuple(dict.fromkeys(found))


def origin_view(spec: ClusterSpec, node: str, secrets: dict[str, str]) -> OriginView | None:
    """The node's part of `origin`; None where it has none."""
    origin = spec.origin
    if origin is None or node not in origin.nodes:
        return None
    blocks = tuple(_blocks(origin, node))
    named = {name for _, _, block in blocks for name in _secrets_of(block)}
    return OriginView(
        outside=on_node(origin.outside, origin.outside.nodes, node),
        blocks=blocks,
        secrets=tuple(sorted((name, secrets[name]) for name in named if name in secrets)),
    )


def names_called(view: OriginView, kind: str) -> frozenset[str]:
    """The names of the node's policy that kept commands call through the probe; `kind` is script or hook."""
    texts = (text for _, _, block in view.blocks for text in _commands(block))
    return frozenset(found[2] for text in texts if (found := _CALL.search(text)) and found[1] == kind)


def _commands(block: Block) -> Iterator[str]:
    for _, form, value in written(block):
        if form is Form.COMMAND:
            yield str(value)
        elif form is None:
            for inner in value if isinstance(value, tuple) else (value,):
                yield from _commands(inner) if isinstance(inner, Block) else ()


def imported_groups(view: OriginView) -> tuple[ImportedGroupExpectation, ...]:
    """What the holder of each kept instance carries, as far as the file says it: no virtual MACs, no odd names."""
    settings = next((block for kind, _, block in view.blocks if kind == "global_defs"), None)
    found = (
        _imported_group(name, block, getattr(settings, "default_interface", None))
        for kind, name, block in view.blocks
        if kind == "vrrp_instance" and isinstance(block, Instance)
    )
    return tuple(group for group in found if group is not None)


def _imported_group(name: str, block: Instance, default: str | None) -> ImportedGroupExpectation | None:
    interface = block.interface or default
    if not _SAFE.fullmatch(name) or block.virtual_router_id is None or not interface:
        return None
    if block.use_vmac or block.use_ipvlan:
        return None  # the addresses are on an interface that keepalived makes
    lines = [line.split() for line in (*(block.virtual_ipaddress or ()), *(block.virtual_ipaddress_excluded or ()))]
    if not lines or any("peer" in words for words in lines):
        return None
    return ImportedGroupExpectation(
        group=name,
        vrid=block.virtual_router_id,
        interface=interface,
        priority=block.priority or (_OWNER if block.state == "MASTER" else _PRIORITY),
        addresses=tuple(_held(words, interface) for words in lines),
        advert_interval_ms=round(1000 * (block.advert_int or 1)),
    )


def _held(words: list[str], interface: str) -> HeldAddress:
    """An address without a prefix is one of its own, as keepalived takes it."""
    device = words[words.index("dev") + 1] if "dev" in words[:-1] else interface
    address = words[0] if "/" in words[0] else f"{words[0]}/{128 if ':' in words[0] else 32}"
    return HeldAddress(address=address, interface=device)


def wanted_secrets(spec: ClusterSpec) -> tuple[str, ...]:
    """The names of all passwords that `origin` leaves to CLUSTER.secrets."""
    origin = spec.origin
    nodes = origin.nodes if origin else ()
    found = {name for node in nodes for _, _, block in _blocks(origin, node) for name in _secrets_of(block)}
    return tuple(sorted(found))


def _blocks(origin: Origin | None, node: str) -> Iterator[tuple[str, str, Block]]:
    if origin is None:
        return
    for kind in ("global_defs", "SSL"):
        shared = getattr(origin, kind)
        block = on_node(shared, shared.nodes, node)
        if block is not None and written(block):
            yield kind, "", block
    for garp in origin.garp_group:
        if (block := on_node(garp, garp.nodes, node)) is not None:
            yield "garp_group", "", block
    for kind in NAMED:
        for name, shared in getattr(origin, kind).items():
            if (block := on_node(shared, shared.nodes, node)) is not None:
                yield kind, getattr(block, "name", None) or name, block
    for virtual in origin.virtual_server:
        if (block := on_node(virtual, virtual.nodes, node)) is not None:
            yield "virtual_server", block.address or "", block


def written(block: Block) -> list[tuple[str, Form | None, object]]:
    """(keyword, its form, its value) of all that is said in a block; the form is None for blocks within it."""
    found: list[tuple[str, Form | None, object]] = []
    for name, field in type(block).model_fields.items():
        value = getattr(block, name)
        form = next((one for one in field.metadata if isinstance(one, Form)), None)
        said = form is Form.SWITCH if value is False else value is not None and (value != () or form is not None)
        if said and name != "nodes":
            found.append((field.alias or name, form, value))
    return found


def _secrets_of(block: Block) -> Iterator[str]:
    for _, form, value in written(block):
        if isinstance(value, SecretName):
            yield value.secret
        elif form is None and isinstance(value, Block):
            yield from _secrets_of(value)
