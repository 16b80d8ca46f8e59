"""Unusual files that are right, as people run them: no error comes of them."""

from __future__ import annotations

import pytest

from holdfast.findings import Severity
from holdfast.lint import engine
from holdfast.lint.samples import SCRIPTS, instance, script, virtual

SIX = "2001:db8::100/64"
LINK = "virtual_ipaddress {\n    fe80::100/64\n    2001:db8::100/64\n}"
UNICAST = "unicast_src_ip 10.0.0.1\nunicast_peer {\n    10.0.0.2\n    10.0.0.3\n}"
URL = "url {\n    path /healthz\n    status_code 200\n}"
GROUP = "virtual_server_group web {\n    10.0.0.100 80\n    10.0.0.100 443\n}\n"
BOTH = "vrrp_sync_group both {\n    group {\n        web\n        inner\n    }\n"
INNER = instance("interface eth1", name="inner", vrid=52, address="10.1.0.100/24")
PROCESS = "vrrp_track_process nginx {\n    process nginx\n    weight -50\n    quorum 2\n    delay 1\n}\n"
FILE = 'track_file drain {\n    file "/run/drain"\n    weight 1\n    init_file 0\n}\n'
BFD = "bfd_instance peer {\n    neighbor_ip 10.0.0.2\n    source_ip 10.0.0.1\n    min_rx 50\n    min_tx 50\n}\n"
ROUTES = (
    "virtual_routes {\n    default via 10.0.0.254 dev eth0 metric 100\n"
    "    192.168.0.0/16 via 10.0.0.253 dev eth0 src 10.0.0.100\n}\n"
    "virtual_rules {\n    from 10.0.0.100/32 table 100 priority 1000\n}"
)
STATIC = (
    "static_ipaddress {\n    10.0.0.1/24 brd + dev eth0 scope global\n}\n"
    "static_routes {\n    10.9.0.0/16 via 10.0.0.254 dev eth0\n    blackhole 10.8.0.0/16\n}\n"
    "static_rules {\n    from 10.9.0.0/16 table 9 priority 900\n}\n"
)
GLOBALS = "global_defs {{\n    router_id lb1\n    {}\n}}\n"

