"""One node's tree as blocks of fields, by kind."""

from __future__ import annotations

from dataclasses import dataclass, field

from holdfast.findings import Finding
from holdfast.keepalived.check import PASSED_OVER
from holdfast.keepalived.tree import Configuration, Node
from holdfast.spec.origin import Block
from holdfast.spec.origin.instances import Instance, SyncGroup
from holdfast.spec.origin.node_settings import GlobalDefs, Ssl, TopLevel
from holdfast.spec.origin.servers import ServerGroup, VirtualServer
from holdfast.spec.origin.trackers import Bfd, GarpGroup, Script, TrackFile, TrackGroup, TrackProcess

from .blocks import FOLDER_MARK, Reading, Values, head
from .families import unfit
from .losses import Losses, Vault
from .sequence import tell_order, untracked, user_stands_last

NAMED: dict[str, type[Block]] = {
    "track_group": TrackGroup,
    "track_file": TrackFile,
    "vrrp_script": Script,
    "vrrp_track_process": TrackProcess,
    "bfd_instance": Bfd,
    "vrrp_sync_group": SyncGroup,
    "vrrp_instance": Instance,
    "virtual_server_group": ServerGroup,
}
_OF_HOST = ("${_INSTANCE}", "$_INSTANCE")
_OLD_NAMES = {"vrrp_track_file": "track_file"}


@dataclass
class NodeBlocks:
    """All that one node's file says."""

    node: str
    single: dict[str, Values] = field(default_factory=dict)  # outside, global_defs, SSL
    named: dict[str, dict[str, Values]] = field(default_factory=dict)  # kind → name → fields
    garp_groups: list[Values] = field(default_factory=list)
    virtual_servers: list[Values] = field(default_factory=list)


def read_node(node: str, read: Configuration, vault: Vault, losses: Losses) -> NodeBlocks:
    """The blocks of a configuration; what they cannot hold is in `losses`."""
    for finding in read.findings:
        where = finding.location
        source = read.sources.get(where.file) if where else None
        losses.of_reading(finding, source.line(where.line).strip() if source and where else "")
    for host in sorted(read.conditions - {node}):
        reason = "lines for this host are left out, and those for all but this one count; import its file too"
        losses.differs(read.root, f"@{host}: {reason}")
    for tree in read.root.walk():
        if FOLDER_MARK in tree.text:
            losses.differs(tree, "${_PWD} is /etc/holdfast/keepalived once compiled: write the folder that is meant")
    _name_of_host(read, losses)
    tell_order(read, losses)
    reading = Reading(losses, vault, untracked=untracked(read.root), unfit=unfit(read.root))
    found = NodeBlocks(node)
    found.single["outside"] = reading.block(read.root, TopLevel)
    for kind, model in (("global_defs", GlobalDefs), ("SSL", Ssl)):
        blocks = read.root.all(kind)
        if blocks:
            found.single[kind] = reading.block(_joined(blocks), model)
    if user_stands_last(read.root) and found.single["global_defs"].get("script_user"):
        found.single["global_defs"]["script_user_below"] = True
    kinds = [(_OLD_NAMES.get(tree.name, tree.name), tree) for tree in read.root.children]
    reading.later.update((kind, tree.arg()) for kind, tree in kinds if kind in NAMED)
    for kind, tree in kinds:
        reading.later.discard((kind, tree.arg()))
        if kind in NAMED:
            _named(tree, kind, reading, found)
            if kind == "vrrp_instance":
                _refused_by_keepalived(tree, read, losses, found.named[kind].get(tree.arg(), {}))
        elif kind == "garp_group":
            found.garp_groups.append(reading.block(tree, GarpGroup))
        elif kind == "virtual_server":
            found.virtual_servers.append({"address": head(tree), **reading.block(tree, VirtualServer)})
    if not found.named.get("vrrp_instance") and any(_is_passed_over(finding) for finding in read.findings):
        found.single["outside"].setdefault("static_ipaddress", [])  # for an instance without a name VRRP's process runs
    return found


def _is_passed_over(finding: Finding) -> bool:
    return finding.message.startswith("vrrp_instance") and PASSED_OVER in finding.message


def _name_of_host(read: Configuration, losses: Losses) -> None:
    """`${_INSTANCE}` is the host's name, or what `-i` says: it was read as the node's, which may be another."""
    for source in read.sources.values():
        for number, line in enumerate(source.each_line() if "_INSTANCE" in source.text else (), start=1):
            if any(use in line.partition("#")[0] for use in _OF_HOST):
                at = Node((line.strip(),), source, number)
                losses.lost(
                    at, f"it is taken for '{losses.node}'; write what keepalived is told by -i, or the host's name"
                )


def _refused_by_keepalived(tree: Node, read: Configuration, losses: Losses, values: Values) -> None:
    """An instance with which keepalived does not run at all: its file is no example to follow."""
    asked = [one for block in read.root.all("global_defs") for one in block.children]
    version = values.get("version") or next((one.arg() for one in reversed(asked) if one.name == "vrrp_version"), "2")
    strict = values.get("strict_mode", any(one.name == "vrrp_strict" for one in asked))
    if tree.has("virtual_router_id") and not values.get("virtual_router_id"):
        losses.lost(tree, "keepalived refuses to run with this file: the instance has no virtual_router_id that counts")
    if not values.get("virtual_ipaddress") and (str(version) == "3" or strict):
        losses.lost(tree, "keepalived refuses to run with this file: the instance has no virtual_ipaddress")


def _joined(blocks: list[Node]) -> Node:
    """Several blocks of one kind, which keepalived reads as one."""
    if len(blocks) == 1:
        return blocks[0]
    first = blocks[0]
    joined = Node(first.words, first.source, first.line, first.start, first.origin, first.keyword)
    joined.children = [child for block in blocks for child in block.children]
    return joined


def _named(tree: Node, kind: str, reading: Reading, into: NodeBlocks) -> None:
    name = tree.arg()
    blocks = into.named.setdefault(kind, {})
    if name in blocks:
        reading.losses.lost(tree, "another block has this name")
    elif not name or '"' in name or not name.isprintable() or len(name) > 200:
        reading.losses.lost(tree, "no spec can hold this name")
    elif kind == "virtual_server_group":
        blocks[name] = _group_lines(tree, reading)
    else:
        blocks[name] = reading.block(tree, NAMED[kind])


def _group_lines(tree: Node, reading: Reading) -> Values:
    return {"lines": [" ".join(line.words) for line in tree.children]} if tree.children else {}
