"""What changes on one node: each difference of what its two bundles say, with its class and the reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from holdfast.bundle import CONFIG_DIR, NETWORK_FILE, PROBER_FILE, Bundle, Service
from holdfast.keepalived.tree import Configuration

from . import facts_haproxy, facts_keepalived, facts_nginx
from .difference import FileChange
from .facts import Difference, Fact, How, differences
from .facts_kernel import network_facts, nftables_facts, node_facts, prober_facts, sysctl_facts
from .note import Hazard
from .renames import new_names_of_servers, renames, under_new_names
from .table import UNKNOWN, Row, table

_QUIET = frozenset({Service.SYSCTL, Service.NETWORK, Service.NFTABLES, Service.PROBER})  # no connection runs through it
_LONGEST = 120
_HIDDEN = "********"


@dataclass(frozen=True)
class Change:
    """One change in words of the spec. `row` is the id of the table's row that classes it.

    `groups` are the VRRP groups whose members all have to make the change in one moment, if that is so.
    """

    row: str
    how: How
    where: str
    what: str
    hazard: Hazard
    why: str
    safer: str = ""
    service: Service | None = None
    file: str = ""
    groups: tuple[str, ...] = ()
    peer: str = ""  # the unicast peer that comes or goes

    @property
    def sentence(self) -> str:
        """`group www: address 10.0.0.9/24 added`."""
        return f"{self.where}: {self.what}" if self.what else self.where


def made(kind: str, where: str, what: str, how: How = "changed") -> Change:
    """A change that follows from several facts: `kind` is Holdfast's own."""
    row = table().named(kind)
    return _of_row(row, how, where, what, Service.KEEPALIVED, facts_keepalived.PATH)


def _of_row(row: Row, how: How, where: str, what: str, service: Service | None = None, file: str = "") -> Change:
    return Change(row.id, how, where, what, row.hazard, row.why, row.safer, service, file)


def facts_of(bundle: Bundle, tree: Configuration | None, two_engines: bool = False) -> Iterator[Fact]:
    """All that a bundle says; `tree` is its keepalived.conf, if it has one.

    With `two_engines`, what HAProxy serves is told from what nginx does.
    """
    for service in bundle.services:
        yield Fact("service.quiet" if service in _QUIET else "service", str(service), "")
    yield from node_facts(bundle, facts_keepalived.track_files(tree) if tree is not None else {})
    yield from network_facts(bundle)
    yield from prober_facts(bundle)
    for file in bundle.files:
        if file.path.startswith(f"{CONFIG_DIR}/{Service.SYSCTL}/"):
            yield from sysctl_facts(file)
        elif file.path.startswith(f"{CONFIG_DIR}/{Service.NFTABLES}/"):
            yield from nftables_facts(file)
    yield from facts_nginx.nginx_facts(bundle)
    yield from facts_haproxy.haproxy_facts(bundle, " (haproxy)" if two_engines else "")
    if tree is not None:
        yield from facts_keepalived.keepalived_facts(bundle, tree)
    else:
        yield from facts_keepalived.expected_groups(bundle)


def node_changes(
    old: Bundle | None,
    new: Bundle | None,
    trees: tuple[Configuration | None, Configuration | None],
    files: Sequence[FileChange],
) -> tuple[Change, ...]:
    """Every change of a node, in the order of what it says; None is a node without anything of Holdfast."""
    renamed, servers = renames(*trees), new_names_of_servers(old, new)
    both = any(b.file(facts_nginx.PATH) and b.file(facts_haproxy.PATH) for b in (old, new) if b is not None)
    before = tuple(under_new_names(facts_of(old, trees[0], both), renamed, servers)) if old else ()
    after = tuple(facts_of(new, trees[1], both)) if new else ()
    found = [made("group.name", f"group {name}", f"is called {other} now") for name, other in renamed.items()]
    called = (("virtual_server.name", f"virtual server {name}", other) for name, other in servers.items())
    found += [made(kind, where, f"is called {other} now") for kind, where, other in called]
    found += [each for difference in differences(before, after) for each in _classed(difference, trees)]
    found += _of_files(files, found)
    if not found and old is not None and new is not None:
        found.append(_of_row(table().named(UNKNOWN), "changed", "node", "its bundle changes in a way that has no name"))
    running, wanted = (set(bundle.services) if bundle else set() for bundle in (old, new))
    stopped = running - wanted - _QUIET
    told = [each for each in dict.fromkeys(found) if not _goes_with(each, stopped)]
    return tuple(_at_a_start(change, running) for change in told)


def _goes_with(change: Change, stopped: set[Service]) -> bool:
    """Whether it is told already by the program that stops."""
    return change.service in stopped and change.how == "removed" and not change.row.startswith("service-")


