"""How each service is started, reloaded and stopped: fixed here, never taken from a socket or a bundle."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from signal import SIGHUP, SIGKILL, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, Signals

from holdfast.bundle import CONFIG_DIR, RUN_DIR


@dataclass(frozen=True)
class StopStep:
    """A signal to the main process, and how many seconds it gets before the next step."""

    signal: Signals
    patience_s: float


@dataclass(frozen=True)
class ServiceCommand:
    """One supervised program.

    `leftover_signal` goes to processes that outlive their main process: keepalived's children must get the
    chance to take their addresses off the interface, nginx's orphaned workers would go on listening.
    """

    name: str
    argv: tuple[str, ...]
    reload_signal: Signals
    stop_steps: tuple[StopStep, ...]
    leftover_signal: Signals
    listens: bool  # it runs only once one of its processes has a listening TCP socket
    tracked: bool  # keepalived follows its service-state file


NGINX = ServiceCommand(
    name="nginx",
    argv=("/usr/sbin/nginx", "-c", f"{CONFIG_DIR}/nginx/nginx.conf", "-g", "daemon off;"),
    reload_signal=SIGHUP,
    stop_steps=(StopStep(SIGQUIT, 10.0), StopStep(SIGTERM, 3.0)),
    leftover_signal=SIGKILL,
    listens=True,
    tracked=True,
)
HAPROXY = ServiceCommand(
    name="haproxy",
    argv=(
        "/usr/sbin/haproxy",
        "-W",
        "-f",
        f"{CONFIG_DIR}/haproxy/haproxy.cfg",
        "-p",
        f"{RUN_DIR}/haproxy/haproxy.pid",
    ),
    reload_signal=SIGUSR2,
    stop_steps=(StopStep(SIGUSR1, 10.0), StopStep(SIGTERM, 3.0)),
    leftover_signal=SIGKILL,
    listens=True,
    tracked=True,
)
# The interpreter that runs the supervisor, and where it found Holdfast; `-P`: never out of the present folder.
_PYTHONPATH = (f"PYTHONPATH={os.environ['PYTHONPATH']}",) if os.environ.get("PYTHONPATH") else ()
PROBER = ServiceCommand(
    name="prober",
    argv=("/usr/bin/env", *_PYTHONPATH, sys.executable, "-P", "-m", "holdfast.agent.prober"),
    reload_signal=SIGHUP,
    stop_steps=(StopStep(SIGTERM, 5.0),),
    leftover_signal=SIGTERM,  # an `nginx -t` on its way
    listens=False,
    tracked=False,
)
KEEPALIVED = ServiceCommand(
    name="keepalived",
    argv=(
        "/usr/sbin/keepalived",
        "-n",
        "-l",
        "-f",
        f"{CONFIG_DIR}/keepalived/keepalived.conf",
        "-p",
        f"{RUN_DIR}/keepalived/keepalived.pid",
        "-r",
        f"{RUN_DIR}/keepalived/vrrp.pid",
        "-c",
        f"{RUN_DIR}/keepalived/checkers.pid",  # only with virtual servers, also when a reload brings the first
    ),
    reload_signal=SIGHUP,
    stop_steps=(StopStep(SIGTERM, 5.0),),
    leftover_signal=SIGTERM,
    listens=False,
    tracked=False,
)

# In the order in which they are brought up; stopped the other way round, so that addresses leave first.
COMMANDS: tuple[ServiceCommand, ...] = (NGINX, HAPROXY, PROBER, KEEPALIVED)
