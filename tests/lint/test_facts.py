"""Mistakes that only a host's facts show: each is found on the marked line, and what is not known says nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from holdfast.findings import Severity
from holdfast.lint import engine, facts_addresses, facts_host, facts_network, facts_scripts, facts_site
from holdfast.lint.facts_host import route_to
from holdfast.lint.facts_samples import card, file, host, keepalived, real_server
from holdfast.lint.registry import of
from holdfast.lint.samples import SCRIPTS, instance, script, virtual
from holdfast.protocol import FirewallFacts, HostFacts, InterfaceFacts, RouteFacts

MARK = "# here"
FACTS = of((facts_addresses, facts_host, facts_network, facts_scripts, facts_site))
TRACKED = "track_script {\n    check_web\n}"
W, ERROR, INFO = Severity.WARNING, Severity.ERROR, Severity.INFO
PEERS = "unicast_src_ip 10.0.0.1\nunicast_peer {\n    10.0.0.2\n}"
ROOT = SCRIPTS.replace("keepalived_script", "root")


def found(text: str, facts: Mapping[str, HostFacts]) -> list[tuple[str, int, Severity]]:
    """Id, line and severity of what facts say of lb1's file."""
    remarks = engine.examine([engine.read_text(text, "lb1.conf", "lb1")], facts, among=FACTS)
    return [
        (one.finding.code, one.finding.location.line, one.finding.severity) for one in remarks if one.finding.location
    ]


def advert(source: str, vrid: int = 51, version: int = 2) -> dict[str, Any]:
    return {"interface": "eth0", "source": source, "vrid": vrid, "family": 4, "version": version, "priority": 100}


def checked(user: str = "", **files: Any) -> str:
    """A script of whose file the facts tell."""
    return SCRIPTS + script(f"weight 0{user}") + instance(TRACKED)


