"""The prober's process: `python -m holdfast.agent.prober`, a service beside nginx."""

from __future__ import annotations

import asyncio
import logging
import os
import sys

from holdfast.agent.host.linux import LinuxHost
from holdfast.agent.host.port import Places
from holdfast.agent.prober.loop import Prober
from holdfast.agent.service_manager import detect
from holdfast.agent.services.base import Node
from holdfast.errors import HoldfastError

_LOG = logging.getLogger("holdfast.prober")


def main() -> int:
    """Run until SIGTERM; 1 where it cannot."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s prober %(levelname)s %(message)s")
    os.umask(0o022)
    try:
        asyncio.run(_run())
    except HoldfastError as error:
        _LOG.error("%s; %s", error.message, error.hint)
        return error.exit_status
    except OSError as error:
        _LOG.error("cannot go on: %s (%s); look at the disk of this node", error.strerror or error, error.filename)
        return 1
    return 0


async def _run() -> None:
    await Prober(Node(LinuxHost(), Places(), detect())).run()


if __name__ == "__main__":
    sys.exit(main())
