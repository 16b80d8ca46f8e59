"""Where overrides are kept and whom they are told to: the spec or the lab that a command names."""

from __future__ import annotations

import subprocess
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from socket import gethostname
from typing import Annotated

import typer

from holdfast.controller.operations.servers import Meant
from holdfast.errors import PlanRefused, UsageError
from holdfast.lab import state
from holdfast.lab.cluster import LabCluster
from holdfast.protocol import OverrideReport
from holdfast.rollout import CommandTransport, Transport
from holdfast.spec import LoadedSpec, load_spec
from holdfast.spec.overrides import LoadedOverrides, load_overrides, overrides_path
from holdfast.spec.pool_users import nodes_of_pool, nodes_with_pools
from holdfast.spec.resolve_lvs import all_directors

from .in_vm import forward

SpecOption = Annotated[
    Path | None, typer.Option("--spec", metavar="SPEC", help="The cluster's YAML file; overrides are kept beside it.")
]
LabOption = Annotated[
    str | None, typer.Option("--lab", "-l", metavar="NAME", help="The directors of this lab, not this machine.")
]


@dataclass(frozen=True)
class Place:
    """`directors` (and proxies) are those that can be told from here, `elsewhere` those to be told themselves."""

    loaded: LoadedSpec
    beside: Path  # the spec's path; overrides are in a file beside it
    transport: Transport
    directors: tuple[str, ...]
    elsewhere: tuple[str, ...] = ()

    @property
    def file(self) -> Path:
        """Where the overrides are."""
        return overrides_path(self.beside)

    def overrides(self) -> LoadedOverrides:
        """What is in it now; raises SpecError, UsageError."""
        return load_overrides(self.beside, self.loaded)

    def sending(self, meant: Meant) -> tuple[str, ...]:
        """Those that send to these servers: whoever else there is has nothing to carry out."""
        return tuple(node for node in self.directors if node in self.users(meant))

    def users(self, meant: Meant) -> tuple[str, ...]:
        """All of them, also those that cannot be told from here."""
        spec = self.loaded.spec
        return nodes_of_pool(spec, meant.pool) if meant.pool is not None else all_directors(spec)

    def again(self, nodes: Collection[str]) -> dict[str, OverrideReport]:
        """What these directors' kernels have now; RolloutFailed where one is not reached."""
        return {node: self.transport.override(node, None) for node in nodes}


def find(spec: Path | None, lab: str | None) -> Place:
    """The directors and the file that are meant.

    Raises UsageError where neither a spec nor a lab is named, PlanRefused where this machine directs nothing of the
    spec, and what reading them raises.
    """
    if lab is not None:
        forward(lab, (overrides_path(spec),) if spec else ())
        cluster = LabCluster.attach(lab)
        loaded = load_spec(spec) if spec else cluster.running().loaded
        beside = spec or state.folder(lab) / "cluster.yaml"
        return Place(loaded, beside, cluster.transport, _directors(loaded))
    if spec is None:
        hint = "name its spec (--spec cluster.yaml) or a lab (--lab NAME), or log in to a controller: holdfast login"
        raise UsageError("which cluster?", hint)
    loaded = load_spec(spec)
    directors = _directors(loaded)
    transport = CommandTransport(_run_here)
    name = transport.override(gethostname(), None).node
    if name not in directors:
        hint = f"run it on one of {', '.join(directors)}, or name a lab: --lab NAME"
        raise PlanRefused(f"this node is {name}, which sends to no server of {spec}", hint)
    return Place(loaded, spec, transport, (name,), tuple(node for node in directors if node != name))


def _directors(loaded: LoadedSpec) -> tuple[str, ...]:
    found = {*all_directors(loaded.spec), *nodes_with_pools(loaded.spec)}
    if not found:
        raise UsageError(f"{loaded.positions.file} has neither virtual servers nor pools, so there are no servers")
    return tuple(node for node in loaded.spec.nodes if node in found)


def _run_here(node: str, words: Sequence[str], stdin: str | None, timeout: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(list(words), input=stdin or "", capture_output=True, text=True, timeout=timeout, check=False)
