"""`holdfast status`: a cluster at one glance."""

from __future__ import annotations

import typer

from .output import print_json, stdout
from .remote import ClusterOption, ControllerOption, connect
from .status_view import show_status
from .validate import AsJson


def status(cluster: ClusterOption = None, controller: ControllerOption = None, as_json: AsJson = False) -> None:
    """Nodes, addresses and their holders, servers and their health, versions behind, findings; 1 if anything is wrong.

    Example:  holdfast status
    """
    found = connect(controller).cluster(cluster).status()
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        show_status(found, stdout())
    if not found.ok:
        raise typer.Exit(1)
