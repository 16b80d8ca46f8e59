"""The supervisor's socket: one JSON object a line in, one a line out; only root may open it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from holdfast.agent.supervisor.unit import OrderError, Unit

LONGEST_LINE = 4096  # bytes, of a request; orders are far shorter
_CLIENTS_AT_MOST = 32
_ORDERS = ("start", "stop", "reload", "fail", "mend")

Reply = dict[str, Any]


def answer(line: bytes, units: Mapping[str, Unit]) -> Reply:
    """Carry out one request; what cannot be understood or done is answered, never raised."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        return _refuse("that is not a line of JSON")
    if not isinstance(request, dict):
        return _refuse('a request is an object: {"op": …, "service": …}')
    order, name = request.get("op"), request.get("service")
    if order == "status":
        return {"ok": True, "services": {key: unit.status() for key, unit in units.items()}}
    if order not in _ORDERS:
        return _refuse(f"unknown op; known are status, {', '.join(_ORDERS)}")
    unit = units.get(name) if isinstance(name, str) else None
    if unit is None:
        return _refuse(f"unknown service; known are {', '.join(units)}")
    try:
        getattr(unit, str(order))()
    except OrderError as refused:
        return _refuse(str(refused))
    return {"ok": True, "services": {unit.command.name: unit.status()}}


def _refuse(why: str) -> Reply:
    return {"ok": False, "error": why}


def listen(path: Path) -> socket.socket:
    """Bind the socket with mode 0600; the caller holds the lock, so one that is there is a dead one's."""
    path.unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    before = os.umask(0o177)
    try:
        server.bind(os.fspath(path))
    finally:
        os.umask(before)
    server.listen(_CLIENTS_AT_MOST)
    server.setblocking(False)
    return server


class Clients:
    """The connections that are open, and what each has sent so far of its next line."""

    def __init__(self, reply_to: Callable[[bytes], Reply]) -> None:
        self._reply_to = reply_to
        self._pending: dict[socket.socket, bytes] = {}

    def accept(self, server: socket.socket) -> tuple[socket.socket | None, socket.socket | None]:
        """A new connection, and the oldest one if it had to make room: that one is the caller's to close."""
        try:
            client, _ = server.accept()
        except OSError:  # it hung up again before we came
            return None, None
        client.setblocking(False)
        evicted = next(iter(self._pending)) if len(self._pending) >= _CLIENTS_AT_MOST else None
        if evicted is not None:
            del self._pending[evicted]
        self._pending[client] = b""
        return client, evicted

    def serve(self, client: socket.socket) -> bool:
        """Answer the lines that are complete; False where the connection is to be closed."""
        try:
            received = client.recv(LONGEST_LINE)
        except BlockingIOError:
            return True
        except OSError:
            received = b""
        *lines, rest = (self._pending[client] + received).split(b"\n")
        fine = bool(received) and len(rest) <= LONGEST_LINE
        for line in lines:
            if line.strip() and not self._send(client, self._reply_to(line)):
                fine = False
                break
        if received and len(rest) > LONGEST_LINE:
            self._send(client, _refuse(f"a line is longer than {LONGEST_LINE} bytes"))
        self._pending[client] = rest
        if not fine:
            self._pending.pop(client, None)
        return fine

    @staticmethod
    def _send(client: socket.socket, reply: Reply) -> bool:
        data = json.dumps(reply).encode() + b"\n"
        try:
            return client.send(data) == len(data)
        except OSError:  # it does not read, or has gone: no answer is owed any longer
            return False
