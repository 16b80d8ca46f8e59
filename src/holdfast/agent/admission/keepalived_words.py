"""The part of keepalived's language that a bundle may use: which keyword may stand in which block."""

from __future__ import annotations

import re
from dataclasses import dataclass, field


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


@dataclass(frozen=True)
class Block:
    """`items` is the form of lines that begin with a value instead of a keyword (lists of addresses, names)."""

    keywords: frozenset[str] = frozenset()
    blocks: dict[str, Block] = field(default_factory=dict)
    items: re.Pattern[str] | None = None


# Keywords whose value is a command: they must call the probe.
COMMANDS = _words(
    "script misc_path notify_master notify_backup notify_fault notify_stop notify_deleted notify_up notify_down"
    " quorum_up quorum_down"
)
# Keywords whose value is a user.
USERS = _words("script_user user")
# Keywords whose value is a file that keepalived reads.
FILES = _words("file")
# Keywords whose value may stand in quotes: it is compared, never run.
TEXTS = _words("regex")

_NOTIFY = "notify_master notify_backup notify_fault notify_stop smtp_alert"
_ADDRESS = re.compile(r"[0-9A-Fa-f:.]{2,45}(/[0-9]{1,3})?")
_NAME = re.compile(r"(?!include)[A-Za-z0-9_][A-Za-z0-9._@:-]{0,63}")
_MAIL = re.compile(r"(?!include)[A-Za-z0-9._+-]{1,64}(@[A-Za-z0-9.-]{1,190})?")

_ADDRESSES = Block(items=_ADDRESS)
_NAMES = Block(items=_NAME)
_TRACKERS = dict.fromkeys(("track_interface", "track_file", "track_script", "track_process", "group"), _NAMES)
_TRACK_FILE = Block(_words("file weight"))
_TRACK_PROCESS = Block(
    _words("process param_match weight quorum quorum_max delay terminate_delay fork_delay full_command")
)

# Where a check connects to is the real server itself: no connect_ip, no bindto.
_CHECKER = "connect_port connect_timeout warmup retry nb_get_retry delay_before_retry delay_loop"
_URL = Block(_words("path digest regex status_code virtualhost"))
_HTTP = Block(_words(f"{_CHECKER} enable_sni virtualhost"), {"url": _URL})
_CHECKERS = {
    "HTTP_GET": _HTTP,
    "SSL_GET": _HTTP,
    "TCP_CHECK": Block(_words(_CHECKER)),
    "UDP_CHECK": Block(_words(f"{_CHECKER} payload require_reply")),
    "PING_CHECK": Block(_words(_CHECKER)),
    "DNS_CHECK": Block(_words(f"{_CHECKER} type name")),
    "SMTP_CHECK": Block(_words(f"{_CHECKER} helo_name")),
    "FILE_CHECK": Block(_words("track_file weight")),
    "MISC_CHECK": Block(_words("warmup retry delay_before_retry delay_loop misc_path misc_timeout user")),
}
_REAL_SERVER = Block(
    _words("weight uthreshold lthreshold smtp_alert notify_up notify_down inhibit_on_failure"), _CHECKERS
)
_VIRTUAL_SERVER = Block(
    _words(
        "ip_family protocol lvs_sched lvs_method mh-port mh-fallback sh-port sh-fallback ops persistence_timeout"
        " persistence_granularity quorum hysteresis quorum_up quorum_down alpha inhibit_on_failure sorry_server"
        " sorry_server_lvs_method"
        # What imported files say: older words for the scheduler and the method, and how often all servers are asked.
        " lb_algo lb_kind delay_loop virtualhost connect_timeout retry delay_before_retry"
    ),
    {"real_server": _REAL_SERVER},
)
_INSTANCE = Block(
    _words(
        "state interface virtual_router_id priority advert_int version nopreempt preempt preempt_delay"
        " unicast_src_ip mcast_src_ip unicast_ttl unicast_fault_no_peer track_src_ip dont_track_primary native_ipv6"
        " accept no_accept garp_master_delay garp_master_repeat garp_lower_prio_delay garp_lower_prio_repeat"
        " garp_master_refresh garp_master_refresh_repeat lower_prio_no_advert higher_prio_send_advert"
        " skip_check_adv_addr strict_mode check_unicast_src old_unicast_checksum debug lvs_sync_daemon_interface"
        f" kernel_rx_buf_size {_NOTIFY}"
    ),
    {
        **{name: block for name, block in _TRACKERS.items() if name != "group"},
        "unicast_peer": _ADDRESSES,
        "virtual_ipaddress": _ADDRESSES,
        "virtual_ipaddress_excluded": _ADDRESSES,
        "authentication": Block(_words("auth_type auth_pass")),
    },
)
_GLOBAL = Block(
    _words(
        "router_id enable_script_security script_user notification_email_from smtp_server smtp_connect_timeout"
        " smtp_helo_name smtp_alert smtp_alert_vrrp smtp_alert_checker email_faults no_email_faults vrrp_version"
        " vrrp_mcast_group4 vrrp_mcast_group6 vrrp_garp_master_delay vrrp_garp_master_repeat"
        " vrrp_garp_lower_prio_delay vrrp_garp_lower_prio_repeat vrrp_garp_master_refresh"
        " vrrp_garp_master_refresh_repeat vrrp_garp_interval vrrp_gna_interval vrrp_min_garp vrrp_strict"
        " vrrp_lower_prio_no_advert vrrp_higher_prio_send_advert vrrp_skip_check_adv_addr vrrp_check_unicast_src"
        " vrrp_startup_delay checker_log_all_failures lvs_sync_daemon lvs_timeouts lvs_flush lvs_flush_on_stop"
        " max_auto_priority min_auto_priority_delay"
    ),
    {"notification_email": Block(items=_MAIL)},
)

ROOT = Block(
    blocks={
        "global_defs": _GLOBAL,
        "vrrp_script": Block(_words("script interval timeout weight fall rise user init_fail")),
        "vrrp_track_file": _TRACK_FILE,
        "track_file": _TRACK_FILE,
        "vrrp_track_process": _TRACK_PROCESS,
        "track_process": _TRACK_PROCESS,
        "vrrp_instance": _INSTANCE,
        "vrrp_sync_group": Block(_words(f"global_tracking sync_group_tracking_weight {_NOTIFY}"), _TRACKERS),
        "virtual_server": _VIRTUAL_SERVER,
    }
)
