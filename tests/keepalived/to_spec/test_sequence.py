"""Where keepalived goes by the order of lines, an import does too: what it ignores for its place is left out."""

from __future__ import annotations

import pytest
from tests.keepalived.to_spec.meaning import imported, texts

INSTANCE = (
    "vrrp_instance a {{\n{}\n  interface eth0\n  virtual_router_id 5\n  virtual_ipaddress {{\n  10.0.0.1\n  }}\n}}\n"
)
PROCESS = "vrrp_track_process a {{\n  process x\n{}\n}}\n"
GLOBAL = "global_defs {{\n{}\n  router_id a\n}}\n"
SERVER = "virtual_server 10.0.0.1 80 {{\n{}\n  real_server 10.0.0.2 80 {{\n  }}\n}}\n"
URL = (
    "virtual_server 10.0.0.1 80 {{\n  real_server 10.0.0.2 80 {{\n  HTTP_GET {{\n  url {{\n  path /\n{}\n  }}\n  }}\n"
    "  }}\n}}\n"
)
SUM, OTHER_SUM = "640205b7b0fc66c1ea91c463fac6334d", "ff20ad2481f97b1754ef3e12ecd3a9cc"
UDP = "virtual_server 10.0.0.1 80 {{\n  real_server 10.0.0.2 80 {{\n  UDP_CHECK {{\n{}\n  }}\n  }}\n}}\n"
PASSWORD = "vrrp_instance a {{\n  interface eth0\n  authentication {{\n  auth_type PASS\n{}\n  }}\n}}\n"
FILE = "track_file a {{\n  file /tmp/a\n{}\n}}\n"
SCRIPT = "vrrp_script a {{\n  script /bin/a\n{}\n}}\n"