def _classed(difference: Difference, trees: tuple[Configuration | None, Configuration | None]) -> Iterator[Change]:
    fact = difference.fact
    written_out = fact.default and difference.how != "changed"
    row = table().named("keepalived.default") if written_out else table().row(fact.kind, difference.how)
    service = Service(fact.where) if fact.kind.startswith("service") else _service(fact.file)
    change = _of_row(row, difference.how, fact.where, _in_words(difference), service, fact.file)
    if row.together:
        peer = fact.what.rpartition(" ")[2] if fact.kind == "vrrp_instance.unicast_peer" else ""
        change = replace(change, groups=_groups(fact, trees), peer=peer)
    yield change
    if row.also:
        for group in _groups(fact, trees):
            yield made(row.also, f"group {group}", "its addresses are given up and taken again")


def _groups(fact: Fact, trees: tuple[Configuration | None, Configuration | None]) -> tuple[str, ...]:
    """The group that a fact is of; what is said of all of keepalived is said of every group."""
    if fact.where.startswith("group "):
        return (fact.where.removeprefix("group "),)
    tree = trees[1] or trees[0]
    return tuple(sorted({node.arg() for node in tree.root.all("vrrp_instance")})) if tree is not None else ()


def _in_words(difference: Difference) -> str:
    old, new, fact = difference.old, difference.new, difference.fact
    if old is None or new is None:
        value = "" if fact.secret or not fact.value else f" {fact.value}"
        if fact.kind.startswith("service"):
            return "starts" if old is None else "stops"
        return _cut(f"{fact.what}{value} {difference.how}".strip())
    was, becomes = (_HIDDEN, _HIDDEN) if fact.secret else (_cut(old.value), _cut(new.value))
    if was == becomes and not fact.secret:  # they differ behind what a line can show
        was, becomes = old.value[-_LONGEST:], new.value[-_LONGEST:]
    return f"{fact.what} {was or '(nothing)'} → {becomes or '(nothing)'}".lstrip()


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _service(path: str) -> Service | None:
    parts = path.split("/")
    return Service(parts[3]) if len(parts) > 4 and parts[3] in set(Service) else None


def _of_files(files: Sequence[FileChange], found: Sequence[Change]) -> Iterator[Change]:
    """What is told of no file otherwise: its access, its comments, and files that nobody knows."""
    told = {change.file for change in found} | {NETWORK_FILE, PROBER_FILE}
    services = {change.service for change in found if change.row.startswith("service-")}
    for file in files:
        service = _service(file.path)
        known = service is not None and (file.path in _KNOWN or service in _QUIET or "/servers/" in file.path)
        if not known:
            yield _of_row(table().named(UNKNOWN), file.kind, "file", f"{file.path} {file.kind}", service, file.path)
        elif file.old is not None and file.new is not None:
            yield from _same_meaning(file, service, told)
        elif file.path not in told and service not in services:
            yield _text(file, service)


_KNOWN = frozenset({facts_keepalived.PATH, facts_nginx.PATH, facts_haproxy.PATH})


def _same_meaning(file: FileChange, service: Service | None, told: set[str]) -> Iterator[Change]:
    old, new = file.old, file.new
    assert old is not None, "only files on both sides"
    assert new is not None, "only files on both sides"
    access = [f"{each.mode:04o} {each.owner}:{each.group}" for each in (old, new)]
    if access[0] != access[1]:
        row = table().named("file.access")
        yield _of_row(row, "changed", "file", f"access of {file.path} {access[0]} → {access[1]}", service, file.path)
    if old.content != new.content and file.path not in told:
        yield _text(file, service) if _says_the_same(file) else _unknown(file, service)


def _says_the_same(file: FileChange) -> bool:
    """Whether keepalived.conf has the same lines but for comments: what is not understood is in no tree.

    A line that stands there twice says no more than once: beside an origin, global_defs have two blocks.
    """
    if file.path != facts_keepalived.PATH:
        return True
    sides = [each.content.splitlines() for each in (file.old, file.new) if each is not None]
    said = [{" ".join(line.split()) for line in side if not line.lstrip().startswith(("#", "!"))} for side in sides]
    return all(lines == said[0] for lines in said)


def _unknown(file: FileChange, service: Service | None) -> Change:
    row = table().named(UNKNOWN)
    return _of_row(row, file.kind, "file", f"{file.path} {file.kind} in a way that has no name", service, file.path)


def _text(file: FileChange, service: Service | None) -> Change:
    row = table().named("file.text.quiet" if service in _QUIET else "file.text")
    return _of_row(row, file.kind, "file", f"comments or order in {file.path}", service, file.path)


def _at_a_start(change: Change, running: set[Service]) -> Change:
    """A program that starts with the change reloads nothing."""
    if change.service is None or change.service in running or change.how != "added" or change.row == UNKNOWN:
        return change
    if change.hazard is Hazard.LIVE:
        return change
    row = table().named("starts")
    return replace(change, row=row.id, hazard=row.hazard, why=row.why, safer="")
