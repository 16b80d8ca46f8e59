"""`holdfast facts` and what `holdfast lint --here` makes of it, on a machine of its own with a real keepalived."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.agent.machine import Machine, machine
from tests.cli.conftest import Command
from tests.waiting import wait_until

from holdfast.lint.samples import instance
from holdfast.protocol import HostFacts

CONFIGURATION = "/etc/keepalived/keepalived.conf"
WRONG = """\
global_defs {
    enable_script_security
}
vrrp_script check_web {
    script "/srv/check_web"
    weight 0
}
vrrp_instance web {
    interface eth9
    virtual_router_id 51
    unicast_src_ip 10.9.0.77
    unicast_peer {
        10.9.0.6
    }
    virtual_ipaddress {
        10.9.0.5/24
    }
    track_script {
        check_web
    }
}
"""
# All the ways in which keepalived sets addresses: beside the node's own, alone in their network, without a mask.
HELD = instance("virtual_ipaddress {\n    10.9.0.100/24\n    10.9.0.101\n}\nadvert_int 1") + instance(
    "virtual_ipaddress_excluded {\n    10.9.0.102/24\n}", name="more", vrid=52, address="10.9.0.103/24"
)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Machine]:
    """A machine whose eth0 has 10.9.0.5/24; the other end of its cable is `outside`."""
    if os.geteuid() != 0:
        pytest.skip("namespaces need root")
    with machine(tmp_path) as made:
        made.write(CONFIGURATION, WRONG)
        yield made


def command(node: Machine, *words: str) -> subprocess.CompletedProcess[str]:
    return node.run(sys.executable, "-m", "holdfast.cli", *words, check=False)


def here(node: Machine) -> list[dict[str, Any]]:
    done = command(node, "lint", "--here", "--format", "json", CONFIGURATION)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@contextmanager
def keepalived(node: Machine) -> Iterator[None]:
    process = subprocess.Popen(
        node.enter(["keepalived", "--dont-fork", "--log-console", "--vrrp"]),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:  # a signal to the process that was started would only reach `nsenter`
        node.run("sh", "-c", "kill $(cat /run/keepalived.pid)", check=False)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.mark.lab
def test_mistakes_that_only_the_node_shows(node: Machine) -> None:
    node.write("/srv/check_web", "#!/bin/sh\n")
    (node.root / "srv/check_web").chmod(0o777)
    node.run("nft", "add table inet f; add chain inet f in { type filter hook input priority 0; policy drop; }")
    found = {(one["rule"], one["line"]) for one in here(node) if one["rule"].startswith("HOST")}
    assert {("HOST101", 9), ("HOST103", 11), ("HOST106", 8), ("HOST142", 5), ("HOST144", 5)} <= found


@pytest.mark.lab
def test_addresses_that_keepalived_set_are_not_the_nodes_own(node: Machine) -> None:
    node.write(CONFIGURATION, HELD)
    with keepalived(node):
        wait_until(lambda: "10.9.0.102" in node.run("ip", "address", "show", "eth0").stdout)
        assert not [one for one in here(node) if one["rule"] in ("HOST104", "HOST105")]
    wait_until(lambda: "10.9.0.102" not in node.run("ip", "address", "show", "eth0").stdout)
    node.run("ip", "address", "add", "10.9.0.103/24", "dev", "eth0")
    found = [(one["rule"], one["message"]) for one in here(node) if one["rule"] == "HOST104"]
    assert len(found) == 1
    assert "10.9.0.103" in found[0][1]


@pytest.mark.lab
def test_adverts_of_others_are_heard(node: Machine) -> None:
    sends = (
        "import socket, time; s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 112);"
        "s.setsockopt(0, 32, socket.inet_aton('10.9.9.9')); s.setsockopt(0, 33, 255);"
        "print(flush=True);"
        "advert = bytes.fromhex('31330a0100640000') + bytes(4);"
        "[(s.sendto(advert, ('224.0.0.18', 0)), time.sleep(0.1)) for _ in range(60)]"
    )
    node.run("ip", "address", "add", "10.9.9.9/24", "dev", "outside")
    with subprocess.Popen(node.enter([sys.executable, "-c", sends]), stdout=subprocess.PIPE) as sender:
        assert sender.stdout is not None
        sender.stdout.readline()
        done = command(node, "facts", "--json", "--listen", "1s")
        sender.terminate()
    adverts = HostFacts.model_validate_json(done.stdout).adverts
    assert adverts is not None
    assert [(one.interface, one.source, one.vrid, one.priority) for one in adverts] == [("eth0", "10.9.9.9", 51, 10)]


def test_the_answer_goes_into_a_file(holdfast: Command, tmp_path: Path) -> None:
    done = holdfast("facts", "-o", tmp_path / "here.json")
    assert (done.returncode, done.stdout) == (0, "")
    written = HostFacts.model_validate_json((tmp_path / "here.json").read_text())
    assert written.hostname == os.uname().nodename
    shown = holdfast("facts")
    assert shown.returncode == 0
    assert os.uname().nodename in shown.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--config", "/no/such"), "/no/such is not a file"),
        (("--listen", "soon"), "--listen 5s"),
        (("--listen", "10m"), "longer than"),
        (("-o", "/no/such/folder/here.json"), "cannot be written"),
    ],
)
def test_mistakes_are_told(holdfast: Command, words: tuple[str, ...], said: str) -> None:
    done = holdfast("facts", *words)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
