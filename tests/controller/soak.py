"""A whole installation in a lab that is killed piece by piece: three etcd members, two controllers, agents, users."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import SecretStr
from tests.store.etcd_cluster import EtcdCluster, Member
from tests.waiting import comes_true, wait_until

from holdfast.cli.inputs import compile_input
from holdfast.client.controller import Cluster, Controller
from holdfast.client.profile import Profile
from holdfast.client.trust import shown_authority
from holdfast.client.wire import Wire
from holdfast.compile.lock import write_yaml
from holdfast.errors import ControllerUnreachable, HoldfastError, Outdated, PlanRefused, StoreError
from holdfast.lab import cleanup, state
from holdfast.lab.cluster import LabCluster
from holdfast.lab.commands import tool
from holdfast.lab.node import Node
from holdfast.lab.observe import Observer
from holdfast.lab.observe_timeline import overlaps
from holdfast.lab.pace import measured, suited_plan
from holdfast.lab.rehearsal import macs
from holdfast.lab.topology import CLIENT
from holdfast.lab.traffic import Traffic, error_kinds
from holdfast.lab.traffic_targets import wanted_traffic
from holdfast.lab.users import user_addresses
from holdfast.protocol.api.clusters import LockRequest
from holdfast.protocol.api.people import LoginRequest, PasswordRequest
from holdfast.protocol.api.revisions import RevisionRequest
from holdfast.protocol.api.rollouts import RolloutView

T = TypeVar("T")

SLOW_S = 180.0
BALANCERS = ("lb01", "lb02")
LONGEST_OVERLAP_S = 0.5
_PASSWORD = "a password of the soak"
_HTTP_PORTS = (8443, 8444)


class Etcd(EtcdCluster):
    """Members in a network namespace; who is ready says so in its log."""

    netns: Path = Path()

    def start_member(self, member: Member) -> None:
        with _prefixed([tool("nsenter"), f"--net={self.netns}"]):
            super().start_member(member)

    def wait(self, seconds: float = SLOW_S) -> None:
        for member in self.members:
            log = self.folder / f"{member.name}.log"
            wait_until(lambda log=log: "serving client traffic" in log.read_text(errors="replace"), seconds)  # type: ignore[misc]


@contextmanager
def _prefixed(prefix: list[str]) -> Iterator[None]:
    """What EtcdCluster starts is started so: the words before its own only enter a namespace.

    It does not die with its parent: that is the thread that killed the one before, and ends before the test does.
    """
    original = subprocess.Popen

    def started(argv: list[str], **named: object) -> subprocess.Popen[bytes]:
        named.pop("preexec_fn", None)
        return original([*prefix, *argv], **named)  # type: ignore[call-overload,no-any-return]

    subprocess.Popen = started  # type: ignore[assignment,misc]
    try:
        yield
    finally:
        subprocess.Popen = original  # type: ignore[misc]


@dataclass
class Installation:
    """The lab and what runs in it. `log` is what was killed, for whoever looks for the reason."""

    cluster: LabCluster
    folder: Path
    etcd: Etcd
    controllers: list[subprocess.Popen[bytes] | None] = field(default_factory=lambda: [None, None])
    relays: list[subprocess.Popen[bytes]] = field(default_factory=list)
    profile: Profile | None = None
    log: list[str] = field(default_factory=list)

    @property
    def client(self) -> Node:
        return self.cluster.lab.node(CLIENT)

    # ---- pieces that are killed and started again ---------------------------------------------------------------

    def serve(self, number: int) -> None:
        """A controller; it is up when it says so."""
        hosts = ",".join(f"{host}:{port}" for host, port in self.etcd.endpoints)
        names = [word for i in self.client.spec.interfaces for a in i.addresses for word in ("--name", str(a.ip))]
        argv = [
            tool("nsenter"), f"--net={self.client.netns}", sys.executable, "-m", "holdfast.cli", "serve",
            "--store", f"etcd://{hosts}/holdfast", "--key-file", str(self.folder / "controller.key"),
            "--listen", f"[::]:{_HTTP_PORTS[number]}", "--containers", *names, "--name", "127.0.0.1",
        ]  # fmt: skip
        with self.log_of(number).open("ab") as log:
            self.controllers[number] = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200"},
            )

    def log_of(self, number: int) -> Path:
        return self.folder / f"controller{number}.log"

    def serves(self, number: int, times: int) -> bool:
        return self.log_of(number).read_text(errors="replace").count("Holdfast serves at") >= times

    def kill_controller(self, number: int) -> None:
        process = self.controllers[number]
        assert process is not None
        process.kill()
        process.wait(60)

    def start_agent(self, node: str) -> None:
        place = self.cluster.lab.node(node)
        place.spawn([sys.executable, "-m", "holdfast.agent.daemon"], state.log_file(place.lab, f"{node}-agent"))

    def agent_of(self, node: str) -> int | None:
        """The pid of a node's agent, as this machine numbers it."""
        for process in self.cluster.lab.node(node).processes():
            try:
                words = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"holdfast.agent.daemon" in words:
                return process.pid
        return None

    def kill_agent(self, node: str) -> None:
        """The agent alone: what it has started goes on to its own end."""
        pid = self.agent_of(node)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: self.agent_of(node) != pid)

    # ---- what people do -----------------------------------------------------------------------------------------

    @contextmanager
    def people(self) -> Iterator[Cluster]:
        assert self.profile is not None
        with Wire(self.profile) as wire:
            yield Controller(wire).cluster("dual-master")

    def insist(self, do: Callable[[Cluster], T], within_s: float = SLOW_S) -> T:
        """Ask until somebody answers: controllers are killed all the time."""
        until = time.monotonic() + within_s
        while True:  # ends: at `until`
            try:
                with self.people() as known:
                    return do(known)
            except (ControllerUnreachable, StoreError):
                if time.monotonic() > until:
                    raise
            time.sleep(0.2)

    def change(self, text: str, message: str) -> RolloutView:
        """A new revision, made once although nobody may have answered, and its rollout to the end."""
        rollout = self.begin(text, message)
        return self.ended(rollout)

    def begin(self, text: str, message: str) -> int:
        until = time.monotonic() + SLOW_S
        while True:  # ends: at `until`
            newest = self.insist(lambda known: known.revisions(limit=1)).revisions[0]
            if newest.message == message:
                found = self.insist(lambda known: known.rollouts(limit=1)).rollouts[0]
                assert found.revision == newest.number
                return found.id
            request = RevisionRequest(spec=text, base=newest.number, message=message)
            try:
                with self.people() as known:
                    rollout = known.apply(request).rollout
                assert rollout is not None, "it changes something"
                return rollout
            except (ControllerUnreachable, StoreError, Outdated, PlanRefused):
                if time.monotonic() > until:
                    raise
            time.sleep(0.2)

    def ended(self, rollout: int) -> RolloutView:
        until = time.monotonic() + 4 * SLOW_S
        while True:  # ends: at `until`
            view = self.insist(lambda known: known.rollout(rollout))
            if view.over:
                return view
            assert time.monotonic() < until, self.told(f"rollout {rollout} does not end: {view.model_dump_json()}")
            time.sleep(0.1)

    def told(self, what: str) -> str:
        """For who looks for the reason."""
        logs = [self.log_of(number) for number in range(2)]
        logs += [state.log_file(self.cluster.lab.name, f"{node}-agent") for node in BALANCERS]
        logs += [self.cluster.lab.node(node).root / "var/log/holdfast/nginx/error.log" for node in BALANCERS]
        unanswered = [line for node in BALANCERS for line in self.cut_short(node)]
        ends = [f"---- {log.name}\n{log.read_text(errors='replace')[-40_000:]}" for log in logs if log.exists()]
        return "\n".join([what, *self.log, *unanswered, *ends])

    def cut_short(self, node: str) -> list[str]:
        """What nginx had taken, and whose user did not wait for its answer."""
        log = self.cluster.lab.node(node).root / "var/log/holdfast/nginx/access.log"
        return [f"{node}: {line}" for line in log.read_text(errors="replace").splitlines() if '"status":499' in line]

    def as_planned(self, revision: int) -> str:
        """What differs on the nodes from what the controllers compiled of a revision; empty if nothing does."""
        amiss: list[str] = []
        for node in BALANCERS:
            view = next(one for one in self.insist(lambda known: known.status()).nodes if one.node == node)
            if (view.running, view.wanted, view.drift) != (revision, revision, 0):
                amiss.append(view.model_dump_json())
            files = self.insist(lambda known, node=node: known.node_files(revision, node)).files  # type: ignore[misc]
            root = self.cluster.lab.node(node).root
            amiss += [
                f"{node}: {file.path}"
                for file in files
                if (root / file.path.lstrip("/")).read_text(errors="replace") != file.content
            ]
        return "; ".join(amiss)


