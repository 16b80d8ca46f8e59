"""What nginx.conf says, in words of the spec: pools with their servers, sites with their routes, settings."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping

from holdfast.bundle import CONFIG_DIR, NGINX_SERVERS_DIR, Bundle, Service

from .blocks import Statement, read, unquoted
from .conditions import in_words
from .facts import Fact, Key
from .words import said

PATH = f"{CONFIG_DIR}/{Service.NGINX}/nginx.conf"
_MADE = re.compile(r"\$\{?(hf_[A-Za-z0-9_]+)\}?")
_MAPS = ("map", "geo", "split_clients")
_DERIVED = frozenset({"zone"})  # grows with the number of servers
_NUMBERED = re.compile(r"^@\d+\.?")
_MOST_LINKS = 200  # of one chain of maps
SERVICE: Key = ("service", str(Service.NGINX), "")


def nginx_facts(bundle: Bundle) -> Iterator[Fact]:
    """All that a node's nginx.conf says, the lists of servers beside it included."""
    file = bundle.file(PATH)
    if file is None:
        return
    reader = _Reader(bundle)
    for statement in read(file.content).inside:
        if statement.name == "http":
            yield from reader.http(statement)
        else:
            inside = " ".join(f"{each.name} {each.rest}" for each in statement.inside)
            kind = f"nginx.main.{statement.name}"
            yield Fact(kind, "nginx", statement.name, inside or statement.rest, (SERVICE,), PATH)


_OF_THE_POOL = (
    "proxy_next_upstream", "proxy_next_upstream_tries", "proxy_connect_timeout", "proxy_send_timeout",
    "proxy_read_timeout",
)  # fmt: skip
_SAID_TWICE = "proxy_send_timeout"  # always the same as the one for reading


def _pool_of(location: Statement | None) -> str:
    found = location.all("set") if location is not None else ()
    return unquoted(next((s.word(2) for s in found if s.word(1) == "$hf_pool"), ""))


