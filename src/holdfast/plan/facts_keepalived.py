"""What keepalived.conf says, out of its tree: groups, trackers, virtual servers and everything else it may hold."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from ipaddress import ip_interface

from holdfast.bundle import CONFIG_DIR, Bundle, BundleFile, Service
from holdfast.keepalived import complaints
from holdfast.keepalived.parse import parse
from holdfast.keepalived.tree import Configuration, Node

from .facts import Fact, Key
from .words import said

PATH = f"{CONFIG_DIR}/{Service.KEEPALIVED}/keepalived.conf"
_EXCLUDED = "virtual_ipaddress_excluded"
_ADDRESSES = ("virtual_ipaddress", _EXCLUDED)
_NAMED = {
    "vrrp_instance": "group",
    "vrrp_sync_group": "sync group",
    "vrrp_script": "tracked script",
    "vrrp_track_process": "tracked process",
    "track_file": "track file",
    "vrrp_track_file": "track file",
    "virtual_server_group": "virtual server group",
    "bfd_instance": "BFD",
    "track_group": "track group",
}
_SECRETS = frozenset({"authentication.auth_pass", "SSL.password"})
_READ_OTHERWISE = frozenset(
    code.code
    for code in (
        complaints.UNKNOWN, complaints.WRONG_PLACE, complaints.SWALLOWED, complaints.TWICE, complaints.STRAY_CLOSE,
        complaints.UNCLOSED, complaints.STRAY_OPEN, complaints.NO_OPEN, complaints.HEADER, complaints.QUOTE,
        complaints.LONG, complaints.BINARY, complaints.ODD_BLANK, complaints.CONTINUED,
    )
)  # fmt: skip
_SECRET_WORD = re.compile(r"\b(auth_pass|password)\s+\S+")
_USED_OF_A_PASSWORD = 8  # characters; keepalived cuts the rest off (measured)
SERVICE: Key = ("service", str(Service.KEEPALIVED), "")


def configuration(file: BundleFile, node: str) -> Configuration:
    """The tree of a node's keepalived.conf."""
    return parse(file.content, file.path, config_id=node)


def keepalived_facts(bundle: Bundle, tree: Configuration) -> Iterator[Fact]:
    """All that a node's keepalived.conf says; `bundle` knows the names that the spec has for it."""
    reader = _Reader(bundle, tree.root)
    for node in tree.root.children:
        yield from reader.top(node)
    yield from _not_understood(tree)
    if not tree.complete:
        digest = hashlib.sha256(PATH.encode()).hexdigest()[:8]
        yield Fact("keepalived.include", "keepalived", "files that it includes, which are not part of this", digest)


def _not_understood(tree: Configuration) -> Iterator[Fact]:
    """Lines with mistakes: keepalived skips them, ends, or reads what follows otherwise, and no tree has them."""
    for finding in tree.findings:
        where = finding.location
        if finding.code in _READ_OTHERWISE and where is not None and where.file in tree.sources:
            text = " ".join(tree.sources[where.file].line(where.line).split())
            shown = _SECRET_WORD.sub(r"\1 ********", text)
            digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
            yield Fact("unknown", "keepalived", f"line `{shown}` ({finding.code})", digest, (), PATH, secret=True)


def track_files(tree: Configuration) -> dict[str, Key]:
    """Path → the fact of the track file that reads it."""
    found = tree.root.all("track_file", "vrrp_track_file")
    return {node.value("file"): (node.name, f"{_NAMED[node.name]} {node.arg()}", "") for node in found}


def _plain(line: Node) -> str:
    try:
        return str(ip_interface(line.name))
    except ValueError:
        return line.name


def _serves(address: str) -> bool:
    """Anchors, which are link-local, serve nothing."""
    try:
        return not ip_interface(address).is_link_local
    except ValueError:
        return True


