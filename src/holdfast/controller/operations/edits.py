"""What can be edited of virtual servers and servers: each kind of edit as a value."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, TypeAdapter

from holdfast.protocol.api.base import Asked
from holdfast.sentences import Sentence

Text = Annotated[str, StringConstraints(max_length=300, pattern=r"^[^\x00-\x1f\x7f]*$")]
Target = Annotated[str, StringConstraints(max_length=501, pattern=r"^[^\x00-\x1f\x7f]*$")]  # as long as a spec's path
Section = Literal["virtual_servers", "pools"]
CheckKind = Literal["http", "https", "tcp", "smtp", "dns", "udp", "ping", "script"]
WITH_TARGET = ("http", "https", "dns", "script")


class ServerAsked(Asked):
    """A server as it is to be written."""

    address: Text
    weight: Annotated[int, Field(ge=1, le=65535)] = 1
    max_connections: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    resume_below: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    backup: bool = False


class CheckAsked(Asked):
    """What servers are to be asked; times as the spec writes them (`2s`), empty where it says nothing."""

    kind: CheckKind
    target: Target = ""
    every: Text = ""
    timeout: Text = ""
    fall: Annotated[int, Field(ge=1, le=1000)] | None = None
    retry_every: Text = ""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None


class VirtualServerAsked(Asked):
    """A virtual server as it is to be; what is empty is left out of the spec."""

    on: Annotated[tuple[Text, ...], Field(max_length=500)] = ()
    protocol: Literal["tcp", "udp", "sctp"] = "tcp"
    forward: Literal["nat", "dr", "tun"] = "dr"
    scheduler: Text = "wlc"
    persistence: Text = ""
    check: CheckAsked | None = None
    quorum: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    sorry: Text = ""
    hook_up: Text = ""
    hook_down: Text = ""


class AddServer(Asked):
    """One server more."""

    kind: Literal["add_server"] = "add_server"
    section: Section
    entry: Text
    to: ServerAsked


class ChangeServer(Asked):
    """A server, `server` as the spec names it, becomes `to`."""

    kind: Literal["change_server"] = "change_server"
    section: Section
    entry: Text
    server: Text
    to: ServerAsked


class RemoveServer(Asked):
    """One server less."""

    kind: Literal["remove_server"] = "remove_server"
    section: Section
    entry: Text
    server: Text


class AddVirtualServer(Asked):
    """One virtual server more."""

    kind: Literal["add_virtual_server"] = "add_virtual_server"
    entry: Text
    to: VirtualServerAsked
    servers: Annotated[tuple[ServerAsked, ...], Field(max_length=2000)]


class ChangeVirtualServer(Asked):
    """A virtual server becomes `to`; its servers stay."""

    kind: Literal["change_virtual_server"] = "change_virtual_server"
    entry: Text
    to: VirtualServerAsked


class RemoveVirtualServer(Asked):
    """One virtual server less."""

    kind: Literal["remove_virtual_server"] = "remove_virtual_server"
    entry: Text


Edit = Annotated[
    AddServer | ChangeServer | RemoveServer | AddVirtualServer | ChangeVirtualServer | RemoveVirtualServer,
    Field(discriminator="kind"),
]
EDIT: TypeAdapter[Edit] = TypeAdapter(Edit)


def described(edit: Edit) -> Sentence:
    """What a revision's list says of it, unless its author says something else."""
    match edit:
        case AddServer():
            return Sentence("%(server)s added to %(entry)s", server=edit.to.address, entry=edit.entry)
        case ChangeServer():
            return Sentence("%(server)s of %(entry)s changed", server=edit.server, entry=edit.entry)
        case RemoveServer():
            return Sentence("%(server)s removed from %(entry)s", server=edit.server, entry=edit.entry)
        case AddVirtualServer():
            return Sentence("virtual server %(entry)s added", entry=edit.entry)
        case ChangeVirtualServer():
            return Sentence("virtual server %(entry)s changed", entry=edit.entry)
        case RemoveVirtualServer():
            return Sentence("virtual server %(entry)s removed", entry=edit.entry)
