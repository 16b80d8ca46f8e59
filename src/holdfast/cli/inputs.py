"""What commands read: a spec, and the lock and secrets beside it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from holdfast.bundle import Bundle
from holdfast.compile.compiler import CompileInput, compile_cluster
from holdfast.compile.lock import Lock, Secrets, complete_lock, complete_secrets
from holdfast.errors import SpecError, UsageError
from holdfast.findings import Finding, Location, Severity
from holdfast.keepalived.garbage import uncollected
from holdfast.spec import LoadedSpec, load_spec
from holdfast.spec.load import parse_model, read_text


def lock_path(spec_path: Path, cluster: str) -> Path:
    """CLUSTER.lock, beside the spec."""
    return spec_path.parent / f"{cluster}.lock"


def secrets_path(spec_path: Path, cluster: str) -> Path:
    """CLUSTER.secrets, beside the spec; mode 0600."""
    return spec_path.parent / f"{cluster}.secrets"


def read_lock(spec_path: Path, loaded: LoadedSpec) -> Lock:
    """The lock beside the spec, or an empty one."""
    cluster = loaded.spec.cluster
    path = lock_path(spec_path, cluster)
    if not path.exists():
        return Lock(cluster=cluster)
    lock, _ = parse_model(Lock, read_text(path), str(path))
    _same_cluster(path, lock.cluster, cluster)
    return lock


def read_secrets(spec_path: Path, loaded: LoadedSpec) -> Secrets:
    """The secrets beside the spec, or none; refused where others may read them."""
    cluster = loaded.spec.cluster
    path = secrets_path(spec_path, cluster)
    if not path.exists():
        return Secrets(cluster=cluster)
    if os.stat(path).st_mode & 0o077:
        raise UsageError(f"{path} can be read by others", f"chmod 600 {path}")
    secrets, _ = parse_model(Secrets, read_text(path), str(path))
    _same_cluster(path, secrets.cluster, cluster)
    return secrets


def _same_cluster(path: Path, found: str, wanted: str) -> None:
    if found != wanted:
        where = Location(file=str(path), field="cluster")
        message = f"this belongs to cluster '{found}', the spec to '{wanted}'"
        finding = Finding(code="LOCK003", severity=Severity.ERROR, message=message, location=where)
        raise SpecError(f"{path} does not belong to this spec", [finding])


def compile_input(spec_path: Path, *, process_events: bool = True, choose: bool = False) -> CompileInput:
    """All that compiling the spec at `spec_path` takes.

    With `choose`, what the lock lacks is chosen in memory: good for a look or a rehearsal, never for a rollout.
    """
    with uncollected():  # of thousands of virtual servers, which hold no circles
        loaded = load_spec(spec_path)
    lock, secrets = read_lock(spec_path, loaded), read_secrets(spec_path, loaded)
    if choose:
        lock, secrets = complete_lock(loaded.spec, lock), complete_secrets(loaded.spec, secrets, lambda: "rehearse")
    return CompileInput(loaded, lock, secrets, process_events)


def compile_file(spec_path: Path, *, process_events: bool = True, choose: bool = False) -> Mapping[str, Bundle]:
    """The bundles of the spec at `spec_path`."""
    source = compile_input(spec_path, process_events=process_events, choose=choose)
    with uncollected():
        return compile_cluster(source)
