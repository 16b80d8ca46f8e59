"""What an imported configuration says of a whole node: `global_defs`, and what stands outside all blocks."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ..values import Name
from .values import (
    Addresses,
    Block,
    Command,
    Decimal,
    Flag,
    Lines,
    Number,
    Secret,
    Switch,
    Unsigned,
    Word,
    Words,
    WordsOrNone,
)


class GlobalDefs(Block):
    """`global_defs`: what holds for the whole keepalived of a node."""

    tmp_config_directory: Word = None
    config_save_dir: Word = None
    config_copy_directory: Word = None
    process_names: Flag = False
    process_name: Word = None
    vrrp_process_name: Word = None
    checker_process_name: Word = None
    lvs_process_name: Word = None
    bfd_process_name: Word = None
    script_user: Words = None  # above the scripts of this block, which run as this user
    script_user_below: Flag = False  # no keyword: script_user stands below them, and they run as the default user
    enable_script_security: Flag = False
    startup_script: Command = None
    startup_script_timeout: Annotated[Number, Field(ge=1, le=1000)] = None
    shutdown_script: Command = None
    shutdown_script_timeout: Annotated[Number, Field(ge=1, le=1000)] = None
    notification_email: Lines = None
    notification_email_from: Word = None
    smtp_server: Words = None
    smtp_helo_name: WordsOrNone = None
    smtp_connect_timeout: Unsigned = None
    smtp_alert: Switch = None
    smtp_alert_vrrp: Switch = None
    smtp_alert_checker: Switch = None
    checker_log_all_failures: Switch = None
    no_email_faults: Flag = False
    no_checker_emails: Flag = False
    router_id: Word = None
    vrrp_mcast_group4: Word = None
    vrrp_mcast_group6: Word = None
    default_interface: Word = None
    lvs_sync_daemon: Words = None
    lvs_timeouts: Words = None
    lvs_flush: Flag = False
    lvs_flush_on_stop: WordsOrNone = None
    lvs_flush_onstop: WordsOrNone = None
    vrrp_garp_master_delay: Annotated[Number, Field(ge=0, le=4294)] = None
    vrrp_garp_master_repeat: Annotated[Number, Field(ge=1, le=4294967295)] = None
    vrrp_garp_master_refresh: Unsigned = None
    vrrp_garp_master_refresh_repeat: Unsigned = None
    vrrp_garp_lower_prio_delay: Annotated[Number, Field(ge=0, le=4294)] = None
    vrrp_garp_lower_prio_repeat: Annotated[Number, Field(ge=0, le=2147483647)] = None
    vrrp_down_timer_adverts: Annotated[Number, Field(ge=1, le=100)] = None
    vrrp_garp_interval: Annotated[Decimal, Field(ge=0.000001, le=4294.967295)] = None
    vrrp_gna_interval: Annotated[Decimal, Field(ge=0.000001, le=4294.967295)] = None
    vrrp_min_garp: Switch = None
    vrrp_garp_extra_if: Words = None
    vrrp_vmac_garp_intvl: Words = None
    vrrp_lower_prio_no_advert: Switch = None
    vrrp_higher_prio_send_advert: Switch = None
    vrrp_owner_ignore_adverts: Switch = None
    vrrp_version: Annotated[Number, Field(ge=2, le=3)] = None
    vrrp_iptables: WordsOrNone = None  # above the others: it sets the priority of nftables' chains back
    nftables: WordsOrNone = None
    nftables_priority: Annotated[Number, Field(ge=-2147483648, le=2147483647)] = None
    nftables_counters: Flag = False
    nftables_ifindex: Flag = False
    nftables_ipvs: WordsOrNone = None
    nftables_ipvs_priority: Annotated[Number, Field(ge=-2147483648, le=2147483647)] = None
    nftables_ipvs_start_fwmark: Annotated[Number, Field(ge=1, le=4294967295)] = None
    vrrp_ipsets: WordsOrNone = None
    disable_local_igmp: Flag = False
    vrrp_check_unicast_src: Flag = False
    vrrp_skip_check_adv_addr: Flag = False
    vrrp_strict: Flag = False
    vrrp_notify_priority_changes: Switch = None
    max_auto_priority: WordsOrNone = None
    min_auto_priority_delay: Annotated[Number, Field(ge=1, le=10000000)] = None
    vrrp_priority: Annotated[Number, Field(ge=-20, le=19)] = None
    checker_priority: Annotated[Number, Field(ge=-20, le=19)] = None
    bfd_priority: Annotated[Number, Field(ge=-20, le=19)] = None
    vrrp_no_swap: Flag = False
    checker_no_swap: Flag = False
    bfd_no_swap: Flag = False
    vrrp_cpu_affinity: WordsOrNone = None
    checker_cpu_affinity: WordsOrNone = None
    bfd_cpu_affinity: WordsOrNone = None
    vrrp_rt_priority: Annotated[Number, Field(ge=1, le=99)] = None
    checker_rt_priority: Annotated[Number, Field(ge=1, le=99)] = None
    bfd_rt_priority: Annotated[Number, Field(ge=1, le=99)] = None
    vrrp_rlimit_rttime: Annotated[Number, Field(ge=1, le=4294967295)] = None
    checker_rlimit_rttime: Annotated[Number, Field(ge=1, le=4294967295)] = None
    bfd_rlimit_rttime: Annotated[Number, Field(ge=1, le=4294967295)] = None
    vrrp_rlimit_rtime: Annotated[Number, Field(ge=1, le=4294967295)] = None
    checker_rlimit_rtime: Annotated[Number, Field(ge=1, le=4294967295)] = None
    bfd_rlimit_rtime: Annotated[Number, Field(ge=1, le=4294967295)] = None
    snmp_socket: Word = None
    enable_snmp_vrrp: Flag = False
    enable_snmp_keepalived: Flag = False
    enable_snmp_checker: Flag = False
    enable_snmp_rfc: Flag = False
    enable_snmp_rfcv2: Flag = False
    enable_snmp_rfcv3: Flag = False
    enable_traps: Flag = False
    enable_dbus: Flag = False
    dbus_service_name: Word = None
    dbus_no_interface_name: Word = None
    notify_fifo: Words = None
    notify_fifo_script: Command = None
    vrrp_notify_fifo: Words = None
    vrrp_notify_fifo_script: Command = None
    lvs_notify_fifo: Words = None
    lvs_notify_fifo_script: Command = None
    fifo_write_vrrp_states_on_reload: Flag = False
    dynamic_interfaces: WordsOrNone = None
    vrrp_netlink_cmd_rcv_bufs: Unsigned = None
    vrrp_netlink_cmd_rcv_bufs_force: Switch = None
    vrrp_netlink_monitor_rcv_bufs: Unsigned = None
    vrrp_netlink_monitor_rcv_bufs_force: Switch = None
    lvs_netlink_cmd_rcv_bufs: Unsigned = None
    lvs_netlink_cmd_rcv_bufs_force: Switch = None
    lvs_netlink_monitor_rcv_bufs: Unsigned = None
    lvs_netlink_monitor_rcv_bufs_force: Switch = None
    process_monitor_rcv_bufs: Unsigned = None
    process_monitor_rcv_bufs_force: Switch = None
    vrrp_rx_bufs_policy: Word = None
    vrrp_rx_bufs_multiplier: Annotated[Number, Field(ge=1, le=4294967295)] = None
    rs_init_notifies: Flag = False
    umask: WordsOrNone = None
    vrrp_startup_delay: Annotated[Decimal, Field(ge=0, le=4294967295)] = None
    log_unknown_vrids: Flag = False
    vmac_prefix: Word = None
    vmac_addr_prefix: Word = None
    random_seed: Unsigned = None
    reload_check_config: WordsOrNone = None
    include_check: WordsOrNone = None
    reload_time_file: Word = None
    reload_repeat: Flag = False
    reload_file: WordsOrNone = None
    data_use_instance: Switch = None
    state_dump_file: Word = None
    use_symlink_paths: Switch = None
    json_version: Annotated[Number, Field(ge=1, le=2)] = None
    iproute_usr_dir: Word = None
    iproute_etc_dir: Word = None


class TopLevel(Block):
    """What stands outside all blocks."""

    net_namespace: Word = None
    net_namespace_ipvs: WordsOrNone = None
    namespace_with_ipsets: Flag = False
    instance: Word = None
    use_pid_dir: Flag = False
    linkbeat_use_polling: Flag = False
    child_wait_time: Unsigned = None
    linkbeat_interfaces: Lines = None
    interface_up_down_delays: Lines = None
    static_ipaddress: Addresses = None
    static_routes: Lines = None
    static_rules: Lines = None


class Ssl(Block):
    """`SSL`: the certificate with which SSL_GET asks."""

    password: Secret = None
    ca: Word = None
    certificate: Word = None
    key: Word = None


class GlobalDefsOn(GlobalDefs):
    """What its nodes have in common, and below `nodes` who has it, with what differs; empty: all nodes."""

    nodes: Annotated[dict[Name, GlobalDefs], Field(max_length=1000)] = {}


class TopLevelOn(TopLevel):
    """What its nodes have in common, and below `nodes` who has it, with what differs; empty: all nodes."""

    nodes: Annotated[dict[Name, TopLevel], Field(max_length=1000)] = {}


class SslOn(Ssl):
    """What its nodes have in common, and below `nodes` who has it, with what differs; empty: all nodes."""

    nodes: Annotated[dict[Name, Ssl], Field(max_length=1000)] = {}
