"""A node of its own for one test: mounts, network and pid namespace, the supervisor as process 1."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SETUP = """
set -e
mount -t tmpfs none /run
mount -t tmpfs none /var/log
mkdir -p /run/over/up /run/over/work
mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/over/up,workdir=/run/over/work /etc
mkdir -p /var/log/nginx /etc/holdfast/nginx /etc/holdfast/haproxy /etc/holdfast/keepalived
ip link set lo up
ip link add v0 type veth peer name v1
ip link set v0 up; ip link set v1 up
ip addr add 10.9.0.1/24 dev v0
"""

NGINX = """error_log stderr notice;
pid /run/holdfast/nginx/nginx.pid;
worker_processes 2;
events { worker_connections 64; }
http { access_log off; server { listen 127.0.0.1:8080; location / { return 200 "hello\\n"; } } }
"""
HAPROXY = """global
  nbthread 1
  maxconn 100
defaults
  mode http
  timeout client 5s
  timeout server 5s
  timeout connect 5s
frontend f
  bind 127.0.0.1:8081
  http-request return status 200 content-type text/plain string hello
"""
KEEPALIVED = """global_defs {
  vrrp_version 3
}
track_file service_nginx {
  file /run/holdfast/service-state/nginx
  weight 254
}
vrrp_instance one {
  state BACKUP
  interface v0
  virtual_router_id 51
  priority 100
  advert_int 0.1
  track_file {
    service_nginx
  }
  virtual_ipaddress {
    169.254.255.51/32 scope link
  }
}
"""
CONFIGURATION = {
    "nginx/nginx.conf": NGINX,
    "haproxy/haproxy.cfg": HAPROXY,
    "keepalived/keepalived.conf": KEEPALIVED,
}


class Isolated:
    """Such a node; `close` ends all of it, whatever state it is in."""

    def __init__(self, log: Path) -> None:
        files = "".join(f"cat > /etc/holdfast/{name} <<'END'\n{text}END\n" for name, text in CONFIGURATION.items())
        script = f"{SETUP}{files}exec {sys.executable} -m holdfast.agent.supervisor"
        self.log = log
        with log.open("wb") as output:
            self._outer = subprocess.Popen(
                ["unshare", "-m", "-p", "-n", "-f", "--mount-proc", "--kill-child", "sh", "-c", script],
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
            )
        self.pid = 0
        self.wait(self._first_process, "process 1")
        self.wait(lambda: self.run("test", "-S", "/run/holdfast/supervisor.sock").returncode == 0, "its socket")

    def _first_process(self) -> bool:
        children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children")
        found = children.read_text().split() if children.exists() else []
        self.pid = int(found[0]) if found else 0
        return self.pid > 0

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """A command in its namespaces."""
        command = ["nsenter", "-t", str(self.pid), "-m", "-p", "-n", "--", *argv]
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)

    def ask(self, op: str, service: str = "") -> dict[str, Any]:
        """An order over its socket, as the agent gives it; the reply as it comes."""
        program = (
            "import json,sys\n"
            "from holdfast.agent.supervisor.client import ask\n"
            "print(json.dumps(ask(sys.argv[1], sys.argv[2])))\n"
        )
        done = self.run(sys.executable, "-c", program, op, service)
        assert done.returncode == 0, done.stderr
        reply: dict[str, Any] = json.loads(done.stdout)
        return reply

    def status(self, service: str) -> dict[str, Any]:
        """The status of one service."""
        found: dict[str, Any] = self.ask("status")[service]
        return found

    def state_file(self, service: str) -> str:
        """What keepalived reads of it."""
        return self.read(f"/run/holdfast/service-state/{service}")

    def read(self, path: str) -> str:
        """A file of the node, through process 1's root: cheap enough to poll."""
        return Path(f"/proc/{self.pid}/root{path}").read_text()

    def processes(self, name: str) -> list[int]:
        """The numbers, in the node, of the living processes of this name."""
        found = self.run("ps", "-eo", "pid=,stat=,comm=").stdout.splitlines()
        rows = (line.split(None, 2) for line in found)
        return [int(pid) for pid, state, comm in rows if comm == name and not state.startswith("Z")]

    def holds_anchor(self) -> bool:
        """Whether keepalived has put the group's anchor on the interface."""
        return "169.254.255.51" in self.run("ip", "-o", "address", "show", "dev", "v0").stdout

    def fetch(self, port: int = 8080) -> bool:
        """Whether a request is answered."""
        return self.run("curl", "-sf", "-m", "2", f"http://127.0.0.1:{port}/").returncode == 0

    def wait(self, condition: Callable[[], bool], what: str, seconds: float = 60.0) -> float:
        """How many seconds it took until `condition` held."""
        start = time.monotonic()
        while not condition():
            lived = time.monotonic() - start
            assert lived < seconds, f"{what}: not within {seconds} s\n{self.log.read_text()}"
            time.sleep(0.02)
        return time.monotonic() - start

    def terminate(self) -> int:
        """SIGTERM to process 1, as whoever stops a container does; its exit status."""
        os.kill(self.pid, signal.SIGTERM)
        return self._outer.wait(timeout=60)

    def close(self) -> None:
        """Killing process 1 ends the pid namespace, and with it everything in it."""
        if self._outer.poll() is None:
            if self.pid:
                os.kill(self.pid, signal.SIGKILL)
            else:
                self._outer.kill()
            self._outer.wait(timeout=60)
