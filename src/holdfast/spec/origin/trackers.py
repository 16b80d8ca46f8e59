"""What imported instances look at: scripts, files, processes, neighbours; and how they announce addresses."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ..values import Name
from .values import Block, Command, Decimal, Flag, Lines, Number, Word, Words, WordsOrNone


class TrackGroup(Block):
    """`track_group`: a name for several instances, for what is tracked."""

    group: Lines = None


class TrackFile(Block):
    """`track_file`: a file whose number, times a weight, is added to the priority."""

    file: Words = None
    weight: Words = None
    init_file: WordsOrNone = None


class TrackProcess(Block):
    """`vrrp_track_process`: a process that has to run."""

    process: Words = None
    param_match: WordsOrNone = None
    weight: Words = None
    quorum: Annotated[Number, Field(ge=1, le=65535)] = None
    quorum_max: Annotated[Number, Field(ge=0, le=65535)] = None
    delay: Annotated[Decimal, Field(ge=0.000001, le=3600)] = None
    fork_delay: Annotated[Decimal, Field(ge=0.000001, le=3600)] = None
    terminate_delay: Annotated[Decimal, Field(ge=0.000001, le=3600)] = None
    full_command: Flag = False


class Script(Block):
    """`vrrp_script`: a command that has to succeed."""

    script: Command = None
    interval: Annotated[Number, Field(ge=1, le=4294)] = None
    timeout: Annotated[Number, Field(ge=1, le=4294)] = None
    weight: Words = None
    rise: Annotated[Number, Field(ge=1, le=2147483647)] = None
    fall: Annotated[Number, Field(ge=1, le=2147483647)] = None
    user: Words = None
    init_fail: Flag = False


class GarpGroup(Block):
    """`garp_group`: how fast addresses are announced on some interfaces."""

    garp_interval: Annotated[Decimal, Field(ge=0, le=2147)] = None
    gna_interval: Annotated[Decimal, Field(ge=0, le=2147)] = None
    interface: Lines = None
    interfaces: Lines = None


class Bfd(Block):
    """`bfd_instance`: a neighbour that is heard over BFD."""

    neighbor_ip: Word = None
    neighbour_ip: Word = None
    source_ip: Word = None
    min_rx: Annotated[Decimal, Field(ge=0.001, le=4294967)] = None
    min_tx: Annotated[Decimal, Field(ge=0.001, le=4294967)] = None
    idle_tx: Annotated[Decimal, Field(ge=1000, le=10000)] = None
    multiplier: Annotated[Number, Field(ge=1, le=255)] = None
    passive: Flag = False
    ttl: Annotated[Number, Field(ge=1, le=255)] = None
    hoplimit: Annotated[Number, Field(ge=1, le=255)] = None
    max_hops: Annotated[Number, Field(ge=-1, le=255)] = None
    weight: Words = None
    vrrp: Flag = False
    checker: Flag = False


class TrackGroupOn(TrackGroup):
    """What its nodes have in common, and below `nodes` who has it, with what differs; empty: all nodes."""

    nodes: Annotated[dict[Name, TrackGroup], Field(max_length=1000)] = {}


class TrackFileOn(TrackFile):
    """What its nodes have in common, and below `nodes` who has it, with what differs; empty: all nodes."""

    nodes: Annotated[dict[Name, TrackFile], Field(max_length=1000)] = {}


class TrackProcessOn(TrackProcess):
    """What its nodes have in common, and below `nodes` who has it, with what differs; empty: all nodes."""

    nodes: Annotated[dict[Name, TrackProcess], Field(max_length=1000)] = {}


class ScriptOn(Script):
    """What its nodes have in common, and below `nodes` who has it, with what differs; empty: all nodes."""

    nodes: Annotated[dict[Name, Script], Field(max_length=1000)] = {}


class GarpGroupOn(GarpGroup):
    """What its nodes have in common, and below `nodes` who has it, with what differs; empty: all nodes."""

    nodes: Annotated[dict[Name, GarpGroup], Field(max_length=1000)] = {}


class BfdOn(Bfd):
    """What its nodes have in common, and below `nodes` who has it, with what differs; empty: all nodes."""

    nodes: Annotated[dict[Name, Bfd], Field(max_length=1000)] = {}
