"""`holdfast config NODE`: what is live on a node."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from .output import print_exact, print_json, stderr, stdout
from .proposal_view import print_diff
from .remote import ClusterOption, ControllerOption, connect
from .validate import AsJson


def config(
    node: Annotated[str, typer.Argument(metavar="NODE")],
    cluster: ClusterOption = None,
    controller: ControllerOption = None,
    as_json: AsJson = False,
) -> None:
    """Print the files that are in force on a node, as its agent says, and what somebody changed there by hand.

    Example:  holdfast config lb01
    """
    found = connect(controller).cluster(cluster).configuration(node)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    when = found.as_of.astimezone().strftime("%Y-%m-%d %H:%M:%S") if found.as_of else "unknown"
    stderr().print(Text(f"{node}: revision {found.revision}, as of {when}", style="dim"))
    for file in found.files:
        stdout().print(Text(f"━━ {file.path}  {file.mode:04o} {file.owner}:{file.group}", style="bold"))
        print_exact(file.content if file.content.endswith("\n") else f"{file.content}\n")
    for drift in found.drift:
        stderr().print(Text("━━ differs on the node:", style="bold red"))
        print_diff(drift, stderr())
