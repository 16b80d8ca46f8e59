"""A real etcd cluster for tests: on loopback, on free ports, its data in memory; each member killed by its own pid."""

from __future__ import annotations

import ctypes
import json
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
_MEMORY = Path("/dev/shm")


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now; all held at once, so that they differ."""
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


def _die_with_tests() -> None:
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)


@dataclass
class Member:
    name: str
    port: int
    peer_port: int
    process: subprocess.Popen[bytes] | None = None


@dataclass
class Tls:
    """Files for --cert-file, --key-file; and the CA that signed them."""

    ca: Path
    certificate: Path
    key: Path


@dataclass
class EtcdCluster:
    """Members that are started, killed and started again."""

    size: int = 3
    tls: Tls | None = None
    options: tuple[str, ...] = ()
    members: list[Member] = field(default_factory=list)
    folder: Path = Path()

    def start(self) -> None:
        base = _MEMORY if _MEMORY.is_dir() else None
        self.folder = Path(tempfile.mkdtemp(prefix="holdfast-etcd-", dir=base))
        ports = free_ports(2 * self.size)
        self.members = [Member(f"m{n}", ports[2 * n], ports[2 * n + 1]) for n in range(self.size)]
        for member in self.members:
            self.start_member(member)
        self.wait()

    @property
    def endpoints(self) -> tuple[tuple[str, int], ...]:
        return tuple(("127.0.0.1", member.port) for member in self.members)

    def start_member(self, member: Member) -> None:
        scheme = "https" if self.tls else "http"
        client, peer = f"{scheme}://127.0.0.1:{member.port}", f"http://127.0.0.1:{member.peer_port}"
        options = {
            "name": member.name,
            "data-dir": self.folder / member.name,
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": ",".join(f"{m.name}=http://127.0.0.1:{m.peer_port}" for m in self.members),
            "initial-cluster-token": self.folder.name,
            "heartbeat-interval": 50,
            "election-timeout": 500,
            "logger": "zap",
            "log-outputs": "stderr",
        }
        if self.tls:
            options |= {"cert-file": self.tls.certificate, "key-file": self.tls.key}
        argv = ["etcd", *(f"--{name}={value}" for name, value in options.items()), *self.options]
        with (self.folder / f"{member.name}.log").open("ab") as log:
            member.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=_die_with_tests
            )

    def kill(self, member: Member) -> None:
        """kill -9."""
        if member.process and member.process.poll() is None:
            member.process.kill()
            member.process.wait(60)

    def leader(self) -> Member:
        for member in self.members:
            answer = self.ask(member, "maintenance/status", {})
            if answer.get("leader") == answer["header"]["member_id"]:
                return member
        raise AssertionError("no leader")

    def ask(self, member: Member, path: str, body: dict[str, object]) -> dict[str, dict[str, object]]:
        request = urllib.request.Request(f"http://127.0.0.1:{member.port}/v3/{path}", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=5) as response:
            found: dict[str, dict[str, object]] = json.loads(response.read())
            return found

    def wait(self, seconds: float = 30) -> None:
        """Until every member that runs is ready for writes."""
        until = time.monotonic() + seconds
        for member in self.members:
            if member.process is None or member.process.poll() is not None:
                continue
            while not self._ready(member):
                assert member.process.poll() is None, (self.folder / f"{member.name}.log").read_text()[-2000:]
                assert time.monotonic() < until, "etcd does not come up"
                time.sleep(0.05)

    def _ready(self, member: Member) -> bool:
        if self.tls:
            try:
                with socket.create_connection(("127.0.0.1", member.port), 1):
                    return True
            except OSError:
                return False
        try:
            return bool(self.ask(member, "kv/range", {"key": "YQ=="})["header"])
        except OSError:
            return False

    def stop(self) -> None:
        for member in self.members:
            self.kill(member)
        shutil.rmtree(self.folder, ignore_errors=True)
