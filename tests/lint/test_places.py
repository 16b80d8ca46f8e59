"""Mistakes of one file and the line that each is told on; where keepalived complains too, it is asked itself."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from tests.keepalived.corpus import needs_keepalived

from holdfast.keepalived.files import OnDisk
from holdfast.keepalived.parse import parse
from holdfast.lint import engine
from holdfast.lint.registry import rules
from holdfast.lint.samples import SCRIPTS, instance, script, virtual

TRACK = "track_script {\n    check_web\n}"
HERE = "# here"  # stands on the line that a finding is expected at
_LINE = re.compile(r"Line (\d+)\)")


def check(inner: str, kind: str = "TCP_CHECK") -> str:
    return virtual(real=f"{kind} {{\n    {inner}\n}}") + instance()


def group(*lines: str, inner: str = "") -> str:
    listed = "".join(f"    {line}\n" for line in lines)
    return f"virtual_server_group web {{\n{listed}}}\n" + virtual(inner, address="group web") + instance()


def route(line: str) -> str:
    return instance(f"virtual_routes {{\n    {line} {HERE}\n}}")


def rule_of(line: str) -> str:
    return instance(f"virtual_rules {{\n    {line} {HERE}\n}}")


def process(inner: str) -> str:
    return f"vrrp_track_process web {{\n    process nginx\n{inner}\n}}\n" + instance("track_process {\n    web\n}")


def bfd(inner: str, more: str = "") -> str:
    return f"bfd_instance peer {{\n{inner}\n}} {'' if more else HERE}\n{more}" + instance("track_bfd {\n    peer\n}")


def status(codes: str) -> str:
    return (
        virtual(real=f"HTTP_GET {{\n    url {{\n        path /\n        status_code {codes} {HERE}\n    }}\n}}")
        + instance()
    )


def at_end(text: str, block: str) -> str:
    """The mark at the brace that closes this block."""
    before, _, rest = text.partition(block)
    head, _, after = rest.partition("\n}\n")
    return f"{before}{block}{head}\n}} {HERE}\n{after}"


# What keepalived -t complains about: lint is never worse, and says it on the same line.
FLOOR = {
    "sorry server": ("LVS119", at_end(virtual("sorry_server 2001:db8::20 80") + instance(), "virtual_server")),
    "sorry server of a group": (
        "LVS119",
        at_end(group("10.0.0.100 80", inner="sorry_server 2001:db8::20 80"), "virtual_server group"),
    ),
    "sorry server of a mark": (
        "LVS119",
        at_end(virtual("sorry_server 2001:db8::20 80", address="fwmark 3") + instance(), "virtual_server"),
    ),
    "long name of a virtual interface": ("KA006", instance(f"use_vmac vrrp_frontend_51 {HERE}")),
    "odd name of a virtual interface": ("KA006", instance(f"use_vmac vrrp/51 {HERE}")),
    "odd hardware address": ("KA006", instance(f"use_vmac vrrp:51 {HERE}")),
    "long name of an ipvlan": ("KA006", instance(f"use_ipvlan vrrp_frontend_51 {HERE}")),
    "interface with a label": ("KA006", instance(f"interface eth0:1 {HERE}")),
    "status": ("KA006", status("700")),
    "statuses": ("KA006", status("200-299 600")),
    "turned range": ("KA006", group(f"10.0.0.110-100 80 {HERE}", "10.0.0.1 80")),
    "empty range": ("KA006", group(f"10.0.0.100-100 80 {HERE}", "10.0.0.1 80")),
    "turned range of whole addresses": ("KA006", group(f"10.0.0.110-10.0.0.100 80 {HERE}", "10.0.0.1 80")),
    "turned range of IPv6": ("KA006", group(f"fd00::20-10 80 {HERE}", "10.0.0.1 80")),
    "network with more bits": ("KA006", group(f"10.0.0.9/29 80 {HERE}", "10.0.0.1 80")),
    "families of BFD": ("KA014", bfd("neighbor_ip 10.0.0.2\nsource_ip fe80::1")),
    "one neighbour twice": (
        "TRACK111",
        bfd("neighbor_ip 10.0.0.2", f"bfd_instance other {{\nneighbor_ip 10.0.0.2\n}} {HERE}\n"),
    ),
    "addresses behind peers of another family": (
        "UNICAST105",
        instance(f"unicast_peer {{\n    fd00::2\n}}\nvirtual_ipaddress {{\n    10.0.0.100/24 {HERE}\n}}"),
    ),
    "addresses behind a source of another family": (
        "UNICAST105",
        instance(f"unicast_src_ip fd00::1\nvirtual_ipaddress {{\n    10.0.0.100/24 {HERE}\n}}"),
    ),
    "a peer behind addresses of another family": (
        "UNICAST105",
        instance(f"virtual_ipaddress {{\n    10.0.0.100/24\n}}\nunicast_peer {{\n    fd00::2 {HERE}\n}}"),
    ),
    "addresses behind native_ipv6": (
        "UNICAST105",
        instance(f"native_ipv6\nvirtual_ipaddress {{\n    10.0.0.100/24 {HERE}\n}}"),
    ),
    "native_ipv6 behind addresses": (
        "KA010",
        instance(f"virtual_ipaddress {{\n    10.0.0.100/24\n}}\nnative_ipv6 {HERE}"),
    ),
    "a rule of a group further down": (
        "TRACK112",
        f"static_rules {{\n    from 10.0.9.0/24 table 100 preference 100 track_group tg {HERE}\n}}\n"
        "track_group tg {\n    group {\n        web\n    }\n}\n" + instance(),
    ),
    "a mail server with its port behind a colon": (
        "GLOBAL109",
        "global_defs {\n    notification_email {\n        a@example.com\n    }\n"
        f"    smtp_server 10.0.0.25:25 {HERE}\n}}\n" + instance("smtp_alert"),
    ),
    "a netmask": ("KA006", instance(f"virtual_ipaddress {{\n    10.0.0.100/255.255.255.0 {HERE}\n}}")),
    "a netmask of a route": ("KA004", route("192.168.5.0/255.255.255.0 via 10.0.0.1 dev eth0")),
    "a method twice": ("KA004", virtual(f"lb_kind DR DR {HERE}") + instance()),
    "a tunnel of no kind": ("KA003", virtual(f"lb_kind TUN type {HERE}") + instance()),
    "a part of a millisecond": ("KA007", route("192.168.5.0/24 via 10.1.0.1 dev eth0 rtt 1.0001s")),
    "a fraction of milliseconds": ("KA006", route("192.168.5.0/24 via 10.1.0.1 dev eth0 rtt 1.5")),
    "an inner brace that is missing": (
        "KA002",
        SCRIPTS
        + script()
        + instance(f"track_script\n    check_web\n}}\nvirtual_ipaddress {{ {HERE}\n    10.0.0.100/24\n}}"),
    ),
    "an empty block without its brace": ("KA002", instance(f"authentication\n}}\nnopreempt {HERE}")),
    "an empty list without its brace": ("KA002", instance(f"track_interface\n}}\nnopreempt {HERE}")),
    "a script without a word": (
        "KA012",
        f"vrrp_script check_web {{\n    script\n    interval 2\n}} {HERE}\n"
        + instance("track_script {\n    check_web\n}"),
    ),
    "an outer brace that is missing": ("KA020", f"global_defs\n    vrrp_skip_check_adv_addr\n}} {HERE}\n" + instance()),
    "a group whose entries are all skipped": (
        "LVS114",
        at_end(group("10.0.0.9/29 80", "10.0.0.100 70000"), "virtual_server_group"),
    ),
    "quorum_max below": ("TRACK108", process(f"quorum 3\nquorum_max 2 {HERE}")),
    "quorum above": ("TRACK108", process(f"quorum_max 2\nquorum 3 {HERE}")),
    "rule of two families": ("ADDR113", rule_of("from 2001:db8::/64 to 10.0.0.0/8 table 100")),
    "route of two families": ("ADDR113", route("192.168.9.0/24 via 2001:db8::1 dev eth0")),
    "source of another family": ("ADDR113", route("src 2001:db8::1 to 192.168.9.0/24 via 10.0.0.1 dev eth0")),
    "next hop of another family": ("ADDR113", route("192.168.9.0/24 dev eth0 nexthop via fe80::1")),
    "bindto": ("CHECK110", check(f"bindto fd00::1 {HERE}\n    connect_timeout 3")),
    "bindto of HTTP": ("CHECK110", check(f"bindto fd00::1 {HERE}\n    url {{\n        path /\n    }}", "HTTP_GET")),
    "bindto before connect_ip": ("CHECK110", check(f"bindto fd00::1 {HERE}\n    connect_ip 10.0.0.12")),
    "connect_ip behind bindto": ("CHECK110", check(f"bindto 10.0.0.1\n    connect_ip fd00::12 {HERE}")),
    "bindto behind connect_ip": ("CHECK110", check(f"connect_ip fd00::12\n    bindto 10.0.0.1 {HERE}")),
    "a link-local server without an interface": (
        "CHECK114",
        virtual(address="fd00::100 80", server="fe80::11 80", real="TCP_CHECK {\n    retry 3\n}").replace(
            "        }", f"        }} {HERE}", 1
        )
        + instance(),
    ),
    "a link-local address that is asked": (
        "CHECK114",
        check("connect_ip fe80::12").replace("        }", f"        }} {HERE}", 1),
    ),
    "two names of a virtual interface": ("VRRP112", instance(f"use_vmac vrrp51 vrrp52 {HERE}")),
    "a mail server with a mask": (
        "GLOBAL109",
        f"global_defs {{\n    smtp_server 10.0.0.1/33 {HERE}\n}}\n" + instance(),
    ),
    "a real server of another family, with a mask": (
        "KA014",
        virtual(server="fd00::1/128 80").replace("\n    }\n", f"\n    }} {HERE}\n", 1) + instance(),
    ),
    "a second script of a name": (
        "KA001",
        SCRIPTS + script() + f'vrrp_script check_web {{\n    script "/usr/bin/true"\n    itnerval 2 {HERE}\n}}\n',
    ),
    "a second list of a group": (
        "KA020",
        SCRIPTS
        + instance()
        + instance(name="mail", vrid=52, address="10.0.0.101/24")
        + "vrrp_sync_group all {\n"
        + "    group {\n        web\n        mail\n    }\n" * 2
        + f"}} {HERE}\n",
    ),
    "an interface in two groups": (
        "GLOBAL113",
        "garp_group {\n    garp_interval 0.01\n    interface lo\n}\n"
        + f"garp_group {{\n    garp_interval 0.01\n    interface lo {HERE}\n}}\n"
        + instance(),
    ),
    "a block without its name where another is not opened": (
        "KA003",
        instance(f"virtual_ipaddress\n    10.0.0.100/24\n}}\ntrack_file {{ {HERE}\n    web\n}}"),
    ),
    "a vrf beside an interface": ("VRRP115", instance(f"interface eth0\nvrf eth0 {HERE}")),
    "a contradicted family": ("LVS122", virtual(f"ip_family inet6 {HERE}") + instance()),
    "a multicast address of another family": (
        "UNICAST105",
        instance(f"virtual_ipaddress {{\n    10.0.0.100/24\n}}\nmcast_dst_ip ff02::12 {HERE}"),
    ),
    "hashed without sh": ("LVS115", virtual(f"hashed {HERE}") + instance()),
    "a second fifo": (
        "KA008",
        f"global_defs {{\n    notify_fifo /run/a\n}}\nglobal_defs {{\n    notify_fifo /run/b {HERE}\n}}\n" + instance(),
    ),
    "a second track_file of a check": (
        "CHECK108",
        virtual(real=f"FILE_CHECK {{\n    track_file web {HERE}\n    track_file web\n}}") + instance(),
    ),
    "label of one letter": (
        "KA006",
        virtual("protocol UDP", real=f"DNS_CHECK {{\n    type A\n    name a.example.com {HERE}\n}}") + instance(),
    ),
}
# What keepalived says nothing about, or says without a line.
SILENT = {
    "a check that always says yes": (
        "SCRIPT120",
        SCRIPTS
        + script(f"script \"/bin/sh -c '/usr/bin/nc -z 127.0.0.1 80; exit 0'\" {HERE}\ninterval 2")
        + instance(TRACK),
    ),
    "a check of the virtual address and its port": (
        "SCRIPT117",
        SCRIPTS + script(f'script "/usr/bin/nc -z 10.0.0.100 80" {HERE}\ninterval 2') + instance(TRACK),
    ),
    "systemd's word of keepalived": (
        "SCRIPT119",
        SCRIPTS
        + script(f'script "/usr/bin/systemctl is-active --quiet keepalived.service" {HERE}\ninterval 2')
        + instance(TRACK),
    ),
    "stopped on the backup of a group": (
        "SCRIPT118",
        SCRIPTS
        + script(command="/usr/bin/pgrep haproxy")
        + "vrrp_sync_group both {\n    group {\n        web\n        inner\n    }\n"
        + "    track_script {\n        check_web\n    }\n"
        + f'    notify_backup "/usr/sbin/service haproxy stop" {HERE}\n}}\n'
        + instance()
        + instance("interface eth1", name="inner", vrid=52, address="10.1.0.100/24"),
    ),
    "accept and its opposite": ("VRRP116", instance(f"accept {HERE}\nno_accept")),
    "an interface as ip shows it": ("VRRP117", instance(f"interface eth0.5@eth0 {HERE}")),
    "two interfaces to track in one word": ("VRRP117", instance(f"track_interface {{\n    eth1,eth2 {HERE}\n}}")),
    "a broadcast address of another network": ("ADDR117", instance(address=f"10.0.0.100/24 brd 10.1.0.255 {HERE}")),
    "arguments outside of quotes": (
        "SCRIPT114",
        SCRIPTS
        + f"vrrp_script check_web {{\n    script /usr/bin/test -d /etc {HERE}\n}}\n"
        + instance("track_script {\n    check_web\n}"),
    ),
    "arguments behind quotes": (
        "SCRIPT114",
        SCRIPTS + check(f'misc_path "/usr/bin/test" -d /etc {HERE}', "MISC_CHECK"),
    ),
    "a folder": ("SCRIPT103", SCRIPTS + script(command="/usr/bin/").replace('/"', f'/" {HERE}')),
    "no_accept": ("VRRP114", instance(f"version 3\nno_accept {HERE}")),
    "bound to a virtual address": ("CHECK112", check(f"bindto 10.0.0.100 {HERE}")),
    "a group of two families": ("LVS120", group("10.0.0.100 80", f"2001:db8::100 80 {HERE}")),
    "a group without a port": ("LVS110", group("10.0.0.100 80", f"10.0.0.101 {HERE}")),
    "a route by an own address": ("ADDR114", route("default via 10.0.0.100 dev eth0")),
    "a next hop that is an own address": ("ADDR114", route("default nexthop via 10.0.0.100 nexthop via 10.0.0.3")),
    "a route with host bits": ("ADDR115", route("192.168.9.7/24 via 10.0.0.254 dev eth0")),
    "a source that nobody sets": ("ADDR116", route("192.168.9.0/24 via 10.0.0.254 dev eth0 src 10.0.0.109")),
    "BFD with itself": ("TRACK110", bfd(f"neighbor_ip 10.0.0.2 {HERE}\nsource_ip 10.0.0.2").replace(f"}} {HERE}", "}")),
    "no timeout": ("GLOBAL111", f"global_defs {{\n    lvs_timeouts tcp 0 {HERE}\n}}\n" + instance()),
    "an engine without persistence": ("LVS115", virtual(f"persistence_engine sip {HERE}") + instance()),
    "SIP over TCP": ("LVS121", virtual(f"persistence_timeout 60\npersistence_engine sip {HERE}") + instance()),
    "arguments in a name": (
        "TRACK109",
        process("").replace("process nginx", f'process "/usr/sbin/nginx -g daemon" {HERE}', 1),
    ),
    "typographic quotes": ("KA038", script().replace('"/usr/local/bin/check_web"', f"“/usr/bin/true” {HERE}")),
    "an early brace": ("KA020", instance(f"advert_int 1\n}} {HERE}\nnopreempt")),
    "a password with a blank": (
        "AUTH106",
        instance(f"authentication {{\n    auth_type PASS\n    auth_pass my pass {HERE}\n}}"),
    ),
    "services turned round": (
        "SCRIPT115",
        SCRIPTS
        + instance(f'notify_master "/usr/bin/systemctl stop web" {HERE}\nnotify_backup "/usr/bin/systemctl start web"'),
    ),
}
# Nothing is wrong with these: each is next to a mistake above.
CLEAN = [
    SCRIPTS + script(command="/bin/sh -c 'ip address show eth0 | grep -q 10.0.0.100'") + instance(TRACK),
    SCRIPTS + script(command="/usr/bin/curl -sf --interface 10.0.0.1 http://10.0.0.1:8080/") + instance(TRACK),
    SCRIPTS + script(command="/bin/sh -c '/usr/bin/curl -sf http://127.0.0.1/ || exit 1'") + instance(TRACK),
    SCRIPTS
    + script(command="/usr/bin/curl -sf http://[::1]/")
    + instance(TRACK + '\nnotify_backup "/usr/bin/systemctl stop cron"'),
    instance(address="10.0.0.100/24 brd +"),
    instance(address="10.0.0.100/32 brd 10.0.0.255"),
    instance("interface bond0.100"),
    virtual(address="fd00::100 80", server="fd00::11 80", inner="persistence_timeout 9\npersistence_granularity 64")
    + instance(),
    virtual("protocol UDP", real="PING_CHECK {\n}") + instance(),
    virtual(
        "virtualhost www.example.com",
        real="SSL_GET {\n    enable_sni\n    url {\n        path /\n    }\n}",
        address="10.0.0.100 443",
        server="10.0.0.11 443",
    )
    + instance(),
    group("10.0.0.100-10.0.0.100 80", "10.0.0.101-105 80", "10.0.0.112/29 80", "10.0.0.9/32 80"),
    group("fd00::10-20 80").replace("10.0.0.11 80", "fd00::11 80"),
    instance("use_vmac vrrp51 00:00:5e:00:01:33"),
    instance("use_ipvlan vrrp51 10.0.0.5 bridge"),
    virtual(address="fd00::100 80", server="fe80::11 80", real="TCP_CHECK {\n    bind_if eth0\n}"),
    instance(
        "virtual_routes {\n    192.168.9.0/24 via inet6 fe80::1 dev eth0\n    src 10.0.0.100 to 10.9.0.0/16 dev eth0\n}"
    ),
    instance("virtual_rules {\n    from 10.0.0.100 to 10.9.0.0/16 table 100 preference 7\n}"),
    SCRIPTS + script(command="/usr/bin/test -d /etc").replace('"', "'") + instance("track_script {\n    check_web\n}"),
    process("quorum 2\nquorum_max 2\nweight 0"),
]


def found(text: str) -> list[tuple[str, int]]:
    """Id and line of all that is said of a file."""
    remarks = engine.examine([engine.read_text(text)])
    return [(one.finding.code, one.finding.location.line) for one in remarks if one.finding.location is not None]


def line_of(text: str) -> int:
    """Where the mark is."""
    return text[: text.index(HERE)].count("\n") + 1


@pytest.mark.parametrize("name", [*FLOOR, *SILENT])
def test_a_mistake_is_told_where_it_stands(name: str) -> None:
    id, text = {**FLOOR, **SILENT}[name]
    assert (id, line_of(text)) in found(text), found(text)


@pytest.mark.parametrize("text", CLEAN)
def test_what_is_right_is_left_in_peace(text: str) -> None:
    codes = {code for code, _ in found(text)}
    assert not codes & {id for id, _ in (*FLOOR.values(), *SILENT.values())}, codes


@pytest.mark.lab
@needs_keepalived
@pytest.mark.parametrize("name", FLOOR)
def test_keepalived_complains_on_that_line_too(name: str, tmp_path: Path) -> None:
    _, text = FLOOR[name]
    path = tmp_path / "keepalived.conf"
    path.write_text(text)
    done = subprocess.run(
        ["keepalived", "-t", "-f", str(path)], capture_output=True, text=True, timeout=20, check=False
    )
    assert line_of(text) in {int(one) for one in _LINE.findall(done.stderr)}, done.stderr


def test_a_script_of_the_group_and_of_a_member_is_told_once() -> None:
    group = "vrrp_sync_group both {\n    group {\n        web\n        inner\n    }\n"
    group += "    track_script {\n        check_web\n    }\n}\n"
    own = instance(f"track_script {{\n    check_web {HERE}\n}}")
    inner = instance("interface eth1", name="inner", vrid=52, address="10.1.0.100/24")
    text = SCRIPTS + script("weight 0") + group + own + inner
    assert found(text) == [("SYNC108", line_of(text))]
    weighted = text.replace("weight 0", "weight -60").replace(
        "    group {", "    sync_group_tracking_weight\n    group {"
    )
    assert ("TRACK105", line_of(weighted)) in found(weighted)


def test_a_process_without_a_weight_is_a_fault() -> None:
    text = "vrrp_track_process web {\n    process nginx\n}\n" + instance("nopreempt\ntrack_process {\n    web\n}")
    assert [code for code, _ in found(text)] == ["TRACK106"]  # PRIO102, nopreempt with a weight, it was


def test_the_weight_of_an_interface_in_a_group_counts() -> None:
    inner = instance("interface eth1", name="inner", vrid=52, address="10.1.0.100/24")
    group = "vrrp_sync_group both {\n    group {\n        web\n        inner\n    }\n}\n"
    text = group + instance("nopreempt\ntrack_interface {\n    eth9 weight -60\n}") + inner
    assert {"PRIO102", "SYNC103"} <= {code for code, _ in found(text)}


@pytest.mark.parametrize(
    ("text", "id", "hint"),
    [
        (instance("state backup"), "KA006", "write BACKUP"),
        (instance("state BACUP"), "KA006", "write BACKUP"),
        (virtual("lb_kind nat"), "KA006", "write NAT"),
        (instance("unicast_src_ip lb1"), "KA006", rules()["KA006"].hint),
        (check("nb_get_retry 3"), "KA002", "write retry instead"),
        (check("nb_get_retri 3"), "KA001", "write retry instead"),
        (check("delay_lop 3"), "KA001", "did you mean delay_loop?"),
        (check("virtual_ipaddres 3"), "KA001", "did you mean virtual_ipaddress? it belongs in vrrp_instance"),
        ("include /\n", "KA042", rules()["KA042"].hint),
    ],
)
def test_every_hint_can_be_followed(text: str, id: str, hint: str) -> None:
    files = OnDisk() if id == "KA042" else None
    remarks = engine.examine([engine.read_text(text, files=files)])
    assert hint in [one.finding.hint for one in remarks if one.finding.code == id]
    assert all(one.finding.hint for one in remarks)


def test_no_password_is_repeated() -> None:
    for password in ("s3cretword", "my s3cr"):
        text = instance(f"authentication {{\n    auth_type PASS\n    auth_pass {password}\n}}")
        said = parse(text).findings
        assert said
        assert not any(word in f"{one.message} {one.hint}" for one in said for word in password.split())


def test_an_include_that_is_not_followed_is_not_told_to_be_missing() -> None:
    assert found("include other.conf\n" + instance()) == [("KA044", 1)]
