"""Installs the agent's own systemd unit, and those of what the node runs already."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from holdfast.agent.credentials import IDENTITY_FILE
from holdfast.agent.files import create_folder, replace
from holdfast.agent.generations import Generations
from holdfast.agent.host.port import Places
from holdfast.agent.service_manager import SYSTEMD_MARK
from holdfast.agent.steps import translated
from holdfast.agent.systemctl import Systemctl
from holdfast.agent.systemd_units import AGENT_UNIT, agent_unit
from holdfast.agent.units import UNIT_DIR, Units
from holdfast.bundle import CONFIG_DIR, OWNERSHIP_LINE, PROBE_DIR
from holdfast.errors import NotOurs, UsageError


@dataclass(frozen=True)
class Installed:
    """`written`: it was not there, or another one; `joined`: this node has an identity, so the agent runs now."""

    unit: str
    written: bool
    joined: bool


def install(places: Places, systemctl: Systemctl | None = None, mark: Path = SYSTEMD_MARK) -> Installed:
    """Write, enable and (re)start the unit; once more changes nothing. Raises UsageError, NotOurs, ApplyError."""
    if not mark.is_dir():
        raise UsageError(
            "systemd does not run this machine, so there are no units to install",
            "have whatever does start `holdfast agent run`, and `python -m holdfast.agent.supervisor` for the services",
        )
    ctl = systemctl or Systemctl()
    path = places.at(UNIT_DIR) / AGENT_UNIT
    text = agent_unit(IDENTITY_FILE)
    with translated():
        present = path.read_text(errors="replace") if path.is_file() else ""
        if present and OWNERSHIP_LINE not in present.split("\n", 1)[0]:
            raise NotOurs(f"{path} was not written by Holdfast", "move it away, then install again")
        for folder in (CONFIG_DIR, PROBE_DIR):  # in its sandbox the agent writes there, but cannot make them
            create_folder(places.at(folder))
        written = present != text
        if written:
            replace(path, text.encode())
        generations = Generations(places)
        bundle = generations.bundle(generations.current())
        if bundle is not None:
            units = Units(places, ctl)
            units.install(bundle.services)
            units.settle(bundle.services)
    ctl.order("daemon-reload")
    ctl.order("enable", "--quiet", AGENT_UNIT)
    joined = places.at(IDENTITY_FILE).is_file()
    if joined:
        ctl.order("restart" if written else "start", AGENT_UNIT)
    return Installed(AGENT_UNIT, written, joined)
