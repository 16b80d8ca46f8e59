"""A cluster that runs in a lab: a spec compiled for namespaces, rolled out by the agents inside, changed, moved."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from holdfast.bundle import Bundle, PolicyNames
from holdfast.compile.compiler import CompileInput, compile_cluster
from holdfast.compile.lock import Lock, Secrets, complete_lock, complete_secrets
from holdfast.errors import LabError, RolloutFailed
from holdfast.lab import stand_ins, state
from holdfast.lab.commands import tool
from holdfast.lab.lab import Lab
from holdfast.lab.node import Node
from holdfast.lab.programs import PROGRAMS
from holdfast.lab.twin import from_spec
from holdfast.plan import Plan, make_plan
from holdfast.protocol import OverrideReport, Overrides
from holdfast.rollout import CommandTransport, RolloutEvent, RolloutResult, Transport, roll_out
from holdfast.rollout.runner import NEVER_ONE_BY_ONE
from holdfast.rollout.switchover import Switch, Switchover
from holdfast.spec import LoadedSpec, parse_spec
from holdfast.spec.cluster import ClusterSpec

_PLACEHOLDER = "rehearse"  # a VRRPv2 secret for a twin that no other machine can hear


def for_namespaces(source: CompileInput) -> CompileInput:
    """The same input, compiled for a place without process events, with every choice made (in memory only)."""
    spec = source.loaded.spec
    return CompileInput(
        source.loaded,
        complete_lock(spec, source.lock),
        complete_secrets(spec, source.secrets, lambda: _PLACEHOLDER),
        process_events=False,
    )


class _Running(BaseModel):
    """What the lab's cluster was last brought to; kept beside the lab's state."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    text: Annotated[str, Field(max_length=4_000_000)]
    lock: Lock
    secrets: Secrets


