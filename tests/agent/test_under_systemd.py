"""The units under a real systemd: what comes up, what it may do, what becomes of it when it dies, and the next boot."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.agent import bundles
from tests.agent.kills import signal_agent
from tests.agent.machine import PYTHON
from tests.agent.systemd_machine import SystemdMachine, systemd_machine
from tests.waiting import wait_until

from holdfast.bundle import Bundle
from holdfast.compile.compiler import CompileInput, compile_cluster
from holdfast.compile.lock import Lock, Secrets
from holdfast.spec import parse_spec

pytestmark = [pytest.mark.lab]

UNITS = "/etc/systemd/system"
WANTS = f"{UNITS}/multi-user.target.wants"
STATE = "/run/holdfast/service-state"
SITE = "http://10.9.0.3/old"
SPEC = """
holdfast: 1
cluster: shop
networks:
  front: {{cidr: 10.9.0.0/24}}
nodes:
  lb01: {{interfaces: {{eth0: 10.9.0.5}}}}
  lb02: {{interfaces: {{eth0: 10.9.0.6}}}}
vrrp:
  www:
    addresses: [10.9.0.3/24]
    nodes: [lb01, lb02]
    vrid: 51
    advertise_every: 100ms
    keeps_while:
      - process: {engine}
      - http: 127.0.0.1:8080/healthz
      - script: uplink-ok
    hooks: {{active: told, fault: told}}
pools:
  app:
    servers: ['10.9.0.5:7001', '10.9.0.5:7002']  # nobody else is there to answer
    check: {{http: /, every: 1s, timeout: 500ms}}
sites:
  shop:
    hosts: [www.example.com]
    routes: [{{path: /old, redirect: 'https://example.org/{word}'}}, {{to: app}}]
proxies:
  edge: {{engine: {engine}, nodes: [lb01, lb02], listeners: [{{on: 'www:80', sites: [shop]}}]}}
"""
POLICY = """
[scripts.uplink-ok]
command = ["/usr/local/bin/uplink"]
[hooks.told]
command = ["/usr/local/bin/told"]
user = "daemon"
"""
# Half a request, to an address that does not move away.
HALF = """
import socket
connection = socket.create_connection(("127.0.0.1", 8080))
connection.sendall(b"GET /healthz HTTP/1.1\\r\\nHost:")
print("sent", flush=True)
input()
"""
SERVER = """
import http.server, threading
class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"served")
    def log_message(self, *words): pass
