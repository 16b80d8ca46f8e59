"""The agent's unit: its text, and how it is put into place; systemd is a program that remembers."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.agent.test_systemd_units import as_in_golden
from tests.agent.test_units import Systemd

from holdfast.agent.credentials import IDENTITY_FILE
from holdfast.agent.daemon.install import install
from holdfast.agent.daemon.single import only_one, runs
from holdfast.agent.host.port import Places
from holdfast.agent.systemctl import Systemctl
from holdfast.agent.systemd_units import AGENT_UNIT, agent_unit
from holdfast.errors import NotOurs, UsageError

GOLDEN = Path(__file__).parent / AGENT_UNIT


def test_the_whole_text() -> None:
    """HOLDFAST_UPDATE_GOLDEN=1 rewrites it, for review in the diff."""
    text = as_in_golden(agent_unit(IDENTITY_FILE))
    if os.environ.get("HOLDFAST_UPDATE_GOLDEN"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_it(tmp_path: Path) -> None:
    file = tmp_path / AGENT_UNIT
    file.write_text(agent_unit(IDENTITY_FILE))
    done = subprocess.run(["systemd-analyze", "verify", str(file)], capture_output=True, text=True, timeout=60)
    assert AGENT_UNIT not in done.stderr, done.stderr


def test_it_is_written_enabled_and_started_once_the_node_has_joined(tmp_path: Path) -> None:
    systemd, places = Systemd(tmp_path), Places(tmp_path)
    ctl = Systemctl(str(systemd.program))
    with pytest.raises(UsageError, match="systemd does not run"):
        install(places, ctl, mark=tmp_path / "nothing")
    first = install(places, ctl, mark=tmp_path)
    assert (first.written, first.joined) == (True, False)
    assert systemd.asked() == ["daemon-reload", f"enable --quiet {AGENT_UNIT}"]
    identity = places.at(IDENTITY_FILE)
    identity.parent.mkdir(parents=True)
    identity.write_text("")
    second = install(places, ctl, mark=tmp_path)
    assert (second.written, second.joined) == (False, True)
    assert systemd.asked()[-1] == f"start {AGENT_UNIT}"
    unit = systemd.folder / AGENT_UNIT
    unit.write_text(unit.read_text().replace("RestartSec=2", "RestartSec=9"))
    assert install(places, ctl, mark=tmp_path).written
    assert systemd.asked()[-1] == f"restart {AGENT_UNIT}"
    unit.write_text("[Unit]\n")
    with pytest.raises(NotOurs, match="was not written by Holdfast"):
        install(places, ctl, mark=tmp_path)
    assert unit.read_text() == "[Unit]\n"


def test_there_is_one_agent_on_a_node(tmp_path: Path) -> None:
    places = Places(tmp_path)
    assert not runs(places)
    with only_one(places):
        assert runs(places)
        with pytest.raises(UsageError, match="runs on this node already"), only_one(places):
            raise AssertionError("the second one must not run")
    assert not runs(places)
