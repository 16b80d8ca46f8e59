"""`holdfast lab up --controller`: a whole installation on this machine, used over its API as a user would."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from tests.lab.installation import ROOT, Installation, installed
from tests.waiting import comes_true, wait_until

from holdfast.lab import state

SLOW_S = 60.0

pytestmark = [
    pytest.mark.lab,
    pytest.mark.xdist_group("installation"),  # the tests follow each other in one
    pytest.mark.timeout(600),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a lab makes network namespaces"),
]


def running(installation: Installation) -> set[int]:
    """The revisions that the nodes run, verified."""
    return {node["running"] for node in installation.status()["nodes"]}


def told(installation: Installation, node: str) -> str:
    """For who looks for the reason: what the controller knows of a node, and what its agent wrote last."""
    log = state.log_file(installation.lab, f"{node}-agent").read_text(errors="replace")
    return f"{json.dumps(installation.status()['nodes'], indent=1)}\n{log[-3000:]}"


def asked(installation: Installation) -> dict[str, int]:
    """What the users have asked so far, and what failed."""
    last: dict[str, int] = json.loads(state.log_file(installation.lab, "traffic").read_text().splitlines()[-1])
    return last


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(tmp_path_factory.mktemp("installation"), "dual-master-nginx", f"c{os.getpid()}") as made:
        yield made


def test_nodes_run_the_first_revision_and_users_are_served(installation: Installation) -> None:
    at_home = {"www": ["lb01"], "bbs": ["lb02"]}
    assert comes_true(lambda: installation.holders() == at_home, SLOW_S), installation.status()
    assert running(installation) == {1}
    wait_until(lambda: asked(installation)["sent"] > 100, SLOW_S)


def test_a_change_is_rolled_out_and_taken_back(installation: Installation) -> None:
    text = installation.spec.read_text()
    installation.spec.write_text(text.replace("every: 1s, timeout: 500ms", "every: 2s, timeout: 500ms"))
    installation.run("apply", installation.spec, "-m", "slower checks", "--yes")
    assert "-    check: &asked {http: /healthz, every: 1s" in installation.run("diff", 1, 2)
    installation.run("rollback", 1, "--yes")
    revisions = json.loads(installation.run("history", "--json"))["revisions"]
    assert [(one["number"], one["rollback_of"]) for one in revisions] == [(3, 1), (2, None), (1, None)]


def test_a_node_gives_up_its_addresses_and_takes_them_back(installation: Installation) -> None:
    installation.run("maintenance", "lb02", "on")
    began = time.monotonic()
    wait_until(lambda: installation.holders() == {"www": ["lb01"], "bbs": ["lb01"]}, SLOW_S)
    assert time.monotonic() - began < 20, "who holds what is told when it changes, not with the next regular report"
    installation.run("maintenance", "lb02", "off")
    wait_until(lambda: installation.holders() == {"www": ["lb01"], "bbs": ["lb02"]}, SLOW_S)


def test_a_node_that_died_comes_back_with_its_agent(installation: Installation) -> None:
    installation.run("lab", "fault", "--lab", installation.lab, "crash", "lb02")
    wait_until(lambda: installation.holders() == {"www": ["lb01"], "bbs": ["lb01"]}, SLOW_S)
    installation.run("lab", "fault", "--lab", installation.lab, "crash", "lb02", "--heal")
    wait_until(lambda: installation.holders() == {"www": ["lb01"], "bbs": ["lb02"]}, SLOW_S)
    assert comes_true(lambda: running(installation) == {3}, 3 * SLOW_S), told(installation, "lb02")


def test_another_engine_moves_the_groups_that_are_tied_to_it_as_the_plan_says(installation: Installation) -> None:
    """The holder gives its group up when its nginx ends: that is no failure of the change, which goes through."""
    text = installation.spec.read_text()
    other = text.replace("engine: nginx", "engine: haproxy").replace("process: nginx", "process: haproxy")
    changed = installation.spec.with_name("other-engine.yaml")
    changed.write_text(other.replace("retry_on: [error, timeout, http_404, http_502, http_403]", "retry_on: [error]"))
    planned = json.loads(installation.run("plan", installation.spec, changed, "--json"))
    assert "group www: it is tied to nginx, which stops on this node" in json.dumps(planned)
    installation.run("apply", changed, "-m", "another engine", "--yes")
    holders = {"www": ["lb01"], "bbs": ["lb02"]}
    assert comes_true(lambda: installation.holders() == holders, SLOW_S), told(installation, "lb01")
    status = installation.status()
    assert (status["rollout"]["phase"], running(installation)) == ("succeeded", {4})


def test_a_port_that_is_taken_is_told_before_a_virtual_machine_boots() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = ("lab", "up", "examples/lvs-dr-pair/cluster.yaml", "--vm", "--controller")
        argv = [sys.executable, "-m", "holdfast.cli", *words, "--controller-port", str(port)]
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "--controller-port" in done.stderr
    assert "boot" not in done.stderr