BAD: dict[str, tuple[str, Severity, str, HostFacts]] = {
    "interface": ("HOST101", ERROR, instance(f"interface ens3 {MARK}"), host()),
    "interface that comes and goes": (
        "HOST101",
        W,
        "global_defs {\n    dynamic_interfaces\n}\n" + instance(f"interface ens3 {MARK}"),
        host(),
    ),
    "tracked interface": ("HOST101", ERROR, instance(f"track_interface {{\n    eth7 {MARK}\n}}"), host()),
    "interface of an address": (
        "HOST101",
        ERROR,
        instance(f"virtual_ipaddress_excluded {{\n    10.9.0.1/24 dev eth7 {MARK}\n}}"),
        host(),
    ),
    "no cable": (
        "HOST102",
        W,
        instance(f"interface eth0 {MARK}"),
        host(interfaces=(card("eth0", "10.0.0.1/24", carrier=False),)),
    ),
    "source": ("HOST103", ERROR, instance(PEERS.replace("10.0.0.1\n", f"10.0.0.7 {MARK}\n")), host()),
    "own address": ("HOST104", ERROR, instance(f"virtual_ipaddress {{\n    10.0.0.1/24 {MARK}\n}}"), host()),
    "own address, with another mask": (
        "HOST104",
        ERROR,
        instance(f"virtual_ipaddress {{\n    10.0.0.1 {MARK}\n}}"),
        host(),
    ),
    "own address, keepalived does not run": (
        "HOST104",
        ERROR,
        instance(f"virtual_ipaddress {{\n    10.0.0.9/24 {MARK}\n}}"),
        host(
            interfaces=(card("eth0", "10.0.0.1/24", "10.0.0.9/24", secondary=("10.0.0.9/24",)),),
            keepalived=keepalived(processes=()),
        ),
    ),
    "own address, or the only one that keepalived set": (
        "HOST104",
        W,
        instance(f"virtual_ipaddress {{\n    10.0.0.9/24 {MARK}\n}}"),
        host(interfaces=(card("eth0", "10.0.0.9/24"),), routes=()),
    ),
    "own address, nothing known of keepalived": (
        "HOST104",
        ERROR,
        instance(f"virtual_ipaddress {{\n    10.0.0.9/24 {MARK}\n}}"),
        host(interfaces=(card("eth0", "10.0.0.9/24"),), keepalived=None),
    ),
    "outside": ("HOST105", W, instance(f"virtual_ipaddress {{\n    10.7.0.100/24 {MARK}\n}}"), host()),
    "firewall": (
        "HOST106",
        ERROR,
        instance().replace("web {", f"web {{ {MARK}"),
        host(firewall=FirewallFacts(program="nftables", accepts_ipv4=False)),
    ),
    "cloud": ("HOST107", W, instance().replace("web {", f"web {{ {MARK}"), host(platform="Google Compute Engine")),
    "IPv6 switched off": (
        "HOST109",
        ERROR,
        instance(f"virtual_ipaddress_excluded {{\n    2001:db8::9/64 {MARK}\n}}"),
        host(sysctls={"net/ipv6/conf/eth0/disable_ipv6": "1"}),
    ),
    "a service that cannot start": (
        "HOST110",
        W,
        instance(f"virtual_ipaddress {{\n    10.0.0.100/24 {MARK}\n}}"),
        host(listeners=({"address": "10.0.0.100", "port": 80},), sysctls={"net/ipv4/ip_nonlocal_bind": "0"}),
    ),
    "rp_filter of the interface": (
        "HOST111",
        W,
        instance(f"use_vmac {MARK}"),
        host(sysctls={"net/ipv4/conf/eth0/rp_filter": "1"}),
    ),
    "virtual MAC in a cloud": (
        "HOST112",
        W,
        instance(f"use_vmac {MARK}\n{PEERS}"),
        host(platform="Amazon EC2 t3.micro"),
    ),
    "a stranger's advert": (
        "HOST113",
        W,
        instance(f"virtual_router_id 51 {MARK}\n{PEERS}"),
        host(adverts=(advert("10.0.0.77"),)),
    ),
    "a stranger's version": (
        "HOST113",
        W,
        instance(f"virtual_router_id 51 {MARK}"),
        host(adverts=(advert("10.0.0.77", version=3),)),
    ),
    "perhaps a peer": (
        "HOST113",
        INFO,
        instance(f"virtual_router_id 51 {MARK}"),
        host(adverts=(advert("10.0.0.77"),)),
    ),
    "scheduler": (
        "HOST121",
        ERROR,
        instance() + virtual(f"lb_algo mh {MARK}"),
        host(loadable={"ip_vs": True, "ip_vs_mh": False}),
    ),
    "no IPVS": (
        "HOST121",
        ERROR,
        instance() + virtual().replace("80 {", f"80 {{ {MARK}", 1),
        host(loadable={"ip_vs": False}, modules=()),
    ),
    "NAT": ("HOST122", ERROR, instance() + virtual(f"lb_kind NAT {MARK}"), host(sysctls={"net/ipv4/ip_forward": "0"})),
    "NAT of IPv6": (
        "HOST122",
        ERROR,
        instance(address="2001:db8::9/64")
        + virtual(f"lb_kind NAT {MARK}", address="2001:db8::9 80", server="2001:db8::21 80"),
        host(sysctls={"net/ipv4/ip_forward": "1", "net/ipv6/conf/all/forwarding": "0"}),
    ),
    "behind a router": (
        "HOST123",
        W,
        instance() + virtual(server="172.16.0.1 80").replace("1 80 {", f"1 80 {{ {MARK}"),
        host(),
    ),
    "too early": (
        "HOST124",
        W,
        instance().replace("web {", f"web {{ {MARK}"),
        host(keepalived=keepalived(after=("network.target",))),
    ),
    "SELinux": (
        "HOST125",
        W,
        checked().replace('check_web"', f'check_web" {MARK}'),
        host(confinement=("selinux",)),
    ),
    "no BFD": (
        "HOST126",
        ERROR,
        f"bfd_instance b {{ {MARK}\n    neighbor_ip 10.0.0.9\n}}\n" + instance("track_bfd {\n    b\n}"),
        host(keepalived=keepalived(options=("VRRP", "LVS"))),
    ),
    "too old": (
        "HOST127",
        ERROR,
        f"global_defs {{\n    use_symlink_paths {MARK}\n}}\n" + instance(),
        host(),
    ),
    "a script that is not there": (
        "HOST141",
        ERROR,
        checked().replace('check_web"', f'check_web" {MARK}'),
        host(files=(file("/usr/local/bin/check_web", exists=False),)),
    ),
    "a script that is not executable": (
        "HOST141",
        ERROR,
        checked().replace('check_web"', f'check_web" {MARK}'),
        host(files=(file("/usr/local/bin/check_web", mode=0o644),)),
    ),
    "a notify script that is not there": (
        "HOST141",
        W,
        SCRIPTS + instance(f'notify_master "/etc/keepalived/up.sh" {MARK}'),
        host(files=(file("/etc/keepalived/up.sh", exists=False),)),
    ),
    "a MISC_CHECK that is not there": (
        "HOST141",
        ERROR,
        SCRIPTS + instance() + virtual(real=f'MISC_CHECK {{\n    misc_path "/opt/check" {MARK}\n}}'),
        host(files=(file("/opt/check", exists=False),)),
    ),
    "a weak script, with security": (
        "HOST142",
        ERROR,
        ROOT + script(f'script "/usr/local/bin/check_web" {MARK}\nweight 0') + instance(TRACKED),
        host(files=(file("/usr/local/bin/check_web", weak=("/usr/local",)),)),
    ),
    "a weak script, without security": (
        "HOST142",
        W,
        script(f'script "/usr/local/bin/check_web" {MARK}\nweight 0\nuser root') + instance(TRACKED),
        host(files=(file("/usr/local/bin/check_web", weak=("/usr/local",)),)),
    ),
    "a weak script of another user": (
        "HOST142",
        INFO,
        SCRIPTS + script(f'script "/usr/local/bin/check_web" {MARK}\nweight 0') + instance(TRACKED),
        host(files=(file("/usr/local/bin/check_web", weak=("/usr/local",)),)),
    ),
    "killall in a shell": (
        "HOST143",
        ERROR,
        SCRIPTS + script(f"script \"/bin/sh -c 'killall -0 nginx'\" {MARK}\nweight 0") + instance(TRACKED),
        host(commands={"killall": ""}),
    ),
    "the user of all scripts": (
        "HOST144",
        ERROR,
        checked().replace("script_user keepalived_script", f"script_user keepalived_script {MARK}"),
        host(users={"keepalived_script": None}),
    ),
    "the user of a script": (
        "HOST144",
        ERROR,
        checked(f"\nuser nagios {MARK}"),
        host(users={"nagios": None}),
    ),
    "the user of a notify script": (
        "HOST144",
        ERROR,
        SCRIPTS + instance(f'notify_master "/etc/keepalived/up.sh" nagios {MARK}'),
        host(users={"nagios": None}),
    ),
    "the group of all scripts": (
        "HOST145",
        ERROR,
        checked().replace("script_user keepalived_script", f"script_user keepalived_script checks {MARK}"),
        host(groups={"checks": None}),
    ),
    "the group of all scripts, with words behind it": (
        "HOST145",
        ERROR,
        checked().replace("script_user keepalived_script", f"script_user keepalived_script checks and more {MARK}"),
        host(groups={"checks": None}),
    ),
    "the group of a script": (
        "HOST145",
        ERROR,
        checked(f"\nuser nagios checks {MARK}"),
        host(groups={"checks": None}),
    ),
    "the group of a notify script, called as its user": (
        "HOST145",
        ERROR,
        SCRIPTS + instance(f'notify_master "/etc/keepalived/up.sh now" nagios nagios {MARK}'),
        host(groups={"nagios": None}),
    ),
    "nobody made keepalived_script, which counts with security": (
        "HOST144",
        ERROR,
        "global_defs {\n    enable_script_security\n}\n"
        + script(f'script "/usr/local/bin/check_web" {MARK}\nweight 0')
        + instance(TRACKED),
        host(users={"keepalived_script": None}),
    ),
    "nobody made keepalived_script": (
        "HOST144",
        W,
        script(f'script "/usr/local/bin/check_web" {MARK}\nweight 0') + instance(TRACKED),
        host(users={"keepalived_script": None}),
    ),
}


