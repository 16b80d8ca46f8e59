"""Imported virtual servers and their real servers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ..values import Name
from .checks import Check
from .values import Block, Command, Decimal, Flag, Form, Lines, Number, Switch, Unsigned, Word, Words, WordsOrNone

Scheduler = Annotated[
    Literal["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "mh", "sed", "nq", "fo", "ovf", "twos"] | None,
    Form.WORD,
]


class RealServer(Block):
    """`real_server`."""

    address: Words = Field(None, description="its address and port")
    weight: Annotated[Number, Field(ge=0, le=2147483647)] = None
    lvs_method: Words = None
    notify_up: Command = None
    notify_down: Command = None
    uthreshold: Unsigned = None
    lthreshold: Unsigned = None
    smtp_alert: Switch = None
    virtualhost: Word = None
    snmp_name: Word = None
    alpha: WordsOrNone = None
    connect_timeout: Annotated[Decimal, Field(ge=0.000001, le=4294.967295)] = None
    retry: Annotated[Number, Field(ge=1, le=4294967295)] = None
    delay_before_retry: Annotated[Decimal, Field(ge=0, le=18446744073709)] = None
    warmup: Annotated[Decimal, Field(ge=0, le=18446744073709)] = None
    delay_loop: Annotated[Decimal, Field(ge=0.000001, le=18446744073709)] = None
    inhibit_on_failure: Switch = None
    checks: Annotated[tuple[Check, ...], Field(max_length=1000)] = ()


class VirtualServer(Block):
    """`virtual_server`."""

    address: Words = Field(None, description="address and port, `fwmark NUMBER`, or `group NAME`")
    ip_family: Annotated[Literal["inet", "inet6"] | None, Form.WORD] = None
    delay_loop: Annotated[Decimal, Field(ge=0.000001, le=18446744073709)] = None
    delay_before_retry: Annotated[Decimal, Field(ge=0, le=18446744073709)] = None
    retry: Annotated[Number, Field(ge=1, le=4294967295)] = None
    warmup: Annotated[Decimal, Field(ge=0, le=18446744073709)] = None
    connect_timeout: Annotated[Decimal, Field(ge=0.000001, le=4294.967295)] = None
    lvs_sched: Scheduler = None
    lb_algo: Scheduler = None
    hashed: Flag = False
    ops: Flag = False
    flag_1: Flag = Field(False, alias="flag-1")
    flag_2: Flag = Field(False, alias="flag-2")
    flag_3: Flag = Field(False, alias="flag-3")
    sh_port: Flag = Field(False, alias="sh-port")
    sh_fallback: Flag = Field(False, alias="sh-fallback")
    mh_port: Flag = Field(False, alias="mh-port")
    mh_fallback: Flag = Field(False, alias="mh-fallback")
    lvs_method: Words = None
    lb_kind: Words = None
    persistence_engine: Word = None
    persistence_timeout: WordsOrNone = None
    persistence_granularity: Word = None
    protocol: Annotated[Literal["TCP", "UDP", "SCTP"] | None, Form.WORD] = None
    ha_suspend: Flag = False
    smtp_alert: Switch = None
    virtualhost: Word = None
    snmp_name: Word = None
    alpha: WordsOrNone = None
    omega: Flag = False
    quorum: Annotated[Number, Field(ge=1, le=4294967295)] = None
    hysteresis: Unsigned = None
    quorum_up: Command = None
    quorum_down: Command = None
    weight: Annotated[Number, Field(ge=0, le=2147483647)] = None
    inhibit_on_failure: Switch = None
    sorry_server: Words = None
    sorry_server_inhibit: Flag = False
    sorry_server_lvs_method: Words = None
    real_server: Annotated[tuple[RealServer, ...], Field(max_length=10_000)] = ()


class ServerGroup(Block):
    """`virtual_server_group`: addresses, ranges and marks that are served as one."""

    lines: Lines = None


class ServerGroupOn(ServerGroup):
    """What its nodes have in common, and below `nodes` who has it, with what differs; empty: all nodes."""

    nodes: Annotated[dict[Name, ServerGroup], Field(max_length=1000)] = {}


class VirtualServerOn(VirtualServer):
    """What its nodes have in common, and below `nodes` who has it, with what differs; empty: all nodes."""

    nodes: Annotated[dict[Name, VirtualServer], Field(max_length=1000)] = {}
