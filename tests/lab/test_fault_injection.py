"""Each fault does what it says, as other nodes see it, and healing undoes that and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.waiting import wait_until

from holdfast.agent.supervisor.client import ask
from holdfast.errors import LabError, UsageError
from holdfast.lab import backend, faults, network
from holdfast.lab.faults import (
    CablePulled,
    Crash,
    Fault,
    Freeze,
    FullDisk,
    HangKeepalived,
    KillBackend,
    KillService,
    Partition,
    SlowBackend,
    StopService,
)
from holdfast.lab.lab import Lab
from holdfast.lab.node import Node
from holdfast.lab.topology import LabTopology

pytestmark = pytest.mark.lab
Small = Callable[..., LabTopology]
Reaches = Callable[..., bool]
WEB = "192.168.30.51"
SOCKET = "run/holdfast/supervisor.sock"


@pytest.fixture(autouse=True)
def _healed(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "lab" in request.fixturenames:
        faults.heal_all(request.getfixturevalue("lab"))


def in_force(lab: Lab) -> set[Fault]:
    return {found.fault for found in faults.active(lab)}


def order(node: Node, op: str, service: str = "") -> dict[str, dict[str, object]]:
    return ask(op, service, path=node.root / SOCKET)


def start_nginx(node: Node) -> None:
    config = "events {}\nhttp { access_log off; server { listen 7000; return 200 ok; } }\n"
    script = "mkdir -p /etc/holdfast/nginx /run/holdfast/nginx && cat > /etc/holdfast/nginx/nginx.conf"
    node.exec(
        ["sh", "-c", script], input=f"pid /run/holdfast/nginx/nginx.pid;\nerror_log stderr;\n{config}", check=True
    )
    order(node, "start", "nginx")
    wait_until(lambda: order(node, "status")["nginx"]["running"] is True)


def test_a_crash_takes_all_but_the_disk_and_booting_brings_the_node_back_empty(lab: Lab, reaches: Reaches) -> None:
    node, old = lab.node("lb01"), lab.node("lb01").pid1
    node.exec(["sh", "-c", "echo kept > /var/lib/kept; echo lost > /run/lost"], check=True)
    node.exec(["ip", "addr", "add", "10.0.0.99/24", "dev", "eth0"], check=True)
    node.exec(["sysctl", "-w", "net.ipv4.ip_nonlocal_bind=1"], check=True)
    node.exec(["nft", "add", "table", "inet", "gone"], check=True)
    before = time.monotonic()
    at = Crash(node="lb01").inject(lab)
    assert before <= at <= time.monotonic()
    assert not Path(f"/proc/{old}").exists() or not node.up
    assert in_force(lab) == {Crash(node="lb01")}
    assert not reaches(lab, "lb02", "10.0.0.99", 9)
    with pytest.raises(LabError, match=r"lb01 of lab .* is down"):
        node.exec(["true"])
    assert node.addresses() == {}
    Crash(node="lb01").inject(lab)
    Crash(node="lb01").heal(lab)
    assert in_force(lab) == set()
    assert node.exec(["cat", "/var/lib/kept"]).stdout == "kept\n"
    assert node.exec(["test", "-e", "/run/lost"]).returncode == 1
    assert {str(a) for a in node.addresses()["eth0"] if a.version == 4} == {"10.0.0.1/24"}
    assert node.exec(["cat", "/proc/sys/net/ipv4/ip_nonlocal_bind"]).stdout == "0\n"
    assert "gone" not in node.exec(["nft", "list", "tables"]).stdout
    assert reaches(lab, "lb01", WEB)
    assert order(node, "status")


def test_a_server_that_crashed_serves_again_after_its_boot(lab: Lab, reaches: Reaches) -> None:
    Crash(node="web01").inject(lab)
    assert not reaches(lab, "lb01", WEB)
    Crash(node="web01").heal(lab)
    assert reaches(lab, "lb01", WEB)


def test_a_boot_that_failed_can_be_repeated(lab: Lab, reaches: Reaches, monkeypatch: pytest.MonkeyPatch) -> None:
    Crash(node="web01").inject(lab)

    def refuse(*_: object) -> None:
        raise LabError("no web server today")

    with monkeypatch.context() as broken:
        broken.setattr(backend, "start", refuse)
        with pytest.raises(LabError, match="no web server today"):
            Crash(node="web01").heal(lab)
    assert in_force(lab) == {Crash(node="web01")}
    half_up = lab.node("web01").process
    Crash(node="web01").heal(lab)
    assert not half_up.alive
    assert reaches(lab, "lb01", WEB)


def test_a_cable_that_goes_by_itself_meanwhile_is_unplugged(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel removes the cables of a namespace that has gone some time later: between a look and a deletion."""
    Crash(node="web01").inject(lab)
    look, looks = network.link_names, iter([lab.topology.ports("web01")])
    with monkeypatch.context() as late:
        late.setattr(network, "link_names", lambda name: (*look(name), *next(looks, ())))
        network.unplug(lab.topology, lab.topology.node("web01"))
    Crash(node="web01").heal(lab)