class _Reader:
    """Turns statements into facts under the names of the spec."""

    def __init__(self, bundle: Bundle, root: Node) -> None:
        self._names: dict[tuple[str, ...], str] = {}
        self._server_names: dict[tuple[str, str, str], str] = {}
        for vs in bundle.expected.virtual_servers:
            target = ("fwmark", str(vs.mark)) if vs.mark is not None else (str(vs.address), str(vs.port))
            self._names[(*target, str(vs.family) if vs.mark is not None else vs.protocol)] = vs.name
            for server in vs.servers:
                self._server_names[vs.name, str(server.address), str(server.port)] = server.name
        self._users = {**_users(root), **self._users_of_weights(root)}
        self._devices = {
            id(block): device for instance in root.all("vrrp_instance") if (device := _device(instance))
            for block in instance.all(*_ADDRESSES)
        }  # fmt: skip

    def top(self, node: Node) -> Iterator[Fact]:
        """The facts of one block outside all others."""
        name = node.name
        if name == "virtual_server":
            yield from self._virtual_server(node)
        elif name in _NAMED:
            where = f"{_NAMED[name]} {node.arg()}"
            block = Fact(name, where, "", "", self._users.get((name.removeprefix("vrrp_"), node.arg()), ()), PATH)
            yield block
            yield from self._inside(node, name, where, (block.key,))
            if name == "vrrp_instance":
                yield from self._addresses(node, where, block.key)
        elif node.keyword is not None and (node.keyword.block or node.keyword.listed is not None):
            yield from self._inside(node, name, "keepalived", (SERVICE,))
        else:
            yield Fact(f"root.{name}", "keepalived", said(f"root.{name}"), _shown(node), (SERVICE,), PATH)

    def _addresses(self, instance: Node, where: str, block: Key) -> Iterator[Fact]:
        """What a group holds, and how its adverts are sent."""
        for line in instance.listed(*_ADDRESSES):
            if _serves(address := _plain(line)):
                yield from _held(where, block, address, _on_device(line.args, _device(instance)))
        sent = "unicast" if instance.listed("unicast_peer") else "multicast"
        yield Fact("group.adverts", where, "adverts are sent by", sent, (block,), PATH)

    def _virtual_server(self, node: Node) -> Iterator[Fact]:
        name = self._name_of(node)
        where = f"virtual server {name}"
        # What the kernel knows it by is part of its name: with another one, it is another virtual server.
        block = Fact("virtual_server", f"{where} ({_target(node)})", "", file=PATH)
        yield block
        within = (block.key,)
        for child in node.children:
            if child.name == "real_server":
                yield from self._real_server(child, name, where, within)
        rest = Node(node.words, node.source, node.line, node.start, node.origin, node.keyword)
        rest.children = [c for c in node.children if c.name not in ("real_server", "protocol", "ip_family")]
        yield from self._inside(rest, "virtual_server", where, within)

    def _name_of(self, node: Node) -> str:
        family = "6" if node.value("ip_family") == "inet6" else "4"
        last = family if node.arg() == "fwmark" else _protocol(node)
        return self._names.get((*node.args, last), " ".join(node.args))

    def _users_of_weights(self, root: Node) -> dict[tuple[str, str], tuple[Key, ...]]:
        """A server's weight file comes and goes with the server."""
        return {
            ("track_file", check.value("track_file")): (
                ("real_server", f"virtual server {self._name_of(vs)}", _server(rs)),
            )
            for vs in root.all("virtual_server")
            for rs in vs.all("real_server")
            for check in rs.all("FILE_CHECK")
        }

    def _real_server(self, node: Node, name: str, where: str, within: tuple[Key, ...]) -> Iterator[Fact]:
        server = self._server_names.get((name, node.arg(0), node.arg(1, "0")), _server(node).removeprefix("server "))
        block = Fact("real_server", where, _server(node), "", within, PATH)
        yield block
        yield from self._inside(node, "real_server", f"{where}, server {server}", (*within, block.key))

    def _inside(self, block: Node, kind: str, where: str, within: tuple[Key, ...], before: str = "") -> Iterator[Fact]:
        """Every statement of a block; where a keyword stands twice, the one that counts."""
        if block.keyword is not None and block.keyword.listed is not None:
            yield from self._listed(block, kind, where, within, said(kind))
            return
        for child in block.children:
            name, keyword = child.name, child.keyword
            key = f"{kind}.{name}"
            if keyword is not None and keyword.repeat != "many" and block.get(name) is not child:
                continue
            if keyword is not None and keyword.listed is not None:
                yield from self._listed(child, key, where, within, f"{before}{said(key)}")
            elif keyword is not None and keyword.block:
                inner = Fact(key, where, f"{before}{said(key)} {' '.join(child.args)}".strip(), "", within, PATH)
                yield inner
                yield from self._inside(child, name, where, (*within, inner.key), f"{before}{name} ")
            else:
                yield from self._leaf(child, key, where, within, before)

    def _listed(self, block: Node, kind: str, where: str, within: tuple[Key, ...], words: str) -> Iterator[Fact]:
        for line in block.children:
            name = _plain(line) if block.name in _ADDRESSES else line.name
            if block.name == _EXCLUDED and _serves(name):
                continue  # told as an address of the group: whether it is excluded changes nothing on the wire
            device = self._devices.get(id(block), "")
            yield Fact(kind, where, f"{words} {name}", " ".join(_on_device(line.args, device)), within, PATH)
            if "dev" in line.args:  # although it may be meant anyway: only whether it is said, which it is elsewhere
                yield Fact("group.address.device", where, f"device of {name}", "named", within, PATH, default=True)

    def _leaf(self, node: Node, kind: str, where: str, within: tuple[Key, ...], before: str) -> Iterator[Fact]:
        keyword, value = node.keyword, _shown(node)
        default = keyword is not None and keyword.default == value and value != "" and node.name != "version"
        what = f"{before}{said(kind)}"
        if kind in _SECRETS:
            used = value[:_USED_OF_A_PASSWORD] if node.name == "auth_pass" else value
            yield Fact(kind, where, what, used, within, PATH, secret=True)
            if rest := value[len(used) :]:
                yield Fact(f"{kind}.rest", where, f"{what} behind its 8th character", rest, within, PATH, secret=True)
            return
        yield Fact(kind, where, what, value, within, PATH, default=default)


