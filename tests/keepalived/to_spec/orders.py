"""Files that keepalived takes, made from real ones: lines in another order, more of them, some said twice."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from holdfast.keepalived.keywords import OLDEST, Argument, Keyword, tables
from holdfast.keepalived.tree import Node
from holdfast.keepalived.writer import is_block, statement

# One word or some for each kind of argument; what a kind lacks here is not added to a file.
_WORDS = {
    "name": ["some-name", "other"],
    "text": ["some-text", "other"],
    "file": ["/etc/some.file", "/etc/other.file"],
    "user": ["root", "keepalived_script"],
    "bool": ["on", "off", "true", "no"],
    "script": ["/usr/bin/some-check", "/usr/bin/other"],
    "granularity": ["255.255.255.0", "255.255.0.0"],
    "hex": ["0a1b", "fe"],
    "octets": ["0a1b", "fe"],
    "status": ["200", "404", "200-299"],
    "label": ["some-label", "other"],
    "port": ["80", "8080"],
    "port0": ["0", "80"],
    "digest": ["640205b7b0fc66c1ea91c463fac6334d", "ff20ad2481f97b1754ef3e12ecd3a9cc"],
    "password": ["secret1", "other"],
    "mcast": ["224.0.0.19", "224.0.0.20"],
    "mcast4": ["224.0.0.19", "224.0.0.20"],
    "dnsname": ["example.net", "a.example.net"],
}
_OF_FAMILY = {
    "ip": (["10.9.8.7", "10.9.8.8"], ["2001:db8::7", "2001:db8::8"]),
    "prefix": (["10.9.8.6", "10.9.8.5"], ["2001:db8::6", "2001:db8::5"]),
}
# Keywords that end keepalived, that leave it without a dump, or that the machine decides about.
_NEVER = frozenset(
    {
        "net_namespace", "net_namespace_ipvs", "instance", "use_pid_dir", "vrrp_rlimit_rttime", "random_seed",
        "tmp_config_directory", "config_save_dir", "reload_file", "dynamic_interfaces", "vrrp_cpu_affinity",
        "checker_cpu_affinity", "bfd_cpu_affinity", "umask", "nftables", "vrrp_iptables", "enable_dbus", "mcast_dst_ip",
    }
)  # fmt: skip
_NUMBERS = (0, 1, 2, 3, 5, 7, 10, 40, 60, 90, 100, 101, 150, 200, 255)
# Blocks and lists that are added whole, by the block that takes them.
_LISTS = {
    "vrrp_instance": (
        ["virtual_ipaddress_excluded {", "10.9.7.1/24 dev lo", "}"],
        ["virtual_ipaddress {", "10.9.7.2", "10.9.7.3/25", "}"],
        ["unicast_peer {", "10.9.7.9", "}"],
        ["virtual_routes {", "10.9.6.0/24 via 10.9.7.254", "}"],
        ["virtual_rules {", "from 10.9.6.0/24 table 7", "}"],
        ["track_interface {", "lo", "lo weight 5", "}"],
        ["authentication {", "auth_pass one", "auth_type PASS", "auth_pass two", "}"],
    ),
    "vrrp_sync_group": (["track_interface {", "lo", "}"],),
    "virtual_server": (["real_server 10.9.8.1 80 {", "weight 3", "}"], ["sorry_server 10.9.8.2 80"]),
    "real_server": (
        ["TCP_CHECK {", "connect_port 81", "connect_timeout 2", "}"],
        ["MISC_CHECK {", "misc_timeout 4", "misc_path /usr/bin/some-check", "}"],
        ["HTTP_GET {", "url {", "status_code 200", "path /", "}", "connect_port 82", "retry 2", "}"],
        ["SMTP_CHECK {", "retry 3", "helo_name a", "host {", "connect_port 26", "}", "connect_timeout 3", "}"],
        ["DNS_CHECK {", "name a.example.net", "type A", "}"],
        ["PING_CHECK {", "retry 2", "}"],
        ["UDP_CHECK {", "connect_port 83", "}"],
    ),
    "HTTP_GET": (["url {", "path /other", "status_code 404", "}"],),
}


@dataclass
class Draft:
    """A statement, or a block with what stands in it; `table` names the table of its lines, if it is no list."""

    text: str
    table: str = ""
    braces: bool = False
    parts: list[Draft] = field(default_factory=list)

    def lines(self) -> list[str]:
        """As a file has them."""
        inner = [line for part in self.parts for line in part.lines()]
        return [f"{self.text} {{", *inner, "}"] if self.braces else [self.text]


def reordered(root: Node, chance: random.Random) -> str:
    """The file as another hand might have written it: sound statements, most of them in another order."""
    family = any(":" in word for node in root.walk() for word in node.words if "real_server" in node.name)
    draft = Draft("", "", parts=[_draft(child) for child in root.children])
    for block in draft.parts:
        _change(block, chance, 1 if family else 0)
    if chance.random() < 0.1:
        chance.shuffle(draft.parts)
    return "".join(line + "\n" for part in draft.parts for line in part.lines())


def _draft(node: Node) -> Draft:
    table = node.keyword.block if node.keyword is not None else ""
    return Draft(statement(node), table, is_block(node), [_draft(child) for child in node.children])


def _change(block: Draft, chance: random.Random, family: int) -> None:
    for part in block.parts:
        if part.table:
            _change(part, chance, family)
    if not block.table:
        if chance.random() < 0.1:
            chance.shuffle(block.parts)
        return
    table = tables()[block.table]
    known = [keyword for keyword in table.values() if _can_be_added(keyword)]
    for _ in range(chance.choice((0, 0, 1, 2, 4)) if known else 0):
        block.parts.append(Draft(_said(chance.choice(known), chance, family)))
    again = [part.text.split()[0] for part in block.parts if not part.braces]
    if again and chance.random() < 0.4:
        name = chance.choice(again)
        if name in table and _can_be_added(table[name]):
            block.parts.append(Draft(_said(table[name], chance, family)))
    if block.table in _LISTS and chance.random() < 0.2:
        block.parts.append(Draft("\n".join(chance.choice(_LISTS[block.table]))))
    if chance.random() < 0.9:
        chance.shuffle(block.parts)


def _can_be_added(keyword: Keyword) -> bool:
    if keyword.block or keyword.listed is not None or keyword.options is not None or keyword.instead:
        return False
    wanted = [argument for argument in keyword.arguments if not argument.optional]
    fits = all(_words(argument, 0) for argument in wanted)
    return fits and keyword.since <= OLDEST and not keyword.built and keyword.name not in _NEVER


def _said(keyword: Keyword, chance: random.Random, family: int) -> str:
    words = [keyword.name]
    for argument in keyword.arguments:
        if argument.optional and chance.random() < 0.6:
            break
        known = _words(argument, family)
        if not known:
            break
        words.append(chance.choice(known))
    return " ".join(words)


def _words(argument: Argument, family: int) -> list[str]:
    if argument.kind in ("one", "any"):
        return argument.note.split("|")
    if argument.kind in ("int", "uint", "num"):
        low, _, high = argument.note.partition("..")
        least, most = float(low or 0), float(high or 2**31)
        return [str(number) for number in (*_NUMBERS, -5, -20) if least <= number <= most]
    return _OF_FAMILY[argument.kind][family] if argument.kind in _OF_FAMILY else _WORDS.get(argument.kind, [])