@contextmanager
def installed(spec: Path, folder: Path) -> Iterator[Installation]:
    """Up, joined, and at revision 1; everything is gone afterwards."""
    name = f"s{os.getpid()}"
    with ExitStack() as stack:
        source = compile_input(spec, choose=True)
        cluster = LabCluster.up(source, name)
        stack.callback(lambda: cleanup.leftovers(name))
        stack.callback(cluster.lab.down)
        etcd = Etcd(options=("--heartbeat-interval=200", "--election-timeout=2000"))  # machines are slow at times
        etcd.netns = cluster.lab.node(CLIENT).netns
        stack.callback(etcd.stop)
        etcd.start()
        made = Installation(cluster, folder, etcd)
        stack.callback(_end, made)
        made.serve(0)
        wait_until(lambda: made.serves(0, 1), SLOW_S)
        made.serve(1)
        wait_until(lambda: made.serves(1, 1), SLOW_S)
        _log_in(made)
        _join_all(made)
        yield made


def _end(made: Installation) -> None:
    for process in (*made.controllers, *made.relays):
        if process is not None:
            process.kill()
            process.wait(60)


def _log_in(made: Installation) -> None:
    urls = []
    for port in _HTTP_PORTS:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            words = [sys.executable, "-m", "holdfast.lab.relay", str(listener.fileno()), "127.0.0.1", str(port)]
            argv = [tool("nsenter"), f"--net={made.client.netns}", *words]
            made.relays.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL, pass_fds=(listener.fileno(),)))
            urls.append(f"https://127.0.0.1:{listener.getsockname()[1]}")
    found = re.search(r"^  password +(\S+)$", made.log_of(0).read_text(), re.MULTILINE)
    assert found is not None
    profile = Profile(controllers=tuple(urls), authority=_authority(urls[0]))
    for password, new in ((found[1], _PASSWORD), (_PASSWORD, "")):
        with Wire(profile) as wire:
            who = Controller(wire).login(LoginRequest(name="admin", password=SecretStr(password)))
            cookies = {cookie.name: cookie.value or "" for cookie in wire.client.cookies.jar}
        made.profile = profile.model_copy(update={"cookies": cookies, "csrf": who.csrf})
        if new:
            with Wire(made.profile) as wire:
                Controller(wire).change_password(PasswordRequest(old=SecretStr(password), new=SecretStr(new)))