class _Reader:
    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._maps: Mapping[str, Statement] = {}

    def http(self, http: Statement) -> Iterator[Fact]:
        """What stands in `http`."""
        maps = [each for each in http.inside if each.name in _MAPS and each.is_block]
        self._maps = {each.word(-1).lstrip("$"): each for each in maps}
        sites: dict[str, Statement] = {}
        for statement in http.inside:
            if statement.name == "upstream":
                yield from self._pool(statement)
            elif statement.name == "server":
                yield from self._server(statement, sites)
            elif statement.name in _MAPS and re.fullmatch(
                r"\$hf_(c|all|cookie|route)\d+|\$hf_\w*\d", statement.word(-1)
            ):
                continue  # it is told with the routes that lead through it
            elif statement.is_block:
                text = " ".join(f"{each.name} {each.rest}" for each in statement.inside)
                yield Fact(f"nginx.http.{statement.name}", "nginx", " ".join(statement.words), text, (SERVICE,), PATH)
            else:
                yield self._setting("http", "nginx", statement, (SERVICE,))
        for site, server in sites.items():
            yield from self._routes(site, server)

    def _setting(self, kind: str, where: str, statement: Statement, within: tuple[Key, ...]) -> Fact:
        """A statement that may stand several times is told apart by its first word."""
        many = statement.name in ("set", "add_header") or statement.name.startswith(("proxy_", "if"))
        several = (many and len(statement.words) > 2) or statement.name in ("listen", "proxy_pass_header")
        what = " ".join(statement.words[:2]) if several else said(f"nginx.{kind}.{statement.name}")
        value = " ".join(statement.words[2:]) if several else statement.rest
        if statement.is_block:
            value = " ".join([value, *(f"{each.name} {each.rest}" for each in statement.inside)])
        return Fact(f"nginx.{kind}.{statement.name}", where, what, self._expanded(value), within, PATH)

    def _pool(self, upstream: Statement) -> Iterator[Fact]:
        where = f"pool {upstream.rest}"
        block = Fact("pool", where, "", file=PATH)
        yield block
        for statement in upstream.inside:
            if statement.name == "server":
                yield self._pool_server(where, statement, block.key, PATH)
            elif statement.name == "include":
                yield from self._included(where, upstream.rest, block.key)
            elif statement.name not in _DERIVED:
                yield self._setting("pool", where, statement, (block.key,))

    def _included(self, where: str, upstream: str, block: Key) -> Iterator[Fact]:
        file = self._bundle.file(f"{NGINX_SERVERS_DIR}/{upstream}.conf")
        for statement in read(file.content).inside if file else ():
            yield self._pool_server(where, statement, block, f"{NGINX_SERVERS_DIR}/{upstream}.conf")

    @staticmethod
    def _pool_server(where: str, statement: Statement, block: Key, path: str) -> Fact:
        return Fact("pool.server", where, f"server {statement.word(1)}", " ".join(statement.words[2:]), (block,), path)

    def _server(self, server: Statement, sites: dict[str, Statement]) -> Iterator[Fact]:
        marks = {each.word(1): unquoted(each.word(2)) for each in server.all("set") if len(each.words) == 3}
        site, listener = marks.get("$hf_site", ""), marks.get("$hf_listener", "")
        place = f"listener {listener or server.value('listen').split(' ')[0]}"
        where = f"site {site} on {place}" if site else place
        block = Fact("site.listener" if site else "nginx.listener.server", where, "", file=PATH)
        yield block
        for statement in server.inside:
            if statement.name == "error_page" and statement.rest.startswith("460"):
                sites.setdefault(site, server)
            elif not (site and statement.name == "location" and statement.word(1).startswith("@")):
                yield self._setting("site" if site else "listener", where, statement, (block.key,))

    def _routes(self, site: str, server: Statement) -> Iterator[Fact]:
        jump = server.value("error_page").rpartition("$")[2]
        ends = {each.word(1): each for each in server.all("location")}
        whole = Fact("site", f"site {site}", "", file=PATH)
        yield whole
        for conditions, end in self._chain(jump, frozenset()):
            what = f"route ({in_words(conditions) or 'everything else'})"
            shares = [(share, ends.get(f"@{one}")) for share, one in self._shares(end)]
            told = [f"{share} {self._end(location)}".strip() for share, location in shares]
            yield Fact("site.route", whole.where, what, ", ".join(told), (whole.key,), PATH)
            for _, location in shares:
                yield from self._use(location)

    def _shares(self, end: str) -> Iterator[tuple[str, str]]:
        """(share, end) where a route leads to several pools, and to one otherwise."""
        found = _MADE.search(end)
        block = self._maps.get(found[1]) if found else None
        if found is None or block is None:
            yield "", end
            return
        by = self._expanded(unquoted(block.word(1)))
        for entry in block.inside:
            share = unquoted(entry.word(0)).replace("*", "the rest")
            yield f"{share} by {by}", end.replace(found[0], unquoted(entry.word(-1)))

    def _use(self, location: Statement | None) -> Iterator[Fact]:
        """How a pool is asked stands with each route that leads to it."""
        pool = _pool_of(location)
        for statement in location.inside if location is not None and pool else ():
            if statement.name in _OF_THE_POOL and statement.name != _SAID_TWICE:
                value, block = statement.rest, ("pool", f"pool {pool}", "")
                kind = f"nginx.pool.{statement.name}"
                yield Fact(kind, f"pool {pool}", said(kind), value, (block,), PATH)

    def _end(self, location: Statement | None) -> str:
        """Where a route leads, without the number that it has."""
        if location is None:
            return "404"
        pool = _pool_of(location)
        rest = [s for s in location.inside if not (s.name == "set" and s.word(1) in ("$hf_route", "$hf_pool"))]
        backend = location.value("proxy_pass").removeprefix("http://")
        told = [self._said(s) for s in rest if s.name not in ("proxy_pass", *(_OF_THE_POOL if pool else ()))]
        head = f"to {pool}" + (f" by way of {backend}" if backend != pool else "") if pool else ""
        return "; ".join(part for part in (head, *told) if part)

    def _said(self, statement: Statement) -> str:
        inner = " ".join(f"{each.name} {each.rest}" for each in statement.inside)
        return " ".join(part for part in (statement.name, self._expanded(statement.rest), inner) if part)

    def _chain(self, variable: str, seen: frozenset[str]) -> Iterator[tuple[tuple[tuple[str, str], ...], str]]:
        """(conditions, end) of each route, through as many maps as they fill."""
        block = self._maps.get(variable)
        if block is None or variable in seen or len(seen) > _MOST_LINKS:
            return
        names = _MADE.findall(block.word(1))
        default = ""
        for entry in block.inside:
            pattern, target = unquoted(entry.word(0)), unquoted(entry.word(-1))
            if pattern == "default":
                default = target
            else:
                index = pattern.count(".")
                yield self._conditions(names[index]) if index < len(names) else (), target
        if found := _MADE.fullmatch(default):
            yield from self._chain(found[1], seen | {variable})
        elif default:
            yield (), default

    def _conditions(self, variable: str) -> tuple[tuple[str, str], ...]:
        """(what is looked at, what it must be) of a condition, or of all that one stands for."""
        block = self._maps.get(variable)
        if block is None:
            return ((variable, "1"),)
        names = _MADE.findall(block.word(1))
        if len(names) > 1 and variable.startswith("hf_all"):
            return tuple(each for name in names for each in self._conditions(name))
        looked_at = self._expanded(block.word(1) if block.name == "map" else f"{block.name} {block.word(1)}")
        entries = [f"{unquoted(entry.word(0))}={unquoted(entry.word(-1))}" for entry in block.inside]
        return ((unquoted(looked_at), "\n".join(self._expanded(entry) for entry in entries)),)

    def _expanded(self, text: str, depth: int = 0) -> str:
        """`text` with variables of Holdfast's own making replaced by what they are: their numbers mean nothing."""

        def meaning(found: re.Match[str]) -> str:
            block = self._maps.get(found[1])
            if block is None or depth > 5:
                return found[0]
            entries = "\n".join(self._expanded(" ".join(each.words), depth + 1) for each in block.inside)
            if entries == 'default ""':
                return ""
            source = self._expanded(" ".join(unquoted(word) for word in block.words[1:-1]), depth + 1)
            digest = hashlib.sha256(entries.encode()).hexdigest()[:6]
            return f"{block.name}({re.sub(r'hf_value[0-9]+', '', source)})~{digest}"

        return re.sub(r"hf_value\d+", "hf_value", _MADE.sub(meaning, text)) if "hf_" in text else text
