"""Runs in the virtual machine: brings a lab up, has its client use every virtual server, and says what came of it.

Called with a spec and a folder for what it says; with `use` and a list of users it is the client.
"""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

VIP = "10.0.0.3"
TCP = {"nat": 80, "dr": 81, "ipip": 82, "gre": 83, "gue": 84, "first": 9000, "last": 9010}
UDP = SCTP = {"nat": 80, "dr": 81, "ipip": 82}
SIZE = 300_000
_LIMIT_S = 60.0
_PIECE = 16_384


def exchange(user: str, port: int, request: bytes, protocol: int = 0) -> tuple[dict[str, str], bytes]:
    """One HTTP request on a connection of its own; headers in lower case, and the body."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol) as channel:
        channel.settimeout(_LIMIT_S)
        channel.bind((user, 0))
        channel.connect((VIP, port))
        for start in range(0, len(request), _PIECE):  # one message of SCTP has to fit into its buffer
            channel.sendall(request[start : start + _PIECE])
        said = b""
        while data := channel.recv(65536):
            said += data
    head, _, body = said.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {k.lower(): v for k, _, v in (line.partition(": ") for line in lines)}, body


def use(user: str) -> dict[str, dict[str, Any]]:
    """What a user sees of each virtual server: who answered, and whether every byte arrived both ways."""
    from holdfast.lab.origin_sockets import piece

    pieces = -(-SIZE // len(piece(0)))
    expected = b"".join(piece(number) for number in range(pieces))
    upload = hashlib.shake_256(b"upload").digest(SIZE)
    found: dict[str, dict[str, Any]] = {}
    for name, port in TCP.items():
        found[name] = attempt(lambda port=port: transfer(user, port, pieces, expected, upload))  # type: ignore[misc]
    for name, port in SCTP.items():
        found[f"{name}-sctp"] = attempt(lambda port=port: transfer(user, port, pieces, expected, upload, 132))  # type: ignore[misc]
    for name, port in UDP.items():
        found[f"{name}-udp"] = attempt(lambda port=port: datagram(user, port))  # type: ignore[misc]
    return found


def attempt(act: Any) -> dict[str, Any]:
    try:
        done: dict[str, Any] = act()
    except OSError as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return done


def transfer(user: str, port: int, pieces: int, expected: bytes, upload: bytes, protocol: int = 0) -> dict[str, Any]:
    head = f"GET /trickle?pieces={pieces}&every=0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    headers, body = exchange(user, port, head.encode(), protocol)
    post = f"POST /up HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(upload)}\r\n\r\n".encode()
    answered, _ = exchange(user, port, post + upload, protocol)
    return {
        "server": headers.get("x-origin", ""),
        "down": body == expected,
        "up": answered.get("x-body") == hashlib.sha256(upload).hexdigest(),
    }


def datagram(user: str, port: int) -> dict[str, Any]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.settimeout(10.0)
        channel.bind((user, 0))
        channel.connect((VIP, port))
        channel.send(b"who is there")
        server, _, question = channel.recv(2048).partition(b"\n")
    return {"server": server.decode(), "down": question == b"who is there", "up": True}


def main(spec: str, folder: str) -> None:
    """Bring the lab up, use it, look at it, take it down."""
    from holdfast.compile.compiler import CompileInput
    from holdfast.compile.lock import Lock, Secrets
    from holdfast.lab.cluster import LabCluster
    from holdfast.lab.topology import CLIENT
    from holdfast.lab.users import user_addresses
    from holdfast.spec import load_spec

    for module in ("ip_vs", "sctp"):
        subprocess.run(["modprobe", module], check=True, timeout=30)
    loaded = load_spec(Path(spec))
    name = loaded.spec.cluster
    cluster = LabCluster.up(CompileInput(loaded, Lock(cluster=name), Secrets(cluster=name)), "modes", progress=print)
    try:
        user = user_addresses(cluster.lab.topology, 4)[0]
        argv = [sys.executable, __file__, "use", user]
        client = cluster.lab.node(CLIENT)
        seen = client.exec(argv, timeout=400)
        links = {
            node: cluster.lab.node(node).exec(["ip", "-s", "-json", "link"]).stdout
            for node in ("ipip01", "gre01", "gue01")
        }
        said = {"seen": seen.stdout, "errors": seen.stderr, "links": links, "tables": tables(cluster)}
        (Path(folder) / "modes.json").write_text(json.dumps(said))
    finally:
        cluster.lab.down()


def tables(cluster: Any) -> dict[str, str]:
    """For people who look for the reason: what each director forwards, and each server carries."""
    shown = {"lb01": ["ipvsadm", "-Ln", "--stats"], "dr01": ["ip", "address"], "nat01": ["ip", "route"]}
    shown |= {node: ["ip", "-d", "address"] for node in ("ipip01", "gre01", "gue01")}
    return {node: cluster.lab.node(node).exec(argv).stdout for node, argv in shown.items()}


if __name__ == "__main__":
    if sys.argv[1] == "use":
        sys.stdout.write(json.dumps(use(sys.argv[2])))
    else:
        main(*sys.argv[1:3])
