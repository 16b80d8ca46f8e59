"""Mistakes that a rule sees besides the one of its example: each yields the rule on the marked line."""

from __future__ import annotations

import pytest

from holdfast.findings import Severity
from holdfast.lint import engine
from holdfast.lint.samples import SCRIPTS, instance, script, virtual

MARK = "# here"
TRACK = "track_script {\n    check_web\n}"
RANGE = "virtual_server_group web {{\n    10.0.0.{} 80 # here\n}}\n"
SERVER = "    real_server {} 80 {{\n        TCP_CHECK {{\n        }}\n    {}\n"
PORTS = "virtual_server_group web {\n    10.0.0.100 80\n    10.0.0.100 8080\n}\n"
MARKED = "virtual_server fwmark 7 {\n    lb_algo wlc\n    lb_kind NAT\n"

ON_PORTS = virtual(address="group web")


def tracked(command: str) -> str:
    text = script(command=command).replace(f'"{command}"', f'"{command}" {MARK}')
    return SCRIPTS + text + instance(TRACK)


def process(inner: str) -> str:
    lines = inner.replace("\n", "\n    ")
    return f"vrrp_track_process web {{\n    {lines}\n    weight 0\n}}\n" + instance("track_process {\n    web\n}")


def pair(second: str) -> str:
    """Two real servers, of which the second has this line."""
    first = SERVER.format("10.0.0.11", "}").strip()
    other = SERVER.format("10.0.0.12", f"    {second}\n    }}").strip()
    return SCRIPTS + instance() + virtual(f"{first}\n{other}")


def matched(pattern: str, mark: str) -> str:
    url = f'url {{\n    path /\n    regex "{pattern}" {mark}\n}}'
    return instance() + virtual(real=f"HTTP_GET {{\n{url}\n}}")


def routed(*lines: str) -> str:
    return instance("virtual_routes {\n    " + "\n    ".join(lines) + "\n}")


