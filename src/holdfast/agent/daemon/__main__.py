"""`python -m holdfast.agent.daemon`: the agent, until it is told to end. systemd runs it, and `holdfast agent run`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from holdfast.agent.credentials import IDENTITY_FILE, context_from
from holdfast.agent.daemon.log import LOG, begin_logging
from holdfast.agent.daemon.loop import Agent
from holdfast.agent.daemon.renewal import CertificateProcess, Renewal
from holdfast.agent.daemon.rotation import Rotation, order_for
from holdfast.agent.daemon.settings import SETTINGS_FILE, read_settings
from holdfast.agent.daemon.single import only_one
from holdfast.agent.daemon.thrift import settle
from holdfast.agent.daemon.wire import Controller
from holdfast.agent.daemon.work import Work
from holdfast.agent.host.linux import LinuxHost
from holdfast.agent.host.port import Places
from holdfast.agent.service_manager import detect
from holdfast.agent.services.base import Node
from holdfast.agent.units import detect_units
from holdfast.errors import HoldfastError, UsageError


def main() -> int:
    """Exit status 0 when told to end, 1 for what may pass, 2 where somebody has to do something first."""
    begin_logging()
    places = Places()
    try:
        if os.geteuid() != 0:
            raise UsageError("the agent changes this node's services, so it must be root", "run it with sudo")
        with only_one(places):
            agent = _agent(places, Path(IDENTITY_FILE), Path(SETTINGS_FILE))
            settle()
            asyncio.run(_until_told(agent))
    except HoldfastError as error:
        LOG.error(error.message, extra={"hint": error.hint})
        return error.exit_status
    return 0


def _agent(places: Places, identity_file: Path, settings_file: Path) -> Agent:
    standing = CertificateProcess(identity_file).look()
    if standing is None:
        raise UsageError(
            "this node has not joined a cluster", "holdfast agent join TOKEN --controller https://HOST:PORT"
        )
    settings = read_settings(settings_file)
    node = Node(LinuxHost(), places, detect(), detect_units(places))

    def connect(url: str) -> Controller:
        return Controller(url, context_from(identity_file))  # read each time: it is renewed now and then

    rotation = Rotation(order_for(standing.node, settings.controllers))
    renewal = Renewal(CertificateProcess(identity_file, rotation.controllers), standing)
    return Agent(standing.cluster, standing.node, Work(node), rotation, connect, renewal)


async def _until_told(agent: Agent) -> None:
    running = asyncio.create_task(agent.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        LOG.info("ended, as told; what runs on this node goes on")


if __name__ == "__main__":
    sys.exit(main())
