"""The agent as a process on a machine with the real programs: drift by hand, kill -9, and what it costs when idle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.agent.machine import PYTHON, Machine
from tests.agent.systemd_machine import systemd_machine

ROOT = Path(__file__).resolve().parents[3]


def inside(node: Machine, scenario: str, *environment: str) -> dict[str, Any]:
    words = ("env", f"PYTHONPATH={ROOT}", *environment, PYTHON, "-m", "tests.agent.daemon.in_machine", scenario)
    found: dict[str, Any] = json.loads(node.run(*words).stdout)
    return found


@pytest.mark.lab
def test_what_is_changed_by_hand_is_told_and_put_right_only_where_the_policy_says_so(node: Machine) -> None:
    found = inside(node, "follow")
    assert found["answers"] == [True, True]
    assert '-        location / { return 200 "one\\n"; }' in found["diff"]
    assert '+        location / { return 200 "by hand\\n"; }' in found["diff"]
    assert found["left_alone"] == 1
    assert found["corrected"] == ["file", "service", "sysctl"]
    assert found["text"] == 1
    assert found["kept_aside"] == 1
    assert found["status"] == 0


@pytest.mark.lab
def test_an_agent_that_is_killed_at_any_moment_ends_at_the_last_state(node: Machine) -> None:
    found = inside(node, "kills", "TURNS=5", "SEED=3")
    assert found == {"never_back": True, "text": 1, "journal": False}


@pytest.mark.lab
def test_an_idle_agent_costs_little(node: Machine) -> None:
    """The best of four looks at its processor time: one that polls, or works for nothing, does so in each of them.

    That is its own, so other labs may run beside it.
    """
    found = inside(node, "idle", "TIMES=4", "IDLE_S=6")
    assert found["rss_mb"] < 60
    assert found["cpu_percent"] < 1.0  # 0.2 on a machine that does nothing else: see the benches


@pytest.mark.lab
def test_the_unit_of_install_does_all_of_that_in_its_sandbox(tmp_path: Path) -> None:
    with systemd_machine(tmp_path) as node:
        found = inside(node, "systemd")
        assert (found["outcome"], found["failure"]) == ("committed", None), node.journal()[-6000:]
        assert found["enabled"] == "enabled"
        assert found["nginx"] == "inactive"  # told, and left alone
        assert (found["agent"], found["status"]) == ("inactive", "0")
        assert found["keepalived"] == "active"  # what runs goes on without the agent
