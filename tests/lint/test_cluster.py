"""Mistakes that take two nodes to be seen: each bad pair yields its rule on the marked line, each good one nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from holdfast.findings import Severity
from holdfast.lint import engine
from holdfast.lint.cluster_model import routers, shared
from holdfast.lint.model import Model
from holdfast.lint.registry import rules
from holdfast.lint.rule import ClusterRule
from holdfast.lint.samples import SCRIPTS, instance, script, virtual

MARK = "# here"  # stands on the line that a finding is expected at
PEERS = [one for one in rules().values() if isinstance(one, ClusterRule)]
TRACK = "track_script {\n    check_web\n}"
UNICAST = "unicast_src_ip 10.0.0.{0}\nunicast_peer {{{2}\n    10.0.0.{1}\n}}"
SYNC = "global_defs {\n    lvs_sync_daemon eth0 web id 5\n}\n"
NOTIFY = 'notify_master "/etc/keepalived/up.sh"'
BOTH = "vrrp_sync_group both {\n    group {\n        web\n        inner\n    }\n}\n"


def inner(priority: int, mark: str = "") -> str:
    """The second instance of the sync group, on eth1."""
    found = instance(f"interface eth1\npriority {priority} {mark}", name="inner", vrid=52, address="10.1.0.100/24")
    return found.replace(f"priority {priority} \n", f"priority {priority}\n")


def other_group(priority: int) -> str:
    """An instance of a second group of nodes on the same network."""
    return instance(f"priority {priority}", name="mail", vrid=61, address="10.0.0.200/24")


def models(*texts: str) -> tuple[Model, ...]:
    return tuple(engine.read_text(text, f"lb{at}.conf", f"lb{at}").model for at, text in enumerate(texts, 1))


def found(*texts: str) -> list[tuple[str, str, int, Severity]]:
    """Id, file, line and severity of what is said of the peers alone."""
    subjects = [engine.read_text(text, f"lb{at}.conf", f"lb{at}") for at, text in enumerate(texts, 1)]
    remarks = engine.examine(subjects, peers=True, among=PEERS)
    places = [(one.finding, one.finding.location) for one in remarks]
    return [(one.code, where.file, where.line, one.severity) for one, where in places if where is not None]


@dataclass
class Bad:
    """Files of two or three nodes; one of them has the mark, or several."""

    id: str
    files: tuple[str, ...]
    severity: Severity = Severity.ERROR
    also: set[str] = field(default_factory=set)  # what is rightly said besides


W, INFO = Severity.WARNING, Severity.INFO
BAD = {
    "an instance on another interface": Bad(
        "PEER131",
        (
            instance() + inner(100),
            instance() + inner(100).replace("interface eth1", f"interface eth0 {MARK}"),
        ),
        W,
        also={"PEER112"},
    ),
    "an address on another interface": Bad(
        "PEER131",
        (
            instance(address="10.0.0.100/24 dev eth0") + inner(100),
            instance(address=f"10.0.0.100/24 dev eth1 {MARK}") + inner(100),
        ),
        W,
        also={"PEER112"},
    ),
    "another program": Bad(
        "PEER125",
        (
            SCRIPTS + script() + instance(TRACK),
            SCRIPTS + script(command="/usr/local/bin/check_api").replace('api"', f'api" {MARK}') + instance(TRACK),
        ),
        INFO,
        also={"PEER112"},
    ),
    "vrid": Bad("PEER101", (instance(), instance(f"virtual_router_id 52 {MARK}"))),
    "vrid, by part of the addresses": Bad(
        "PEER101",
        (
            instance("virtual_ipaddress {\n    10.0.0.100/24\n    10.0.0.101/24\n}"),
            instance(f"virtual_router_id 52 {MARK}\nvirtual_ipaddress {{\n    10.0.0.100/24\n}}"),
        ),
        also={"PEER102"},
    ),
    "one address more": Bad(
        "PEER102", (instance(), instance(f"virtual_ipaddress {{\n    10.0.0.100/24\n    10.0.0.101/24 {MARK}\n}}"))
    ),
    "one address less": Bad(
        "PEER102",
        (
            instance("virtual_ipaddress {\n    10.0.0.100/24\n    10.0.0.101/24\n}"),
            instance(f"virtual_ipaddress {{ {MARK}\n    10.0.0.100/24\n}}"),
        ),
    ),
    "another address": Bad("PEER102", (instance(), instance(f"virtual_ipaddress {{\n    10.0.0.101/24 {MARK}\n}}"))),
    "advertised here, excluded there": Bad(
        "PEER102",
        (
            instance(),
            instance(
                f"virtual_ipaddress {{\n    10.0.0.101/24 {MARK}\n}}\nvirtual_ipaddress_excluded {{\n"
                "    10.0.0.100/24\n}"
            ),
        ),
        also={"PEER121"},
    ),
    "the one of three that differs": Bad(
        "PEER102",
        (
            instance(f"virtual_ipaddress {{\n    10.0.0.100/24\n    10.0.0.101/24 {MARK}\n}}\npriority 110"),
            instance(),
            instance("priority 90"),
        ),
    ),
    "a foreign cluster": Bad(
        "PEER103", (instance(), instance(f"virtual_router_id 51 {MARK}", name="mail", address="10.0.0.9/24"))
    ),
    "a foreign cluster beside the shared one": Bad(
        "PEER103",
        (
            instance(),
            instance("virtual_router_id 53", address="10.0.0.100/24")
            + instance(f"virtual_router_id 51 {MARK}", name="mail", address="10.0.0.9/24"),
        ),
        also={"PEER101", "PEER116"},
    ),
    "password": Bad(
        "PEER104",
        (
            instance("authentication {\n    auth_type PASS\n    auth_pass one\n}"),
            instance(f"authentication {{\n    auth_type PASS\n    auth_pass two {MARK}\n}}"),
        ),
    ),
    "password here alone": Bad(
        "PEER104", (instance(), instance(f"authentication {{\n    auth_type PASS\n    auth_pass two {MARK}\n}}"))
    ),
    "PASS and AH": Bad(
        "PEER104",
        (
            instance("authentication {\n    auth_type AH\n    auth_pass one\n}"),
            instance(f"authentication {{\n    auth_type PASS {MARK}\n    auth_pass one\n}}"),
        ),
    ),
    "a comment cuts the password": Bad(
        "PEER104",
        (
            instance('authentication {\n    auth_type PASS\n    auth_pass "ab#cd"\n}'),
            instance("authentication {\n    auth_type PASS\n    auth_pass ab#cd # here\n}"),
        ),
    ),
    "version": Bad("PEER105", (instance(), instance(f"version 3 {MARK}"))),
    "version, by the global one": Bad(
        "PEER105", (instance(), f"global_defs {{\n    vrrp_version 3 {MARK}\n}}\n" + instance())
    ),
    "interval": Bad("PEER106", (instance(), instance(f"advert_int 2 {MARK}"))),
    "interval of version 3": Bad("PEER106", (instance("version 3"), instance(f"version 3\nadvert_int 0.1 {MARK}")), W),
    "unicast on one side": Bad("PEER107", (instance(), instance(UNICAST.format(2, 1, f" {MARK}")))),
    "a peer that is not listed": Bad(
        "PEER108",
        (instance(UNICAST.format(1, 2, "")), instance(UNICAST.format(2, 7, f" {MARK}"))),
        also={"PEER109"},
    ),
    "a peer that the lesser node does not list": Bad(
        "PEER108",
        (
            instance(f"priority 110\n{UNICAST.format(1, 2, '')}"),
            instance(f"priority 90\n{UNICAST.format(2, 7, f' {MARK}')}"),
        ),
        W,
        also={"PEER109"},
    ),
    "one of three that is not listed": Bad(
        "PEER108",
        (
            instance(f"priority 110\nunicast_src_ip 10.0.0.1\nunicast_peer {{ {MARK}\n    10.0.0.2\n}}"),
            instance("unicast_src_ip 10.0.0.2\nunicast_peer {\n    10.0.0.1\n    10.0.0.3\n}"),
            instance("priority 90\nunicast_src_ip 10.0.0.3\nunicast_peer {\n    10.0.0.1\n    10.0.0.2\n}"),
        ),
    ),
    "a peer that is no node": Bad(
        "PEER109",
        (
            instance(UNICAST.format(1, 2, "")),
            instance(f"unicast_src_ip 10.0.0.2\nunicast_peer {{\n    10.0.0.1\n    10.0.0.3 {MARK}\n}}"),
        ),
        W,
    ),
    "group": Bad(
        "PEER110", (instance(), f"global_defs {{\n    vrrp_mcast_group4 224.0.0.19 {MARK}\n}}\n" + instance())
    ),
    "weight too small": Bad(
        "PEER111",
        (
            SCRIPTS + script(f"weight -2 {MARK}") + instance(f"priority 150\n{TRACK}"),
            SCRIPTS + script("weight -2") + instance(f"priority 100\n{TRACK}"),
        ),
        also={"PRIO101"},
    ),
    "positive weight too small": Bad(
        "PEER111",
        (
            SCRIPTS + script(f"weight 3 {MARK}") + instance(f"priority 152\n{TRACK}"),
            SCRIPTS + script("weight 3") + instance(f"priority 101\n{TRACK}"),
        ),
    ),
    "a positive weight on the better node alone": Bad(
        "PEER111",
        (SCRIPTS + script(f"weight 20 {MARK}") + instance(f"priority 110\n{TRACK}"), instance("priority 100")),
        also={"PEER124"},
    ),
    "a weight that ends in a tie": Bad(
        "PEER111",
        (
            SCRIPTS + script(f"weight -10 {MARK}") + instance(f"priority 110\n{TRACK}"),
            SCRIPTS + script("weight -10") + instance(f"priority 100\n{TRACK}"),
        ),
        W,
    ),
    "the second of three never gives way": Bad(
        "PEER111",
        (
            SCRIPTS + script("weight -60") + instance(f"priority 150\n{TRACK}"),
            SCRIPTS + script(f"weight -20 {MARK}") + instance(f"priority 130\n{TRACK}"),
            SCRIPTS + script("weight -60") + instance(f"priority 100\n{TRACK}"),
        ),
        also={"PEER125"},
    ),
    "an interface's weight in a sync group counts, whatever keepalived says": Bad(
        "PEER111",
        (
            BOTH + instance(f"priority 150\ntrack_interface {{\n    eth9 weight -20 {MARK}\n}}") + inner(150),
            BOTH + instance("priority 100") + inner(100),
        ),
        also={"PEER124"},
    ),
    "the weights prefer the lesser node": Bad(
        "PEER119",
        (
            SCRIPTS + script("weight -90") + instance("priority 110"),
            SCRIPTS + script(f"weight 30 {MARK}") + instance(f"priority 100\n{TRACK}"),
        ),
        W,
        {"PEER124", "PEER111", "PEER125"},
    ),
    "members of a group that prefer different nodes": Bad(
        "PEER130",
        (BOTH + instance("priority 150") + inner(100), BOTH + instance("priority 100") + inner(150, MARK)),
        W,
    ),
    "both end at 254": Bad(
        "PEER112",
        (
            SCRIPTS + script("weight 30") + instance(f"priority 240\n{TRACK}"),
            SCRIPTS + script("weight 30") + instance(f"priority 230 {MARK}\n{TRACK}"),
        ),
        W,
        {"PEER111"},
    ),
    "equal priorities": Bad("PEER112", (instance("priority 100"), instance(f"priority 100 {MARK}")), W),
    "two owners": Bad("PEER112", (instance("priority 255"), instance(f"priority 255 {MARK}"))),
    "equal, but kept": Bad(
        "PEER112", (instance("nopreempt\npriority 100"), instance(f"nopreempt\npriority 100 {MARK}")), INFO
    ),
    "two masters": Bad(
        "PEER113", (instance("priority 110", state="MASTER"), instance(f"state MASTER {MARK}\npriority 100")), W
    ),
    "the lesser is MASTER": Bad(
        "PEER114", (instance("priority 120"), instance(f"state MASTER {MARK}\npriority 110")), W
    ),
    "nopreempt on the lesser": Bad(
        "PEER115",
        (
            instance("priority 110").replace("vrrp_instance web {", f"vrrp_instance web {{ {MARK}"),
            instance("nopreempt"),
        ),
        W,
    ),
    "an instance of one node": Bad(
        "PEER116",
        (
            instance(),
            instance()
            + instance(name="mail", vrid=52, address="10.0.0.9/24").replace(
                "vrrp_instance mail {", f"vrrp_instance mail {{ {MARK}"
            ),
        ),
        W,
    ),
    "excluded addresses": Bad(
        "PEER121", (instance(), instance(f"virtual_ipaddress_excluded {{\n    10.0.0.101/24 {MARK}\n}}")), W
    ),
    "mask": Bad("PEER122", (instance(), instance(f"virtual_ipaddress {{\n    10.0.0.100/32 {MARK}\n}}")), W),
    "route": Bad(
        "PEER123",
        (instance(), instance(f"virtual_routes {{\n    192.0.2.0/24 via 10.0.0.254 dev eth0 {MARK}\n}}")),
        W,
    ),
    "tracker": Bad(
        "PEER124",
        (
            instance("priority 110"),
            SCRIPTS + script("weight 0") + instance(f"track_script {{\n    check_web {MARK}\n}}"),
        ),
        W,
    ),
    "tracked interface": Bad(
        "PEER124", (instance("priority 110"), instance(f"track_interface {{\n    eth1 {MARK}\n}}")), W
    ),
    "one source for two": Bad(
        "PEER118",
        (
            instance(f"priority 110\n{UNICAST.format(1, 2, '')}"),
            instance(f"priority 90\nunicast_src_ip 10.0.0.1 {MARK}\nunicast_peer {{\n    10.0.0.2\n}}"),
        ),
        also={"PEER108", "PEER109"},
    ),
    "fall": Bad(
        "PEER125",
        (
            SCRIPTS + script("weight 0") + instance(TRACK),
            SCRIPTS + script(f"weight 0\nfall 3 {MARK}") + instance(TRACK),
        ),
        INFO,
    ),
    "notify": Bad("PEER127", (instance(), instance(f"{NOTIFY} {MARK}")), W),
    "another notify": Bad("PEER127", (instance(NOTIFY), instance(f"{NOTIFY.replace('up', 'on')} {MARK}")), INFO),
    "garp": Bad("PEER128", (instance(), instance(f"garp_master_refresh 60 {MARK}")), INFO),
    "vmac": Bad("PEER129", (instance(), instance(f"use_vmac {MARK}")), W),
    "virtual server": Bad(
        "PEER141",
        (
            instance() + virtual(),
            instance() + virtual() + virtual(address="10.0.0.100 443").replace("443 {", f"443 {{ {MARK}"),
        ),
    ),
    "scheduler": Bad("PEER143", (instance() + virtual(), instance() + virtual(f"lb_algo rr {MARK}")), W),
    "method": Bad("PEER143", (instance() + virtual(), instance() + virtual(f"lb_kind NAT {MARK}"))),
    "persistence": Bad("PEER143", (instance() + virtual(), instance() + virtual(f"persistence_timeout 60 {MARK}")), W),
    "weight of a real server": Bad(
        "PEER144", (instance() + virtual(), instance() + virtual(real=f"weight 3 {MARK}\nTCP_CHECK {{\n}}")), INFO
    ),
    "a group of virtual servers": Bad(
        "PEER147",
        (
            instance() + "virtual_server_group web {\n    10.0.0.100 80\n}\n" + virtual(address="group web"),
            instance()
            + f"virtual_server_group web {{\n    10.0.0.100 80\n    fwmark 7 {MARK}\n}}\n"
            + virtual(address="group web"),
        ),
    ),
    "sync id": Bad(
        "PEER145",
        (SYNC + instance() + virtual(), SYNC.replace("id 5", f"id 6 {MARK}") + instance() + virtual()),
    ),
    "sync daemon on one side": Bad(
        "PEER145",
        (SYNC + instance() + virtual(), f"global_defs {{ {MARK}\n    router_id lb2\n}}\n" + instance() + virtual()),
        W,
    ),
    "router_id": Bad(
        "PEER151",
        (
            "global_defs {\n    router_id LVS\n}\n" + instance(),
            f"global_defs {{\n    router_id LVS {MARK}\n}}\n" + instance(),
        ),
        W,
    ),
}
USUAL = {"PEER112"}  # the files of the table have the same priority mostly


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_mistake_is_found_on_its_line(bad: Bad) -> None:
    expected = [
        (f"lb{at}.conf", number)
        for at, text in enumerate(bad.files, 1)
        for number, line in enumerate(text.splitlines(), 1)
        if MARK in line
    ]
    assert expected, "the case has no mark"
    said = found(*bad.files)
    assert [(file, line) for id, file, line, _ in said if id == bad.id] == expected, said
    assert {severity for id, _, _, severity in said if id == bad.id} == {bad.severity}
    assert {id for id, *_ in said} <= {bad.id, *bad.also, *USUAL}, said


FULL = (
    "global_defs {\n    router_id NODE\n    enable_script_security\n    script_user keepalived_script\n"
    "    lvs_sync_daemon eth0 web\n}\n"
    + script("weight -60")
    + "vrrp_sync_group both {\n    group {\n        web\n        inner\n    }\n"
    + "    track_script {\n        check_web\n    }\n}\n"
    + instance(
        "priority PRIORITY\nadvert_int 1\nauthentication {\n    auth_type PASS\n    auth_pass s3cret\n}\n"
        "virtual_ipaddress {\n    10.0.0.100/24\n}\nunicast_src_ip 10.0.0.NUMBER\nunicast_peer {\n"
        "    10.0.0.OTHER\n}\nvirtual_ipaddress_excluded {\n    10.0.0.101/24\n    2001:db8::1/64\n}"
    )
    + instance("priority PRIORITY", name="inner", vrid=52, address="10.1.0.100/24").replace("eth0", "eth1")
    + virtual()
    + virtual(address="10.0.0.100 443", server="10.0.0.11 443")
)


def node(number: int, priority: int) -> str:
    text = FULL.replace("NODE", f"lb{number}").replace("PRIORITY", str(priority))
    return text.replace("NUMBER", str(number)).replace("OTHER", str(3 - number))


GOOD: dict[str, tuple[str, ...]] = {
    "a pair without virtual servers beside a pair of directors": (
        instance("priority 110") + virtual(),
        instance() + virtual(),
        other_group(110),
        other_group(100),
    ),
    "a director that is in two groups, one of which has virtual servers": (
        instance("priority 110") + virtual(),
        instance() + virtual() + other_group(110),
        other_group(100),
    ),
    "two nodes of a whole cluster": (node(1, 150), node(2, 100)),
    "three nodes": (
        instance("priority 150"),
        instance("priority 120"),
        instance("priority 100"),
    ),
    "interfaces and names of their own": (
        instance("priority 110"),
        instance("interface ens3", name="VI_1"),
    ),
    "two interfaces, each with a name of its own": (
        instance("priority 110", address="10.0.0.100/24 dev eth0") + inner(110),
        instance("priority 100\ninterface eth1", address="10.0.0.100/24 dev eth1")
        + inner(100).replace("interface eth1", "interface eth0"),
    ),
    "addresses in another order, an IPv6 address in another form": (
        instance("priority 110\nvirtual_ipaddress {\n    fe80::1\n    2001:db8::1\n}"),
        instance("priority 100\nvirtual_ipaddress {\n    2001:DB8:0::1\n    fe80:0::1\n}"),
    ),
    "passwords that differ behind the eighth character": (
        instance("priority 110\nauthentication {\n    auth_type PASS\n    auth_pass 12345678a\n}"),
        instance("priority 100\nauthentication {\n    auth_type PASS\n    auth_pass 12345678b\n}"),
    ),
    "passwords that version 3 ignores": (
        instance("priority 110\nversion 3\nauthentication {\n    auth_type PASS\n    auth_pass one\n}"),
        instance("priority 100\nversion 3\nauthentication {\n    auth_type PASS\n    auth_pass two\n}"),
    ),
    "a version that is said here and the default there": (
        instance("priority 110"),
        "global_defs {\n    vrrp_version 2\n}\n" + instance(),
    ),
    "intervals that version 2 rounds to the same": (
        instance("priority 110\nadvert_int 1"),
        instance("priority 100\nadvert_int 1.0"),
    ),
    "weights that just suffice": (
        SCRIPTS + script("weight 2") + instance(f"priority 101\n{TRACK}"),
        SCRIPTS + script("weight 2") + instance(f"priority 100\n{TRACK}"),
    ),
    "each node master of one": (
        instance("priority 110") + instance("priority 90", name="mail", vrid=52, address="10.0.0.9/24"),
        instance("priority 90") + instance("priority 110", name="mail", vrid=52, address="10.0.0.9/24"),
    ),
    "one number on two networks": (
        instance("priority 110")
        + instance("priority 110", name="inner", address="10.1.0.100/24").replace("eth0", "eth1"),
        instance() + instance(name="inner", address="10.1.0.100/24").replace("eth0", "eth1"),
    ),
    "one number for two families": (
        instance("priority 110") + instance("priority 110", name="six", address="2001:db8::1/64"),
        instance() + instance(name="six", address="2001:db8::1/64"),
    ),
    "nopreempt on the preferred node alone": (instance("priority 110\nnopreempt"), instance()),
}


@pytest.mark.parametrize("texts", GOOD.values(), ids=GOOD)
def test_sound_clusters_yield_nothing(texts: tuple[str, ...]) -> None:
    assert found(*texts) == []


def test_one_file_for_all_nodes_is_compared_as_each_of_them_reads_it() -> None:
    """A file with conditions for each host, and the mistake in one of them."""
    text = instance(
        "@lb1 priority 110\n@lb2 priority 100\n@lb1 unicast_src_ip 10.0.0.1\n@lb2 unicast_src_ip 10.0.0.2\n"
        "unicast_peer {\n    @lb1 10.0.0.2\n    @lb2 10.0.0.1\n}"
    )

    def said(text: str) -> list[tuple[str, int]]:
        subjects = [engine.read_text(text, "all.conf", node) for node in ("lb1", "lb2")]
        remarks = engine.examine(subjects, peers=True, among=PEERS)
        return [(one.finding.code, one.finding.location.line) for one in remarks if one.finding.location]

    assert said(text) == []
    wrong = text.replace("    @lb2 priority 100\n", "    @lb2 priority 100\n    @lb2 advert_int 3\n")
    line = wrong.splitlines().index("    @lb2 advert_int 3") + 1
    assert said(wrong) == [("PEER106", line)]


def test_files_that_nobody_calls_peers_are_not_compared() -> None:
    subjects = [engine.read_text(text, f"{at}.conf") for at, text in enumerate(BAD["vrid"].files)]
    assert not [one for one in engine.examine(subjects) if one.finding.code.startswith("PEER")]


def test_instances_are_recognised_by_what_they_have_in_common() -> None:
    """By name where addresses were renumbered, by addresses where the number differs, and never by the name alone."""
    first = instance(name="a", vrid=1, address="10.0.0.1/24") + instance(name="b", vrid=2, address="10.0.0.2/24")
    second = (
        instance(name="b", vrid=7, address="10.0.0.1/24")
        + instance(name="c", vrid=2, address="10.0.0.2/24")
        + instance(name="a", vrid=9, address="10.9.0.9/24")
    )
    pairs = [[member.instance.name for member in router.members] for router in routers(models(first, second))]
    assert pairs == [["a", "b"], ["b", "c"], ["a"]]


def test_many_instances_are_matched_in_no_time() -> None:
    """Hundreds of instances a node: the matching looks only at those that share something."""
    text = "".join(
        instance(name=f"i{n}", vrid=n % 255 + 1, address=f"10.{n // 250}.{n % 250}.1/24") for n in range(500)
    )
    assert len(list(shared(models(text, text)))) == 500


def test_a_weight_that_keepalived_drops_is_not_said_to_be_too_small() -> None:
    """In a sync group it is no weight at all: SYNC103 says so of each file, and nothing is said of the peers."""
    small = [SCRIPTS + script("weight -5") + BOTH + instance(f"priority {p}\n{TRACK}") + inner(p) for p in (150, 100)]
    assert [one for one in found(*small) if one[0] == "PEER111"] == []
    apart = [text.replace(BOTH, "") for text in small]
    assert [one[0] for one in found(*apart) if one[0] == "PEER111"] == ["PEER111"]
