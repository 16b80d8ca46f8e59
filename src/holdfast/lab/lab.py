"""A lab as a whole: bring it up, find it again from another process, reboot its nodes, take it down."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from signal import SIGKILL
from typing import Self

from holdfast.errors import LabError
from holdfast.lab import agent_daemon, backend, cleanup, network, state
from holdfast.lab.agents import Agents
from holdfast.lab.boot import Boot, make_disk
from holdfast.lab.commands import check_tools
from holdfast.lab.node import Node
from holdfast.lab.processes import Process, wait_gone
from holdfast.lab.readiness import wait_ready
from holdfast.lab.state import LabState, Phase
from holdfast.lab.topology import LabNode, LabTopology

Progress = Callable[[str], None]  # called with one line for each step, in the thread that builds
_TOGETHER = 4  # node networks that are built at once; more than the kernel's one rtnl lock lets through gains nothing
_GONE_WAIT = 5.0


def _silent(_: str) -> None:
    return None


class Lab:
    """The lab called `name`. Its truth is on disk and in the kernel: any number of handles may exist at once."""

    def __init__(self, name: str) -> None:
        self.name = state.check_name(name)
        self.topology: LabTopology = state.load(name).topology
        self.agents = Agents()

    @classmethod
    def up(cls, topology: LabTopology, progress: Progress = _silent) -> Lab:
        """Build the lab and start every node; on any failure, and on Ctrl-C, nothing is left of it.

        What an earlier lab of that name has left is cleared, if nothing of it lives any more.
        LabError says what was in the way: no root, something left over from before, an overlay that was refused.
        """
        check_tools()
        if cleanup.is_abandoned(topology.name):
            progress(f"cleared: what was left of an earlier lab called {topology.name}, of which nothing ran any more")
            cleanup.destroy(topology.name)
        _refuse_leftovers(topology.name)
        builder = Process.of(os.getpid())
        assert builder is not None  # this very process
        made = LabState(topology=topology, phase=Phase.BUILDING, builder=builder, made_at=time.time())
        state.create(made)
        try:
            lab = cls(topology.name)
            try:
                lab._build(progress)
            except BaseException:
                lab.agents.close()
                raise
        except BaseException:
            cleanup.destroy(topology.name)
            raise
        return lab

    @classmethod
    def attach(cls, name: str) -> Lab:
        """The lab called `name` that some process brought up; LabError if there is none, or only a half-built one."""
        lab = cls(name)
        if lab.state().phase is not Phase.UP:
            raise LabError(f"Lab {name} was never finished", hint=f"clear it with: holdfast lab down {name}")
        return lab

    @staticmethod
    def list() -> tuple[str, ...]:
        """The names of the labs on this machine, half-built ones too."""
        return state.known()

    @staticmethod
    def destroy(name: str) -> bool:
        """Remove whatever there is of the lab called `name`, also without a readable state; True if there was any."""
        return cleanup.destroy(name)

    def down(self) -> None:
        """Remove the lab; nothing happens if it is gone already."""
        self.agents.close()
        cleanup.destroy(self.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def state(self) -> LabState:
        """What is on record now: pids, faults in force."""
        return state.load(self.name)

    def node(self, name: str) -> Node:
        """The node called `name`; LabError if there is none."""
        return Node(self.name, self.topology.node(name))

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes, the client among them, in the topology's order."""
        return tuple(Node(self.name, spec) for spec in self.topology.nodes)

    def boot(self, name: str, *, pulled: Iterable[str] = ()) -> None:
        """Start a node that is down: a fresh network namespace and fresh processes on the same disk.

        The bridge ports in `pulled` stay down. What an earlier boot that failed has left is cut off first.
        """
        spec = self.topology.node(name)
        half_up = self.state().pid1.get(name)
        if half_up is not None and half_up.signal(SIGKILL):
            wait_gone([half_up], _GONE_WAIT)
        network.drop_namespace(network.node_name(self.name, name))
        network.unplug(self.topology, spec)
        network.build_node(self.topology, spec, pulled)
        self._start([spec])
        self._start_backends([spec])

    def power_off(self, name: str) -> None:
        """Record that the pid 1 of `name` is gone, and remove what it leaves behind but for its disk."""
        state.update(self.name, lambda s: s.model_copy(update={"pid1": _without(s.pid1, name)}))
        network.unplug(self.topology, self.topology.node(name))
        network.drop_namespace(network.node_name(self.name, name))

    def _build(self, progress: Progress) -> None:
        topology = self.topology
        self.agents.start()  # it loads while the networks are made
        progress(f"networks: {', '.join(n.name for n in topology.networks)}")
        network.build_switch(topology)
        with ThreadPoolExecutor(_TOGETHER, thread_name_prefix="holdfast-lab") as pool:
            for done in [pool.submit(self._prepare, spec) for spec in topology.nodes]:
                done.result()
        progress(f"nodes: {', '.join(n.name for n in topology.nodes)}")
        self._start(topology.nodes)
        self._start_backends(topology.nodes)
        state.update(self.name, lambda s: s.model_copy(update={"phase": Phase.UP}))
        progress("up")

    def _prepare(self, spec: LabNode) -> None:
        network.build_node(self.topology, spec)
        make_disk(self.name, spec.name)

    def _start(self, specs: Sequence[LabNode]) -> None:
        with ExitStack() as stack:
            boots = []
            for spec in specs:
                boots.append(Boot(self.name, spec))
                stack.callback(boots[-1].close)
            found = {boot.node.name: boot.process() for boot in boots}
            state.update(self.name, lambda s: s.model_copy(update={"pid1": {**s.pid1, **found}}))
            for boot in boots:
                boot.go()
            for boot in boots:
                boot.wait()
        for spec in specs:
            if spec.has_agent:
                self.agents.supervise(self.node(spec.name))
                agent_daemon.start_where_joined(self.node(spec.name))
        wait_ready([self.node(spec.name) for spec in specs])

    def _start_backends(self, specs: Sequence[LabNode]) -> None:
        backend.start([self.node(spec.name) for spec in specs if spec.has_origin])


def _without(processes: dict[str, Process], name: str) -> dict[str, Process]:
    return {node: process for node, process in processes.items() if node != name}


def _refuse_leftovers(name: str) -> None:
    left = cleanup.leftovers(name)
    if left and state.folder(name).exists():
        return  # `state.create` says it better
    if left:
        raise LabError(
            f"Something is left of an earlier lab called {name}: {', '.join(left)}",
            hint=f"clear it with: holdfast lab down {name}",
        )
