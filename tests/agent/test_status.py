"""What a node says of itself: whom it follows, what is overridden, also before anything was brought to it."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from tests.agent import directors
from tests.agent.services.fakes import node_in
from tests.agent.test_generations import use
from tests.waiting import wait_until

from holdfast.agent.__main__ import keep_for_later
from holdfast.agent.credentials import IDENTITY_FILE
from holdfast.agent.daemon.settings import SETTINGS_FILE, Settings, write_settings
from holdfast.agent.files import replace
from holdfast.agent.generations import Generations
from holdfast.agent.status import lines, node_status
from holdfast.agent.supervisor.processes import is_halted
from holdfast.bundle import Service
from holdfast.protocol import OverrideKind, Overrides, ServerOverride


def test_a_node_that_joined_says_whom_it_follows_and_others_follow_nobody(tmp_path: Path) -> None:
    node, _ = node_in(tmp_path)
    settings = node.places.at(SETTINGS_FILE)
    assert node_status(node).controllers == ()
    settings.parent.mkdir(parents=True)
    write_settings(settings, Settings(controllers=("https://ctl.example:8443",)))
    assert node_status(node).controllers == ()  # it was told of them, and never let in
    replace(node.places.at(IDENTITY_FILE), b"", 0o600)
    found = node_status(node)
    assert found.controllers == ("https://ctl.example:8443",)
    assert "  follows https://ctl.example:8443" in lines(found)
    settings.write_text("controllers = 7\n")
    assert node_status(node).controllers == ()


def test_overrides_are_kept_for_a_node_that_directs_nothing_yet(tmp_path: Path) -> None:
    node, _ = node_in(tmp_path)
    drained = ServerOverride(server="rs01:80", kind=OverrideKind.DRAINED)
    assert keep_for_later(node, Overrides(servers=(drained,)), as_json=True) == 0
    assert node_status(node).overrides == (drained,)


@pytest.mark.skipif(os.geteuid() != 0, reason="files of a generation belong to root")
def test_a_program_that_stands_still_does_not_run(tmp_path: Path) -> None:
    node, _ = node_in(tmp_path)
    use(Generations(node.places), directors.bundle(directors.pair()))
    child = subprocess.Popen(["sleep", "600"])
    try:
        node.manager.pids[Service.KEEPALIVED] = child.pid  # type: ignore[attr-defined]  # the manager of tests
        for order, running, state in ((signal.SIGCONT, True, "running"), (signal.SIGSTOP, False, "halted by a signal")):
            child.send_signal(order)
            wait_until(lambda halted=not running: is_halted(child.pid) == halted, 30)
            (facts,) = node_status(node).services
            assert (facts.running, facts.state) == (running, state)
    finally:
        child.kill()
        child.wait()
