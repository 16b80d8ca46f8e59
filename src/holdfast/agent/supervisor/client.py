"""Talks to the supervisor over its socket."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from holdfast.agent.supervisor.paths import Paths
from holdfast.errors import ApplyError
from holdfast.sentences import Sentence

_TIMEOUT_S = 5.0
_LARGEST_REPLY = 65_536  # bytes


def ask(op: str, service: str = "", path: Path | None = None) -> dict[str, dict[str, Any]]:
    """Give one order; returns the status of the services concerned, by name. Raises ApplyError."""
    where = path or Paths().socket
    request = json.dumps({"op": op, "service": service}).encode() + b"\n"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_TIMEOUT_S)
            connection.connect(str(where))
            connection.sendall(request)
            reply = _read_line(connection)
    except OSError as error:
        raise ApplyError(
            Sentence(
                "the supervisor does not answer on %(where)s: %(error)s", where=where, error=error.strerror or error
            ),
            "start it: python3 -m holdfast.agent.supervisor",
        ) from error
    return _services(reply, op, service)


def _read_line(connection: socket.socket) -> bytes:
    reply = b""
    while not reply.endswith(b"\n") and len(reply) < _LARGEST_REPLY:
        received = connection.recv(65_536)
        if not received:
            break
        reply += received
    return reply


def _services(reply: bytes, op: str, service: str) -> dict[str, dict[str, Any]]:
    try:
        answer = json.loads(reply)
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or "ok" not in answer:
        raise ApplyError("the supervisor's answer makes no sense", "is another program behind its socket?")
    if answer["ok"] is not True:
        raise ApplyError(
            Sentence(
                "the supervisor refused `%(op)s %(service)s`: %(reason)s",
                op=op,
                service=service,
                reason=answer.get("error") or Sentence("no reason given"),
            ),
            "ask for its status first",
        )
    services: dict[str, dict[str, Any]] = answer["services"]
    return services