def _authority(url: str) -> str:
    found: list[str] = []

    def answers() -> bool:
        try:
            found.append(shown_authority(url))
        except HoldfastError:
            return False
        return True

    wait_until(answers, SLOW_S)
    return found[0]


def _join_all(made: Installation) -> None:
    running = made.cluster.running()
    with Wire(made.profile) as wire:  # type: ignore[arg-type]  # _log_in made one
        controller = Controller(wire)
        controller.make_cluster("dual-master", "in the soak")
        known = controller.cluster("dual-master")
        known.write_lock(LockRequest(lock=write_yaml(running.lock), version=known.lock().version))
        near = next(str(a.ip) for i in made.client.spec.interfaces for a in i.addresses if a.version == 4)
        for node in BALANCERS:
            token = known.invite(node).token
            urls = [word for port in _HTTP_PORTS for word in ("--controller", f"https://{near}:{port}")]
            words = [sys.executable, "-m", "holdfast.cli", "agent", "join", "-", *urls]
            made.cluster.lab.node(node).exec(words, input=f"{token}\n", timeout=SLOW_S, check=True)
            made.start_agent(node)
        wait_until(lambda: sum(one.connected for one in known.nodes().nodes) == len(BALANCERS), SLOW_S)
        applied = known.apply(RevisionRequest(spec=running.loaded.text, base=0, message="the beginning"))
    assert applied.rollout is not None
    first = made.ended(applied.rollout)
    assert first.phase == "succeeded", made.told(first.reason)


class Killer:
    """Kills one or two pieces at a time, as kill -9 does, and starts them again, until it is told to end."""

    def __init__(self, made: Installation, seed: int, *, gap_s: tuple[float, float]) -> None:
        self._made, self._random, self._gap_s = made, random.Random(seed), gap_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.kills = dict.fromkeys(("agent", "controller", "etcd"), 0)
        self.error: Exception | None = None

    def __enter__(self) -> Killer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(3 * SLOW_S)
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            while not self._ended.wait(self._random.uniform(*self._gap_s)):  # ends: it is told to
                kinds = self._random.sample(["agent", "controller", "etcd"], self._random.choice([1, 1, 1, 2]))
                again = [self._kill(kind) for kind in kinds]
                self._ended.wait(self._random.uniform(0.0, 1.5))
                for start in again:
                    start()
        except Exception as error:  # noqa: BLE001  # told to whoever waits for the thread
            self.error = error

    def _kill(self, kind: str) -> Callable[[], None]:
        """Kills; how it is started again, and waited for."""
        made = self._made
        self.kills[kind] += 1
        number = self._random.randrange({"agent": 2, "controller": 2, "etcd": 3}[kind])
        made.log.append(f"{time.strftime('%H:%M:%S', time.gmtime())} kill -9 {kind} {number}")
        if kind == "agent":
            made.kill_agent(BALANCERS[number])
            return lambda: made.start_agent(BALANCERS[number])
        if kind == "etcd":
            made.etcd.kill(made.etcd.members[number])
            return lambda: self._etcd_again(number)
        times = made.log_of(number).read_text(errors="replace").count("Holdfast serves at")
        made.kill_controller(number)
        return lambda: self._controller_again(number, times + 1)

    def _etcd_again(self, number: int) -> None:
        member = self._made.etcd.members[number]
        log = self._made.etcd.folder / f"{member.name}.log"
        times = log.read_text(errors="replace").count("serving client traffic")
        self._made.etcd.start_member(member)
        wait_until(lambda: log.read_text(errors="replace").count("serving client traffic") > times, SLOW_S)

    def _controller_again(self, number: int, times: int) -> None:
        self._made.serve(number)
        if not comes_true(lambda: self._made.serves(number, times), SLOW_S):
            raise AssertionError(self._made.told(f"controller {number} does not come up again"))