@pytest.mark.parametrize(
    ("block", "lines", "kept"),
    [
        (INSTANCE, "preempt\nnopreempt", {"nopreempt"}),
        (INSTANCE, "nopreempt\npreempt", {"preempt"}),
        (INSTANCE, "no_accept\naccept", {"accept"}),
        (INSTANCE, "unicast_src_ip 10.0.0.8\nmcast_src_ip 10.0.0.9", {"mcast_src_ip 10.0.0.9"}),
        (INSTANCE, "state MASTER\nstate BACKUP", {"state MASTER"}),
        (INSTANCE, "state BACKUP\nstate MASTER", {"state MASTER"}),
        (INSTANCE, "state MASTER\nstate bogus\nstate BACKUP", {"state BACKUP"}),
        (INSTANCE, "mcast_src_ip 10.0.0.9\nnative_ipv6", {"mcast_src_ip 10.0.0.9"}),
        (PROCESS, "terminate_delay 1\ndelay 3\nfork_delay 2", {"delay 3", "fork_delay 2"}),
        (PROCESS, "quorum_max 5\nquorum 7", {"quorum_max 5"}),
        (PROCESS, "quorum 7\nquorum_max 5", {"quorum 7"}),
        (PROCESS, "quorum_max 0\nquorum 2", {"quorum_max 0"}),
        (PROCESS, "quorum 3\nquorum_max 3\nquorum_max 2\nquorum 0", {"quorum 3", "quorum_max 3"}),
        (PROCESS, "quorum_max 70000\nquorum 7", {"quorum 7"}),
        (GLOBAL, "vrrp_process_name v\nprocess_names\nbfd_process_name b", {"process_names", "bfd_process_name b"}),
        (GLOBAL, "lvs_process_name v\nchecker_process_name b", {"checker_process_name b"}),
        (GLOBAL, "checker_process_name v\nlvs_process_name b", {"lvs_process_name b"}),
        (GLOBAL, "bfd_rlimit_rttime 5\nbfd_rlimit_rtime 6", {"bfd_rlimit_rtime 6"}),
        (GLOBAL, "bfd_rlimit_rtime 0\nbfd_rlimit_rttime 6", {"bfd_rlimit_rttime 6"}),
        (GLOBAL, "nftables_priority 5\nnftables\nnftables_priority 6\nnftables", {"nftables", "nftables_priority 6"}),
        (GLOBAL, "nftables_ipvs_priority 5\nnftables_ipvs t", {"nftables_ipvs t"}),
        (GLOBAL, "vrrp_garp_master_repeat 5\nvrrp_min_garp true", {"vrrp_garp_master_repeat 5", "vrrp_min_garp true"}),
        (SERVER, "lb_algo wrr\nlvs_sched sh", {"lvs_sched sh"}),
        (SERVER, "lb_algo wrr\nlvs_sched bogus", {"lb_algo wrr"}),
        (SERVER, "lvs_method DR\nlb_kind TUN", {"lb_kind TUN"}),
        (SERVER, "sh-port\nlvs_sched sh\nsh-fallback", {"lvs_sched sh", "sh-fallback"}),
        (SERVER, "lb_algo mh\nmh-port\nsh-port", {"lb_algo mh", "mh-port"}),
        (SERVER, "quorum 3\nquorum 0", set()),
        (SERVER, "retry 3\nretry 0", {"retry 3"}),
        (SERVER, "smtp_alert off\nsmtp_alert", {"smtp_alert true"}),
        (SERVER, "snmp_name one two", set()),
        (INSTANCE, "garp_master_repeat 4\npreempt_delay 3\npreempt_delay 5000", {"garp_master_repeat 4"}),
        (INSTANCE, "unicast_ttl 7\nunicast_ttl 300", {"unicast_ttl 7"}),
        (SERVER, "sorry_server_inhibit\nsorry_server 10.0.0.9 80", {"sorry_server 10.0.0.9 80"}),
        (SERVER, "inhibit_on_failure 0", {"inhibit_on_failure true"}),
        (SERVER, "lvs_method TUN type gue", {"lvs_method TUN"}),
        (SERVER, "lvs_method TUN type gue port 5555", {"lvs_method TUN type gue port 5555"}),
        (SERVER, "lvs_method TUN type ipip csum", {"lvs_method TUN"}),
        (SERVER, "lvs_method TUN type gre remcsum", {"lvs_method TUN"}),
        (SERVER, "lvs_method TUN type gre csum", {"lvs_method TUN type gre csum"}),
        (SERVER, "lvs_method TUN port 5555", {"lvs_method TUN"}),
        (URL, f"digest {SUM}\ndigest {OTHER_SUM}", {f"digest {SUM}"}),
        (URL, f"digest ff20\ndigest {OTHER_SUM}", {f"digest {OTHER_SUM}"}),
        (URL, "regex a\nregex b c", {"regex a"}),
        (URL, "regex b c", set()),
        (PASSWORD, "auth_pass some\nauth_pass longer-than-eight", {"auth_pass longer-than-eight"}),
        (FILE, "weight 5 reverse\nweight 7", {"weight 5 reverse"}),
        (SCRIPT, "weight 5 reverse\nweight 7 reverse", {"weight 7 reverse"}),
        (SCRIPT, "weight 5\nweight 7 reverse", {"weight 7 reverse"}),
        (SCRIPT, "weight 5\nweight 700", {"weight 700"}),
        (INSTANCE, "version 3\nversion 2", {"version 3"}),
        (INSTANCE, "version 7\nversion 3", {"version 3"}),
        (FILE, "weight 1\nweight 7\nweight 8", {"weight 7"}),
        (FILE, "weight 700\nweight 7", {"weight 7"}),
        (FILE, "weight 0\nweight 7", {"weight 0"}),
        (PROCESS, "weight 0\nweight 7\nweight 8", {"weight 7"}),
        (PROCESS, "weight 5\nweight 700", {"weight 5"}),
    ],
)
def test_what_counts_is_what_is_compiled(block: str, lines: str, kept: set[str]) -> None:
    """As `keepalived -t` and its dump have it, line by line."""
    found = imported(lb1=block.format(lines))
    assert found.complete, found.not_carried
    rest = set(texts(imported(lb1=block.format("")))["lb1"].splitlines())
    made = {line.strip() for line in texts(found)["lb1"].splitlines() if line not in rest}
    assert made == kept
    assert bool(found.declared_differences) == bool(set(lines.splitlines()) - kept)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("global_defs {\n  notify_fifo /run/a\n  script_user root\n  notify_fifo_script /bin/a\n}\n", 3),
        ("global_defs {\n  notify_fifo_script /bin/a\n  script_user root\n  script_user bin\n}\n", 3),
        (INSTANCE.format("  mcast_src_ip fd00::1"), 1),
        (INSTANCE.format("  mcast_dst_ip ff02::12"), 1),
        (INSTANCE.format("  use_vmac\n  use_vmac a"), 3),
        (INSTANCE.format("  vrf a"), 2),
        (SERVER.format("  lb_kind NAT\n  sorry_server 10.0.0.9 80\n  lvs_method DR"), 4),
        (SERVER.format("  lb_kind NAT\n  real_server 10.0.0.9 80 {\n  }\n  lb_kind DR"), 5),
        (SERVER.format("  lb_algo sh\n  sh-port\n  lb_algo rr"), 3),
        (GLOBAL.format("checker_rlimit_rttime 0"), 2),
        (GLOBAL.format("vrrp_rlimit_rttime 4\nvrrp_rlimit_rtime 4294967296"), 3),
        (GLOBAL.format("lvs_timeouts tcp 5 udp 3\nlvs_timeouts tcp 6"), 2),
        (GLOBAL.format("vrrp_garp_extra_if all 5\nvrrp_vmac_garp_intvl 6"), 2),
        (GLOBAL.format("vrrp_min_garp\nvrrp_garp_master_repeat 5"), 3),
        (GLOBAL.format("vrrp_min_garp\nvrrp_min_garp false"), 2),
        (SCRIPT.format("weight 5 reverse\nweight 7"), 4),
        ("bfd_instance a {\n  neighbor_ip 10.0.0.9\n  weight 5 reverse\n  weight 7\n}\n", 4),
        (URL.format("regex_stack 100 100\nregex_stack 10 60"), 7),
        (URL.format("regex_max_offset 9\nregex_max_offset x"), 7),
        (PROCESS.format("weight 0 reverse\nweight 7"), 4),
        (FILE.format("weight x\nweight 7"), 4),
        (UDP.format("payload 0a1b\npayload ff"), 5),
        (UDP.format("require_reply 0aXb\nrequire_reply 0a1b"), 5),
        (UDP.format("require_reply 0a1b\nrequire_reply"), 5),
    ],
)
def test_an_order_that_no_spec_can_say_is_lost_by_its_line(text: str, line: int) -> None:
    found = imported(lb1=text)
    assert line in {left.line for left in found.not_carried}


