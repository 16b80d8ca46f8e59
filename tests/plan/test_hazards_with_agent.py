"""Classes of hazard as a node's agent makes them true: what it reloads, and what that does to connections."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest
from tests.agent import bundles
from tests.agent.machine import PYTHON, Machine, machine
from tests.waiting import wait_until

from holdfast.bundle import Bundle, BundleFile, Service
from holdfast.plan import Hazard, make_plan

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

ADDRESS, PORT = "10.9.0.3", 8080
# One connection that lasts: each line asks again on it. A GET that finds it closed says so.
_KEPT = """
import http.client, sys
kept = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=5)
kept.connect()
print("open", flush=True)
for line in sys.stdin:
    try:
        kept.request("GET", "/")
        print(kept.getresponse().read().decode().strip(), flush=True)
    except OSError as error:
        print(type(error).__name__, flush=True)
"""
# Answers with its own port, and takes its time for /slow.
_BACKEND = """
import http.server, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/slow":
            time.sleep(3)
        body = sys.argv[1].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
print("ready", flush=True)
import threading
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    if os.geteuid() != 0:
        pytest.skip("namespaces need root")
    with machine(tmp_path_factory.mktemp("machine")) as made:
        yield made


def hazard(old: Bundle, new: Bundle) -> Hazard:
    return make_plan({"lb01": old}, {"lb01": new}).hazard


def committed(node: Machine, bundle: Bundle) -> list[str]:
    """Apply it; what the agent reloaded."""
    report = node.apply(bundle)
    assert report["outcome"] in ("committed", "unchanged"), report
    reloaded: list[str] = report["reloaded"]
    return reloaded


def ask(client: subprocess.Popen[str]) -> str:
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdin.write("again\n")
    client.stdin.flush()
    return client.stdout.readline().strip()


@pytest.fixture
def balancer(node: Machine) -> Machine:
    """A balancer with nginx on its address, which it holds."""
    committed(node, bundles.pair())
    wait_until(lambda: ADDRESS in node.run("ip", "address").stdout)
    return node


def with_sysctl(bundle: Bundle, file: BundleFile) -> Bundle:
    files = tuple(file if each.path == file.path else each for each in bundle.files)
    return bundle.model_copy(update={"files": files})


def with_patience(bundle: Bundle) -> Bundle:
    group = bundle.expected.vrrp[0].model_copy(update={"hold_back_at_most_ms": 9000})
    return bundle.model_copy(update={"expected": bundle.expected.model_copy(update={"vrrp": (group,)})})


LIVE = {
    "rules of the firewall": bundles.pair(table_port=113, rules=5),
    "a setting of the kernel": with_sysctl(
        bundles.pair(),
        bundles.sysctl(**{"net.ipv4.ip_nonlocal_bind": "1", "net.ipv4.conf.eth0.arp_announce": "2"}),
    ),
    "what a move waits for": with_patience(bundles.pair()),
}


@pytest.mark.parametrize("change", LIVE)
def test_live_reloads_nothing_and_a_connection_goes_on(balancer: Machine, change: str) -> None:
    assert hazard(bundles.pair(), LIVE[change]) is Hazard.LIVE
    with balancer.spawn(PYTHON, "-c", _KEPT, ADDRESS, str(PORT)) as client:
        assert ask(client) == "one"
        assert committed(balancer, LIVE[change]) == []
        assert ask(client) == "one"
        assert client.stdin is not None
        client.stdin.close()


def pool(*ports: int) -> Bundle:
    """nginx in front of a pool on this machine."""
    servers = "".join(f"server 127.0.0.1:{port};" for port in ports)
    file = bundles.nginx(more="location /slow { proxy_pass http://app; }")
    content = file.content.replace("    server {\n", f"    upstream app {{ {servers} }}\n    server {{\n", 1)
    return bundles.bundle(
        bundles.sysctl(), bundles.nftables(), file.model_copy(update={"content": content}), bundles.keepalived(),
        listeners=((Service.NGINX, ADDRESS, PORT),),
    )  # fmt: skip


def test_a_slow_answer_survives_the_reload_that_takes_its_server_out(balancer: Machine) -> None:
    old, new = pool(9001, 9002), pool(9002)
    assert hazard(old, new) is Hazard.RELOAD
    with (
        balancer.spawn(PYTHON, "-c", _BACKEND, "9001") as one,
        balancer.spawn(PYTHON, "-c", _BACKEND, "9002") as two,
    ):
        committed(balancer, old)
        slow = [
            subprocess.Popen(
                balancer.enter(("curl", "-s", "--max-time", "15", f"http://{ADDRESS}:{PORT}/slow")),
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(2)
        ]
        wait_until(lambda: balancer.run("ss", "-Htn", "state", "established", "dport", "9001").stdout.strip() != "")
        assert committed(balancer, new) == ["nginx"]
        answers = sorted(each.communicate(timeout=20)[0] for each in slow)
        assert answers == ["9001", "9002"]
        assert balancer.get(f"http://{ADDRESS}:{PORT}/slow") == "9002"
        for each in (one, two):
            assert each.stdin is not None
            each.stdin.close()


def test_a_port_that_is_taken_out_refuses_at_once(balancer: Machine) -> None:
    old, new = bundles.pair(), bundles.pair(port=8081)
    found = make_plan({"lb01": old}, {"lb01": new})
    assert found.hazard is Hazard.DROPS_CONNECTIONS
    assert "listener 10.9.0.3:8080: nginx removed" in [change.sentence for change in found.nodes[0].changes]
    assert committed(balancer, new) == ["nginx"]
    refused = balancer.run("curl", "-s", f"http://{ADDRESS}:{PORT}/", check=False)
    assert refused.returncode == 7  # connection refused
    assert balancer.get(f"http://{ADDRESS}:8081/") == "one"


def test_a_program_that_is_stopped_takes_what_it_holds_along(balancer: Machine) -> None:
    new = bundles.bundle(bundles.sysctl(), bundles.nginx(), listeners=((Service.NGINX, ADDRESS, PORT),))
    found = make_plan({"lb01": bundles.pair()}, {"lb01": new})
    assert found.hazard is Hazard.DROPS_CONNECTIONS
    report = balancer.apply(new)
    assert report["stopped"] == ["keepalived"], report
    assert ADDRESS not in balancer.run("ip", "address").stdout


def test_the_services_that_a_plan_reloads_are_those_that_the_agent_reloads(balancer: Machine) -> None:
    """Also where nothing but a comment changes: a file that differs is read anew."""
    old = bundles.pair()
    for name in ("nginx", "keepalived"):
        files = tuple(
            each.model_copy(update={"content": each.content + "# remember the milk\n"}) if f"/{name}/" in each.path
            else each
            for each in old.files
        )  # fmt: skip
        new = old.model_copy(update={"files": files})
        (planned,) = make_plan({"lb01": old}, {"lb01": new}).nodes
        assert [change.row for change in planned.changes] == ["file-text"]
        assert committed(balancer, new) == [name] == [str(change.service) for change in planned.changes]
        committed(balancer, old)