@pytest.mark.parametrize(("id", "severity", "text", "facts"), BAD.values(), ids=BAD)
def test_a_mistake_is_found_on_its_line(id: str, severity: Severity, text: str, facts: HostFacts) -> None:
    marked = [number for number, line in enumerate(text.splitlines(), 1) if MARK in line]
    assert found(text, {"lb1": facts}) == [(id, line, severity) for line in marked]
    assert marked


@pytest.mark.parametrize(("id", "severity", "text", "facts"), BAD.values(), ids=BAD)
def test_nothing_follows_from_what_is_not_known(id: str, severity: Severity, text: str, facts: HostFacts) -> None:
    bare = HostFacts(hostname="lb1", kernel="", service_manager="")
    assert found(text, {"lb1": bare}) == []
    assert found(text, {}) == []


WHOLE = (
    SCRIPTS
    + script("weight -60")
    + instance(
        f"{PEERS}\n{TRACKED}\nvirtual_ipaddress {{\n    10.0.0.100/24\n    10.0.0.101/24\n}}\n"
        "virtual_ipaddress_excluded {\n    10.1.0.100/24 dev eth1\n    2001:db8::100/64\n}"
    )
    + virtual(server="10.0.0.21 80")
)
HELD = (
    card("eth0", "10.0.0.1/24", "10.0.0.100/24", "10.0.0.101/24", "2001:db8::1/64", "2001:db8::100/64",
         secondary=("10.0.0.100/24", "10.0.0.101/24")),
    card("eth1", "10.1.0.1/24", "10.1.0.100/24", secondary=("10.1.0.100/24",)),
)  # fmt: skip


