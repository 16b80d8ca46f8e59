"""A network and mount namespace with real engines, origin servers that tell what they got, and raw requests."""

from __future__ import annotations

import ctypes
import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import IO

from holdfast.bundle import BundleFile

_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)
_DEADLINE_S = 60.0
_FOLDERS = " ".join(
    f"/{root}/{service}"
    for root in ("etc/holdfast", "var/lib/holdfast", "run/holdfast", "var/log/holdfast")
    for service in ("nginx", "haproxy", "tls")
)
# The machine's own folders show through, and nothing is ever written to them.
_OVERLAY = (
    "mkdir -p /mnt{0}/upper /mnt{0}/work; "
    "mount -t overlay -o lowerdir={0},upperdir=/mnt{0}/upper,workdir=/mnt{0}/work overlay {0}"
)
_PREPARE = "; ".join(
    [
        "set -e",
        "ip link set lo up",
        "sysctl -qw net.ipv4.ip_nonlocal_bind=1 net.ipv6.ip_nonlocal_bind=1",
        "mount -t tmpfs none /mnt",
        "mount -t tmpfs none /run",
        *(_OVERLAY.format(root) for root in ("/etc", "/var/lib", "/var/log")),
        f"mkdir -p {_FOLDERS}",
        "echo ready",
        "exec cat",
    ]
)


