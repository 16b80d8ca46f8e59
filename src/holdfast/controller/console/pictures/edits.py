"""Forms of edits: what they show of the spec as it is, and what they ask for when they are sent."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Literal, get_args

from pydantic import Field, ValidationError

from holdfast.errors import NotFound, UsageError
from holdfast.findings import Finding
from holdfast.protocol.api.base import Asked
from holdfast.sentences import Sentence
from holdfast.spec.cluster import ClusterSpec
from holdfast.spec.virtual_servers import SchedulerName

from ...operations.editing import find_server, find_virtual_server
from ...operations.edits import (
    WITH_TARGET,
    AddServer,
    AddVirtualServer,
    ChangeServer,
    ChangeVirtualServer,
    CheckAsked,
    CheckKind,
    Edit,
    RemoveServer,
    RemoveVirtualServer,
    Section,
    ServerAsked,
    Target,
    Text,
    VirtualServerAsked,
)
from ..words import N_

Kind = Literal[
    "add_server",
    "change_server",
    "remove_server",
    "add_virtual_server",
    "change_virtual_server",
    "remove_virtual_server",
]
Lines = Annotated[str, Field(max_length=100_000)]
SCHEDULERS = tuple((name, name) for name in get_args(SchedulerName))
TITLES: dict[str, str] = {
    "add_server": N_("Add a server"),
    "change_server": N_("Edit a server"),
    "remove_server": N_("Delete a server"),
    "add_virtual_server": N_("Add a virtual server"),
    "change_virtual_server": N_("Edit a virtual server"),
    "remove_virtual_server": N_("Delete a virtual server"),
}


class EditForm(Asked):
    """A form as it was sent; what it says depends on its kind. `on` and `servers` have a line for each."""

    kind: Kind
    base: Annotated[int, Field(ge=0, le=10**12)]
    section: Section = "virtual_servers"
    entry: Text = ""
    server: Text = ""
    address: Text = ""
    weight: Annotated[int, Field(ge=1, le=65535)] = 1
    max_connections: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    resume_below: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    backup: bool = False
    on: Lines = ""
    protocol: Literal["tcp", "udp", "sctp"] = "tcp"
    forward: Literal["nat", "dr", "tun"] = "dr"
    scheduler: Text = "wlc"
    persistence: Text = ""
    servers: Lines = ""
    check: CheckKind | None = None
    target: Target = ""
    every: Text = ""
    timeout: Text = ""
    fall: Annotated[int, Field(ge=1, le=1000)] | None = None
    retry_every: Text = ""
    check_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    quorum: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    sorry: Text = ""
    hook_up: Text = ""
    hook_down: Text = ""


def edit_of(form: EditForm) -> Edit:
    """What a form asks for; UsageError for what it lacks."""
    try:
        return _edit_of(form)
    except ValidationError as error:
        told = "; ".join(one["msg"] for one in error.errors(include_url=False, include_input=False)[:5])
        raise UsageError(
            Sentence("this form has mistakes: %(told)s", told=told), "correct it and look at the plan again"
        ) from None


def _edit_of(form: EditForm) -> Edit:
    entry = _needed(form.entry, Sentence("a name"))
    match form.kind:
        case "add_server":
            return AddServer(section=form.section, entry=entry, to=_server(form))
        case "change_server":
            return ChangeServer(section=form.section, entry=entry, server=form.server, to=_server(form))
        case "remove_server":
            return RemoveServer(section=form.section, entry=entry, server=form.server)
        case "add_virtual_server":
            return AddVirtualServer(entry=entry, to=_virtual(form), servers=tuple(_servers(form.servers)))
        case "change_virtual_server":
            return ChangeVirtualServer(entry=entry, to=_virtual(form))
        case "remove_virtual_server":
            return RemoveVirtualServer(entry=entry)


def _needed(value: str, what: str) -> str:
    if not value:
        raise UsageError(Sentence("%(what)s is missing", what=what), "fill it in")
    return value


def _server(form: EditForm) -> ServerAsked:
    return ServerAsked(
        address=_needed(form.address, Sentence("the server's address")),
        weight=form.weight,
        max_connections=form.max_connections,
        resume_below=form.resume_below,
        backup=form.backup,
    )


def _virtual(form: EditForm) -> VirtualServerAsked:
    check = None
    if form.check:
        check = CheckAsked(
            kind=form.check,
            target=form.target if form.check in WITH_TARGET else "",
            every=form.every,
            timeout=form.timeout,
            fall=form.fall,
            retry_every=form.retry_every,
            port=form.check_port,
        )
    return VirtualServerAsked(
        on=tuple(_lines(form.on)),
        protocol=form.protocol,
        forward=form.forward,
        scheduler=form.scheduler,
        persistence=form.persistence,
        check=check,
        quorum=form.quorum,
        sorry=form.sorry,
        hook_up=form.hook_up,
        hook_down=form.hook_down,
    )


def _lines(text: str) -> Iterable[str]:
    return (line for part in re.split(r"[\n,]", text) if (line := part.strip()))


def _servers(text: str) -> Iterable[ServerAsked]:
    """`web01:80`, or `web01:80 3` with a weight."""
    for line in _lines(text):
        address, _, weight = line.partition(" ")
        if not re.fullmatch(r"\s*|\s*[0-9]{1,5}\s*", weight):
            raise UsageError(
                Sentence("'%(line)s' is no server", line=line[:80]),
                "write a server a line, such as web01:80, or web01:80 3",
            )
        yield ServerAsked(address=address, weight=int(weight) if weight.strip() else 1)


def form_of(spec: ClusterSpec, base: int, kind: Kind, section: Section, entry: str, server: str) -> EditForm:
    """A form filled in with what the spec says now; NotFound for what it does not have."""
    form = EditForm(kind=kind, base=base, section=section, entry=entry, server=server)
    match kind:
        case "change_server" | "remove_server":
            found = find_server(spec, section, entry, server)
            return form.model_copy(update=found.model_dump())
        case "change_virtual_server" | "remove_virtual_server":
            return form.model_copy(update=_filled(find_virtual_server(spec, entry)))
        case "add_server":
            if entry not in (spec.pools if section == "pools" else spec.virtual_servers):
                raise NotFound(
                    Sentence("there is no '%(entry)s' to add a server to", entry=entry[:80]), "look at the list"
                )
        case "add_virtual_server":
            group = next(iter(spec.vrrp), "")
            return form.model_copy(update={"on": f"{group}:80" if group else "", "check": "tcp"})
    return form


def _filled(virtual: VirtualServerAsked) -> dict[str, object]:
    told: dict[str, object] = virtual.model_dump(exclude={"on", "check"})
    told["on"] = "\n".join(virtual.on)
    check = virtual.check
    if check is not None:
        told |= {
            "check": check.kind,
            "target": check.target,
            "every": check.every,
            "timeout": check.timeout,
            "fall": check.fall,
            "retry_every": check.retry_every,
            "check_port": check.port,
        }
    return told


def hosts_of(spec: ClusterSpec) -> tuple[str, ...]:
    """What may be typed for a server: the cluster's own nodes, those first that serve something already."""
    found = (one.servers for section in (spec.virtual_servers, spec.pools) for one in section.values())
    serving = {server.host for servers in found for server in servers}
    return tuple(sorted(spec.nodes, key=lambda name: (name not in serving, name)))


def told_apart(now: Iterable[Finding], before: Iterable[Finding]) -> tuple[list[Finding], list[Finding]]:
    """(what an edit brings with it, what was said of the spec already); what is said more often than before is new."""
    known = Counter((one.code, one.message) for one in before)
    new: list[Finding] = []
    old: list[Finding] = []
    for one in now:
        (old if known[one.code, one.message] > 0 else new).append(one)
        known[one.code, one.message] -= 1
    return new, old
