"""Agent commands by way of the process that has loaded the agent: the same answers, in the node, with an end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from holdfast.errors import LabError
from holdfast.lab.agents import Agents
from holdfast.lab.faults import Crash
from holdfast.lab.lab import Lab
from holdfast.lab.processes import Process

pytestmark = pytest.mark.lab


@pytest.fixture
def agents() -> Iterator[Agents]:
    made = Agents()
    yield made
    made.close()


def test_a_command_says_what_it_says_when_it_is_started_in_the_node(lab: Lab, agents: Agents) -> None:
    node = lab.node("lb01")
    ours = agents.run(node, ["facts", "--json"], timeout=30)
    theirs = node.exec(["python", "-m", "holdfast.agent", "facts", "--json"], timeout=60)
    assert (ours.returncode, json.loads(ours.stdout)) == (theirs.returncode, json.loads(theirs.stdout))
    assert json.loads(ours.stdout)["hostname"] == "lb01"
    assert {i["name"] for i in json.loads(ours.stdout)["interfaces"]} >= {"eth0", "eth1"}


def test_input_errors_and_statuses_arrive(lab: Lab, agents: Agents) -> None:
    node = lab.node("lb02")
    refused = agents.run(node, ["apply", "--json"], input="no bundle", timeout=30)
    assert refused.returncode == 2
    assert "is not a bundle" in json.loads(refused.stdout)["error"]["message"]
    assert "is not a bundle" in refused.stderr
    wrong = agents.run(node, ["dance"], timeout=30)
    assert wrong.returncode == 2
    assert "invalid choice" in wrong.stderr


def test_it_enters_every_namespace_of_the_node(lab: Lab, agents: Agents) -> None:
    """A bundle is staged on the node's own disk: what is seen there afterwards is not seen here."""
    node = lab.node("lb01")
    agents.run(node, ["apply", "--json"], input='{"cluster": "x"}', timeout=30)
    bundle = '{"cluster": "x", "node": "lb01", "services": [], "files": []}'
    done = agents.run(node, ["apply", "--json"], input=bundle, timeout=60)
    assert json.loads(done.stdout)["outcome"] in ("committed", "unchanged"), done.stdout
    assert node.exec(["ls", "/var/lib/holdfast"]).stdout.split()
    assert not os.path.exists("/var/lib/holdfast/generations/1") or "lb01" not in os.listdir("/var/lib/holdfast")


def test_what_takes_too_long_is_killed_with_all_that_it_started(lab: Lab, agents: Agents) -> None:
    node = lab.node("lb01")
    agents.run(node, ["facts"], timeout=30)
    with pytest.raises(subprocess.TimeoutExpired):
        agents.run(node, ["facts", "--json"], timeout=0.0)
    assert agents.run(node, ["facts", "--json"], timeout=30).returncode == 0


def test_a_node_that_is_down_is_named(lab_name: str, small: object, agents: Agents) -> None:
    with Lab.up(small(lab_name, 1, 0)) as made:  # type: ignore[operator]
        Crash(node="lb01").inject(made)
        with pytest.raises(LabError, match="lb01"):
            agents.run(made.node("lb01"), ["status"], timeout=5)


def test_the_process_ends_with_its_owner(lab: Lab) -> None:
    agents = Agents()
    agents.start()
    child = agents._child
    assert child is not None
    agents.close()
    assert child.poll() == 0
    assert agents.run(lab.node("lb01"), ["facts"], timeout=30).returncode == 0
    agents.close()


def test_a_number_that_lives_on_as_a_groups_is_no_process() -> None:
    """What killed its whole session but the leader finds the leader's number in use, and nobody behind it."""
    script = "import os, time\nif os.fork() == 0:\n    time.sleep(60)\nos._exit(0)\n"
    child = subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
    found = Process(pid=child.pid, started=1)
    assert child.wait(60) == 0
    try:
        assert found.signal(signal.SIGCONT) is False
    finally:
        os.killpg(child.pid, signal.SIGKILL)


def test_one_that_is_forked_does_the_same_and_says_nothing_of_its_parents(lab: Lab) -> None:
    program = (
        "import sys\n"
        "from holdfast.lab.agents import Agents\n"
        "from holdfast.lab.agents_process import fork_at_hand\n"
        "from holdfast.lab.lab import Lab\n"
        "sys.stdout.write('said before')\n"
        "fork_at_hand()\n"
        "with_it = Agents()\n"
        "done = with_it.run(Lab.attach(sys.argv[1]).node('lb01'), ['--help'], timeout=60)\n"
        "with_it.close()\n"
        "sys.stdout.write(f' {done.returncode} {done.stdout}')\n"
    )
    argv = [sys.executable, "-c", program, lab.name]
    buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=True, env=buffered)
    assert done.stdout.startswith("said before 0 usage: ")
    assert done.stdout.count("said before") == 1
