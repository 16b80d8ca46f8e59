"""A small machine for tests: own network, mounts, pids and files, with the agent's supervisor as its process 1."""

from __future__ import annotations

import atexit
import functools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.waiting import wait_until

from holdfast.bundle import Bundle
from holdfast.lab.agents import Agents

PYTHON = sys.executable
_LIMIT_S = 60.0
_AGENT_S = 200.0

# The disk is a tmpfs, limited so that it can be full. Everything goes away with the mount namespace.
_INIT = """
set -eu
mount --make-rprivate /
mount -t tmpfs -o size=64m,mode=755 disk {folder}
mkdir {folder}/upper {folder}/work {folder}/root
mount -t overlay overlay -o lowerdir=/,upperdir={folder}/upper,workdir={folder}/work {folder}/root
root={folder}/root
for place in {binds}; do mkdir -p $root$place; mount --bind $place $root$place; done
mount -t tmpfs -o mode=755,size=16m run $root/run
mount --rbind /dev $root/dev
mount -t proc proc $root/proc
mount -t sysfs -o ro sysfs $root/sys
cd $root
pivot_root . .
umount -l .
cd /
rm -rf /etc/holdfast /var/lib/holdfast /var/log/holdfast
mkdir -p /etc/holdfast /var/lib/holdfast
ip link set lo up
ip link add eth0 type veth peer name outside
ip address add 10.9.0.5/24 dev eth0
ip link set eth0 up
ip link set outside up
echo ready
exec {python} -m holdfast.agent.supervisor </dev/null >/var/log/supervisor.log 2>&1
"""


class Machine:
    """What a test does on it. Files are reached through `root`, as seen from outside."""

    def __init__(self, pid: int) -> None:
        self.pid = self.pid1 = pid
        self.root = Path(f"/proc/{pid}/root")

    def enter(self, argv: Sequence[str]) -> list[str]:
        return ["nsenter", "--target", str(self.pid), "--mount", "--net", "--pid", "--uts", "--ipc", "--", *argv]

    def run(self, *argv: str, text: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(self.enter(argv), input=text, capture_output=True, text=True, timeout=200)
        assert not check or done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
        return done

    def agent(self, *arguments: str, text: str = "") -> dict[str, Any]:
        done = self.run_agent((*arguments, "--json"), text)
        assert done.stdout, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout) or {}
        return answer

    def run_agent(self, words: Sequence[str], text: str) -> subprocess.CompletedProcess[str]:
        """The agent without its interpreter's start, which is most of what it takes."""
        return loaded_agents().run(self, words, input=text, timeout=_AGENT_S)

    def apply(self, bundle: Bundle, *arguments: str) -> dict[str, Any]:
        return self.agent("apply", *arguments, text=bundle.to_json())

    def spawn_agent(self, *arguments: str, text: str = "") -> subprocess.Popen[str]:
        child = subprocess.Popen(
            self.enter((PYTHON, "-m", "holdfast.agent", *arguments, "--json")),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert child.stdin is not None
        child.stdin.write(text)
        child.stdin.close()
        return child

    def spawn(self, *argv: str) -> subprocess.Popen[str]:
        """Returns once it has said a line; a signal would only reach `nsenter`, so let it end when its input does."""
        child = subprocess.Popen(self.enter(argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        assert child.stdout.readline()
        return child

    def pids_of_agent(self) -> list[int]:
        """As this namespace numbers them: `nsenter` stays outside, the agent is its child."""
        space = os.readlink(f"/proc/{self.pid}/ns/pid")
        found = []
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    inside = os.readlink(f"/proc/{name}/ns/pid") == space
                    words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if inside and {b"holdfast.agent", b"holdfast.lab.agents_process"} & set(words):
                    found.append(int(name))
        return found

    def get(self, url: str) -> str:
        return self.run("curl", "-s", "--max-time", "5", url, check=False).stdout.strip()

    def read(self, path: str) -> str:
        return (self.root / path.lstrip("/")).read_text()

    def write(self, path: str, text: str) -> None:
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def exists(self, path: str) -> bool:
        return os.path.lexists(self.root / path.lstrip("/"))

    def sysctl(self, key: str) -> str:
        return self.run("cat", f"/proc/sys/{key.replace('.', '/')}").stdout.strip()


@functools.cache
def loaded_agents() -> Agents:
    """For all machines of this process."""
    made = Agents()
    made.start()
    atexit.register(made.close)
    return made


@contextmanager
def machine(folder: Path, up_within_s: float = _LIMIT_S) -> Iterator[Machine]:
    """Up, with an empty Holdfast; gone with everything in it afterwards."""
    loaded_agents()  # it loads while the machine comes up
    places = {Path(PYTHON).parent, Path(__file__).resolve().parents[2], Path(sys.prefix), Path(sys.base_prefix)}
    device = os.stat("/").st_dev
    binds = sorted(str(place) for place in places if os.stat(place).st_dev != device)
    script = _INIT.format(folder=folder, binds=" ".join(binds), python=PYTHON)
    child = subprocess.Popen(
        ["unshare", "-n", "-m", "-p", "-f", "-u", "-i", "--kill-child", "sh", "-c", script],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline().strip() == "ready", "the test's machine did not come up"
        children = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
        made = Machine(int(children[0]))
        wait_until(lambda: made.exists("/run/holdfast/supervisor.sock"), up_within_s)
        yield made
    finally:
        child.send_signal(signal.SIGKILL)  # --kill-child: process 1 goes with it, and everything in its namespace
        child.wait(timeout=60)
