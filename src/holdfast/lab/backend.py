"""The web servers of a lab's server nodes, from outside: start them, find their process, tell them how to behave."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from holdfast.errors import LabError
from holdfast.lab import state
from holdfast.lab.commands import tool
from holdfast.lab.node import Node
from holdfast.lab.processes import Process
from holdfast.lab.readiness import answers, connect
from holdfast.lab.topology import Speaks

CONTROL = "/run/holdfast-origin.sock"  # in the node
CERTIFICATE = "/run/holdfast-origin.pem"  # in the node
_SOURCES = Path(__file__).resolve().parents[2]
# A bare interpreter, without site-packages, starts in a tenth of the time; it needs to be told where Holdfast is.
BOOTSTRAP = "import sys; sys.path.insert(0, sys.argv.pop(1)); from holdfast.lab.origin import main; sys.exit(main())"
_START_TIMEOUT = 90.0
_PEER = struct.Struct("3i")  # struct ucred: pid, uid, gid


def start(nodes: Sequence[Node], timeout: float = _START_TIMEOUT) -> None:
    """Start the web servers of `nodes`, and wait until all their ports are open; LabError has what one said."""
    for node in nodes:
        _launch(node)
    deadline = time.monotonic() + timeout
    waiting = list(nodes)
    while waiting:
        waiting = [n for n in waiting if not answers(_control(n))]
        if waiting and time.monotonic() > deadline:
            said = _log(waiting[0]).read_text(errors="replace").strip().splitlines()
            raise LabError(
                f"The web server of {waiting[0].name} did not start", hint=said[-1] if said else "its log is empty"
            )
        if waiting:
            time.sleep(0.02)


def process(node: Node) -> Process | None:
    """The web server's process, or None if it does not run."""
    try:
        with connect(_control(node)) as channel:
            peer = channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    except OSError:
        return None
    # The kernel tells the pid in the numbers of whoever asks: this machine's, not the node's.
    return Process.of(_PEER.unpack(peer)[0])


def behave(node: Node, *, delay: float | None = None, healthy: bool | None = None) -> None:
    """Change how the web server behaves: seconds of delay, health; None leaves as is. LabError if it is not there."""
    order = {k: v for k, v in (("delay", delay), ("healthy", healthy)) if v is not None}
    try:
        with connect(_control(node)) as channel:
            channel.sendall(json.dumps(order).encode() + b"\n")
            reply = json.loads(channel.recv(4096))
    except (OSError, ValueError) as error:
        raise LabError(f"The web server of {node.name} takes no orders: {error}") from error
    if "error" in reply:
        raise LabError(f"The web server of {node.name} refused an order: {reply['error']}")


def _control(node: Node) -> Path:
    return node.root / CONTROL.lstrip("/")


def _log(node: Node) -> Path:
    return state.log_file(node.lab, f"{node.name}.origin")


def _launch(node: Node) -> None:
    ports = [word for port in node.spec.origin_ports for word in ("--listen", str(port))]
    ports += [word for other in node.spec.origin_services for word in ("--listen", f"{other.speaks}:{other.port}")]
    if any(other.speaks is Speaks.HTTPS for other in node.spec.origin_services):
        _provide_certificate(node)
    program = [sys.executable, "-I", "-S", "-c", BOOTSTRAP, str(_SOURCES), "--name", node.name, "--control", CONTROL]
    program += ["--certificate", CERTIFICATE, *ports]
    with _log(node).open("ab") as log:
        done = subprocess.run(
            [tool("setsid"), "--fork", *node.argv(program)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            timeout=5.0,
            check=False,
        )
    if done.returncode != 0:
        raise LabError(f"The web server of {node.name} could not be started", hint=f"see {_log(node)}")


def _provide_certificate(node: Node) -> None:
    """A certificate that is nobody's, made anew for each server: what is measured is availability, not trust."""
    words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    words += ["-subj", f"/CN={node.name}", "-keyout", CERTIFICATE, "-out", f"{CERTIFICATE}.crt"]
    node.exec([tool("openssl"), *words], check=True)
    node.exec(["sh", "-c", f"cat {CERTIFICATE}.crt >> {CERTIFICATE}"], check=True)
