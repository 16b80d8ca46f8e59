"""`holdfast import keepalived NODE=FILE… -o SPEC`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from holdfast.compile.lock import Secrets, write_yaml
from holdfast.errors import UsageError
from holdfast.keepalived.parse import load
from holdfast.keepalived.to_spec import FOLDER_MARK, Imported, Left, import_nodes, policies_of
from holdfast.spec.values import NAME_PATTERN

from .import_steps import PROBE, import_steps, print_policies
from .inputs import secrets_path
from .output import print_exact, print_json, stderr, stdout, went_well
from .replacing import write_new
from .validate import AsJson

app = typer.Typer(help="Make a spec from what runs already.", no_args_is_help=True, pretty_exceptions_enable=False)
app.command("steps")(import_steps)
_MOST_SHOWN = 100


@app.callback()
def _group() -> None:
    """Make a spec from what runs already."""


@app.command("keepalived")
def import_keepalived(
    files: Annotated[list[str], typer.Argument(metavar="NODE=FILE…", help="Each node's keepalived.conf.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="SPEC", help="The spec to write; without it, it is printed."),
    ] = None,
    cluster: Annotated[str, typer.Option(metavar="NAME", help="What the cluster is called.")] = "imported",
    force: Annotated[bool, typer.Option(help="Replace SPEC, and its file of secrets, where they exist.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a spec from the keepalived.conf of one node or several: the same on the wire, and yours to go on editing.

    Exit status: 0 when everything was carried over, 1 when something was not (the spec is written, and what is
    missing listed by line), 2 usage.

    Example:  holdfast import keepalived lb1=lb1.conf lb2=lb2.conf -o cluster.yaml
    """
    named = _named(files)
    if not re.fullmatch(NAME_PATTERN, cluster):
        raise UsageError(
            f"{cluster!r} is no name of a cluster", "use small letters, digits and hyphens: --cluster shop"
        )
    secrets = secrets_path(output, cluster) if output else None
    for path in (output, secrets):
        if path and os.path.lexists(path) and not force:
            raise UsageError(f"{path} exists already", "name another file, or say --force to replace it")
    read = {node: load(path, config_id=node, folder=FOLDER_MARK) for node, path in named.items()}
    imported = import_nodes(read, cluster)
    if output and secrets:
        write_new(output, imported.text, 0o644)
        if imported.secrets:
            write_new(secrets, write_yaml(Secrets(cluster=cluster, origin=dict(imported.secrets))), 0o600)
    _tell(imported, output, secrets if imported.secrets else None, as_json)
    raise typer.Exit(0 if imported.complete else 1)


def _named(files: list[str]) -> dict[str, str]:
    """Node → path; UsageError says what is wrong with the words."""
    named: dict[str, str] = {}
    for argument in files:
        node, sign, path = argument.partition("=")
        if not sign or not path:
            raise UsageError(
                f"{argument} names no node", "write NODE=FILE, such as lb1=/etc/keepalived/keepalived.conf"
            )
        if not re.fullmatch(NAME_PATTERN, node):
            raise UsageError(f"{node!r} is no name of a node", "use small letters, digits and hyphens: lb1=FILE")
        if node in named:
            raise UsageError(f"the node {node} is named twice", "give each node one file: lb1=FILE lb2=FILE")
        if not os.path.lexists(path):
            raise UsageError(f"{path} does not exist", "check the path")
        if Path(path).is_dir():
            raise UsageError(f"{path} is a folder", "name the file in it that keepalived reads first")
        named[node] = path
    return named


def _tell(imported: Imported, output: Path | None, secrets: Path | None, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "complete": imported.complete,
                "not_carried": [left.model_dump() for left in imported.not_carried],
                "declared_differences": [left.model_dump() for left in imported.declared_differences],
                "policies": policies_of(imported.data, PROBE),
                "spec": imported.text,
            }
        )
        return
    if output is None:
        print_exact(imported.text)
        if imported.secrets:
            stderr().print("passwords are not shown: with -o SPEC they are written beside it, mode 0600")
    for path in (output, secrets):
        if path:
            stdout().print(went_well(f"{path}"))
    _list("compiled otherwise, or left out as keepalived does", imported.declared_differences, "dim")
    _list("NOT carried over", imported.not_carried, "bold red")
    if policies := policies_of(imported.data, PROBE):
        stderr().print(
            "an agent runs no command that its node's own policy does not name: the first of `holdfast import steps` "
            "names them"
        )
        print_policies(policies)
    if not imported.complete:
        stderr().print(
            Text.assemble(("incomplete: ", "bold red"), "do by hand what is listed, or keep running what runs")
        )


def _list(title: str, found: tuple[Left, ...], style: str) -> None:
    console = stderr()
    for left in found[:_MOST_SHOWN]:
        console.print(f"{title}: {left}", style=style, markup=False)
    if len(found) > _MOST_SHOWN:
        console.print(f"… and {len(found) - _MOST_SHOWN} more", style=style)
