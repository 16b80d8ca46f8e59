"""`holdfast resume SERVER`: whatever it was, it takes connections with its own weight again."""

from __future__ import annotations

from .overrides_edit import Wish
from .overrides_place import LabOption, SpecOption, find
from .overrides_remote import at_controller, remote_place
from .overrides_tell import FromOption, ServerName, finish, tell
from .remote import ClusterOption, ControllerOption
from .validate import AsJson


def resume(
    server: ServerName,
    virtual_server: FromOption = None,
    spec: SpecOption = None,
    lab: LabOption = None,
    cluster: ClusterOption = None,
    controller: ControllerOption = None,
    as_json: AsJson = False,
) -> None:
    """End what `drain`, `suspend` or `weight` began: the server has the spec's weight again.

    Example:  holdfast resume web01:80 --spec cluster.yaml
    """
    place = remote_place(cluster, controller) if at_controller(spec, lab, controller) else find(spec, lab)
    told = tell(place, server, virtual_server, lambda now: Wish(None), force=True)
    finish(told, "in service", as_json)