class LabCluster:
    """The running cluster of one lab. Any process may attach to it."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.transport: Transport = CommandTransport(self._run)
        self._compiled: tuple[str, Mapping[str, Bundle]] = ("", {})

    @classmethod
    def up(
        cls,
        source: CompileInput,
        name: str,
        *,
        later: Sequence[ClusterSpec] = (),
        progress: Callable[[str], None] = lambda line: None,
        rollout_progress: Callable[[RolloutEvent], None] = lambda event: None,
    ) -> LabCluster:
        """Build the lab of a spec and roll its first bundles out; on failure nothing is left behind.

        Nodes that only the specs of `later` have are there from the beginning, and have nothing to do.
        LabError if the lab cannot be built, MissingProgram if one of its programs is not installed, RolloutFailed
        if an agent refuses its bundle.
        """
        source = for_namespaces(source)
        bundles = compile_cluster(source)
        for service in sorted({service for bundle in bundles.values() for service in bundle.services}):
            if service in PROGRAMS:
                tool(service)  # better missed now than after the lab was built
        lab = Lab.up(from_spec(source.loaded.spec, name, later), progress)
        try:
            cluster = cls(lab)
            stand_ins.provide(cluster._nodes, {}, bundles)
            result = roll_out(make_plan({}, bundles), cluster.transport, progress=rollout_progress)
            if not result.succeeded:
                raise RolloutFailed(f"the first rollout failed: {result.reason}", result.hint)
            cluster._remember(source)
        except BaseException:
            lab.down()
            raise
        return cluster

    @classmethod
    def attach(cls, name: str) -> LabCluster:
        """The cluster of the lab called `name`; LabError if there is none."""
        return cls(Lab.attach(name))

    def running(self) -> CompileInput:
        """The input that the cluster was last brought to; LabError if no rollout has succeeded yet."""
        return self._input(self._kept())

    def _kept(self) -> str:
        hint = f"take it down with: holdfast lab down {self.lab.name}"
        try:
            return self._path.read_text(encoding="utf-8")
        except OSError as error:
            raise LabError(f"lab {self.lab.name} does not know its spec: {error.strerror}", hint) from None

    def _input(self, text: str) -> CompileInput:
        hint = f"take it down with: holdfast lab down {self.lab.name}"
        try:
            kept = _Running.model_validate_json(text)
        except ValidationError:
            raise LabError(f"what lab {self.lab.name} kept of its spec is damaged", hint) from None
        return CompileInput(parse_spec(kept.text, kept.file), kept.lock, kept.secrets, process_events=False)

    def bundles(self) -> Mapping[str, Bundle]:
        """What runs now, as compiled."""
        text = self._kept()
        if self._compiled[0] != text:
            self._compiled = (text, compile_cluster(self._input(text)))
        return self._compiled[1]

    def stand_ins(self) -> PolicyNames:
        """The scripts and hooks of the nodes' policies that stand-ins play."""
        return stand_ins.needed(self.bundles().values())

    def plan(self, loaded: LoadedSpec) -> Plan:
        """What rolling the spec out would change; LabError if it needs nodes that the lab lacks."""
        return self._plan(self._source(loaded))

    def move(self, group: str) -> Switchover:
        """Move a group to another node without a lost request, and keep it away from where it was."""
        return Switch(self.transport, self.bundles(), group).away()

    def move_back(self, group: str) -> Switchover:
        """Let every node hold the group again."""
        return Switch(self.transport, self.bundles(), group).back()

    def override(self, overrides: Overrides) -> tuple[OverrideReport, ...]:
        """Replace all that is overridden on every director; their reports, in the order of the nodes."""
        directors = [node for node, bundle in self.bundles().items() if bundle.expected.virtual_servers]
        return tuple(self.transport.override(node, overrides) for node in directors)

    def _source(self, loaded: LoadedSpec) -> CompileInput:
        running = self.running()
        return for_namespaces(CompileInput(loaded, running.lock, running.secrets))

    def _plan(self, source: CompileInput) -> Plan:
        wanted = from_spec(source.loaded.spec, self.lab.name)
        missing = {node.name for node in wanted.nodes} - {node.name for node in self.lab.topology.nodes}
        if missing:
            raise LabError(
                f"lab {self.lab.name} has no node {', '.join(sorted(missing))}",
                "a lab's nodes are made once: take it down and bring it up with the new spec",
            )
        return make_plan(self.bundles(), compile_cluster(source))

    def change(
        self,
        loaded: LoadedSpec,
        *,
        progress: Callable[[RolloutEvent], None] = lambda event: None,
    ) -> RolloutResult:
        """Roll a changed spec out. VRIDs and secrets that were chosen stay."""
        source = self._source(loaded)
        plan = self._plan(source)
        stand_ins.provide(self._nodes, self.bundles(), compile_cluster(source))
        result = roll_out(plan, self.transport, forbidden=NEVER_ONE_BY_ONE, progress=progress)
        if result.succeeded:
            self._remember(source)
        return result

    def holders(self) -> dict[str, tuple[str, ...]]:
        """Which nodes carry each group's addresses right now, by the kernel's own word."""
        bundles = self.bundles()
        carried = {
            node.name: {str(a.ip) for addresses in node.addresses().values() for a in addresses}
            for node in self.lab.nodes
            # Real servers carry virtual addresses, too, but hold no group.
            if node.name in bundles and bundles[node.name].expected.vrrp
        }
        wanted = {
            expected.group: {held.address.partition("/")[0] for held in expected.addresses}
            for bundle in bundles.values()
            for expected in bundle.expected.vrrp
        }
        return {
            group: tuple(sorted(node for node, have in carried.items() if addresses & have))
            for group, addresses in sorted(wanted.items())
        }

    @property
    def _nodes(self) -> dict[str, Node]:
        return {node.name: node for node in self.lab.nodes}

    @property
    def _path(self) -> Path:
        return state.folder(self.lab.name) / "cluster.json"

    def _remember(self, source: CompileInput) -> None:
        kept = _Running(
            file=source.loaded.positions.file, text=source.loaded.text, lock=source.lock, secrets=source.secrets
        )
        temporary = state.folder(self.lab.name) / ".cluster.json.new"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(kept.model_dump_json())
        os.replace(temporary, self._path)

    def _run(
        self, node: str, words: Sequence[str], stdin: str | None, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        # `words` begin with the interpreter and the agent's module, which are loaded already.
        return self.lab.agents.run(self.lab.node(node), words[3:], input=stdin, timeout=timeout)
