"""`holdfast show REVISION`: the spec of a revision, or the exact files of a node in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from holdfast.client.controller import Cluster
from holdfast.errors import HoldfastError, UsageError

from .output import print_exact, print_json, stderr, stdout, went_well
from .remote import ClusterOption, ControllerOption, Remote, connect
from .replacing import replace
from .validate import AsJson


def show(
    revision: Annotated[
        int | None, typer.Argument(metavar="[REVISION]", min=1, help="Its number; else the newest.")
    ] = None,
    node: Annotated[str | None, typer.Option("--node", metavar="NODE", help="The files of this node instead.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write it here: a spec, to be edited and applied."),
    ] = None,
    lock: Annotated[bool, typer.Option("--lock", help="CLUSTER.lock as it was, instead of the spec.")] = False,
    cluster: ClusterOption = None,
    controller: ControllerOption = None,
    as_json: AsJson = False,
) -> None:
    """Print the spec of a revision as it was written, or with --node the files that this node gets; secrets are masked.

    Example:  holdfast show 7 --node lb01
    """
    if node is not None and (output is not None or lock):
        raise UsageError("--node shows the files of a node", "leave --output and --lock out; --json is for programs")
    remote = connect(controller)
    of = remote.cluster(cluster)
    number = revision or of.view().newest
    if not number:
        raise UsageError(f"{of.name} has no revision yet", "apply a spec first: holdfast apply cluster.yaml")
    if node is not None:
        _show_node(of, number, node, as_json=as_json)
        return
    found = of.revision(number)
    if output is not None:
        _write(output, found.lock if lock else found.spec)
        if not lock:
            remember(remote, of, output, number)
    if as_json:
        print_json(found.model_dump(mode="json"))
    elif output is not None:
        stdout().print(went_well(f"{output}: {'the lock of ' * lock}revision {number} of {of.name}"))
    else:
        print_exact(found.lock if lock else found.spec)


def remember(remote: Remote, cluster: Cluster, path: Path, revision: int) -> None:
    """A file is at this revision; that this cannot be kept is no reason to fail."""
    try:
        remote.remember_base(cluster.name, path, revision)
    except HoldfastError as error:
        stderr().print(Text(f"what {path} was made from cannot be kept: {error.message}", style="yellow"))


def _show_node(cluster: Cluster, number: int, node: str, *, as_json: bool) -> None:
    found = cluster.node_files(number, node)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    for file in found.files:
        stdout().print(Text(f"━━ {file.path}  {file.mode:04o} {file.owner}:{file.group}", style="bold"))
        print_exact(file.content if file.content.endswith("\n") else f"{file.content}\n")


def _write(path: Path, text: str) -> None:
    if path.exists():
        replace(path, text.encode())
        return
    try:
        with open(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w", encoding="utf-8", newline=""
        ) as file:
            file.write(text)
    except OSError as error:
        raise HoldfastError(f"{path} cannot be written: {error.strerror}", "check the folder") from None