def test_answers_of_several_lines_are_all_sound() -> None:
    """As keepalived's dump has it: each line adds to those above it."""
    found = imported(lb1=URL.format("status_code 200-299\nstatus_code 404 410"))
    assert found.complete
    assert not found.declared_differences
    assert "status_code 200-299 404 410\n" in texts(found)["lb1"]


def test_a_script_below_its_user_is_carried() -> None:
    assert imported(lb1="global_defs {\n  script_user root\n}\nvrrp_script a {\n  script /bin/a\n}\n").complete


@pytest.mark.parametrize("first", ["lvs_notify_fifo_script /bin/a", "vrrp_notify_fifo /run/a"])
def test_what_global_defs_runs_above_script_user_stays_above_it(first: str) -> None:
    """As keepalived's dump has it: it runs as keepalived_script, or as root, and all other scripts as this user."""
    found = imported(lb1=f"global_defs {{\n  {first}\n  script_user nobody\n  router_id a\n}}\n")
    assert found.complete, found.not_carried
    lines = [line.strip() for line in texts(found)["lb1"].splitlines()]
    first_word = first.split()[0]
    assert lines.index("script_user nobody") > [line.split(" ")[0] for line in lines].index(first_word)
    assert imported(lb1=texts(found)["lb1"]).data == found.data


def test_a_pipe_with_a_user_of_its_own_stands_anywhere() -> None:
    found = imported(lb1="global_defs {\n  notify_fifo /run/a root\n  script_user nobody\n}\n")
    assert found.complete
    assert "script_user_below" not in found.data["origin"]["global_defs"]


def test_scripts_above_their_user_are_told_of_and_carried() -> None:
    """Measured: as this user from the start, as another after a reload."""
    found = imported(lb1="vrrp_script a {\n  script /bin/a\n}\nglobal_defs {\n  script_user root\n}\n")
    assert found.complete
    assert [left.line for left in found.declared_differences] == [5]


def test_a_track_group_further_down_tracks_nothing() -> None:
    """As keepalived's dump has it: the address, the route and the rule are there, without their group."""
    group = "track_group tg {\n  group {\n    a\n  }\n}\n"
    lines = (
        "static_ipaddress {\n  10.0.9.1/24 dev eth1 track_group tg\n}\n"
        "static_routes {\n  10.1.0.0/16 via 10.0.9.2 track_group tg dev eth1\n}\n"
    )
    found = imported(lb1=lines + group + INSTANCE.format(""))
    assert found.complete
    assert [left.line for left in found.declared_differences] == [2, 5]
    assert found.data["origin"]["outside"] == {
        "static_ipaddress": ["10.0.9.1/24 dev eth1"],
        "static_routes": ["10.1.0.0/16 via 10.0.9.2 dev eth1"],
    }
    kept = imported(lb1=group + lines + INSTANCE.format("")).data["origin"]["outside"]
    assert kept["static_ipaddress"] == ["10.0.9.1/24 dev eth1 track_group tg"]
