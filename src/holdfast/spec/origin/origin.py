"""What imported keepalived.conf files say, in their own shape: compiled as it stands, until it is written as intent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeVar

from pydantic import Field

from ..values import Frozen, Name
from .instances import InstanceOn, SyncGroupOn
from .node_settings import GlobalDefsOn, SslOn, TopLevelOn
from .servers import ServerGroupOn, VirtualServerOn
from .trackers import BfdOn, GarpGroupOn, ScriptOn, TrackFileOn, TrackGroupOn, TrackProcessOn
from .values import Block, BlockName

B = TypeVar("B", bound=Block)
_Many = Field(max_length=10_000)


class Origin(Frozen):
    """The shape that imported nodes had: blocks of keepalived.conf(5), by their names.

    A block holds what its nodes have in common; its `nodes` say who has it, and what differs there. Without `nodes`
    all of the origin's nodes have it. Every keyword is a field; passwords are names of entries in CLUSTER.secrets.
    """

    nodes: Annotated[tuple[Name, ...], Field(min_length=1, max_length=1000)]
    outside: TopLevelOn = TopLevelOn()
    global_defs: GlobalDefsOn = GlobalDefsOn()
    SSL: SslOn = SslOn()
    track_group: Annotated[dict[BlockName, TrackGroupOn], _Many] = {}
    track_file: Annotated[dict[BlockName, TrackFileOn], _Many] = {}
    vrrp_script: Annotated[dict[BlockName, ScriptOn], _Many] = {}
    vrrp_track_process: Annotated[dict[BlockName, TrackProcessOn], _Many] = {}
    bfd_instance: Annotated[dict[BlockName, BfdOn], _Many] = {}
    garp_group: Annotated[tuple[GarpGroupOn, ...], _Many] = ()
    vrrp_sync_group: Annotated[dict[BlockName, SyncGroupOn], _Many] = {}
    vrrp_instance: Annotated[dict[BlockName, InstanceOn], _Many] = {}
    virtual_server_group: Annotated[dict[BlockName, ServerGroupOn], _Many] = {}
    virtual_server: Annotated[tuple[VirtualServerOn, ...], _Many] = ()


def on_node(block: B, nodes: Mapping[str, Block], node: str) -> B | None:
    """The block as `node` has it, None where it has none; what is written for the node alone counts more."""
    if not nodes:
        return block
    own = nodes.get(node)
    if own is None:
        return None
    return block.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})