def test_a_frozen_node_does_nothing_and_goes_on_where_it_was(lab: Lab, tmp_path: Path, reaches: Reaches) -> None:
    counter = ["sh", "-c", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done"]
    log = tmp_path / "log"
    with lab.node("web01").spawn(counter, log) as counting:
        wait_until(lambda: len(log.read_text().split()) > 3)
        Freeze(node="web01").inject(lab)
        assert {p.state for p in lab.node("web01").processes()} == {"T"}
        first = log.read_text()
        assert not reaches(lab, "lb01", WEB)
        assert log.read_text() == first
        Freeze(node="web01").heal(lab)
        wait_until(lambda: len(log.read_text()) > len(first))
        assert [int(n) for n in log.read_text().split()] == list(range(1, len(log.read_text().split()) + 1))
        assert reaches(lab, "lb01", WEB)
        assert counting.poll() is None


def test_a_pulled_cable_is_seen_by_the_node_and_leaves_its_other_interfaces_alone(lab: Lab, reaches: Reaches) -> None:
    pulled = CablePulled(node="lb01", interface="eth0")
    pulled.inject(lab)
    assert "NO-CARRIER" in lab.node("lb01").exec(["ip", "link", "show", "eth0"]).stdout
    assert reaches(lab, "lb01", WEB)
    pulled.heal(lab)
    assert "NO-CARRIER" not in lab.node("lb01").exec(["ip", "link", "show", "eth0"]).stdout
    with pytest.raises(LabError, match="no interface eth7"):
        CablePulled(node="lb01", interface="eth7").inject(lab)
    assert in_force(lab) == set()


def test_a_partition_cuts_two_nodes_in_both_directions_and_no_others(lab: Lab, reaches: Reaches) -> None:
    start_nginx(lab.node("lb01"))
    Partition(a="web01", b="lb01").inject(lab)
    assert not reaches(lab, "lb01", WEB)
    assert not reaches(lab, "web01", "192.168.30.1", 7000)
    assert reaches(lab, "lb02", WEB)
    assert reaches(lab, "lb02", "192.168.30.1", 7000)
    assert reaches(lab, "client", WEB)
    assert Partition(a="lb01", b="web01") in in_force(lab)
    Partition(a="lb01", b="web01").heal(lab)
    assert in_force(lab) == set()
    assert reaches(lab, "lb01", WEB)
    order(lab.node("lb01"), "stop", "nginx")


def test_faults_that_pull_the_same_cable_are_healed_one_by_one(lab: Lab, reaches: Reaches) -> None:
    pulled, frozen = CablePulled(node="web01", interface="eth0"), Freeze(node="web01")
    pulled.inject(lab)
    frozen.inject(lab)
    frozen.heal(lab)
    assert not reaches(lab, "lb01", WEB)
    frozen.inject(lab)
    pulled.heal(lab)
    assert not reaches(lab, "lb01", WEB)
    frozen.heal(lab)
    assert reaches(lab, "lb01", WEB)


def test_a_cable_stays_pulled_and_a_partition_cut_over_a_reboot(lab: Lab, reaches: Reaches) -> None:
    pulled, cut = CablePulled(node="lb01", interface="eth0"), Partition(a="lb01", b="web01")
    slow = SlowBackend(node="web01", delay=0.5)
    for fault in (pulled, cut, slow, Crash(node="lb01")):
        fault.inject(lab)
    Crash(node="lb01").heal(lab)
    assert in_force(lab) == {pulled, cut, slow}
    assert "NO-CARRIER" in lab.node("lb01").exec(["ip", "link", "show", "eth0"]).stdout
    assert not reaches(lab, "lb01", WEB)
    faults.heal_all(lab)
    assert in_force(lab) == set()
    assert reaches(lab, "lb01", WEB)
    Crash(node="web01").inject(lab)
    Crash(node="web01").heal(lab)


def test_a_crash_ends_what_lived_in_the_nodes_memory(lab: Lab, reaches: Reaches) -> None:
    for fault in (SlowBackend(node="web01", delay=5), Freeze(node="web01"), Crash(node="web01")):
        fault.inject(lab)
    assert in_force(lab) == {Crash(node="web01")}
    Freeze(node="web01").heal(lab)
    Crash(node="web01").heal(lab)
    assert {p.state for p in lab.node("web01").processes()} <= {"S", "R"}
    assert reaches(lab, "lb01", WEB)


def test_a_killed_service_stays_dead_until_it_is_healed(lab: Lab, reaches: Reaches) -> None:
    node = lab.node("lb01")
    start_nginx(node)
    fault = KillService(node="lb01", service="nginx")
    fault.inject(lab)
    wait_until(lambda: not reaches(lab, "lb02", "192.168.30.1", 7000))
    time.sleep(1.5)
    assert not reaches(lab, "lb02", "192.168.30.1", 7000)
    fault.heal(lab)
    wait_until(lambda: reaches(lab, "lb02", "192.168.30.1", 7000))
    order(node, "stop", "nginx")
    with pytest.raises(LabError, match="no balancer"):
        KillService(node="web01", service="nginx").inject(lab)


def test_a_stopped_service_accepts_but_does_not_answer(lab: Lab, reaches: Reaches, fetch: Callable[..., str]) -> None:
    start_nginx(lab.node("lb01"))
    url = "http://192.168.30.1:7000/"
    assert fetch(lab, "lb02", url) == "ok\n"
    fault = StopService(node="lb01", service="nginx")
    fault.inject(lab)
    assert reaches(lab, "lb02", "192.168.30.1", 7000)
    assert fetch(lab, "lb02", url) == ""
    fault.heal(lab)
    assert fetch(lab, "lb02", url) == "ok\n"
    # What is stopped stays stopped when the node around it thaws.
    fault.inject(lab)
    Freeze(node="lb01").inject(lab)
    Freeze(node="lb01").heal(lab)
    assert fetch(lab, "lb02", url) == ""
    fault.heal(lab)
    assert fetch(lab, "lb02", url) == "ok\n"
    order(lab.node("lb01"), "stop", "nginx")
    wait_until(lambda: order(lab.node("lb01"), "status")["nginx"]["state"] == "stopped")
    with pytest.raises(LabError, match="nginx does not run on lb01"):
        fault.inject(lab)
    assert in_force(lab) == set()


KEEPALIVED = """global_defs {{ router_id {name} }}
vrrp_instance v {{
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority {priority}
    version 3
    advert_int 0.1
    virtual_ipaddress {{ 10.0.0.77/24 }}
}}
"""


def test_a_hung_keepalived_keeps_its_vip_beside_a_second_holder(lab: Lab) -> None:
    for name, priority in (("lb01", 120), ("lb02", 100)):
        folder = "/etc/holdfast/keepalived"
        script = f"mkdir -p {folder} /run/holdfast/keepalived && cat > {folder}/keepalived.conf"
        lab.node(name).exec(["sh", "-c", script], input=KEEPALIVED.format(name=name, priority=priority), check=True)
        order(lab.node(name), "start", "keepalived")

    def holders() -> list[str]:
        return [n for n in ("lb01", "lb02") if "10.0.0.77" in {str(a.ip) for a in lab.node(n).addresses()["eth0"]}]

    wait_until(lambda: holders() == ["lb01"])
    HangKeepalived(node="lb01").inject(lab)
    wait_until(lambda: holders() == ["lb01", "lb02"])
    HangKeepalived(node="lb01").heal(lab)
    wait_until(lambda: holders() == ["lb01"])
    # A crash is noticed by the other one: in well under a second, on a machine that is not busy.
    Crash(node="lb01").inject(lab)
    wait_until(lambda: holders_of_crash(lab))
    Crash(node="lb01").heal(lab)
    for name in ("lb01", "lb02"):
        order(lab.node(name), "stop", "keepalived")


def holders_of_crash(lab: Lab) -> bool:
    return "10.0.0.77" in {str(a.ip) for a in lab.node("lb02").addresses()["eth0"]}


def test_on_a_full_disk_nothing_can_be_written_until_it_is_healed(lab: Lab) -> None:
    write = ["dd", "if=/dev/zero", "of=/var/lib/more", "bs=4096", "count=1"]
    FullDisk(node="lb01").inject(lab)
    done = lab.node("lb01").exec(write)
    assert done.returncode != 0
    assert "No space left on device" in done.stderr
    assert lab.node("lb02").exec(write).returncode == 0
    assert lab.node("lb01").exec(["sh", "-c", "echo x > /run/fine"]).returncode == 0
    # It is still full after a reboot, and the node comes up nevertheless.
    Crash(node="lb01").inject(lab)
    Crash(node="lb01").heal(lab)
    assert lab.node("lb01").exec(write).returncode != 0
    FullDisk(node="lb01").heal(lab)
    assert lab.node("lb01").exec(write).returncode == 0


def test_a_slow_backend_is_slow_and_a_killed_one_refuses(lab: Lab, reaches: Reaches, fetch: Callable[..., str]) -> None:
    url = f"http://{WEB}/"
    SlowBackend(node="web01", delay=0.3).inject(lab)
    SlowBackend(node="web01", delay=1.5).inject(lab)
    assert fetch(lab, "lb01", url, 1.0) == ""
    SlowBackend(node="web01", delay=1.5).heal(lab)
    begin = time.monotonic()
    assert fetch(lab, "lb01", url, 1.0).startswith("web01:80")
    assert time.monotonic() - begin >= 0.3
    KillBackend(node="web01").inject(lab)
    assert not reaches(lab, "lb01", WEB)
    assert lab.node("web01").up
    with pytest.raises(LabError, match="lb01 has no web server"):
        KillBackend(node="lb01").inject(lab)
    KillBackend(node="web01").heal(lab)
    begin = time.monotonic()
    assert fetch(lab, "lb01", url, 1.0).startswith("web01:80")
    assert time.monotonic() - begin >= 0.3
    backend.behave(lab.node("web01"), healthy=False)
    assert fetch(lab, "lb01", f"{url}healthz") == ""
    backend.behave(lab.node("web01"), healthy=True)


def test_faults_are_on_record_for_every_handle(lab: Lab) -> None:
    began = time.time()
    Partition(a="lb01", b="lb02").inject(lab)
    seen = faults.active(Lab.attach(lab.name))
    assert [f.fault for f in seen] == [Partition(a="lb02", b="lb01")]
    assert began <= seen[0].since <= time.time()
    Partition(a="lb01", b="lb02").heal(Lab.attach(lab.name))
    assert faults.active(lab) == ()


def test_faults_on_nodes_that_are_not_there_are_refused_and_not_recorded(lab: Lab) -> None:
    for fault in (Crash(node="nobody"), Partition(a="lb01", b="nobody"), FullDisk(node="nobody")):
        with pytest.raises(LabError, match="has no node nobody"):
            fault.inject(lab)
    assert faults.active(lab) == ()


@pytest.mark.measures
def test_faults_strike_within_milliseconds(lab_name: str, small: Small) -> None:
    """The moment that is returned lies shortly before the node is gone: measured by its pid 1, from outside."""
    with Lab.up(small(lab_name, 2, 1)) as made:
        first = made.node("lb01").process
        at = Crash(node="lb01").inject(made)
        assert not first.alive
        took = []
        for _ in range(5):
            cable = CablePulled(node="lb02", interface="eth0")
            begin = cable.inject(made)
            took.append(time.monotonic() - begin)
            cable.heal(made)
    assert at > 0
    assert sorted(took)[2] < 0.05


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["crash"], "wants node"),
        (["nonsense", "lb01"], "no fault called"),
        (["partition", "a", "a"], "two nodes"),
        (["kill_service", "lb01", "bash"], "service"),
        (["slow_backend", "web01", "-1"], "delay"),
        (["cable_pulled", "lb01", "eth0;x"], "interface"),
    ],
)
def test_faults_in_words_that_make_no_sense_are_refused(words: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        faults.parse(words[0], words[1:])
    assert refused.value.hint


def test_faults_can_be_written_as_words_and_kept_as_data() -> None:
    for words in (
        ["crash", "lb01"],
        ["freeze", "lb01"],
        ["hang_keepalived", "lb01"],
        ["cable_pulled", "lb01", "eth0"],
        ["partition", "lb01", "lb02"],
        ["kill_service", "lb01", "nginx"],
        ["stop_service", "lb01", "haproxy"],
        ["full_disk", "lb01"],
        ["slow_backend", "web01", "500ms"],
        ["kill_backend", "web01"],
    ):
        fault = faults.parse(words[0], words[1:])
        assert faults.load(fault.model_dump(mode="json")) == fault
        assert words[1] in faults.describe(fault)