BAD = {
    "a pattern that no shell expands": ("SCRIPT102", tracked("/bin/ls /run/*.pid")),
    "a pipe behind its word": ("SCRIPT102", tracked("/usr/bin/pgrep nginx| grep 1")),
    "a pipe before its word": ("SCRIPT102", tracked("/usr/bin/pgrep nginx |grep 1")),
    "a pipe without blanks": ("SCRIPT102", tracked("/usr/bin/ss -lnt|grep :80")),
    "two commands without blanks": ("SCRIPT102", tracked("/usr/bin/test -e /run/a&&/bin/true")),
    "sudo without anybody to ask": ("SCRIPT109", tracked("/usr/bin/sudo /usr/local/bin/check")),
    "a broadcast address as real server": (
        "REAL109",
        instance() + virtual(server="10.0.0.255 80").replace("10.0.0.255 80 {", f"10.0.0.255 80 {{ {MARK}"),
    ),
    "servers of two families behind a mark": (
        "REAL110",
        MARKED + SERVER.format("10.0.0.11", "}") + SERVER.format("2001:db8::11", f"}} {MARK}") + "}\n",
    ),
    "a range over another's address": ("LVS126", RANGE.format("90-110") + virtual() + virtual(address="group web")),
    "an address of a group and of a server": ("LVS126", RANGE.format("100") + virtual() + virtual(address="group web")),
    "a broadcast address that a host has": ("ADDR117", instance(address=f"10.0.0.100/24 brd 10.0.0.1 {MARK}")),
    "use_vmac with a yes or no": ("VRRP122", instance(f"use_vmac false {MARK}")),
    "a semicolon behind a script": ("STYLE103", SCRIPTS + instance(f"notify_master /etc/keepalived/notify.sh; {MARK}")),
    "a semicolon behind a password": (
        "STYLE103",
        instance(f"authentication {{\n    auth_type PASS\n    auth_pass abc; {MARK}\n}}"),
    ),
    "a list of peers with nobody in it": (
        "UNICAST101",
        instance(f"unicast_src_ip 10.0.0.1\nunicast_peer {{ {MARK}\n}}"),
    ),
    "a source that is a node's own alone": ("UNICAST112", instance(f"mcast_src_ip 127.0.0.1 {MARK}")),
    "a gue tunnel without a port": ("KA006", instance() + virtual(f"lb_kind TUN type gue {MARK}")),
    "a port of a tunnel that has none": ("KA006", instance() + virtual(f"lb_kind TUN type gre port 55 {MARK}")),
    "a umask that is meant to be octal": ("KA007", f"global_defs {{\n    umask 777 {MARK}\n}}\n" + instance()),
    "a umask of strange bits": ("KA006", f"global_defs {{\n    umask IWXXX {MARK}\n}}\n" + instance()),
    "an interface that no adverts go through": ("VRRP117", instance(f"interface lo {MARK}")),
    "an address for an interface": ("VRRP117", instance(f"interface 10.0.0.1 {MARK}")),
    "a template that was not filled in": ("VRRP117", instance(f"interface __INTERFACE__ {MARK}")),
    "the name in a guide": ("VRRP117", instance(f"interface ethX {MARK}")),
    "a variable that is not set": ("VRRP117", instance(f"interface $IFACE {MARK}")),
    "a check that asks the virtual address": (
        "CHECK102",
        instance() + virtual(real=f"TCP_CHECK {{\n    connect_ip 10.0.0.100 {MARK}\n}}"),
    ),
    "a notification about another server": ("CHECK119", pair(f'notify_down "/etc/tell 10.0.0.11 down" {MARK}')),
    "an opening bracket": ("CHECK120", matched("status: [ok", MARK)),
    "a closing bracket": ("CHECK120", matched("ok)", MARK)),
    "nothing to repeat": ("CHECK120", matched("*ok", MARK)),
    "a second network": ("ADDR119", routed(f"192.0.2.0/24 via 10.0.0.254 198.51.100.0/24 dev eth0 {MARK}")),
    "a peer that is the network's end": (
        "UNICAST113",
        instance(f"unicast_src_ip 10.0.0.1\nunicast_peer {{\n    10.0.0.255 {MARK}\n}}"),
    ),
    "a peer that is loopback": (
        "UNICAST113",
        instance(f"unicast_src_ip 10.0.0.1\nunicast_peer {{\n    127.0.0.1 {MARK}\n}}"),
    ),
    "a check that ends a process by pattern": ("SCRIPT123", tracked("/usr/bin/pkill -f haproxy.cfg")),
    "a check of keepalived's unit": ("SCRIPT119", tracked("/usr/bin/systemctl is-active --quiet keepalived")),
    "a check of keepalived's state": ("SCRIPT119", tracked("/usr/sbin/service keepalived status")),
    "a check of keepalived's process": ("SCRIPT119", tracked("/usr/bin/killall -0 keepalived")),
    "buffers of no policy": ("KA006", f"global_defs {{\n    vrrp_rx_bufs_policy foo {MARK}\n}}\n" + instance()),
    "a blank before the sign of a variable": ("KA001", f"$PRIO = 150 {MARK}\n" + instance()),
    "what such a variable was for": ("KA006", "$PRIO =150\n" + instance(f"priority $PRIO {MARK}")),
    "a condition without its host": ("KA054", instance(f"@ lb1 priority 150 {MARK}")),
    "a condition that leaves nobody out": ("KA054", instance(f"@^ priority 150 {MARK}")),
    "a broadcast address of IPv6": (
        "ADDR120",
        instance(f"virtual_ipaddress {{\n    fe80::1/64\n    2001:db8::1/64 brd + {MARK}\n}}"),
    ),
    "a broadcast address of IPv6 that is always there": (
        "ADDR120",
        f"static_ipaddress {{\n    2001:db8::1/64 brd + dev eth0 {MARK}\n}}\n" + instance(),
    ),
    "a network without its length": ("ADDR121", routed(f"192.0.2.0 via 10.0.0.254 dev eth0 {MARK}")),
    "a network without its length, always there": (
        "ADDR121",
        f"static_routes {{\n    to 10.9.0.0 via 10.0.0.254 dev eth0 {MARK}\n}}\n" + instance(),
    ),
    "authentication of nothing": ("AUTH102", instance(f"authentication {{ {MARK}\n}}")),
    "one port of a group": ("REAL101", f"{PORTS.replace('8080', f'8080 {MARK}')}" + instance() + ON_PORTS),
    "a range that is held in part": (
        "LVS107",
        f"virtual_server_group web {{\n    10.0.0.100-102 80 {MARK}\n}}\n" + virtual(address="group web") + instance(),
    ),
    "a variable of a shell": ("SCRIPT103", tracked("PORT=80 /usr/local/bin/check")),
    "a name that only a shell replaces": ("SCRIPT102", tracked("/usr/local/bin/check --url http://$HOST/")),
    "a shell that is given one word": ("SCRIPT125", tracked("/bin/bash -c pidof nginx")),
    "a page that is saved": ("SCRIPT126", tracked("/usr/bin/wget -q http://127.0.0.1/")),
    "a ping of itself": ("SCRIPT120", tracked("/bin/ping -c 1 -W 1 127.0.0.1")),
    "a program that is started again": ("SCRIPT107", tracked("/bin/sh -c 'pidof nginx || /usr/sbin/nginx'")),
    "a quiesced server of persistent clients": (
        "LVS112",
        instance()
        + pair(f"weight 0 {MARK}")
        .removeprefix(SCRIPTS + instance())
        .replace("    lb_kind", "    persistence_timeout 300\n    lb_kind"),
    ),
    "a process by its path": ("TRACK113", process(f"process /usr/sbin/nginx {MARK}")),
    "a process with a long name": ("TRACK113", process(f"process prometheus-node-exporter {MARK}")),
    "a process and its words in one pair of quotes": (
        "TRACK109",
        process(f'process "/usr/sbin/vsftpd /etc/vsftpd.conf" {MARK}\nfull_command'),
    ),
    "version 2 for IPv6": (
        "VRRP121",
        instance(f"version 2 {MARK}\nvirtual_ipaddress {{\n    fe80::1/64\n    2001:db8::1/64\n}}"),
    ),
    "a positive weight below what the master has ahead": (
        "PRIO101",
        SCRIPTS + script(f"weight 20 {MARK}") + instance(f"priority 150\n{TRACK}"),
    ),
    "a file whose number moves nothing": (
        "PRIO102",
        "track_file drain {\n    file /run/drain\n    weight -50\n}\n"
        + instance(f"nopreempt {MARK}\ntrack_file {{\n    drain\n}}"),
    ),
}
GOOD = {
    "buffers by a policy": ("KA00", "global_defs {\n    vrrp_rx_bufs_policy mtu\n}\n" + instance()),
    "signal 0 in other words": ("SCRIPT123", tracked("/usr/bin/pkill --signal 0 -x nginx")),
    "signal 0 behind other options": ("SCRIPT123", tracked("/usr/bin/killall -q -s 0 nginx")),
    "a check of another unit": ("SCRIPT119", tracked("/usr/bin/systemctl is-active --quiet haproxy")),
    "a blank behind the sign of a variable": ("KA0", "$PRIO= 150\n" + instance("priority $PRIO")),
    "a condition that holds for all but one": ("KA05", instance("@^lb1 priority 150")),
    "a broadcast address of IPv4": ("ADDR120", instance(address="10.0.0.100/24 brd +")),
    "routes to one host, to all, and with their length": (
        "ADDR121",
        routed(
            "192.0.2.1 via 10.0.0.254 dev eth0",
            "0.0.0.0 via 10.0.0.254 dev eth0",
            "192.0.2.0/32 via 10.0.0.254 dev eth0",
            "198.51.100.0/24 via 10.0.0.254 dev eth0 src 10.0.0.100",
        ),
    ),
    "the director's own service on another port": (
        "REAL103",
        instance() + virtual("lb_kind NAT", server="10.0.0.100 8080"),
    ),
    "a broadcast address of the network": ("ADDR117", instance(address="10.0.0.100/24 brd 10.0.0.255")),
    "use_vmac with a name": ("VRRP122", instance("use_vmac vrrp.51")),
    "a semicolon in quotes": ("STYLE103", SCRIPTS + instance("notify_master \"/bin/sh -c 'date; id;'\"")),
    "a semicolon that is told as a wrong number": ("STYLE103", instance("priority 150;")),
    "a group of ports behind NAT": ("REAL101", PORTS + instance() + ON_PORTS.replace("DR", "NAT")),
    "a server of a group on the ports that clients ask": (
        "REAL101",
        PORTS
        + instance()
        + virtual(address="group web", server="10.0.0.11", real="TCP_CHECK {\n    connect_port 80\n}"),
    ),
    "a range that is held": (
        "LVS107",
        "virtual_server_group web {\n    10.0.0.100-101 80\n}\n"
        + virtual(address="group web")
        + instance("virtual_ipaddress {\n    10.0.0.100/24\n    10.0.0.101/24\n}"),
    ),
    "a program that is given a setting": ("SCRIPT10", tracked("/usr/bin/env PORT=80 /usr/local/bin/check a=b")),
    "signs of money that are no names": ("SCRIPT102", tracked("/usr/bin/grep -q ready$ /run/state")),
    "fields of awk": ("SCRIPT102", tracked("/usr/bin/awk $NF /run/state")),
    "a shell with its words in quotes": ("SCRIPT125", tracked("/bin/bash -c 'pidof nginx'")),
    "a shell with a file": ("SCRIPT125", tracked("/bin/sh -e /etc/keepalived/check a b")),
    "a shell with arguments that its words name": ("SCRIPT125", tracked("/bin/sh -c 'exec $0 $1' /bin/check a")),
    "a page that is looked at": ("SCRIPT126", tracked("/usr/bin/wget -q --spider http://127.0.0.1/")),
    "a page that goes nowhere": ("SCRIPT126", tracked("/usr/bin/wget -qO /dev/null http://127.0.0.1/")),
    "a ping of the router": ("SCRIPT120", tracked("/bin/ping -c 1 -W 1 10.0.0.254")),
    "a check that asks twice": ("SCRIPT107", tracked("/bin/sh -c 'pidof nginx || pgrep -f /usr/sbin/nginx'")),
    "a quiesced server": ("LVS112", pair("weight 0")),
    "a weight out of range, which counts": (
        "PRIO101",
        SCRIPTS + script("weight 300") + instance(f"priority 150\n{TRACK}"),
    ),
    "a process by its name": ("TRACK113", process("process nginx")),
    "a process by its whole line": ("TRACK113", process("process /usr/sbin/nginx\nfull_command")),
    "a process with its words": ("TRACK113", process('process /usr/bin/python3 "/srv/a b.py"')),
    "a process of a name with a blank": ("TRACK113", process('process "Xvfb main"')),
    "version 3 for IPv6": (
        "VRRP121",
        instance("version 3\nvirtual_ipaddress {\n    fe80::1/64\n    2001:db8::1/64\n}"),
    ),
    "a positive weight that a backup in health has too": (
        "PRIO101",
        SCRIPTS + script("weight 20") + instance(f"priority 110\n{TRACK}"),
    ),
    "an address that is none, once": ("REAL101", instance() + virtual(address="10.0.0.100:80")),
    "a port that is none, once": ("REAL101", instance() + virtual(address="10.0.0.100 80000")),
    "an entry that is none, once": (
        "REAL101",
        instance() + "virtual_server_group web {\n    10.0.0.100:80\n}\n" + virtual(address="group web"),
    ),
    "a file that is a fault": (
        "PRIO102",
        "track_file drain {\n    file /run/drain\n    weight -254\n}\n"
        + instance("nopreempt\ntrack_file {\n    drain\n}"),
    ),
    "a peer in a small network": (
        "UNICAST113",
        instance("unicast_src_ip 10.0.0.1\nunicast_peer {\n    10.0.0.2\n}", address="10.0.0.3/32"),
    ),
    "peers on a line of two": (
        "UNICAST113",
        instance("unicast_src_ip 10.0.0.2\nunicast_peer {\n    10.0.0.3\n}", address="10.0.0.2/31"),
    ),
    "an interface of addresses alone": ("VRRP117", instance(address="10.0.0.100/32 dev lo")),
    "interfaces with odd names": ("VRRP117", instance("interface br-lan.20-a_b")),
    "a notification about the server itself": ("CHECK119", pair('notify_down "/etc/tell 10.0.0.12 down"')),
    "a notification about both": ("CHECK119", pair('notify_down "/etc/tell 10.0.0.12 10.0.0.11"')),
    "a pattern with brackets as letters": ("CHECK120", matched(r"\(ok\) [])([:alpha:]]+ \[ (a|b)*", "")),
    "routes in other orders": (
        "ADDR119",
        routed("192.0.2.0/24 dev eth0 via 10.0.0.254 src 10.0.0.100", "to 198.51.100.0/24 nexthop via 10.0.0.254"),
    ),
    "a route of a kind": ("ADDR119", routed("blackhole 192.0.2.0/24", "default via 10.0.0.254 dev eth0")),
    "a route by way of the other family": ("ADDR119", routed("192.0.2.0/24 via inet6 fe80::1 dev eth0")),
    "a hysteresis with room": (
        "LVS127",
        virtual("quorum 3\nhysteresis 2", real="weight 5\nTCP_CHECK {\n}") + instance(),
    ),
    "a pattern with a pipe": ("SCRIPT102", tracked("/usr/bin/pgrep -x nginx|haproxy")),
    "a url with two values": ("SCRIPT102", tracked("/usr/bin/curl http://127.0.0.1/?a=1&b=2")),
    "a url with a star": ("SCRIPT102", tracked("/usr/bin/curl -H Accept:*/* http://127.0.0.1/?a=*")),
    "sudo as root": ("SCRIPT109", tracked("/usr/bin/sudo /bin/true").replace("keepalived_script", "root")),
    "a range beside another's address": ("LVS126", RANGE.format("101-110") + virtual() + virtual(address="group web")),
    "the same address of another protocol": (
        "LVS126",
        RANGE.format("100") + virtual("protocol UDP") + virtual(address="group web"),
    ),
    "a pattern in quotes": ("CHECK121", matched("all is well", "")),
    "a umask in octal": ("KA00", "global_defs {\n    umask 022\n}\n" + instance()),
    "a umask of bits": ("KA00", "global_defs {\n    umask IWGRP | IWOTH\n}\n" + instance()),
    "a gue tunnel": ("KA00", instance() + virtual("lb_kind TUN type gue port 5555 nocsum")),
    "even weights": ("LVS125", instance() + virtual("lb_algo rr\nweight 5")),
    "a network that is not known": ("REAL112", instance(address="10.0.0.100") + virtual(server="172.16.5.11 80")),
    "a server in another known network": (
        "REAL112",
        "static_ipaddress {\n    172.16.5.1/24 dev eth1\n}\n" + instance() + virtual(server="172.16.5.11 80"),
    ),
}


