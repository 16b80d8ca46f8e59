"""Runs on a lab's client: users of 10.0.0.3, who say which server answered and whether every byte arrived.

`long PORT SECONDS…` has one download for each, `short PORT USER…` one small request for each.
"""

from __future__ import annotations

import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

from holdfast.lab.origin_sockets import piece

VIP = "10.0.0.3"
EVERY_S = 0.5
_PATIENCE_S = 60.0  # the machine is emulated in software


def ask(port: int, user: str, path: str) -> tuple[socket.socket, str, bytes]:
    """The connection after the head of its answer, the server's name, and what has come of the body."""
    channel = socket.create_connection((VIP, port), _PATIENCE_S, (user, 0) if user else None)
    channel.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    said = b""
    while b"\r\n\r\n" not in said and (data := channel.recv(65536)):
        said += data
    head, _, body = said.partition(b"\r\n\r\n")
    names = [line for line in head.decode("latin-1").split("\r\n") if line.lower().startswith("x-origin:")]
    return channel, names[0].partition(": ")[2].partition(":")[0] if names else "", body


def rest(channel: socket.socket, body: bytes) -> bytes:
    with channel:
        while data := channel.recv(65536):
            body += data
    return body


def say(found: list[object]) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


def long(port: int, seconds: list[int]) -> None:
    """Downloads that take so long; a first line says who serves each, a second one whether it came whole."""
    counts = [int(each / EVERY_S) for each in seconds]
    begun = [ask(port, "", f"/trickle?pieces={count}&every={EVERY_S}") for count in counts]
    say([server for _, server, _ in begun])
    with ThreadPoolExecutor(len(begun)) as pool:
        bodies = list(pool.map(lambda one: rest(one[0], one[2]), begun))
    say([body == b"".join(map(piece, range(count))) for body, count in zip(bodies, counts, strict=True)])


def short(port: int, users: list[str]) -> None:
    """One request for each user, one after the other; a line says who answered."""
    found: list[object] = []
    for user in users:
        channel, server, body = ask(port, user, "/")
        rest(channel, body)
        found.append(server)
    say(found)


if __name__ == "__main__":
    if sys.argv[1] == "long":
        long(int(sys.argv[2]), list(map(int, sys.argv[3:])))
    else:
        short(int(sys.argv[2]), sys.argv[3:])
