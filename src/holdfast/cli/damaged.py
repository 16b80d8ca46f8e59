"""`holdfast damaged list|clear`: records of the store that are not understood."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.errors import NotFound
from holdfast.protocol.api.damaged import ClearRequest

from .apply import confirm
from .output import listing, print_json, stdout, went_well
from .remote import ClusterOption, ControllerOption, connect
from .validate import AsJson

app = typer.Typer(help="Records of the store that are not understood: listed, cleared.", no_args_is_help=True)


@app.command("list")
def list_(cluster: ClusterOption = None, controller: ControllerOption = None, as_json: AsJson = False) -> None:
    """Every record of a cluster that is not understood, why, and what is lost with it.

    Example:  holdfast damaged list
    """
    found = connect(controller).cluster(cluster).damaged()
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    if not found.records:
        stdout().print(went_well("every record is understood"))
        return
    table = listing("kind", "name", "why", "if it is cleared")
    for one in found.records:
        table.add_row(one.kind, one.name, one.why, one.then)
    stdout().print(table)


@app.command("clear")
def clear(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="As the list says it: override, report, registration, node, assignment, rollout-head, …",
        ),
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", help="As the list says it: drained/web01:80.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    cluster: ClusterOption = None,
    controller: ControllerOption = None,
    as_json: AsJson = False,
) -> None:
    """Remove a record that is not understood, or put in its place what is known; the audit keeps what it was.

    Example:  holdfast damaged clear override drained/web01:80
    """
    of = connect(controller).cluster(cluster)
    found = next((one for one in of.damaged().records if (one.kind, one.name) == (kind, name)), None)
    if found is None:
        raise NotFound(f"no {kind} '{name}' of {of.name} is damaged", "see holdfast damaged list")
    if not yes:
        confirm(f"clear the {kind} {name} of {of.name}? then: {found.then}")
    done = of.clear_damaged(ClearRequest(kind=kind, name=name, version=found.version))
    if as_json:
        print_json(done.model_dump(mode="json"))
    else:
        stdout().print(went_well(f"the damaged {kind} {name} is gone: {done.then}"))
