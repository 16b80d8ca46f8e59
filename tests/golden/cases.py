"""A golden case: a spec, what was chosen for it, and what it compiles to.

    CASE/cluster.yaml       the spec
    CASE/lock.yaml          its lock, where VRIDs are left out
    CASE/secrets.yaml       its secrets, where VRRP version 2 wants one
    CASE/NODE/etc/…         the files of each node
    CASE/NODE/bundle.json   all else that its bundle says: services in order, modes, expectations, names of the policy
    CASE/refused.txt        instead of nodes: what cannot be compiled, and why

A case whose name ends with `-in-namespaces` is compiled for nodes without process events.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from holdfast.bundle import Bundle
from holdfast.compile.compiler import CompileInput, compile_cluster
from holdfast.compile.lock import Lock, Secrets
from holdfast.errors import CompileError
from holdfast.spec import parse_spec
from holdfast.spec.load import parse_model

GOLDEN = Path(__file__).parent
EXAMPLES = GOLDEN.parents[1] / "examples"


@dataclass(frozen=True)
class Case:
    """One folder with a cluster.yaml."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    def source(self, text: str | None = None) -> CompileInput:
        """All that compiling the case takes; `text` stands in for its cluster.yaml."""
        loaded = parse_spec(text or (self.folder / "cluster.yaml").read_text(encoding="utf-8"), "cluster.yaml")
        assert loaded.findings == (), "a golden case is sound"
        cluster = loaded.spec.cluster
        lock, secrets = Lock(cluster=cluster), Secrets(cluster=cluster)
        for path in (self.folder / "lock.yaml", self.folder / f"{cluster}.lock"):
            if path.exists():
                lock, _ = parse_model(Lock, path.read_text(encoding="utf-8"), path.name)
        if (path := self.folder / "secrets.yaml").exists():
            secrets, _ = parse_model(Secrets, path.read_text(encoding="utf-8"), path.name)
        return CompileInput(loaded, lock, secrets, process_events=not self.name.endswith("-in-namespaces"))

    def bundles(self) -> dict[str, Bundle]:
        """What it compiles to; compiled once, since bundles never change."""
        return dict(_compiled(self))

    def outputs(self) -> dict[str, str]:
        """What belongs into the folder, by path below it."""
        try:
            bundles = self.bundles()
        except CompileError as error:
            return {"refused.txt": "".join(f"{finding}\n" for finding in error.findings)}
        found: dict[str, str] = {}
        for node, bundle in bundles.items():
            found |= {node + file.path: file.content for file in bundle.files}
            rest = bundle.model_dump(mode="json", exclude={"files": {"__all__": {"content"}}})
            found[f"{node}/bundle.json"] = json.dumps(rest, indent=1) + "\n"
        return found

    def written(self) -> dict[str, str]:
        """What lies in the folder."""
        inputs = {"cluster.yaml", "lock.yaml", "secrets.yaml"}
        files = {str(path.relative_to(self.folder)): path for path in self.folder.rglob("*") if path.is_file()}
        return {name: path.read_text(encoding="utf-8") for name, path in files.items() if name not in inputs}


@cache
def _compiled(case: Case) -> dict[str, Bundle]:
    return compile_cluster(case.source())


def all_cases() -> list[Case]:
    return [Case(path.parent) for path in sorted(GOLDEN.glob("*/cluster.yaml"))]


def all_examples() -> list[Case]:
    return [Case(path.parent) for path in sorted(EXAMPLES.glob("*/cluster.yaml"))]
