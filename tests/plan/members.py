"""Two members of a group with the real keepalived in network namespaces, and a client with a connection that lasts."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

MEMBERS = {"a": 1, "b": 2}
VIP = "10.92.0.100"
PROGRAMS = ("ip", "keepalived", "nginx", "nft", "nsenter")
PORT = 7
_SETTLE_S = 60.0

_ECHO = """
import socketserver, sys
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        while self.rfile.readline():
            self.wfile.write(sys.argv[1].encode() + b"\\n")
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 200
server = Server(("", int(sys.argv[2])), Handler)
print("ready", flush=True)
server.serve_forever()
"""
# `open` makes the connection that lasts, `ask` uses it; `try PORT` makes a new one each time.
_CLIENT = """
import socket, sys
address, kept = sys.argv[1], None
def said(connection):
    connection.settimeout(2)
    connection.sendall(b"who\\n")
    return connection.recv(100).decode().strip() or "ended"
for line in sys.stdin:
    words = line.split()
    try:
        if words[0] == "open":
            kept = socket.create_connection((address, int(words[1])), 2)
            answer = said(kept)
        elif words[0] == "ask":
            answer = said(kept)
        else:
            with socket.create_connection((address, int(words[1])), 2) as fresh:
                answer = said(fresh)
    except OSError as error:
        answer = type(error).__name__
    print(answer, flush=True)
