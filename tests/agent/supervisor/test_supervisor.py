"""The supervisor with the real programs, as process 1 of a node of its own."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.agent.supervisor.isolated import NGINX, Isolated

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it makes namespaces"),
    pytest.mark.skipif(not shutil.which("keepalived"), reason="needs nginx, HAProxy and keepalived"),
]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Isolated]:
    made = Isolated(tmp_path / "supervisor.log")
    try:
        yield made
    finally:
        made.close()


def start(node: Isolated, *services: str) -> None:
    for service in services:
        node.ask("start", service)
    for service in services:
        node.wait(lambda service=service: node.status(service)["running"], f"{service} runs")


def test_a_killed_master_gives_the_group_up_and_comes_back(node: Isolated) -> None:
    assert node.state_file("nginx") == "-1\n"
    start(node, "nginx", "keepalived")
    assert node.state_file("nginx") == "0\n"
    node.wait(node.holds_anchor, "the anchor")

    took: list[float] = []
    while len(took) < 4 and not (took and min(took) < 0.5):  # the best counts: what else runs makes it later
        master = node.status("nginx")["pid"]
        workers = [pid for pid in node.processes("nginx") if pid != master]
        assert len(workers) == 2
        node.run("kill", "-9", str(master))
        took.append(node.wait(lambda: not node.holds_anchor(), "gives up"))
        assert not set(workers) & set(node.processes("nginx")), "orphaned workers must not go on listening"
        node.wait(node.holds_anchor, "takes it back")
    assert min(took) < 0.5
    status = node.status("nginx")
    assert status["running"]
    assert status["restarts"] == len(took)
    assert status["last_exit"] == "killed by SIGKILL"
    assert node.fetch()


def test_fail_keeps_it_down_until_mended(node: Isolated) -> None:
    start(node, "nginx")
    node.ask("fail", "nginx")
    node.wait(lambda: node.status("nginx")["state"] == "failed", "failed")
    assert node.processes("nginx") == []
    assert node.state_file("nginx") == "-1\n"
    time.sleep(1.5)  # longer than the first back-off
    assert node.status("nginx")["state"] == "failed"
    node.ask("mend", "nginx")
    node.wait(lambda: node.state_file("nginx") == "0\n", "runs again")
    assert node.fetch()


@pytest.mark.parametrize(("service", "port"), [("nginx", 8080), ("haproxy", 8081)])
def test_reload_keeps_the_master_and_changes_the_workers(node: Isolated, service: str, port: int) -> None:
    start(node, service)
    master, before = node.status(service)["pid"], set(node.processes(service))
    node.ask("reload", service)
    node.wait(lambda: bool(set(node.processes(service)) - before), "a new worker")
    node.wait(lambda: not (set(node.processes(service)) & before - {master}), "the old workers are gone")
    assert node.status(service)["pid"] == master
    assert node.fetch(port)


def test_stop_is_graceful_and_says_so(node: Isolated) -> None:
    start(node, "nginx", "haproxy")
    for service in ("nginx", "haproxy"):
        node.ask("stop", service)
        node.wait(lambda service=service: node.status(service)["state"] == "stopped", "stopped")
        assert node.state_file(service) == "-1\n"
        assert node.status(service)["last_exit"] == "exit status 0"
        assert node.processes(service) == []


def test_a_frozen_service_is_neither_restarted_nor_beyond_killing(node: Isolated) -> None:
    start(node, "nginx")
    master = node.status("nginx")["pid"]
    for pid in node.processes("nginx"):
        node.run("kill", "-STOP", str(pid))
    time.sleep(0.5)
    assert (node.status("nginx")["pid"], node.status("nginx")["state"]) == (master, "running")
    node.ask("fail", "nginx")
    node.wait(lambda: node.status("nginx")["state"] == "failed", "failed")
    assert node.processes("nginx") == []


def test_a_refused_configuration_backs_off_and_stays_down_for_keepalived(node: Isolated) -> None:
    node.run("sh", "-c", "echo 'nonsense;' > /etc/holdfast/nginx/nginx.conf")
    node.ask("start", "nginx")
    node.wait(lambda: node.status("nginx")["state"] == "backoff", "backs off")
    assert node.status("nginx")["last_exit"] == "exit status 1"
    assert node.state_file("nginx") == "-1\n"
    assert "nonsense" in node.read("/var/log/holdfast/nginx/nginx.log")
    node.run("sh", "-c", f"cat > /etc/holdfast/nginx/nginx.conf <<'END'\n{NGINX}END")
    node.ask("start", "nginx")  # by order: it does not wait
    node.wait(node.fetch, "answers")


def test_a_killed_keepalived_leaves_no_address_behind(node: Isolated) -> None:
    start(node, "nginx", "keepalived")
    node.wait(node.holds_anchor, "the anchor")
    node.run("kill", "-9", str(node.status("keepalived")["pid"]))
    node.wait(lambda: not node.holds_anchor(), "its child takes the address away")
    node.wait(node.holds_anchor, "restarted, it holds it again")


def test_process_one_reaps_orphans(node: Isolated) -> None:
    node.run("sh", "-c", "(sleep 0.1 &) ; exit 0")
    time.sleep(0.4)
    zombies = node.run("sh", "-c", "ps -eo stat= | grep -c ^Z").stdout.strip()
    assert zombies == "0"


def test_sigterm_stops_keepalived_before_the_proxies(node: Isolated) -> None:
    start(node, "nginx", "haproxy", "keepalived")
    assert node.terminate() == 0
    log = node.log.read_text()
    order = [log.index(f"{name}: stopped, was cleaning") for name in ("keepalived", "haproxy", "nginx")]
    assert order == sorted(order)


def test_a_full_disk_does_not_keep_a_service_down(node: Isolated) -> None:
    node.run("sh", "-c", "rm -rf /var/log/holdfast/nginx/*; mount -t tmpfs -o size=4k none /var/log/holdfast/nginx")
    node.run("sh", "-c", "head -c 65536 /dev/zero > /var/log/holdfast/nginx/fill")
    assert node.run("sh", "-c", "echo x > /var/log/holdfast/nginx/more").returncode != 0
    start(node, "nginx")
    assert node.fetch()


def test_there_is_one_supervisor_at_a_time(node: Isolated) -> None:
    second = node.run(sys.executable, "-m", "holdfast.agent.supervisor")
    assert second.returncode == 1
    assert "another supervisor runs here" in second.stderr
    assert node.status("nginx")["state"] == "stopped", "the first one still answers"


def test_an_order_to_start_while_it_starts_is_a_reload(node: Isolated) -> None:
    """The configuration may have changed after the program read it."""
    program = (
        "import subprocess, time\n"
        "from holdfast.agent.supervisor.client import ask\n"
        "ask('start', 'nginx')\n"
        "time.sleep(0.1)\n"
        "subprocess.run(['sed', '-i', 's/hello/changed/', '/etc/holdfast/nginx/nginx.conf'], check=True)\n"
        "print(ask('start', 'nginx')['nginx']['state'])\n"
    )
    assert node.run(sys.executable, "-c", program).stdout == "starting\n"
    first = node.status("nginx")["pid"]
    changed = ("sh", "-c", "curl -sf -m 2 http://127.0.0.1:8080/ | grep -q changed")
    node.wait(lambda: node.run(*changed).returncode == 0, "the changed answer")
    assert node.status("nginx")["pid"] == first
