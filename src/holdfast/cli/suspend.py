"""`holdfast suspend SERVER`: out of the kernels' tables at once, as if its check had failed."""

from __future__ import annotations

from .overrides_edit import Wish, parse_until
from .overrides_place import LabOption, SpecOption, find
from .overrides_remote import at_controller, remote_place
from .overrides_tell import ForceOption, FromOption, ServerName, UntilOption, WhyOption, finish, tell, who
from .remote import ClusterOption, ControllerOption
from .validate import AsJson


def suspend(
    server: ServerName,
    virtual_server: FromOption = None,
    spec: SpecOption = None,
    lab: LabOption = None,
    cluster: ClusterOption = None,
    controller: ControllerOption = None,
    why: WhyOption = None,
    until: UntilOption = None,
    force: ForceOption = False,
    as_json: AsJson = False,
) -> None:
    """Take a server out at once: its connections are cut, their clients told so and sent elsewhere.

    Example:  holdfast suspend web01:80 --spec cluster.yaml --why 'answers nonsense'
    """
    place = remote_place(cluster, controller) if at_controller(spec, lab, controller) else find(spec, lab)
    told = tell(
        place,
        server,
        virtual_server,
        lambda now: Wish("suspended", who=who(), why=why, until=parse_until(until, now)),
        force,
    )
    finish(told, "suspended", as_json)