@pytest.mark.parametrize(
    "facts",
    [
        host(),
        host(interfaces=HELD),  # the addresses that keepalived set are not the node's own
        host(interfaces=HELD, listeners=({"address": "0.0.0.0", "port": 80},), platform="QEMU Standard PC"),
        host(firewall=FirewallFacts(program="nftables"), adverts=(advert("10.0.0.2"), advert("10.0.0.9", vrid=7))),
    ],
)
def test_a_sound_node_yields_nothing(facts: HostFacts) -> None:
    assert found(WHOLE, {"lb1": facts}) == []


def test_an_anchor_that_serves_nothing_may_be_of_any_network() -> None:
    text = instance("virtual_ipaddress {\n    169.254.255.51/32 scope link\n}")
    assert found(text, {"lb1": host()}) == []


def test_addresses_on_an_interface_of_no_network_are_not_outside() -> None:
    facts = host(interfaces=(card("eth0"), InterfaceFacts(name="lo", addresses=("127.0.0.1/8",))))
    assert found(instance(), {"lb1": facts}) == []


LVS = instance() + virtual(server="10.0.0.21 80").replace("10.0.0.21 80 {", f"10.0.0.21 80 {{ {MARK}")
NAT = LVS.replace("lb_kind DR", "lb_kind NAT")
TUN = LVS.replace("lb_kind DR", "lb_kind TUN")
QUIET = {"net/ipv4/conf/all/arp_ignore": "1", "net/ipv4/conf/all/arp_announce": "2"}
SERVERS: dict[str, tuple[str, Severity, str, HostFacts]] = {
    "no address": ("HOST201", ERROR, LVS, real_server(21, "127.0.0.1/8")),
    "no address behind a tunnel": ("HOST201", ERROR, TUN, real_server(21, "127.0.0.1/8")),
    "answers ARP": (
        "HOST202",
        ERROR,
        LVS,
        real_server(21, "10.0.0.100/32", sysctls={**QUIET, "net/ipv4/conf/all/arp_ignore": "0"}),
    ),
    "announces": (
        "HOST202",
        ERROR,
        LVS,
        real_server(21, "10.0.0.100/32", sysctls={**QUIET, "net/ipv4/conf/all/arp_announce": "0"}),
    ),
    "another gateway": ("HOST203", ERROR, NAT, real_server(21)),
    "the gateway does not move": (
        "HOST203",
        W,
        NAT,
        real_server(21, routes=({"family": 4, "destination": "default", "gateway": "10.0.0.1"},)),
    ),
    "no gateway": ("HOST203", ERROR, NAT, real_server(21, routes=())),
    "the tunnel's filter": (
        "HOST204",
        ERROR,
        TUN,
        real_server(21, "10.0.0.100/32", device="tunl0", sysctls={**QUIET, "net/ipv4/conf/tunl0/rp_filter": "1"}),
    ),
}