server = http.server.ThreadingHTTPServer(("10.9.0.5", 7001), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
print("up", flush=True)
input()
"""
NGINX = ("network", "nginx", "prober", "keepalived", "recover")
HAPROXY = ("network", "haproxy", "keepalived", "recover")


def bundle(engine: str = "nginx", word: str = "one") -> Bundle:
    """As the compiler makes it, for a node without process events."""
    loaded = parse_spec(SPEC.format(engine=engine, word=word), "cluster.yaml")
    source = CompileInput(loaded, Lock(cluster="shop"), Secrets(cluster="shop"), process_events=False)
    return compile_cluster(source)["lb01"]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[SystemdMachine]:
    with systemd_machine(tmp_path) as made:
        made.write("/etc/holdfast/policy.toml", POLICY)
        # /tmp is the unit's own; the tests look into it through keepalived's process.
        made.write("/usr/local/bin/uplink", "#!/bin/sh\nid -un >/tmp/uplink\n")
        made.write("/usr/local/bin/told", "#!/bin/sh\nid -un >/tmp/told-$HOLDFAST_STATE\n")
        made.run("chmod", "755", "/usr/local/bin/uplink", "/usr/local/bin/told")
        try:
            yield made
        finally:
            print(made.journal()[-6000:])  # noqa: T201 - shown where a test failed


def committed(report: dict[str, Any]) -> dict[str, Any]:
    assert report["outcome"] == "committed", json.dumps(report, indent=1)
    return report


def ours(node: SystemdMachine, folder: str = UNITS) -> set[str]:
    """Our units in a folder, by their short names."""
    names = os.listdir(node.root / folder.lstrip("/")) if node.exists(folder) else []
    return {name.removeprefix("holdfast-").removesuffix(".service") for name in names if name.startswith("holdfast-")}


def unit(service: str) -> str:
    return f"holdfast-{service}.service"


def pid_of(node: SystemdMachine, service: str) -> str:
    return node.property(unit(service), "MainPID")


def state_of(node: SystemdMachine, service: str) -> str:
    return node.read(f"{STATE}/{service}").strip()


def holds(node: SystemdMachine) -> bool:
    return "10.9.0.3/" in node.run("ip", "-4", "address", "show", "dev", "eth0").stdout


def location(node: SystemdMachine) -> str:
    argv = ("curl", "-s", "-o", "/dev/null", "-w", "%{redirect_url}", "-H", "Host: www.example.com", SITE)
    return node.run(*argv, check=False).stdout


def in_sandbox_of(node: SystemdMachine, service: str, *argv: str) -> subprocess.CompletedProcess[str]:
    """With the mounts of the service's main process."""
    return node.run("nsenter", "--target", pid_of(node, service), "--mount", "--", *argv, check=False)


def stage(report: dict[str, Any], name: str) -> str:
    return next(str(stage["detail"]) for stage in report["stages"] if stage["name"] == name)


def test_applied_changed_and_taken_over_by_another_engine(node: SystemdMachine) -> None:
    first = committed(node.apply(bundle()))
    assert stage(first, "install units").startswith("wrote holdfast-network.service")
    assert stage(first, "commit").startswith("enabled holdfast-network.service")
    assert ours(node) == ours(node, WANTS) == set(NGINX)
    wait_until(lambda: holds(node))
    assert location(node) == "https://example.org/one"
    assert node.agent("facts")["service_manager"] == "systemd"

    before = pid_of(node, "nginx"), node.property(unit("nginx"), "ActiveEnterTimestampMonotonic")
    again = node.apply(bundle())
    assert again["outcome"] == "unchanged", again
    assert [each["name"] for each in again["stages"]] == ["admit", "look"]
    second = committed(node.apply(bundle(word="two")))
    assert second["reloaded"] == ["nginx"]
    assert stage(second, "install units") == "as they were"
    assert location(node) == "https://example.org/two"
    assert before == (pid_of(node, "nginx"), node.property(unit("nginx"), "ActiveEnterTimestampMonotonic"))

    third = committed(node.apply(bundle("haproxy")))
    assert set(third["stopped"]) == {"nginx", "prober"}
    assert ours(node) == ours(node, WANTS) == set(HAPROXY)
    assert node.property(unit("nginx"), "LoadState") == "not-found"
    wait_until(lambda: location(node) == "https://example.org/one")  # it gave the address up in between
    assert os.readlink(node.root / "proc" / _worker(node, "haproxy") / "root").endswith("/var/lib/haproxy")
    wait_until(lambda: holds(node))  # for good: what answered just now may have been nginx, on its way out

    committed(node.apply(bundle("haproxy", "two")))
    assert location(node) == "https://example.org/two"
    committed(node.agent("rollback"))
    committed(node.agent("rollback"))  # the one before the latest is the second of them again
    assert location(node) == "https://example.org/two"


def _worker(node: SystemdMachine, service: str) -> str:
    return node.run("pgrep", "-P", pid_of(node, service)).stdout.split()[0]


def test_what_the_sandbox_lets_them_do(node: SystemdMachine) -> None:
    committed(node.apply(bundle()))
    for service in ("nginx", "prober", "keepalived"):
        for place in ("/etc/passwd", "/etc/cron.d/new", "/usr/bin/new", "/var/www/new", "/root/new"):
            done = in_sandbox_of(node, service, "sh", "-c", f"echo x >>{place}")
            assert done.returncode != 0, (service, place)
            assert "Read-only" in done.stderr or "Permission" in done.stderr or "nonexistent" in done.stderr, (
                done.stderr
            )
        assert in_sandbox_of(node, service, "touch", f"/var/log/holdfast/{service}/new").returncode == 0
        status = node.read(f"/proc/{pid_of(node, service)}/status")
        assert "NoNewPrivs:\t1" in status
        assert "Seccomp:\t2" in status
        assert node.property(unit(service), "LimitNOFILE") == "131072"

    # What admission would refuse, written by hand: nginx as root must not write where it likes.
    path = node.root / "etc/holdfast/nginx/nginx.conf"
    text = node.run("cat", "/etc/holdfast/nginx/nginx.conf").stdout
    real = node.run("readlink", "-f", "/etc/holdfast/nginx/nginx.conf").stdout.strip()
    assert path.name == Path(real).name
    node.write(real, text.replace("error_log /var/log/holdfast/nginx/", "error_log /var/www/", 1))
    node.systemctl("reload", unit("nginx"), check=False)
    log = "/var/log/holdfast/nginx"
    wait_until(lambda: "Read-only file system" in node.run("sh", "-c", f"cat {log}/*").stdout)
    assert location(node) == "https://example.org/one"


def test_keepalived_runs_the_probe_in_all_its_forms(node: SystemdMachine) -> None:
    committed(node.apply(bundle()))
    wait_until(lambda: holds(node))
    log = node.read("/var/log/holdfast/keepalived/keepalived.log")
    for script in ("www_0_process", "www_1_http", "www_2_script"):
        assert f"VRRP_Script({script}) succeeded" in log, log
    private = f"/proc/{pid_of(node, 'keepalived')}/root/tmp"
    wait_until(lambda: node.run("cat", f"{private}/uplink", check=False).stdout == "nobody\n")
    wait_until(lambda: node.run("cat", f"{private}/told-active", check=False).stdout == "daemon\n")
    node.write("/usr/local/bin/uplink", "#!/bin/sh\nexit 1\n")
    wait_until(lambda: not holds(node))
    wait_until(lambda: node.run("cat", f"{private}/told-fault", check=False).stdout == "daemon\n")


@pytest.mark.parametrize("engine", ["nginx", "haproxy"])
def test_a_death_is_told_at_once_and_mended(node: SystemdMachine, engine: str) -> None:
    """Also with a request on its way: workers that outlive their master must not hold things up for it."""
    committed(node.apply(bundle(engine)))
    wait_until(lambda: holds(node))
    client = node.spawn(PYTHON, "-c", HALF)
    main = pid_of(node, engine)
    assert state_of(node, engine) == "0"
    node.run("kill", "-KILL", main)
    started = time.monotonic()
    wait_until(lambda: state_of(node, engine) == "-1")
    wait_until(lambda: not holds(node))
    wait_until(lambda: state_of(node, engine) == "0" and pid_of(node, engine) not in ("0", main))
    assert time.monotonic() - started < 14  # after 15 s it would be killed, however long it was held up
    assert node.property(unit(engine), "NRestarts") == "1"
    wait_until(lambda: location(node) == "https://example.org/one")
    client.communicate("\n", timeout=60)

    node.systemctl("stop", unit(engine))
    assert state_of(node, engine) == "-1"
    wait_until(lambda: not holds(node))
    assert committed(node.apply(bundle(engine)))["started"] == [engine]
    wait_until(lambda: holds(node))


def _fetch(node: SystemdMachine) -> str:
    return node.run("curl", "-s", "--max-time", "3", "-H", "Host: www.example.com", "http://10.9.0.3/").stdout


def test_keepalived_killed_leaves_no_address_behind(node: SystemdMachine) -> None:
    """Nobody would take it off until the next start, and the peer holds it meanwhile."""
    node.write(f"{UNITS}/{unit('keepalived')}.d/later.conf", "[Service]\nRestartSec=5\n")
    committed(node.apply(bundle()))
    for _ in range(4):  # what would kill the child too early does so in one case of three
        wait_until(lambda: holds(node))
        main = pid_of(node, "keepalived")
        node.run("kill", "-KILL", main)
        wait_until(lambda: not holds(node), 4.5)  # before it is started again
        wait_until(lambda main=main: pid_of(node, "keepalived") not in ("0", main))
    wait_until(lambda: holds(node))
    assert node.run("pgrep", "-P", "1", "-f", "^/usr/sbin/keepalived").stdout.split() == [pid_of(node, "keepalived")]


def test_the_prober_marks_servers_from_inside_its_sandbox(node: SystemdMachine) -> None:
    server = node.spawn(PYTHON, "-c", SERVER)
    try:
        committed(node.apply(bundle()))
        # As after a rotation of logs: `nginx -t`, which the prober runs, opens what belongs to another user.
        node.run("sh", "-c", "chown www-data /var/log/holdfast/nginx/*; chmod 600 /var/log/holdfast/nginx/*")
        node.run("sh", "-c", "rm -r /var/lib/holdfast/nginx/*")
        before = _workers(node)
        wait_until(lambda: " down;" in _server_line(node, 7002))
        assert " down;" not in _server_line(node, 7001)
        wait_until(lambda: not _workers(node) & before)
        assert _fetch(node) == "served"
        assert node.property(unit("prober"), "NRestarts") == "0"
    finally:
        server.communicate("\n", timeout=60)


def _server_line(node: SystemdMachine, port: int) -> str:
    text = node.run("sh", "-c", "cat /etc/holdfast/nginx/servers/*").stdout
    return next(line.partition("#")[0] for line in text.splitlines() if f":{port} " in line)


def _workers(node: SystemdMachine) -> set[str]:
    return set(node.run("pgrep", "-P", pid_of(node, "nginx"), "-f", "worker process$").stdout.split())


def test_a_boot_brings_everything_back_the_kernel_first(node: SystemdMachine) -> None:
    committed(node.apply(bundle()))
    wait_until(lambda: holds(node))
    node.reboot()
    wait_until(lambda: holds(node))
    assert location(node) == "https://example.org/one"
    assert node.sysctl("net.ipv4.ip_nonlocal_bind") == "1"
    assert "table inet holdfast" in node.run("nft", "list", "ruleset").stdout
    assert node.run("nft", "list", "ruleset").stdout.count("chain vrrp") == 1
    for service in NGINX:
        assert node.property(unit(service), "Result") == "success", service
    ready = int(node.property(unit("network"), "ActiveEnterTimestampMonotonic"))
    for service in ("nginx", "keepalived", "prober"):
        assert int(node.property(unit(service), "ExecMainStartTimestampMonotonic")) > ready, service
    assert f"unchanged ({bundle().digest[:12]})" in node.run("journalctl", "-b", "-u", unit("recover")).stdout
    assert node.apply(bundle())["outcome"] == "unchanged"


def test_the_power_fails_in_the_middle_of_an_attempt(node: SystemdMachine) -> None:
    """After the swap, before anything was verified: the boot itself brings the old state back, units included."""
    committed(node.apply(bundle()))
    child = node.spawn_agent("apply", text=bundle("haproxy").to_json())
    journal = node.root / "var/lib/holdfast/journal.jsonl"
    wait_until(lambda: journal.exists() and b'"service":"haproxy"' in journal.read_bytes())
    signal_agent(node.pids_of_agent(), signal.SIGKILL)
    child.wait(timeout=60)
    assert ours(node) == {*NGINX, *HAPROXY}
    node.reboot()
    wait_until(lambda: not node.agent("status")["interrupted"])
    wait_until(lambda: node.property(unit("recover"), "ActiveState") == "inactive")
    assert node.property(unit("recover"), "Result") == "success"
    assert ours(node) == ours(node, WANTS) == set(NGINX)
    assert node.agent("status")["digest"] == bundle().digest
    wait_until(lambda: location(node) == "https://example.org/one")
    assert node.apply(bundle())["outcome"] == "unchanged"


@pytest.mark.parametrize("engine", ["nginx", "haproxy"])
def test_recover_may_do_all_that_the_agent_does(node: SystemdMachine, engine: str) -> None:
    """From inside its sandbox: every program validates, sysctls and nftables are set, what does not run is started."""
    committed(node.apply(bundle(engine)))
    services = [service for service in NGINX + HAPROXY if node.exists(f"{WANTS}/{unit(service)}")]
    node.systemctl("stop", *(unit(service) for service in services if service not in ("network", "recover")))
    node.run("nft", "delete", "table", "inet", "holdfast")
    node.run("sh", "-c", "echo 0 >/proc/sys/net/ipv4/ip_nonlocal_bind")
    node.run("rm", "/usr/lib/holdfast/probe")
    node.systemctl("restart", unit("recover"))
    assert "committed" in node.run("journalctl", "-b", "-u", unit("recover"), "-o", "cat").stdout
    assert node.run("nft", "list", "tables").stdout == "table inet holdfast\n"
    wait_until(lambda: location(node) == "https://example.org/one")


def test_units_that_are_not_ours(node: SystemdMachine) -> None:
    foreign = "[Service]\nExecStart=/bin/sleep 1000\n"
    node.write(f"{UNITS}/holdfast-nginx.service", foreign)
    refused = node.apply(bundle())
    assert refused["outcome"] == "refused", refused
    assert "not written by Holdfast: /etc/systemd/system/holdfast-nginx.service" in refused["failure"]["message"]
    assert node.read(f"{UNITS}/holdfast-nginx.service") == foreign
    assert ours(node) == {"nginx"}

    # An attempt that fails puts it back …
    holder = node.spawn(
        PYTHON, "-c", "import socket; s = socket.create_server(('10.9.0.5', 80)); print(1, flush=True); input()"
    )
    broken = bundle().to_json().replace("10.9.0.3:80;", "10.9.0.5:80;")
    assert broken != bundle().to_json()
    failed = node.apply(Bundle.from_json(broken), "--adopt")
    holder.communicate("\n", timeout=60)
    assert failed["outcome"] in ("refused", "rolled_back"), failed
    assert node.read(f"{UNITS}/holdfast-nginx.service") == foreign
    assert ours(node) == {"nginx"}

    # … and one that succeeds says where it is.
    report = committed(node.apply(bundle(), "--adopt"))
    assert [node.read(path) for path in report["adopted"]] == [foreign]
    assert ours(node) == ours(node, WANTS) == set(NGINX)


def test_what_an_operator_did_to_the_units_is_put_right(node: SystemdMachine) -> None:
    committed(node.apply(bundle()))
    node.systemctl("disable", "--quiet", unit("nginx"))
    text = node.read(f"{UNITS}/holdfast-nginx.service")
    node.write(f"{UNITS}/holdfast-nginx.service", text.replace("ProtectSystem=strict", "ProtectSystem=no"))
    report = committed(node.apply(bundle()))
    assert stage(report, "look").startswith("units to write: holdfast-nginx.service; units to enable: holdfast-nginx")
    assert report["reloaded"] == report["started"] == []
    assert node.property(unit("nginx"), "ProtectSystem") == "strict"
    assert ours(node, WANTS) == set(NGINX)
    # A drop-in is the operator's way to change a unit: it stays.
    node.write(f"{UNITS}/holdfast-nginx.service.d/more.conf", "[Service]\nNice=-5\n")
    node.systemctl("daemon-reload")
    assert node.apply(bundle())["outcome"] == "unchanged"
    assert node.property(unit("nginx"), "Nice") == "-5"


def test_kills_while_units_change(node: SystemdMachine) -> None:
    """When units are about to be written, before the swap and after it; in the end one state, and its units alone."""
    check_kills(node, (4, 7, 10))


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_kills_while_units_change_in_full(node: SystemdMachine) -> None:
    check_kills(node, list(range(1, 14)) * 5)


def check_kills(node: SystemdMachine, lines: Any) -> None:
    states = {
        bundle(engine).digest: (bundle(engine), units) for engine, units in (("nginx", NGINX), ("haproxy", HAPROXY))
    }
    now = committed(node.apply(bundle()))["digest"]
    journal = node.root / "var/lib/holdfast/journal.jsonl"
    ends = set()
    for count in lines:
        wanted = next(digest for digest in states if digest != now)
        child = node.spawn_agent("apply", text=states[wanted][0].to_json())
        while child.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n") >= count):
            time.sleep(0.002)
        signal_agent(node.pids_of_agent(), signal.SIGKILL)
        child.wait(timeout=60)
        node.systemctl("restart", unit("recover"))  # as at boot, in its sandbox; it says 1 where it fails
        found = node.agent("status")
        assert found["digest"] in states, count
        assert not found["interrupted"]
        assert ours(node) == ours(node, WANTS) == set(states[found["digest"]][1]), count
        assert all(service["running"] for service in found["services"]), (count, found)
        wait_until(lambda: location(node) == "https://example.org/one")
        assert node.agent("recover")["outcome"] == "unchanged", count
        ends.add(found["digest"] == now)
        now = found["digest"]
    assert ends == {True, False}, "the kills all came too early, or too late, to show anything"


def test_a_real_server_has_its_addresses_and_its_route_again_after_a_reboot(node: SystemdMachine) -> None:
    arp = {"net.ipv4.conf.all.arp_ignore": "1"}
    wanted = bundles.bundle(bundles.sysctl(**arp), bundles.network("lo 10.9.7.3/32", gateway="10.9.0.254"))
    committed(node.apply(wanted))
    node.reboot()
    assert node.property(unit("network"), "Result") == "success"
    assert "10.9.7.3/32" in node.run("ip", "address", "show", "dev", "lo").stdout
    assert "via 10.9.0.254" in node.run("ip", "route", "show", "default").stdout
    assert node.sysctl("net.ipv4.conf.all.arp_ignore") == "1"
    assert node.apply(wanted)["outcome"] == "unchanged"
    node.run("ip", "route", "replace", "default", "via", "10.9.0.1", "dev", "eth0")  # as DHCP does
    committed(node.agent("recover"))
    committed(node.apply(Bundle(cluster="shop", node="lb01", services=(), files=())))
    assert "10.9.7.3" not in node.run("ip", "address", "show", "dev", "lo").stdout
    assert "via 10.9.0.1 " in node.run("ip", "route", "show", "default").stdout