RIGHT = {
    "ipv6 alone": instance(LINK),
    "ipv6 alone, with vmac": instance("use_vmac vrrp6.51\nvmac_xmit_base\nversion 3\n" + LINK),
    "ipv6 unicast": instance("unicast_src_ip 2001:db8::1\nunicast_peer {\n    2001:db8::2\n}\n" + LINK),
    "ipv6 in the excluded ones": instance(f"virtual_ipaddress_excluded {{\n    {SIX}\n}}"),
    "unicast with a third, bounds of hops, and a check of them": instance(
        UNICAST.replace("10.0.0.2\n", "10.0.0.2 min_ttl 64 max_ttl 64\n") + "\nunicast_ttl 64\ncheck_unicast_src"
    ),
    "version 3 at a tenth of a second": instance("version 3\nadvert_int 0.1\naccept"),
    "version 3 for all": GLOBALS.format("vrrp_version 3") + instance("advert_int 0.25"),
    "an owner": instance("priority 255\nstate MASTER", address="10.0.0.100/24"),
    "no preemption without weights": PROCESS.replace("-50", "0") + instance("nopreempt\ntrack_process {\n    nginx\n}"),
    "a delayed preemption": instance("preempt_delay 300\ngarp_master_delay 5\ngarp_master_refresh 60"),
    "a tracked process": PROCESS + instance("track_process {\n    nginx\n}"),
    "a process by its whole line": "vrrp_track_process api {\n    full_command\n"
    '    process "/usr/bin/python3" "/srv/api.py"\n    param_match partial\n    weight 0\n}\n'
    + instance("track_process {\n    api\n}"),
    "a tracked file": FILE + instance("track_file {\n    drain weight 2\n}"),
    "a tracked session": BFD + instance("track_bfd {\n    peer weight -20\n}\npriority 110"),
    "tracked interfaces": instance("track_interface {\n    eth1 weight -20\n    eth2\n}\ndont_track_primary"),
    "a reversed script": SCRIPTS
    + script("weight -60")
    + instance("track_script {\n    check_web weight -60 reverse\n}"),
    "a shell of its own": SCRIPTS
    + script(command="/bin/sh -c '/usr/bin/pgrep nginx | grep -q 1'")
    + "\n"
    + instance("track_script {\n    check_web\n}"),
    "a sync group that keeps weights": SCRIPTS
    + script("weight -60")
    + instance("track_script {\n    check_web weight 0\n}")
    + INNER
    + BOTH
    + "}\n",
    "a sync group with its own trackers": SCRIPTS
    + script()
    + instance()
    + INNER
    + BOTH
    + "    track_script {\n        check_web\n    }\n}\n",
    "a sync group with hooks": SCRIPTS
    + instance()
    + INNER
    + BOTH
    + '    notify_master "/etc/keepalived/up.sh both"\n    smtp_alert no\n    global_tracking\n}\n'.replace(
        "    global_tracking\n", ""
    ),
    "hooks of every kind": SCRIPTS
    + instance(
        'notify "/etc/keepalived/all.sh"\nnotify_master "/etc/keepalived/up.sh a b" root root\n'
        'notify_backup "/etc/keepalived/down.sh"\nnotify_fault "/etc/keepalived/down.sh"\n'
        'notify_stop "/etc/keepalived/x"\n'
        'notify_master_rx_lower_pri "/etc/keepalived/low.sh"'
    ),
    "pipes for events": GLOBALS.format(
        "vrrp_notify_fifo /run/vrrp.fifo\n    lvs_notify_fifo /run/lvs.fifo\n    enable_script_security\n"
        "    script_user root\n    vrrp_notify_fifo_script /etc/keepalived/fifo.sh"
    )
    + instance(),
    "firewall by nftables": GLOBALS.format("nftables keepalived\n    nftables_priority -1\n    nftables_ifindex")
    + instance("version 3\naccept"),
    "adverts by another group": GLOBALS.format("vrrp_mcast_group4 224.0.0.200") + instance(),
    "routes and rules": instance(ROUTES),
    "what is static": STATIC + instance(),
    "labels, scopes, broadcasts": instance(
        "virtual_ipaddress {\n    10.0.0.100/24 brd 10.0.0.255 dev eth0 label eth0:vip scope global\n"
        "    10.0.0.101/32 dev eth0 noprefixroute\n    10.0.0.102 dev eth0 scope link preferred_lft forever\n}"
    ),
    "many addresses": instance(
        "virtual_ipaddress_excluded {\n" + "".join(f"    10.0.0.{n}/24\n" for n in range(110, 150)) + "}"
    ),
    "one number on two interfaces": instance() + instance("interface eth1", name="b", address="10.1.0.100/24"),
    "one number of two families": instance() + instance(LINK, name="six"),
    "two groups of one pair": instance("priority 150")
    + instance("priority 100", name="b", vrid=52, address="10.0.0.101/24"),
    "a macvlan of a bond's VLAN": instance("interface bond0.100\nuse_vmac vrrp.100.51\nvmac_xmit_base"),
    "an ipvlan": instance("use_ipvlan ipvl51\nmcast_src_ip 10.0.0.51\nversion 3"),
    "garp groups": "garp_group {\n    garp_interval 0.2\n    gna_interval 0.2\n"
    "    interfaces {\n        eth0\n        eth1\n    }\n}\n" + instance(),
    "a group of virtual servers": GROUP
    + virtual(address="group web", real="TCP_CHECK {\n    connect_port 80\n}", server="10.0.0.11")
    + instance(),
    "a group by marks": "virtual_server_group web {\n    fwmark 7\n}\n"
    + "virtual_server group web {\n    lb_algo wlc\n    lb_kind NAT\n    protocol TCP\n"
    "    real_server 10.0.0.11 80 {\n        TCP_CHECK {\n        }\n    }\n}\n",
    "a mark": "virtual_server fwmark 7 {\n    lb_algo wlc\n    lb_kind DR\n    persistence_timeout 300\n"
    "    real_server 10.0.0.11 0 {\n        TCP_CHECK {\n            connect_port 443\n        }\n    }\n}\n",
    "an IPv6 virtual server": instance(LINK) + virtual(address="2001:db8::100 80", server="2001:db8::11 80"),
    "an IPv6 server behind a tunnel": instance() + virtual("lb_kind TUN", server="2001:db8::11 80"),
    "a tunnel of its own kind": instance() + virtual("lb_kind TUN type gue port 5555"),
    "TCP and UDP on one port": instance(address="10.0.0.100/24")
    + virtual(address="10.0.0.100 53").replace("10.0.0.11 80", "10.0.0.11 53")
    + virtual(
        "protocol UDP",
        "DNS_CHECK {\n    type A\n    name example.com\n}",
        address="10.0.0.100 53",
        server="10.0.0.11 53",
    ),
    "one-packet DNS": instance()
    + virtual(
        "protocol UDP\nops", "DNS_CHECK {\n    name example.com\n}", address="10.0.0.100 53", server="10.0.0.11 53"
    ),
    "SIP": instance()
    + virtual(
        "protocol UDP\npersistence_engine sip\npersistence_timeout 300",
        "UDP_CHECK {\n}",
        address="10.0.0.100 5060",
        server="10.0.0.11 5060",
    ),
    "SCTP": instance() + virtual("protocol SCTP", "TCP_CHECK {\n}"),
    "consistent hashing": instance()
    + virtual("lvs_sched mh\nmh-port\nmh-fallback\nlvs_method DR\nprotocol TCP").replace(
        "    lb_algo wlc\n    lb_kind DR\n", ""
    ),
    "quorum, sorry server, hooks": SCRIPTS
    + instance()
    + virtual(
        "alpha\nomega\nquorum 1\nhysteresis 0\n"
        'quorum_up "/etc/keepalived/q.sh up"\nsorry_server 127.0.0.1 80\nha_suspend',
        "weight 3\ninhibit_on_failure\nTCP_CHECK {\n    connect_timeout 2\n    retry 1\n    delay_before_retry 1\n}",
    ),
    "HTTP with a name and a digest": instance()
    + virtual("virtualhost www.example.com", f"HTTP_GET {{\n{URL}\nurl {{\n    path /\n    digest {'0a' * 16}\n}}\n}}"),
    "HTTPS with its name": instance()
    + virtual(
        real=f"SSL_GET {{\n    enable_sni\n    virtualhost www.example.com\n{URL}\n}}",
        address="10.0.0.100 443",
        server="10.0.0.11 443",
    ),
    "NAT to other ports": instance() + virtual("lb_kind NAT", server="192.168.5.11 8080"),
    "a check by program": SCRIPTS
    + instance()
    + virtual(
        real='MISC_CHECK {\n    misc_path "/usr/local/bin/check 10.0.0.11"\n    misc_timeout 3\n    misc_dynamic\n}'
    ),
    "directors that tell each other": GLOBALS.format("lvs_sync_daemon eth0 web id 51 port 8848")
    + instance()
    + virtual(),
    "who sends mail": "global_defs {\n    notification_email {\n        ops@example.com\n    }\n"
    "    notification_email_from lb1@example.com\n"
    "    smtp_server 10.0.0.25\n    smtp_connect_timeout 30\n    smtp_alert\n}\n" + instance(),
    "for two hosts": "global_defs {\n    @lb1 router_id lb1\n    @lb2 router_id lb2\n}\n"
    + instance("@lb1 priority 150\n@lb2 priority 100").replace("    priority 100\n", "", 1),
    "variables": "$PRIO=150\n$VIP=10.0.0.100/24\n" + instance("priority $PRIO").replace("10.0.0.100/24", "$VIP"),
    "a multi-line variable": "$SERVER= \\\nreal_server 10.0.0.${N} 80 { \\\n    TCP_CHECK { \\\n    } \\\n}\n"
    + instance()
    + virtual("real_server 10.0.0.9 80 {\n    TCP_CHECK {\n    }\n}\n~SEQ(N, 11, 14) $SERVER"),
    "a network namespace": "net_namespace web\n"
    + GLOBALS.format("process_names\n    vrrp_startup_delay 2")
    + instance(),
    "with SNMP and D-Bus": GLOBALS.format(
        "enable_traps\n    enable_snmp_vrrp\n    enable_snmp_checker\n    enable_dbus"
    )
    + instance(),
    "names of other languages": "# 主节点\n"
    + instance(name="主节点").replace("priority 100", "priority 100  # 优先级"),
    "lines that end as Windows ends them": instance().replace("\n", "\r\n"),
}


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT)
def test_no_error_comes_of_it(text: str) -> None:
    found = engine.examine([engine.read_text(text, "keepalived.conf")])
    errors = [one.finding for one in found if one.finding.severity is Severity.ERROR]
    assert not errors, text
