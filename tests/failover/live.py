"""Many small clusters of real keepalived daemons side by side in a few network namespaces."""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from holdfast.failover.model import Place, Watched, World
from holdfast.failover.router import State

from .generated import Case

_STATES = {"MASTER": State.ACTIVE, "BACKUP": State.STANDBY, "FAULT": State.FAULT, "STOP": State.DOWN}
_LINE = re.compile(r'INSTANCE "([^"]+)" (\w+) (\d+)')


def run(lines: Iterable[str], namespace: str = "", *, check: bool = True) -> None:
    """Several `ip` commands at once."""
    argv = ["ip", *(["-n", namespace] if namespace else []), "-force", "-batch", "-"]
    done = subprocess.run(argv, input="\n".join(lines) + "\n", capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 or not check, done.stderr


class Live:
    """The clusters of several cases, each on networks of its own. Use as a context manager."""

    def __init__(self, cases: tuple[Case, ...], folder: Path) -> None:
        self.cases, self.folder = cases, folder
        self._stem = f"hfg{os.getpid()}"
        self._ending: list[subprocess.Popen[bytes]] = []
        self._running: dict[tuple[int, str], subprocess.Popen[bytes]] = {}
        self._worlds: dict[int, World] = {case.seed: World() for case in cases}
        self._stack = ExitStack()
        self._heard: dict[tuple[int, str, str], list[tuple[float, State, int]]] = {}
        self._selector = selectors.DefaultSelector()
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._listener = threading.Thread(target=self._listen, daemon=True)

    def namespace(self, node: str) -> str:
        return f"{self._stem}-{node}"

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in (*self._running.values(), *self._ending):
            _kill(child)
        self._over.set()
        if self._listener.is_alive():
            self._listener.join(60)
        self._stack.close()
        self._selector.close()

    def _build(self) -> None:
        switch = self.namespace("sw")
        for name in (switch, *(self.namespace(f"lb{number}") for number in (1, 2, 3))):
            subprocess.run(["ip", "netns", "add", name], check=True, timeout=20)
            self._stack.callback(subprocess.run, ["ip", "netns", "del", name], check=False, timeout=30)
            off = "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6; ip link set lo up"
            subprocess.run(["ip", "netns", "exec", name, "sh", "-c", off], check=True, timeout=20)
        made: list[str] = []
        inside: dict[str, list[str]] = {}
        sixes: dict[str, list[str]] = {}
        for case in self.cases:
            for link in case.networks:
                for bridge in (link, f"{link}x"):
                    made.append(f"link add {bridge} type bridge mcast_snooping 0")
                    made.append(f"link set {bridge} up")
                for at, node in enumerate(case.confs):
                    port = f"{link}p{at + 1}"
                    made.append(f"link add {port} type veth peer name {link} netns {self.namespace(node)}")
                    made.append(f"link set {port} master {link} up")
                    own = case.hosts[node].addresses[link][0]
                    inside.setdefault(node, []).extend(_addressed(link, own, at))
                    if ":" in own:
                        sixes.setdefault(node, []).append(link)
        run(made, switch)
        for node, links in sixes.items():
            on = "".join(f"echo 0 > /proc/sys/net/ipv6/conf/{link}/disable_ipv6; " for link in links)
            argv = ["ip", "netns", "exec", self.namespace(node), "sh", "-c", on]
            subprocess.run(argv, check=True, timeout=20)
        for node, lines in inside.items():
            run(lines, self.namespace(node))
        for case in self.cases:
            self._prepare(case)
        self._listener.start()

    def _prepare(self, case: Case) -> None:
        for node, text in case.confs.items():
            stem = self.folder / f"{case.prefix}.{node}"
            Path(f"{stem}.conf").write_text(text)
            Path(f"{stem}.tf").write_text("0\n")
            os.mkfifo(f"{stem}.fifo")
            reader = os.open(f"{stem}.fifo", os.O_RDWR | os.O_NONBLOCK)
            self._stack.callback(os.close, reader)
            self._selector.register(reader, selectors.EVENT_READ, (case.seed, node, bytearray()))

    def _listen(self) -> None:
        while not self._over.is_set():
            for key, _ in self._selector.select(0.2):
                seed, node, buffer = key.data
                buffer += os.read(key.fd, 65536)
                now = time.monotonic()
                while b"\n" in buffer:
                    line, _, rest = bytes(buffer).partition(b"\n")
                    buffer[:] = rest
                    self._note(seed, node, line.decode(), now)

    def _note(self, seed: int, node: str, line: str, now: float) -> None:
        found = _LINE.match(line)
        if found is None:
            return
        with self._lock:
            heard = self._heard.setdefault((seed, node, found[1]), [])
            state = _STATES.get(found[2]) or (heard[-1][1] if heard else State.STANDBY)
            heard.append((now, state, int(found[3])))

    def start(self, case: Case, node: str) -> None:
        """Start keepalived on a node."""
        stem = self.folder / f"{case.prefix}.{node}"
        with self._lock:
            for seed, at, name in list(self._heard):
                if (seed, at) == (case.seed, node):
                    self._heard[(seed, at, name)].clear()
        for name in ("pid", "vrrp"):
            Path(f"{stem}.{name}").unlink(missing_ok=True)
        argv = ["ip", "netns", "exec", self.namespace(node), "keepalived", "-n", "-l", "-P", "-f", f"{stem}.conf"]
        argv += ["-p", f"{stem}.pid", "-r", f"{stem}.vrrp"]
        with Path(f"{stem}.log").open("ab") as log:
            child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self._running[(case.seed, node)] = child

    def start_all(self) -> None:
        """All nodes of all clusters, as nearly at once as can be."""
        for case in self.cases:
            for node in case.confs:
                self.start(case, node)

    def enter(self, case: Case, world: World) -> None:
        """Bring the new world about."""
        before = self._worlds[case.seed]
        self._worlds[case.seed] = world
        switch = []
        for node, link in before.links ^ world.links:
            switch.append(f"link set {link}p{node[2:]} {'down' if (node, link) in world.links else 'up'}")
        for cut in before.cuts ^ world.cuts:
            apart = cut in world.cuts
            ports = [f"{cut.network}p{node[2:]}" for node in sorted(cut.side)]
            switch += [f"link set {port} master {cut.network}{'x' if apart else ''}" for port in ports]
        if switch:
            run(switch, self.namespace("sw"))
        for node in case.confs:
            self._enter_node(case, node, before, world)

    def _enter_node(self, case: Case, node: str, before: World, world: World) -> None:
        stem = self.folder / f"{case.prefix}.{node}"
        value = world.values.get((node, "tf"), 0)
        if before.values.get((node, "tf"), 0) != value:
            Path(f"{stem}.tf").write_text(f"{value}\n")
        key = (node, Watched.SCRIPT, "chk")
        if (key in before.failed) != (key in world.failed):
            flag = Path(f"{stem}.chk")
            flag.write_text("") if key in world.failed else flag.unlink()
        if before.runs(node) and not world.runs(node):
            child = self._running.pop((case.seed, node))
            if node in world.stopped:
                child.terminate()
                self._ending.append(child)
            else:
                _kill(child)
                self._clear(case, node)
        elif world.runs(node) and not before.runs(node):
            self.start(case, node)

    def _clear(self, case: Case, node: str) -> None:
        """A dead node's addresses die with it."""
        mine = [line for line in case.confs[node].splitlines() if "/32 dev " in line or "/128 dev " in line]
        run((f"address del {line.strip()}" for line in mine), self.namespace(node), check=False)

    def states(self, case: Case) -> dict[Place, State]:
        """What every instance last said of itself."""
        world = self._worlds[case.seed]
        with self._lock:
            said = {
                (node, name): heard[-1][1]
                for (seed, node, name), heard in self._heard.items()
                if seed == case.seed and heard
            }
        down = {place: State.DOWN for place in case.cluster.places if not world.runs(place[0])}
        return {**said, **down}

    def priorities(self, case: Case) -> dict[Place, int]:
        """The priority that every instance last told."""
        with self._lock:
            return {
                (node, name): heard[-1][2]
                for (seed, node, name), heard in self._heard.items()
                if seed == case.seed and heard
            }

    def active_since(self, case: Case, place: Place) -> float:
        """The time at which an instance last became MASTER; 0 where it is not."""
        with self._lock:
            heard = self._heard.get((case.seed, *place), [])
            since = 0.0
            for now, state, _ in heard:
                since = 0.0 if state is not State.ACTIVE else since or now
            return since

    def carried(self) -> dict[str, set[str]]:
        """Node → the floating addresses that it carries now, those of all cases."""
        found: dict[str, set[str]] = {}
        for node in ("lb1", "lb2", "lb3"):
            argv = ["ip", "-n", self.namespace(node), "-o", "address", "show"]
            text = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=20).stdout
            found[node] = set(re.findall(r"inet6? (\S+?)/(?:32|128) ", text))
        return found


def _addressed(link: str, own: str, at: int) -> list[str]:
    """A link that is up with an address; with IPv6, its adverts may come from one of the link's alone, too."""
    if ":" not in own:
        return [f"address add {own}/24 dev {link}", f"link set {link} up"]
    local = f"fe80::{11 + at}"
    more = [f"address add {one}/64 dev {link} nodad" for one in dict.fromkeys((local, own))]
    return [f"link set {link} addrgenmode none", f"link set {link} up", *more]


def _kill(child: subprocess.Popen[bytes]) -> None:
    """End a keepalived and its children at once."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait(60)
