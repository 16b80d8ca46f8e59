"""The virtual servers of a director, as blocks of keepalived.conf.

Decisions that show here: beside every check a FILE_CHECK, so that a server is drained and weighed without a reload;
what a file says is added to the weight, so a drained server counts nothing for the quorum.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network

from holdfast.bundle import PROBE_DIR
from holdfast.sentences import Sentence

from ..node_view import NodeView, RealServerView, TunnelView, VirtualServerView
from ..rendering import Refusal, template
from .keepalived_checks import CannotBeWrittenError, CheckBlock, check_block
from .keepalived_text import FILTERS, word

_PROBE = f"{PROBE_DIR}/probe"
_METHODS = {"nat": "NAT", "dr": "DR", "tun": "TUN"}
_QUORUM = {"gained": "up", "lost": "down"}

Hook = tuple[str, tuple[str, ...]]  # keepalived's word for the change, the command line


@dataclass(frozen=True)
class _Server:
    view: RealServerView
    target: tuple[str, ...]
    track_file: str
    hooks: tuple[Hook, ...]
    check: CheckBlock | None


@dataclass(frozen=True)
class _Block:
    view: VirtualServerView
    target: tuple[str, ...]
    method: str
    granularity: str
    sorry_method: str
    quorum_hooks: tuple[Hook, ...]
    servers: tuple[_Server, ...]


def _target(words: tuple[str, ...]) -> str:
    return " ".join(word(part) for part in words)


_TEMPLATE = template("keepalived_lvs.conf.j2", {**FILTERS, "target": _target})


def track_file(vs: VirtualServerView, server: RealServerView) -> str:
    """The name of a server's weight file in keepalived.conf; with a slash, which no other track file's has."""
    return f"{vs.name}/{server.name}"


def track_files(view: NodeView) -> list[tuple[str, str]]:
    """(name, path) of every weight file."""
    return [
        (track_file(vs, server), server.weight_file) for vs in view.director.virtual_servers for server in vs.servers
    ]


def render_blocks(view: NodeView) -> tuple[str, tuple[Refusal, ...]]:
    """The text of all virtual servers (empty where there are none), and what keepalived cannot be told."""
    blocks: list[_Block] = []
    refusals: list[Refusal] = []
    if view.mail and view.mail.server_down != view.mail.server_up and view.director.virtual_servers:
        hint = Sentence("name both `server_down` and `server_up`, or neither")
        refusals.append(
            Refusal("notify.on", Sentence("keepalived mails when a server goes down and when it comes back"), hint)
        )
    for vs in view.director.virtual_servers:
        if not vs.servers:
            message = Sentence("no server has an IPv%(family)s address, as the virtual address has", family=vs.family)
            hint = Sentence(
                "give a server an address of this family, or name the address that shall be taken: GROUP.ADDRESS:PORT"
            )
            refusals.append(Refusal(f"virtual_servers.{vs.source}.servers", message, hint))
            continue
        if vs.forward == "tun" and vs.tunnel.kind == "gre" and vs.tunnel.checksum:
            # Measured: the device that the kernel itself has for gre drops every packet with a checksum.
            message = Sentence("no real server would unwrap gre with a checksum")
            hint = Sentence("remove `checksum`, or take gue")
            refusals.append(Refusal(f"virtual_servers.{vs.source}.tunnel.checksum", message, hint))
            continue
        try:
            blocks.append(_block(vs))
        except CannotBeWrittenError as error:
            field = f"virtual_servers.{vs.source}.check.{error.field}"
            refusals.append(Refusal(field, error.message, error.hint))
    text = _TEMPLATE(servers=blocks, mail=view.mail).strip("\n")
    return f"\n{text}\n" if blocks else "", tuple(refusals)


def _block(vs: VirtualServerView) -> _Block:
    hooks = tuple((_QUORUM[state], (_PROBE, "hook", hook, vs.name, state)) for state, hook in vs.quorum_hooks)
    return _Block(
        view=vs,
        target=("fwmark", str(vs.mark)) if vs.mark else (str(vs.address), str(vs.port)),
        method=_method(vs.forward, vs.tunnel),
        granularity=_granularity(vs),
        sorry_method=_method(vs.sorry.forward, vs.tunnel) if vs.sorry and vs.sorry.forward else "",
        quorum_hooks=hooks,
        servers=tuple(_server(vs, server) for server in vs.servers),
    )


def _server(vs: VirtualServerView, server: RealServerView) -> _Server:
    return _Server(
        view=server,
        # Port 0, the client's own, is keepalived's default, and said by leaving it out.
        target=(str(server.address), str(server.port)) if server.port else (str(server.address),),
        track_file=track_file(vs, server),
        hooks=tuple((state, (_PROBE, "hook", hook, vs.name, state, server.name)) for state, hook in vs.hooks),
        check=check_block(vs.check, server) if vs.check else None,
    )


def _method(forward: str, tunnel: TunnelView) -> str:
    if forward != "tun":
        return _METHODS[forward]
    port = f" port {tunnel.port}" if tunnel.port else ""
    checksum = "" if tunnel.kind == "ipip" else " csum" if tunnel.checksum else " nocsum"
    return f"TUN type {tunnel.kind}{port}{checksum}"


def _granularity(vs: VirtualServerView) -> str:
    """A mask for IPv4, a prefix length for IPv6; empty for the whole address."""
    if vs.persistence_prefix is None:
        return ""
    return str(IPv4Network((0, vs.persistence_prefix)).netmask) if vs.family == 4 else str(vs.persistence_prefix)
