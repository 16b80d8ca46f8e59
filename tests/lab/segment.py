"""One network segment with a client and two servers, each a bare network namespace with a real nginx where wanted."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VIP, VIP6 = "10.91.0.100", "fd91::100"
NODES = ("client", "one", "two")
_UP = "/up"  # what nobody else asks for

_NGINX = """
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
  log_format counted '$connection $connection_requests $status $request_uri';
  access_log {folder}/access.log counted;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 100000;
  server {{
    listen 0.0.0.0:80;
    listen [::]:80;
    location / {{ add_header X-Origin {name} always; return 200 'ok'; }}
    location /missing {{ return 404; }}
  }}
}}
"""


class Segment:
    """Namespaces called PREFIX-client, PREFIX-one and PREFIX-two on a bridge in PREFIX-switch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._prefix = f"t{os.getpid()}"
        self._servers: dict[str, subprocess.Popen[bytes]] = {}

    def netns(self, node: str) -> Path:
        return Path("/run/netns") / f"{self._prefix}-{node}"

    def ip(self, node: str, *words: str) -> None:
        subprocess.run(["ip", "-n", f"{self._prefix}-{node}", *words], check=True, timeout=60)

    def run(self, node: str, *words: str) -> subprocess.CompletedProcess[str]:
        argv = ["nsenter", f"--net={self.netns(node)}", *words]
        return subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)

    def build(self) -> None:
        for name in ("switch", *NODES):
            subprocess.run(["ip", "netns", "add", f"{self._prefix}-{name}"], check=True, timeout=60)
        self.ip("switch", "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
        self.ip("switch", "link", "set", "br0", "up")
        for number, node in enumerate(NODES, start=1):
            self.plug_in(node, number)

    def plug_in(self, node: str, number: int) -> None:
        """Give the node its cable and its own addresses."""
        peer = ["peer", "name", "eth0", "address", self.mac(node), "netns", f"{self._prefix}-{node}"]
        self.ip("switch", "link", "add", f"p{number}", "type", "veth", *peer)
        self.ip("switch", "link", "set", f"p{number}", "master", "br0", "up")
        self.ip(node, "link", "set", "lo", "up")
        self.ip(node, "link", "set", "eth0", "up")
        self.ip(node, "address", "add", f"10.91.0.{number}/24", "dev", "eth0")
        self.ip(node, "address", "add", f"fd91::{number}/64", "dev", "eth0", "nodad")

    def cable(self, node: str, *, plugged: bool) -> None:
        port = f"p{NODES.index(node) + 1}"
        self.ip("switch", "link", "set", port, "up" if plugged else "down")

    def crash(self, node: str) -> None:
        """The namespace is gone, and so is its cable."""
        self.ip("switch", "link", "delete", f"p{NODES.index(node) + 1}")
        subprocess.run(["ip", "netns", "delete", f"{self._prefix}-{node}"], check=True, timeout=60)

    def boot(self, node: str) -> None:
        subprocess.run(["ip", "netns", "add", f"{self._prefix}-{node}"], check=True, timeout=60)
        self.plug_in(node, NODES.index(node) + 1)

    @staticmethod
    def mac(node: str) -> str:
        return f"02:00:00:00:91:{NODES.index(node) + 1:02x}"

    def hold(self, node: str, *, announce: bool = True) -> None:
        """Give the VIPs to a node, with the gratuitous ARP and ND that a new holder sends."""
        self.ip(node, "address", "add", f"{VIP}/32", "dev", "eth0")
        self.ip(node, "address", "add", f"{VIP6}/128", "dev", "eth0", "nodad")
        if announce:
            subprocess.run(
                ["nsenter", f"--net={self.netns(node)}", "python3", "-c", _ANNOUNCE, self.mac(node), VIP],
                check=True,
                timeout=60,
            )

    def drop(self, node: str) -> None:
        self.ip(node, "address", "del", f"{VIP}/32", "dev", "eth0")
        self.ip(node, "address", "del", f"{VIP6}/128", "dev", "eth0")

    def serve(self, node: str) -> None:
        """Start nginx on a node."""
        folder = self.folder / node
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
        config = folder / "nginx.conf"
        config.write_text(_NGINX.format(folder=folder, name=node))
        (folder / "access.log").write_text("")
        argv = ["nsenter", f"--net={self.netns(node)}", "nginx", "-c", str(config), "-g", "daemon off; user root;"]
        self._servers[node] = subprocess.Popen(argv)
        deadline = time.monotonic() + 60
        while self.run(
            "client", "curl", "-so/dev/null", "-m1", f"http://10.91.0.{NODES.index(node) + 1}{_UP}"
        ).returncode:
            assert time.monotonic() < deadline, (folder / "error.log").read_text()
            time.sleep(0.05)

    def nginx(self, node: str) -> subprocess.Popen[bytes]:
        return self._servers[node]

    def kill(self, node: str) -> None:
        """SIGKILL to nginx's master; then to its workers, by their parent's own list."""
        server = self._servers.pop(node)
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        for pid in (server.pid, *map(int, children)):
            os.kill(pid, 9)
        server.wait()

    def access_log(self, node: str) -> list[str]:
        """What users asked; nginx may write of the question whether it is up when they have begun already."""
        lines = (self.folder / node / "access.log").read_text().splitlines()
        return [line for line in lines if not line.endswith(f" {_UP}")]

    def close(self) -> None:
        for node in list(self._servers):
            self.kill(node)
        for name in (*NODES, "switch"):
            subprocess.run(["ip", "netns", "delete", f"{self._prefix}-{name}"], check=False, capture_output=True)


_ANNOUNCE = """
import socket, sys, struct
mac, address = bytes.fromhex(sys.argv[1].replace(":", "")), socket.inet_aton(sys.argv[2])
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind(("eth0", 0x0806))
body = struct.pack("!HHBBH6s4s6s4s", 1, 0x800, 6, 4, 1, mac, address, b"\\xff" * 6, address)
link.send(b"\\xff" * 6 + mac + b"\\x08\\x06" + body)
"""


@contextmanager
def segment(folder: Path) -> Iterator[Segment]:
    made = Segment(folder)
    try:
        made.build()
        yield made
    finally:
        made.close()


def missing_programs() -> list[str]:
    return [program for program in ("ip", "nginx", "curl", "nsenter") if not shutil.which(program)]