"""


@dataclass(frozen=True)
class Seen:
    """Who held an address, and since which second."""

    at_s: float
    holders: str


class Pair:
    """Members `a` and `b`, and `client`, on one segment (eth0), the members on a second one, too (eth1)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._prefix = f"p{os.getpid()}"
        self._keepalived: dict[str, subprocess.Popen[bytes]] = {}
        self._echo: list[subprocess.Popen[str]] = []
        self._client: subprocess.Popen[str] | None = None

    def build(self) -> None:
        for name in ("switch", "client", *MEMBERS):
            self._ip_root("netns", "add", self.name(name))
        for bridge in ("br0", "br1"):
            self.ip("switch", "link", "add", bridge, "type", "bridge", "mcast_snooping", "0")
            self.ip("switch", "link", "set", bridge, "up")
        self._cable("client", 0, "10.92.0.9/24")
        for name, number in MEMBERS.items():
            self.ip(name, "link", "set", "lo", "up")
            for segment in (0, 1):
                self._cable(name, segment, f"10.92.{segment}.{number}/24")
            self._echo.append(self._serve(name))

    def close(self) -> None:
        self.stop()
        for process in (*self._echo, *([self._client] if self._client else [])):
            process.kill()
            process.wait(60)
        for name in ("client", *MEMBERS, "switch"):
            subprocess.run(["ip", "netns", "delete", self.name(name)], check=False, capture_output=True, timeout=60)

    def name(self, node: str) -> str:
        return f"{self._prefix}-{node}"

    def ip(self, node: str, *words: str) -> str:
        return self._ip_root("-n", self.name(node), *words)

    def enter(self, node: str, *argv: str) -> list[str]:
        return ["nsenter", f"--net=/run/netns/{self.name(node)}", *argv]

    def run(self, node: str, *argv: str, stdin: str | None = None) -> str:
        done = subprocess.run(
            self.enter(node, *argv), input=stdin, capture_output=True, text=True, timeout=20, check=True
        )
        return done.stdout

    @staticmethod
    def _ip_root(*words: str) -> str:
        return subprocess.run(["ip", *words], check=True, capture_output=True, text=True, timeout=60).stdout

    def _cable(self, node: str, segment: int, address: str) -> None:
        port = f"{node}{segment}"
        peer = ["peer", "name", f"eth{segment}", "netns", self.name(node)]
        self.ip("switch", "link", "add", port, "type", "veth", *peer)
        self.ip("switch", "link", "set", port, "master", f"br{segment}", "up")
        self.ip(node, "link", "set", f"eth{segment}", "up")
        self.ip(node, "address", "add", address, "dev", f"eth{segment}")

    def _serve(self, node: str) -> subprocess.Popen[str]:
        argv = self.enter(node, sys.executable, "-c", _ECHO, node, str(PORT))
        made = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert made.stdout is not None
        assert made.stdout.readline() == "ready\n"
        return made

    # keepalived

    def start(self, files: dict[str, str]) -> None:
        """keepalived with these files on both members; returns when `a`, and nobody else, holds the address."""
        for node, text in files.items():
            self.write(node, text)
            self._start(node)
            # Together, `b` could be first on a busy machine, and keep the address where nobody preempts.
            self.until(lambda: self.holders() == "a")
        time.sleep(0.8)
        # The client may have heard of another holder within the last second, and would not believe the new one yet.
        self.ip("client", "neighbour", "flush", "all")

    def settle(self, files: dict[str, str]) -> None:
        """The same, without a restart where keepalived runs already."""
        if not self._keepalived:
            self.start(files)
            return
        self.reload(files)
        time.sleep(1)
        self.until(lambda: self.holders() == "a")

    def _start(self, node: str) -> None:
        files = [("-f", "conf"), ("-p", "pid"), ("-r", "vrrp.pid")]
        words = [word for option, end in files for word in (option, str(self._folder / f"{node}.{end}"))]
        with (self._folder / f"{node}.log").open("ab") as log:
            argv = self.enter(node, "keepalived", "-P", "-n", "-l", "-D", *words)
            self._keepalived[node] = subprocess.Popen(argv, stdout=log, stderr=log)

    def stop(self, *nodes: str) -> None:
        ending = [self._keepalived.pop(node) for node in nodes or tuple(self._keepalived)]
        for process in ending:
            process.send_signal(signal.SIGTERM)
        for process in ending:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)

    def restart(self, node: str) -> None:
        self._start(node)

    def write(self, node: str, text: str) -> None:
        (self._folder / f"{node}.conf").write_text(text)

    def reload(self, files: dict[str, str]) -> None:
        """These members read these files anew, in one moment."""
        for node, text in files.items():
            self.write(node, text)
        for node in files:
            self._keepalived[node].send_signal(signal.SIGHUP)

    def holders(self, address: str = VIP) -> str:
        """The members that have an address, as their kernels say."""
        return "".join(node for node in MEMBERS if f" {address}/" in self.ip(node, "-o", "address"))

    def until(self, true: Callable[[], bool], within_s: float = _SETTLE_S) -> None:
        deadline = time.monotonic() + within_s
        while not true():  # ends: at the deadline
            assert time.monotonic() < deadline, "".join(p.read_text() for p in self._folder.glob("*.log"))[-6000:]
            time.sleep(0.05)

    @contextmanager
    def watched(self, address: str = VIP) -> Iterator[list[Seen]]:
        """Who holds an address meanwhile; every change of it."""
        seen: list[Seen] = []
        over, began = Event(), time.monotonic()

        def look() -> None:
            while not over.is_set():  # ends: with the block
                # What the kernel lists while it changes may lack an address that is there: asked twice.
                now = self.holders(address) or self.holders(address)
                if not seen or seen[-1].holders != now:
                    seen.append(Seen(time.monotonic() - began, now))
                time.sleep(0.02)

        watcher = Thread(target=look)
        watcher.start()
        try:
            yield seen
        finally:
            over.set()
            watcher.join()

    # the client

    def client(self, *words: object) -> str:
        """What the client gets: the name of the member that answers, or the name of the error."""
        if self._client is None:
            argv = self.enter("client", sys.executable, "-c", _CLIENT, VIP)
            self._client = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._client.stdin is not None
        assert self._client.stdout is not None
        self._client.stdin.write(" ".join(map(str, words)) + "\n")
        self._client.stdin.flush()
        return self._client.stdout.readline().strip()


@contextmanager
def pair(folder: Path) -> Iterator[Pair]:
    made = Pair(folder)
    try:
        made.build()
        yield made
    finally:
        made.close()


def missing_programs() -> list[str]:
    return [name for name in PROGRAMS if shutil.which(name) is None and not Path(f"/usr/sbin/{name}").exists()]