@dataclass
class Watched:
    """What users saw, and who carried which address."""

    made: Installation
    traffic: Traffic
    observer: Observer
    addresses: tuple[str, ...]

    def asked(self) -> int:
        return self.traffic.counts().sent

    @staticmethod
    def _when(moment: float) -> str:
        """A moment of the steady clock, as the logs have it."""
        return time.strftime("%H:%M:%S", time.gmtime(time.time() - time.monotonic() + moment))

    def trouble(self) -> str:
        """Requests that failed, and times at which two nodes carried an address; empty if there were none."""
        result = self.traffic.stop()
        failed = [record for record in result.records if not record.ok]
        amiss = [f"{len(failed)} of {len(result.records)} requests failed: {error_kinds(failed)}"] if failed else []
        amiss += [f"{one}, which is {self._when(one.start)}" for one in failed[:20]]
        for address, line in self.observer.timelines(self.addresses).items():
            moves = [(span.who, round(span.start, 2), round(span.end, 2)) for span in line.reachable]
            if failed and len(moves) > 1:  # else requests failed under a holder that stayed
                amiss.append(f"{address} was with {moves}")
            both = [(start, end) for start, end in overlaps(line.reachable) if end - start > LONGEST_OVERLAP_S]
            amiss += [f"{address} was carried twice for {end - start:.2f} s" for start, end in both]
        return "; ".join(amiss)


@contextmanager
def watched(made: Installation) -> Iterator[Watched]:
    """Users ask steadily, and every address is watched, from the kernel's own word."""
    topology, spec = made.cluster.lab.topology, made.cluster.running().loaded.spec
    listeners = wanted_traffic(spec, {family: user_addresses(topology, family) for family in (4, 6)}).listeners
    nodes = {name: made.cluster.lab.node(name).netns for name in BALANCERS}
    addresses = tuple(str(a).split("/")[0] for group in spec.vrrp.values() for a in group.addresses)
    plan = suited_plan(max(measured(), 3.0), listeners)
    with (
        Observer(nodes, made.client.netns, macs(topology)) as observer,
        Traffic(made.client.netns, plan) as traffic,
    ):
        traffic.add(listeners)
        found = Watched(made, traffic, observer, addresses)
        wait_until(lambda: found.asked() > 20, SLOW_S)
        yield found


def revisions(text: str) -> Iterator[tuple[str, str]]:
    """Specs without end, each another than the one before, and a message of its own; none of them costs a request."""
    number = 0
    while True:  # ends: whoever asks stops
        number += 1
        changed = text.replace("weight: 2", f"weight: {2 + number % 5}")
        if number % 3 == 1:
            changed = changed.replace("every: 1s, timeout: 500ms", "every: 2s, timeout: 500ms")
        if number % 4 == 2:
            changed = changed.replace("preempt: {after: 3s}", "preempt: {after: 4s}")
        if number % 5 == 3:
            static = "      - {path: /static, to: static}\n"
            changed = changed.replace(static, static + static.replace("/static", "/images"))
        yield changed, f"change {number}"


def holders(made: Installation) -> dict[str, list[str]]:
    """Who holds what, as the controllers tell it."""
    return {group.group: list(group.holders) for group in made.insist(lambda known: known.status()).groups}


def messages(made: Installation, after: int = 0) -> list[str]:
    """What happened, in the words of events."""
    found: list[str] = []
    for _ in range(1000):
        page = made.insist(lambda known: known.events(after=after, limit=200)).events  # noqa: B023
        if not page:
            break
        found += [one.message for one in page]
        after = max(one.number for one in page)
    return found


def dumped(view: RolloutView) -> str:
    """A rollout as a test tells it."""
    return json.dumps(json.loads(view.model_dump_json()), indent=1)