@pytest.mark.parametrize(("id", "severity", "text", "facts"), SERVERS.values(), ids=SERVERS)
def test_what_is_wrong_with_a_real_server(id: str, severity: Severity, text: str, facts: HostFacts) -> None:
    marked = [number for number, line in enumerate(text.splitlines(), 1) if MARK in line]
    assert found(text, {"lb1": host(), "web1": facts}) == [(id, line, severity) for line in marked]


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        (LVS, real_server(21, "10.0.0.100/32")),
        (LVS, real_server(21, "10.0.0.100/32", sysctls={})),
        (LVS, real_server(21, "10.0.0.100/32",
                          sysctls={"net/ipv4/conf/all/arp_ignore": "0", "net/ipv4/conf/eth0/arp_ignore": "1"})),
        (TUN, real_server(21, "10.0.0.100/32", device="tunl0")),
        (NAT, real_server(21, routes=({"family": 4, "destination": "default", "gateway": "10.0.0.100"},))),
        (NAT, real_server(21, routes=None)),
    ],
)  # fmt: skip
def test_a_sound_real_server(text: str, facts: HostFacts) -> None:
    assert found(text, {"lb1": host(), "web1": facts}) == []


def test_the_kernels_choice_of_a_route() -> None:
    routes = (
        RouteFacts(family=4, destination="default", gateway="10.0.0.254"),
        RouteFacts(family=4, destination="10.0.0.0/8", gateway="10.0.0.253", metric=5),
        RouteFacts(family=4, destination="10.0.0.0/8", gateway="10.0.0.252", metric=1),
        RouteFacts(family=4, destination="10.0.0.0/24"),
        RouteFacts(family=6, destination="default", gateway="fe80::1"),
        RouteFacts(family=4, destination="nonsense"),
    )
    chosen = {host: route_to(routes, host) for host in ("10.0.0.9", "10.5.0.1", "192.0.2.1", "2001:db8::1", "x")}
    assert {host: one.gateway if one else None for host, one in chosen.items()} == {
        "10.0.0.9": "",
        "10.5.0.1": "10.0.0.252",
        "192.0.2.1": "10.0.0.254",
        "2001:db8::1": "fe80::1",
        "x": None,
    }


def test_facts_that_somebody_wrote_by_hand_raise_nothing() -> None:
    """Odd addresses, masks, numbers and names everywhere, in facts of directors and of real servers."""
    odd = ("", "x", "10.0.0.1/99", "10.0.0.1", "::/129", "fe80::1%eth0/64", "/", "10.0.0.0/0", "10.0.0.21/x")
    strange = {
        "interfaces": (card("eth0", *odd), card("lo", *odd), card("")),
        "routes": tuple(RouteFacts(family=4, destination=one, gateway=one, interface="eth0") for one in odd),
        "sysctls": {
            f"net/ipv4/conf/{name}/{key}": "many" for name in ("all", "eth0") for key in ("arp_ignore", "rp_filter")
        },
        "keepalived": keepalived(version="odd", after=("",)),
        "listeners": ({"address": "", "port": 0},),
        "files": (file(""), file("/usr/local/bin/check_web", mode=None, kind="")),
        "adverts": ({"interface": "", "source": "x", "vrid": 1, "family": 6, "version": 0, "priority": -1},),
    }
    facts = {"lb1": host(**strange), "lb2": host(2, **strange), "web1": real_server(21, **strange)}
    for text in (WHOLE, LVS, NAT, TUN):
        subjects = [engine.read_text(text, f"{node}.conf", node) for node in ("lb1", "lb2")]
        engine.examine(subjects, facts, peers=True, among=FACTS)


def test_a_missing_interface_takes_the_virtual_mac_of_unicast_peers_with_it() -> None:
    """keepalived tells of the interface on its line, and of the virtual MAC where the instance ends."""
    text = instance(f"interface ens3\nuse_vmac\nvmac_xmit_base\n{PEERS}").rstrip()
    assert ("HOST101", len(text.splitlines()), W) in found(text, {"lb1": host()})
    assert not [one for one in found(text.replace("ens3", "eth0"), {"lb1": host()}) if one[0] == "HOST101"]
