"""From keepalived.conf files, one a node, to a spec that keeps their shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from holdfast.errors import SpecError
from holdfast.keepalived.tree import Configuration
from holdfast.spec.load import parse_spec
from holdfast.spec.positions import MAX_BYTES

from .disagreements import tell_disagreements
from .losses import Left, Losses, Vault
from .merge import merge
from .nodes import NodeBlocks, read_node
from .peers import merged_order
from .text import comment, yaml_of

_MOST_STATEMENTS = 100_000  # of one file: each takes ten bytes of the spec, which may have MAX_BYTES
_MOST_SHOWN = 50  # losses in the comment at the head of the spec


@dataclass(frozen=True)
class Imported:
    """A spec, and what is not in it. `secrets` are the passwords that it names; they belong beside it, mode 0600."""

    cluster: str
    data: dict[str, Any]
    text: str
    secrets: Mapping[str, str]
    not_carried: tuple[Left, ...]
    declared_differences: tuple[Left, ...]

    @property
    def complete(self) -> bool:
        """Whether nothing that means something was left out."""
        return not self.not_carried


def import_nodes(files: Mapping[str, Configuration], cluster: str) -> Imported:
    """The spec of the nodes that read these files; raises nothing, whatever stands in them."""
    vault = Vault()
    losses: list[Losses] = []
    nodes: list[NodeBlocks] = []
    for node, read in files.items():
        losses.append(Losses(node))
        if _is_large(read):
            losses[-1].lost(read.root, f"more than {_MOST_STATEMENTS} statements: no spec can hold them")
            nodes.append(NodeBlocks(node))
            continue
        nodes.append(read_node(node, read, vault, losses[-1]))
        if not read.root.children:
            losses[-1].lost(read.root, "nothing in this file is a statement of keepalived.conf")
    data: dict[str, Any] = {"holdfast": 1, "cluster": cluster, "nodes": {node: {} for node in files}}
    data["origin"] = merge(nodes)
    _check_order(nodes, files, losses)
    tell_disagreements(data["origin"], files, dict(zip(files, losses, strict=True)))
    text = _text(data, files, losses)
    _check_spec(text, files, losses)
    return Imported(
        cluster=cluster,
        data=data,
        text=_text(data, files, losses).encode("utf-8", "replace").decode(),  # other bytes are lost, and said so
        secrets=vault.secrets,
        not_carried=tuple(left for one in losses for left in one.not_carried),
        declared_differences=tuple(left for one in losses for left in one.differences),
    )


def _is_large(read: Configuration) -> bool:
    return next(islice(read.root.walk(), _MOST_STATEMENTS, None), None) is not None


def _check_order(nodes: list[NodeBlocks], files: Mapping[str, Configuration], losses: list[Losses]) -> None:
    """Files that list the same blocks in another order are compiled in the first one's."""
    kinds = sorted({kind for one in nodes for kind in one.named} - {"vrrp_instance"})
    for kind in kinds:
        merged = merged_order(one.named.get(kind, {}) for one in nodes)
        for one, lost in zip(nodes, losses, strict=True):
            own = list(one.named.get(kind, {}))
            if own != [name for name in merged if name in one.named.get(kind, {})]:
                lost.differs(files[one.node].root, f"the blocks {kind} stand in the order of the other nodes")


def _check_spec(text: str, files: Mapping[str, Configuration], losses: list[Losses]) -> None:
    """A spec that the loader refuses is none: what it says is lost as a whole."""
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        for lost, read in zip(losses, files.values(), strict=True):
            lost.lost(
                read.root,
                f"the spec has {size / 1_000_000:.1f} MB, and no more than {MAX_BYTES // 1_000_000} MB are read: divide"
                " the virtual servers among several clusters, or keep this file",
            )
        return
    try:
        parse_spec(text)
    except SpecError as error:
        for finding in error.findings[:_MOST_SHOWN]:
            where = finding.location.field if finding.location else ""
            for lost, read in zip(losses, files.values(), strict=True):
                lost.lost(read.root, f"the spec cannot hold {where}: {finding.message}")


def _text(data: dict[str, Any], files: Mapping[str, Configuration], losses: list[Losses]) -> str:
    names = ", ".join(f"{node} from {read.root.source.name}" for node, read in files.items())
    head = [
        f"Imported from keepalived.conf: {names}.",
        "",
        "`origin` keeps the shape of these files, so that the first rollout changes nothing on the wire: each block",
        "holds what its nodes have in common, and below `nodes` what differs (those of an instance in order of",
        "preference). Passwords are in the file of secrets beside this one. `on_loss` says what a weight provably",
        "means.",
    ]
    for title, found in (
        ("NOT CARRIED OVER, to be done by hand:", [left for one in losses for left in one.not_carried]),
        (
            "Left out or compiled otherwise, without a change of meaning:",
            [d for one in losses for d in one.differences],
        ),
    ):
        if found:
            head += ["", title, *(f"  {left}" for left in found[:_MOST_SHOWN])]
            head += [f"  … and {len(found) - _MOST_SHOWN} more"] if len(found) > _MOST_SHOWN else []
    return comment(head) + yaml_of(data)
