"""`holdfast whatif SPEC` and `holdfast whatif lb1=FILE lb2=FILE`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from holdfast.errors import UsageError
from holdfast.failover.failures import failure_named
from holdfast.failover.from_spec import cluster_from_spec
from holdfast.failover.model import Cluster
from holdfast.failover.whatif import DEPTH, what_if
from holdfast.keepalived.parse import load, parse
from holdfast.keepalived.to_failover import backends_of, cluster_of, moved_by_scripts
from holdfast.keepalived.tree import Configuration
from holdfast.spec import load_spec

from . import lint_inputs
from .inputs import compile_file
from .lint_inputs import Named
from .output import print_json, stderr, stdout
from .validate import AsJson
from .whatif_svg import draw
from .whatif_view import document, print_report

MOST_FAILURES = 8


def whatif(
    files: Annotated[
        list[str], typer.Argument(metavar="SPEC|NAME=FILE…", help="A spec; or each node's keepalived.conf: lb1=FILE.")
    ],
    fail: Annotated[
        list[str],
        typer.Option("--fail", metavar="WHAT", help="lb1, nginx@lb2, eth0@lb1, front:lb1 (in two). Repeatable."),
    ] = [],  # noqa: B006  (Typer reads it, nobody writes to it)
    depth: Annotated[int, typer.Option("--depth", min=1, max=4, help="Failures at once, at most.")] = DEPTH,
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Draw what leads where.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say who holds each address after every failure, alone and in pairs, and within what time. Nothing is touched.

    With --fail only those failures, one after another in that order, and why it ends so. Exit status 1 if what was
    asked for, or any single failure, leaves an address unserved, stuck or with two holders; or if there are groups
    that could not be looked at.

    Example:  holdfast whatif cluster.yaml --fail lb1 --fail nginx@lb2
    """
    cluster = read_cluster(lint_inputs.named(files, cluster=False))
    if len(fail) > MOST_FAILURES:
        raise UsageError(f"{len(fail)} failures at once", f"name {MOST_FAILURES} at most")
    report = what_if(cluster, [failure_named(cluster, text) for text in fail], depth=depth)
    if svg is not None:
        _write(svg, draw(report))
    if as_json:
        print_json(document(report))
    else:
        print_report(report, stdout())
        if svg is not None:
            stderr().print(f"graph: {svg}", markup=False)
    if report.harmful or not report.complete:
        raise typer.Exit(1)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", "name a file in a folder of yours") from None


def read_cluster(named: Sequence[Named]) -> Cluster:
    """The cluster that the files describe: one spec, or a keepalived.conf for each node."""
    specs = [one for one in named if lint_inputs.is_spec(one.path)]
    if specs and len(named) > 1:
        raise UsageError("a spec describes the whole cluster by itself", "name the spec alone")
    cluster = _of_spec(Path(specs[0].path)) if specs else _of_files(named)
    if not cluster.places:
        raise UsageError("there is no VRRP group: nothing can move", "name a spec or files with one")
    bare = [f"{group} on {', '.join(nodes)}" for group, nodes in _without_address(cluster).items()]
    if not cluster.holders_of:
        hint = (
            "write an IP address in its virtual_ipaddress: keepalived skips every line that does not begin with one; "
            "or tell a script that moves one: notify_master"
        )
        raise UsageError(f"no VRRP group has an address: {'; '.join(bare)}", hint)
    for one in bare:
        stderr().print(f"no address that could move: {one}", markup=False)
    return cluster


def _without_address(cluster: Cluster) -> dict[str, list[str]]:
    """Groups of which a node holds no address: group → those nodes."""
    found: dict[str, list[str]] = {}
    for place in cluster.places:
        if not cluster.instance(place).addresses:
            found.setdefault(cluster.group(place), []).append(place[0])
    return found


def _of_spec(path: Path) -> Cluster:
    """Groups of an imported shape are known by what they compile to: there is no shorter description of them."""
    spec = load_spec(path).spec
    cluster = cluster_from_spec(spec)
    if spec.origin is None:
        return cluster
    files = {
        node: parse(file.content, file.path, config_id=node)
        for node, bundle in compile_file(path, choose=True).items()
        for file in bundle.files
        if file.path.endswith("/keepalived.conf")
    }
    behind = cluster.backends if spec.virtual_servers else (*cluster.backends, *backends_of(files))
    return replace(_moving(files), promises=cluster.promises, backends=behind)


def _of_files(named: Sequence[Named]) -> Cluster:
    nameless = next((one.path for one in named if not one.node), None)
    if nameless is not None:
        hint = f"write the node's name before it: lb1={nameless}"
        raise UsageError(f"{nameless} is no spec, and names no node", hint)
    read = {one.node: load(one.path, config_id=one.node) for one in named}
    for one in named:
        if not read[one.node].sources:
            raise UsageError(f"{one.path} cannot be read", "name a keepalived.conf that can be read")
    return replace(_moving(read), backends=backends_of(read))


def _moving(files: Mapping[str, Configuration]) -> Cluster:
    """What the files describe; where a script is told who is master, what it moves goes by the group's name."""
    cluster, groups = moved_by_scripts(cluster_of(files), files)
    for group in groups:
        said = f"{group} has no address; its notify script is taken to move one, called {group} here"
        stderr().print(said, markup=False)
    return cluster
