"""What haproxy.cfg says, in words of the spec: pools with their servers, sites with their routes, settings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from holdfast.bundle import CONFIG_DIR, Bundle, Service

from .facts import Fact, Key
from .haproxy_words import split_words
from .words import said

PATH = f"{CONFIG_DIR}/{Service.HAPROXY}/haproxy.cfg"
SERVICE: Key = ("service", str(Service.HAPROXY), "")
_SECTIONS = frozenset(
    {"global", "defaults", "frontend", "backend", "listen", "mailers", "resolvers", "peers", "cache", "userlist"}
)
_HERE = re.compile(r"\{ var\(txn\.site\) -m str -- (\S+) \}(?: \{ var\(txn\.route\) -m str -- (\d+) \})?")
_ROUTE = re.compile(r"http-request set-var\(txn\.route\) str\((\d+)\)")
_UNTAKEN = re.compile(r" ?!\{ var\(txn\.(?:route|pool)\) -m found \}")
_NEEDED = {"server": 2, "timeout": 2, "option": 2, "http-check": 2, "stats": 2, "bind": 2, "mailer": 2}
_VARIABLE = re.compile(r"txn\.(?:header|cookie|set_cookie|draw|variant)_?\d+")


def haproxy_facts(bundle: Bundle, beside: str = "") -> Iterator[Fact]:
    """All that a node's haproxy.cfg says; `beside` tells its pools and sites from those of an engine beside it."""
    file = bundle.file(PATH)
    if file is None:
        return
    for fact in _facts(file.content):
        within = tuple(key if key == SERVICE else (key[0], key[1] + beside, key[2]) for key in fact.within)
        yield replace(fact, where=fact.where + beside, within=within) if beside else fact


def _facts(text: str) -> Iterator[Fact]:
    for words, lines in _sections(text):
        kind, name = words[0], " ".join(words[1:])
        if kind == "backend":
            yield from _pool(name, lines)
        elif kind == "frontend":
            yield from _frontend(name, lines)
        elif kind in ("global", "defaults"):
            for line in lines:
                yield _setting(kind, "haproxy", line, (SERVICE,))
        else:
            yield Fact(f"haproxy.{kind}", "haproxy", f"{kind} {name}".strip(), "; ".join(lines), (SERVICE,), PATH)


def _sections(text: str) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """(words of the head, lines) of each section, comments and blank lines left out."""
    head: tuple[str, ...] = ()
    lines: list[str] = []
    for line in text.splitlines():
        words = split_words(line)
        if not words:
            continue
        if words[0] in _SECTIONS and not line[0].isspace():
            if head:
                yield head, lines
            head, lines = tuple(words), []
        else:
            lines.append(" ".join(words))
    if head:
        yield head, lines


def _setting(kind: str, where: str, line: str, within: tuple[Key, ...]) -> Fact:
    words = line.split(" ")
    named = 1 if words[0] in ("balance", "retries", "retry-on", "cookie", "log", "user", "group") else 2
    named = _NEEDED.get(words[0], named if len(words) > 2 else 1)
    if words[0].startswith(("http-", "acl", "use_backend", "tcp-")):
        named = len(words)  # a rule: it is there or not
    what, key = " ".join(words[:named]), f"haproxy.{kind}.{words[0]}"
    return Fact(key, where, said(f"haproxy.{kind}.{what}", what), " ".join(words[named:]), within, PATH)


def _pool(name: str, lines: list[str]) -> Iterator[Fact]:
    where = f"pool {name}"
    block = Fact("pool", where, "", file=PATH)
    yield block
    for line in lines:
        words = line.split(" ")
        if words[0] == "server" and len(words) > 2:
            value = " ".join(words[3:])
            yield Fact("pool.server", where, f"server {words[2]}", value, (block.key,), PATH)
        else:
            yield _setting("pool", where, line, (block.key,))


def _frontend(name: str, lines: list[str]) -> Iterator[Fact]:
    where = f"listener {name}"
    block = Fact("haproxy.listener.frontend", where, "", file=PATH)
    yield block
    acls = {words[1]: " ".join(words[2:]) for line in lines if (words := line.split(" "))[0] == "acl" and words[1:]}
    routes: dict[tuple[str, str], tuple[str, list[str]]] = {}
    for line in lines:
        found = _HERE.search(line)
        if route := _ROUTE.match(line):
            site = found[1] if found else ""
            routes[site, route[1]] = (_conditions(line, acls), [])
        elif found and found[2] is not None and (found[1], found[2]) in routes:
            routes[found[1], found[2]][1].append(_numberless(_UNTAKEN.sub("", _HERE.sub("", line))))
        elif not line.startswith("acl "):
            yield _setting("listener", where, _numberless(line), (block.key,))
    for site in dict.fromkeys(site for site, _ in routes):
        yield Fact("site", f"site {site}", "", file=PATH)
        yield Fact("site.listener", f"site {site} on {where}", "", file=PATH)
    for (site, _), (conditions, ends) in routes.items():
        what = f"route ({conditions or 'everything else'})"
        yield Fact("site.route", f"site {site}", what, _end(ends), (("site", f"site {site}", ""),), PATH)


def _numberless(line: str) -> str:
    """A line without the numbers of variables, which mean nothing."""
    return " ".join(_VARIABLE.sub("txn.value", line).split())


def _conditions(line: str, acls: dict[str, str]) -> str:
    _, _, rest = line.partition(" if ")
    words = _UNTAKEN.sub("", _HERE.sub("", rest)).split()
    return ", ".join(("not " if w.startswith("!") else "") + _in_words(acls.get(w.lstrip("!"), w)) for w in words)


def _in_words(fetch: str) -> str:
    """`var(txn.segments) -m beg -- /upload/` → `path /upload`."""
    looked_at, _, patterns = fetch.partition(" -- ")
    what, _, match = looked_at.partition(" -m ")
    if what == "var(txn.segments)":
        return "path " + " or ".join(value.removesuffix("/") or "/" for value in patterns.split(" "))
    if what == "var(txn.path)":
        return f"path {patterns}" if match == "beg" else f"path_regex {patterns}"
    names = {"method": "method", "src": "source", "req.fhdr(user-agent,1)": "user_agent"}
    return " ".join(
        part for part in (names.get(what, _numberless(what)), match if what not in names else "", patterns) if part
    )


def _end(lines: list[str]) -> str:
    pools = [found[1] for line in lines if (found := re.match(r"http-request set-var\(txn\.pool\) str\((\S+)\)", line))]
    rest = [
        line.removesuffix(" if")
        for line in lines
        if not line.startswith("http-request set-var(txn.backend)")
        and not (len(pools) == 1 and line.startswith("http-request set-var(txn.pool)"))
    ]
    return "; ".join([*([f"to {pools[0]}"] if len(pools) == 1 else []), *rest])