def found(text: str) -> list[tuple[str, int]]:
    remarks = engine.examine([engine.read_text(text, "keepalived.conf")])
    return [(one.finding.code, one.finding.location.line) for one in remarks if one.finding.location is not None]


@pytest.mark.parametrize(("rule", "text"), BAD.values(), ids=BAD)
def test_it_is_seen_where_it_is(rule: str, text: str) -> None:
    line = next(at for at, one in enumerate(text.splitlines(), 1) if MARK in one)
    assert (rule, line) in found(text)


@pytest.mark.parametrize(("rule", "text"), GOOD.values(), ids=GOOD)
def test_what_looks_like_it_is_not_taken_for_it(rule: str, text: str) -> None:
    assert not [one for one in found(text) if one[0].startswith(rule)]


@pytest.mark.parametrize(
    ("inner", "severity"),
    [("", Severity.WARNING), ("version 3", Severity.ERROR), ("notify_master /etc/move_address", Severity.INFO)],
)
def test_an_instance_without_addresses_is_as_bad_as_what_comes_of_it(inner: str, severity: Severity) -> None:
    """keepalived runs none of version 3 without an address; in a cloud a script moves the address."""
    text = instance(inner).replace("    virtual_ipaddress {\n        10.0.0.100/24\n    }\n", "")
    remarks = engine.examine([engine.read_text(text, "keepalived.conf")])
    assert [one.finding.severity for one in remarks if one.finding.code == "VRRP104"] == [severity]
