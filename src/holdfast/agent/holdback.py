"""Holds new connections, and later new requests, back from a group's addresses, in an nftables table of its own."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from pathlib import Path

from holdfast.agent.files import create_folder
from holdfast.agent.host.port import Connection, Host, Places
from holdfast.agent.steps import translated
from holdfast.bundle import VrrpExpectation
from holdfast.errors import ApplyError
from holdfast.sentences import Sentence

TABLE = "inet holdfast_move"
_TIMEOUT_S = 10.0
# Set elements expire by themselves, so that a mover that was killed holds nothing back for long.
_RULES = """\
add table {table}
delete table {table}
table {table} {{
    set held4 {{ type ipv4_addr; flags timeout; }}
    set held6 {{ type ipv6_addr; flags timeout; }}
    set quiet4 {{ type ipv4_addr . inet_service . ipv4_addr . inet_service; flags timeout; }}
    set quiet6 {{ type ipv6_addr . inet_service . ipv6_addr . inet_service; flags timeout; }}
    set idle4 {{ type ipv4_addr . inet_service . ipv4_addr . inet_service; flags timeout; }}
    set idle6 {{ type ipv6_addr . inet_service . ipv6_addr . inet_service; flags timeout; }}
    chain requests {{
        tcp flags & psh == psh drop
        meta length > 120 drop
    }}
    chain closed {{
        tcp flags & psh == psh reject with tcp reset
        meta length > 120 reject with tcp reset
    }}
    chain hold_back {{
        type filter hook input priority -300; policy accept;
        ip daddr @held4 tcp flags & (syn | ack) == syn drop
        ip6 daddr @held6 tcp flags & (syn | ack) == syn drop
        ip daddr . tcp dport . ip saddr . tcp sport @idle4 jump closed
        ip6 daddr . tcp dport . ip6 saddr . tcp sport @idle6 jump closed
        ip daddr . tcp dport . ip saddr . tcp sport @quiet4 jump requests
        ip6 daddr . tcp dport . ip6 saddr . tcp sport @quiet6 jump requests
    }}
}}
"""


def plain_addresses(group: VrrpExpectation) -> frozenset[str]:
    """The group's real addresses, without prefix; the anchor serves nothing."""
    return frozenset(str(ipaddress.ip_interface(held.address).ip) for held in group.addresses)


def _mark(places: Places) -> Path:
    """There while something is held back: the next agent command sees it when a mover was killed."""
    return places.run / "moving"


def hold_back_connections(host: Host, places: Places, addresses: frozenset[str], at_most_s: float) -> None:
    """Drop what would open a connection to these addresses; a client's kernel sends it again after a second."""
    with translated():
        create_folder(places.run)
        _mark(places).touch()
    lines = [_RULES.format(table=TABLE)]
    for address in sorted(addresses):
        kind = "held6" if ":" in address else "held4"
        lines.append(f"add element {TABLE} {kind} {{ {address} timeout {_milliseconds(at_most_s)} }}\n")
    _nft(host, "".join(lines))


def hold_back_requests(host: Host, connections: Iterable[Connection], at_most_s: float) -> None:
    """Drop what clients send on these connections, bare acknowledgements aside: more requests, mostly."""
    _add(host, "quiet", connections, at_most_s)


def refuse_requests(host: Host, connections: Iterable[Connection], at_most_s: float) -> None:
    """Answer requests on these idle connections with a reset, so that their clients ask anew on another one at once.

    A dropped request is sent again after 0.2, 0.6, 1.4, 3 and 6.2 s only. Never for a connection with an answer on its
    way: its client may send its request again because an acknowledgement was lost.
    """
    _add(host, "idle", connections, at_most_s)


def _add(host: Host, kind: str, connections: Iterable[Connection], at_most_s: float) -> None:
    elements: dict[str, list[str]] = {f"{kind}4": [], f"{kind}6": []}
    for each in connections:
        key = f"{each.local} . {each.local_port} . {each.remote} . {each.remote_port}"
        family = f"{kind}6" if ":" in each.local else f"{kind}4"
        elements[family].append(f"{key} timeout {_milliseconds(at_most_s)}")
    lines = [f"add element {TABLE} {name} {{ {', '.join(keys)} }}\n" for name, keys in elements.items() if keys]
    if lines:
        _nft(host, "".join(lines))


def let_go(host: Host, places: Places) -> None:
    """Hold nothing back any more; harmless when nothing is held back."""
    with translated():
        if not _mark(places).exists():
            return
        _nft(host, f"add table {TABLE}\ndelete table {TABLE}\n")
        _mark(places).unlink(missing_ok=True)


def _milliseconds(seconds: float) -> str:
    return f"{max(1, round(seconds * 1000))}ms"


def _nft(host: Host, text: str) -> None:
    done = host.run(("nft", "-f", "-"), _TIMEOUT_S, stdin=text)
    if done.status != 0:
        raise ApplyError(
            Sentence("nftables refused to hold connections back"),
            Sentence("is nf_tables in the kernel?"),
            done.lines[0] if done.lines else "",
        )
