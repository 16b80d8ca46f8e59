"""Imported VRRP instances and sync groups."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ..values import Name
from .values import (
    Addresses,
    Block,
    BlockName,
    Command,
    Decimal,
    Flag,
    Form,
    Lines,
    Number,
    Secret,
    Switch,
    Trackers,
    Unsigned,
    Word,
    Words,
    WordsOrNone,
)


class Authentication(Block):
    """`authentication` of VRRP version 2."""

    auth_type: Annotated[Literal["PASS", "AH"] | None, Form.WORD] = None
    auth_pass: Secret = None


class SyncGroup(Block):
    """`vrrp_sync_group`: instances that change their state together."""

    group: Lines = None
    track_interface: Trackers = None
    track_script: Trackers = None
    track_file: Trackers = None
    track_process: Trackers = None
    track_bfd: Trackers = None
    notify_master: Command = None
    notify_backup: Command = None
    notify_fault: Command = None
    notify_stop: Command = None
    notify: Command = None
    notify_priority_changes: Switch = None
    smtp_alert: Switch = None
    global_tracking: Flag = False
    sync_group_tracking_weight: Flag = False


class Instance(Block):
    """`vrrp_instance`: addresses that float together, in the shape of their origin."""

    name: BlockName | None = Field(None, description="the instance's name on a node, where it is not the group's")
    state: Annotated[Literal["MASTER", "BACKUP"] | None, Form.WORD] = None
    interface: Word = None
    vrf: Word = None
    use_vmac: WordsOrNone = None
    use_vmac_addr: Flag = False
    vmac_xmit_base: Flag = False
    use_ipvlan: WordsOrNone = None
    native_ipv6: Flag = False
    dont_track_primary: Flag = False
    track_interface: Trackers = None
    track_script: Trackers = None
    track_file: Trackers = None
    track_process: Trackers = None
    track_bfd: Trackers = None
    mcast_src_ip: Word = None
    unicast_src_ip: Word = None
    mcast_dst_ip: Word = None
    track_src_ip: Flag = False
    version: Annotated[Number, Field(ge=2, le=3)] = None
    check_unicast_src: Flag = False
    unicast_peer: Lines = None
    unicast_fault_no_peer: Flag = False
    unicast_ttl: Annotated[Number, Field(ge=0, le=255)] = None
    old_unicast_checksum: WordsOrNone = None
    garp_master_delay: Annotated[Number, Field(ge=0, le=4294)] = None
    garp_master_repeat: Annotated[Number, Field(ge=1, le=4294967295)] = None
    garp_master_refresh: Unsigned = None
    garp_master_refresh_repeat: Annotated[Number, Field(ge=1, le=4294967295)] = None
    garp_lower_prio_delay: Annotated[Number, Field(ge=0, le=4294)] = None
    garp_lower_prio_repeat: Annotated[Number, Field(ge=0, le=2147483647)] = None
    garp_extra_if: Words = None
    vmac_garp_intvl: Words = None
    down_timer_adverts: Annotated[Number, Field(ge=1, le=100)] = None
    timer_expired_backup: WordsOrNone = None
    thread_timer_expired: WordsOrNone = None
    lower_prio_no_advert: Switch = None
    higher_prio_send_advert: Switch = None
    owner_ignore_adverts: Switch = None
    virtual_router_id: Annotated[Number, Field(ge=1, le=255)] = None
    priority: Annotated[Number, Field(ge=1, le=255)] = None
    advert_int: Annotated[Decimal, Field(ge=0.01, le=255)] = None
    virtual_ipaddress: Addresses = None
    virtual_ipaddress_excluded: Addresses = None
    no_virtual_ipaddress: Flag = False
    promote_secondaries: Flag = False
    virtual_routes: Lines = None
    virtual_rules: Lines = None
    accept: Flag = False
    no_accept: Flag = False
    nopreempt: Flag = False
    preempt: Flag = False
    preempt_delay: Annotated[Decimal, Field(ge=0, le=1000)] = None
    skip_check_adv_addr: Switch = None
    strict_mode: Switch = None
    debug: Annotated[Number, Field(ge=0, le=4)] = None
    notify_master: Command = None
    notify_backup: Command = None
    notify_fault: Command = None
    notify_stop: Command = None
    notify_deleted: Command = None
    notify: Command = None
    notify_master_rx_lower_pri: Command = None
    notify_priority_changes: Switch = None
    smtp_alert: Switch = None
    kernel_rx_buf_size: Unsigned = None
    linkbeat_use_polling: Flag = False
    lvs_sync_daemon_interface: Word = None
    v3_checksum_as_v2: Switch = None
    authentication: Authentication | None = None


class SyncGroupOn(SyncGroup):
    """What its nodes have in common, and below `nodes` who has it, with what differs; empty: all nodes."""

    nodes: Annotated[dict[Name, SyncGroup], Field(max_length=1000)] = {}


class InstanceOn(Instance):
    """What its nodes have in common, and below `nodes`, in order of preference, who has it, with what differs."""

    nodes: Annotated[dict[Name, Instance], Field(max_length=1000)] = {}
