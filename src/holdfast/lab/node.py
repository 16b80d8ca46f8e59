"""A handle on one node of a lab: run something in it, look at it from outside."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from holdfast.errors import LabError
from holdfast.lab import network, state
from holdfast.lab.boot import clean_environment
from holdfast.lab.commands import communicate, kill_group, tool
from holdfast.lab.processes import Process, inside, namespace
from holdfast.lab.topology import InterfaceAddress, LabNode

_STOP_WAIT = 2.0


class Node:
    """One node. What it tells is looked up each time, so that it stays right when another process crashes the node."""

    def __init__(self, lab: str, spec: LabNode) -> None:
        self.lab = lab
        self.spec = spec

    def __repr__(self) -> str:
        return f"Node({self.lab}/{self.name})"

    @property
    def name(self) -> str:
        """Its name in the spec."""
        return self.spec.name

    @property
    def netns(self) -> Path:
        """The file of its network namespace (for setns, or `ip -n`); a new one after each boot."""
        return network.NETNS_DIR / network.node_name(self.lab, self.name)

    @property
    def process(self) -> Process:
        """Its pid 1; LabError if the node is down."""
        found = state.load(self.lab).pid1.get(self.name)
        if found is None or not found.alive:
            raise LabError(f"Node {self.name} of lab {self.lab} is down", hint="heal its crash, or build the lab anew")
        return found

    @property
    def up(self) -> bool:
        """True if its pid 1 is there (stopped or not)."""
        found = state.load(self.lab).pid1.get(self.name)
        return found is not None and found.alive

    @property
    def pid1(self) -> int:
        """Its pid 1 as this machine numbers it; LabError if the node is down."""
        return self.process.pid

    @property
    def root(self) -> Path:
        """Its file system as seen from outside; LabError if the node is down."""
        return Path(f"/proc/{self.pid1}/root")

    @property
    def log(self) -> Path:
        """What its pid 1 and services wrote to standard error, on the host."""
        return state.log_file(self.lab, self.name)

    def addresses(self) -> dict[str, tuple[InterfaceAddress, ...]]:
        """What its kernel has now, by interface: own addresses and VIPs alike. Empty while it is crashed."""
        return network.addresses(self.netns.name) if self.netns.exists() else {}

    def processes(self) -> tuple[Process, ...]:
        """All that runs in its pid namespace now, its pid 1 among them."""
        space = namespace(f"/proc/{self.pid1}/ns/pid")
        return inside("pid", [space]) if space else ()

    def argv(self, argv: Sequence[str], env: Mapping[str, str] | None = None) -> list[str]:
        """The command that runs `argv` in the node: for those who start processes in their own way.

        It forks: a signal to it does not reach `argv`, one to its process group does. Nothing of the caller's
        environment gets in; `python` is this interpreter; `env` adds variables.
        """
        enter = [tool("nsenter"), "--target", str(self.pid1), "--mount", "--uts", "--ipc", "--net", "--pid", "--"]
        variables = [f"{name}={value}" for name, value in {**clean_environment(), **(env or {})}.items()]
        return [*enter, "/usr/bin/env", "-i", *variables, *argv]

    def exec(
        self,
        argv: Sequence[str],
        *,
        input: str | None = None,
        timeout: float = 30.0,
        check: bool = False,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run `argv` in the node and wait; everything it started in its group is killed after `timeout` seconds.

        `env` adds to a clean environment, in which `python` is this interpreter. LabError if the node is down, the
        time is over, or, with `check`, if the status is not 0.
        """
        try:
            done = communicate(self.argv(argv, env), text=input, timeout=timeout)
        except subprocess.TimeoutExpired:
            raise LabError(f"`{' '.join(argv)}` on {self.name} did not end within {timeout:g} s") from None
        if check and done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines()
            reason = said[-1] if said else "it said nothing"
            raise LabError(f"`{' '.join(argv)}` on {self.name} ended with status {done.returncode}: {reason}")
        return done

    def spawn(self, argv: Sequence[str], log: Path, *, env: Mapping[str, str] | None = None) -> Spawned:
        """Start `argv` in the node and leave it running, its output appended to `log` (a path on the host)."""
        command = self.argv(argv, env)
        with log.open("ab") as output:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return Spawned(self, child)


class Spawned:
    """A process that was left running in a node; use as a context manager, or call `stop`."""

    def __init__(self, node: Node, child: subprocess.Popen[bytes]) -> None:
        self.node = node
        self._child = child

    def __enter__(self) -> Spawned:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def poll(self) -> int | None:
        """Its exit status, or None while it runs (negative: the signal that ended it)."""
        return self._child.poll()

    def wait(self, timeout: float) -> int:
        """Wait for its end; LabError after `timeout` seconds."""
        try:
            return self._child.wait(timeout)
        except subprocess.TimeoutExpired:
            raise LabError(f"A process on {self.node.name} did not end within {timeout:g} s") from None

    def stop(self) -> None:
        """SIGKILL to it and to whatever of its group it started, and wait until it is gone."""
        kill_group(self._child)
        self._child.wait(_STOP_WAIT)