class Namespace:
    """Private network, mounts and folders; ends with the process that opened it."""

    def __init__(self) -> None:
        self._holder = subprocess.Popen(
            ["unshare", "-n", "-m", "--propagation", "private", "sh", "-c", _PREPARE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "ready\n", "the namespace could not be prepared"
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Namespace:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for process in self._started:
            self.stop(process)
        assert self._holder.stdin is not None
        self._holder.stdin.close()
        self._holder.wait(_DEADLINE_S)

    def _enter(self, words: tuple[str, ...]) -> list[str]:
        return ["nsenter", "-t", str(self._holder.pid), "-n", "-m", "--", *words]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._enter(words), capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
        )

    def start(self, *words: str, output: Path) -> subprocess.Popen[bytes]:
        with output.open("wb") as log:
            process = subprocess.Popen(self._enter(words), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self._started.append(process)
        return process

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_DEADLINE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(_DEADLINE_S)

    def put(self, path: str, content: str) -> None:
        file = Path(f"/proc/{self._holder.pid}/root{path}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")

    def read(self, path: str) -> str:
        return Path(f"/proc/{self._holder.pid}/root{path}").read_text(encoding="utf-8", errors="surrogateescape")

    def socket(self, family: int = socket.AF_INET) -> socket.socket:
        """A TCP socket of the namespace: it stays there although this thread goes back."""
        with open("/proc/thread-self/ns/net", "rb") as home, open(f"/proc/{self._holder.pid}/ns/net", "rb") as there:
            self._setns(there.fileno())
            try:
                return socket.socket(family, socket.SOCK_STREAM)
            finally:
                self._setns(home.fileno())

    @staticmethod
    def _setns(descriptor: int) -> None:
        if _LIBC.setns(descriptor, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")

    def connect(self, address: str, port: int, timeout: float = 5.0, source: str = "") -> socket.socket:
        made = self.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        made.settimeout(timeout)
        if source:
            made.bind((source, 0))
        made.connect((address, port))
        return made


@dataclass(frozen=True)
class Seen:
    """A request as an origin server got it."""

    pool: str
    server: str
    line: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def asked(self) -> str:
        """Method and target as they came; nginx speaks HTTP/1.1 for a client that spoke 1.0, HAProxy does not."""
        return self.line.rpartition(" ")[0]

    def header(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name]


class Origin:
    """A server of a pool. `mood`: ok, a status such as 404, close (after reading the request) or hang."""

    def __init__(self, namespace: Namespace, pool: str, name: str, address: str, port: int = 9000) -> None:
        self.pool, self.name, self.mood = pool, name, "ok"
        self.seen: list[Seen] = []
        self._listening = namespace.socket()
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listening.bind((address, port))
        self._listening.listen(128)
        self._ended = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._ended.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(30)
        with connection, suppress(OSError):
            for seen in self._requests(connection):
                self.seen.append(seen)
                mood = self.mood
                if mood == "close":
                    return
                if mood == "hang":
                    self._ended.wait(5)
                    return
                connection.sendall(self._answer(seen, 200 if mood == "ok" else int(mood)))

    def _requests(self, connection: socket.socket) -> Iterator[Seen]:
        with connection.makefile("rb") as stream:
            while line := stream.readline():
                fields = [item.decode("latin-1") for item in iter(stream.readline, b"\r\n") if item]
                headers = tuple((name, value.strip()) for name, _, value in (item.partition(":") for item in fields))
                seen = Seen(self.pool, self.name, line.decode("latin-1").rstrip("\r\n"), headers, b"")
                yield replace(seen, body=self._body(stream, seen))

    @staticmethod
    def _body(stream: IO[bytes], seen: Seen) -> bytes:
        if not seen.header("transfer-encoding"):
            return stream.read(int(next(iter(seen.header("content-length")), "0")))
        body = b""
        while size := int(stream.readline(), 16):
            body += stream.read(size)
            stream.readline()
        stream.readline()
        return body

    def _answer(self, seen: Seen, status: int) -> bytes:
        body = json.dumps({"pool": self.pool, "server": self.name, "line": seen.line}).encode()
        if seen.line.startswith("HEAD "):
            return b"HTTP/1.1 %d X\r\nX-Pool: %s\r\nContent-Length: 0\r\n\r\n" % (status, self.pool.encode())
        return b"HTTP/1.1 %d X\r\nX-Pool: %s\r\nContent-Length: %d\r\n\r\n%s" % (
            status,
            self.pool.encode(),
            len(body),
            body,
        )


@dataclass(frozen=True)
class Answer:
    """What a client got; status 0 where the connection was closed without an answer."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def header(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name]

    @property
    def told(self) -> dict[str, str]:
        """What the origin server said of itself."""
        return dict(json.loads(self.body))


def parse(data: bytes) -> Answer:
    head, _, body = data.partition(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 1"):  # 100 Continue
        return parse(body)
    line, *fields = head.decode("latin-1").split("\r\n")
    if not line.startswith("HTTP/"):
        return Answer(0)
    headers = tuple((name, value.strip()) for name, _, value in (item.partition(":") for item in fields))
    return Answer(int(line.split()[1]), headers, body)


@dataclass
class Bench:
    """Engines and origins in one namespace."""

    namespace: Namespace
    folder: Path
    origins: list[Origin] = field(default_factory=list)

    def origin(self, pool: str, name: str, address: str, port: int = 9000) -> Origin:
        self.origins.append(Origin(self.namespace, pool, name, address, port))
        return self.origins[-1]

    @contextmanager
    def running(self, engine: str, files: tuple[BundleFile, ...], address: str, port: int) -> Iterator[None]:
        """`engine` on the first of `files`, from the moment when it answers."""
        for file in files:
            self.namespace.put(file.path, file.content)
        configuration = files[0].path
        log = self.folder / f"{engine}.out"
        if engine == "nginx":
            words: tuple[str, ...] = ("nginx", "-g", "daemon off;", "-c", configuration)
        else:
            words = ("haproxy", "-db", "-f", configuration)
        process = self.namespace.start(*words, output=log)
        try:
            self._await(process, address, port, log)
            yield
        finally:
            self.namespace.stop(process)

    def _await(self, process: subprocess.Popen[bytes], address: str, port: int, log: Path) -> None:
        until = time.monotonic() + _DEADLINE_S
        while time.monotonic() < until:
            assert process.poll() is None, log.read_text()
            with suppress(OSError):
                self.namespace.connect(address, port).close()
                return
            time.sleep(0.05)
        raise AssertionError(f"nothing listens on {address}:{port}: {log.read_text()}")

    def send(self, address: str, port: int, data: bytes, timeout: float = 8.0, source: str = "") -> Answer:
        """`data` as it is on a new connection, and the answer until the other side closes."""
        received = b""
        with self.namespace.connect(address, port, timeout, source) as connection:
            connection.sendall(data)
            with suppress(OSError):
                while more := connection.recv(65536):
                    received += more
        return parse(received)

    def seen(self) -> list[Seen]:
        """What all origins saw since the last call."""
        found = [seen for origin in self.origins for seen in origin.seen]
        for origin in self.origins:
            origin.seen.clear()
        return found


def request(
    target: str = "/", host: str | None = "www.example.com", *fields: str, method: str = "GET", body: bytes = b""
) -> bytes:
    """A request that asks to close; `fields` are whole header lines."""
    lines = [f"{method} {target} HTTP/1.1", *([f"Host: {host}"] if host is not None else []), *fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + body