def _device(instance: Node) -> str:
    """Where addresses without `dev` are put (man keepalived.conf); empty where that is an interface yet to be made."""
    made = instance.get("use_vmac") or instance.get("use_ipvlan")
    return "" if made else instance.value("interface")


def _on_device(args: tuple[str, ...], device: str) -> tuple[str, ...]:
    """The words behind an address, with the device that is meant where none is named."""
    return args if not device or "dev" in args else (*args, "dev", device)


def _held(where: str, block: Key, address: str, words: tuple[str, ...]) -> Iterator[Fact]:
    """An address on its device; its prefix and its other options are a matter of their own."""
    bare, _, prefix = address.partition("/")
    at = words.index("dev") if "dev" in words else len(words)
    options = " ".join((f"/{prefix}", *words[:at], *words[at + 2 :]))
    fact = Fact("group.address", where, f"address {bare}", " ".join(words[at : at + 2]), (block,), PATH)
    yield fact
    yield Fact("group.address.options", where, f"prefix and options of {bare}", options, (fact.key, block), PATH)


def expected_groups(bundle: Bundle) -> Iterator[Fact]:
    """What a bundle without a keepalived.conf says of its groups by what it expects of them."""
    for group in bundle.expected.vrrp:
        where = f"group {group.group}"
        block = Fact("vrrp_instance", where, "", file=PATH)
        yield block
        for keyword, value in (
            ("virtual_router_id", str(group.vrid)),
            ("interface", group.interface),
            ("advert_int", f"{group.advert_interval_ms / 1000:g}"),
            ("priority", str(group.priority)),
        ):
            kind = f"vrrp_instance.{keyword}"
            yield Fact(kind, where, said(kind), value, (block.key,), PATH)
        kind = "vrrp_instance.virtual_ipaddress"
        yield Fact(
            kind, where, f"{said(kind)} {group.anchor.address}", f"dev {group.anchor.interface}", (block.key,), PATH
        )
        for held in group.addresses:
            yield from _held(where, block.key, held.address, ("dev", held.interface))


def _users(root: Node) -> dict[tuple[str, str], tuple[Key, ...]]:
    """(kind without vrrp_, name) of what is tracked → the groups that track it: it comes and goes with them."""
    found: dict[tuple[str, str], tuple[Key, ...]] = {}
    for instance in root.all("vrrp_instance"):
        block = ("vrrp_instance", f"group {instance.arg()}", "")
        for kind in ("script", "track_file", "track_process"):
            for line in instance.listed(kind if kind.startswith("track_") else f"track_{kind}"):
                found[kind, line.name] = (*found.get((kind, line.name), ()), block)
    return found


def _server(node: Node) -> str:
    return f"server {node.arg(0)}" + (f" port {node.arg(1)}" if node.arg(1, "0") != "0" else "")


def _target(node: Node) -> str:
    if node.arg() == "fwmark":
        return f"mark {node.arg(1)}, {_protocol(node)}"
    return f"{node.arg()} port {node.arg(1, '0')}, {_protocol(node)}" if node.arg() != "group" else " ".join(node.args)


def _protocol(node: Node) -> str:
    """Of a virtual server; of one behind a mark it is none, but its family counts."""
    if node.arg() == "fwmark":
        return node.value("ip_family", "inet")
    return node.value("protocol", "TCP").lower()


def _shown(node: Node) -> str:
    return " ".join(node.args)
