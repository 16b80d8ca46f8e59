"""Routes as ACLs and `http-request` rules of HAProxy: the first that matches is remembered in a variable."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from holdfast.compile.node_view import SiteView
from holdfast.spec.sites import Redirect, Respond, ValueMatch

from .l7 import (
    Condition,
    Cookie,
    Header,
    Methods,
    PathPrefix,
    PathRegex,
    PlannedRoute,
    Sources,
    UserAgent,
    planned_routes,
    value_regex,
)

PATTERNS_PER_LINE = 40  # a line of haproxy.cfg has 64 words at most
CHARACTERS_PER_LINE = 1000  # HAProxy takes more, a reader and the agent do not
_MAPPED = IPv6Network("::ffff:0:0/96")
MAX_COOKIE_HEADERS = 8  # joined, as nginx joins them; a request with more is refused


@dataclass(frozen=True)
class Acl:
    """A named condition. Lines with the same name are alternatives."""

    name: str
    fetch: str
    patterns: tuple[str, ...]


@dataclass(frozen=True)
class Assignment:
    """Remember `value` where the host equals one of `patterns` (`match` str) or ends in one (`match` end)."""

    value: str
    match: str
    patterns: tuple[str, ...]


@dataclass(frozen=True)
class Extract:
    """A variable filled from the first header `name`, or with `cookie` from the first cookie called so."""

    variable: str
    name: str
    cookie: bool
    pattern: str = ""


@dataclass(frozen=True)
class Choice:
    """Of a chosen route, a share: `variant` is the cookie's value, `below` the upper bound of the draw."""

    pool: str
    backend: str
    variant: str
    below: int


@dataclass(frozen=True)
class RouteRule:
    """A route: when it is chosen (names of ACLs, `!` before those that must not hold), and its shares.

    `draw` is the expression of a number below 100, where there is anything to draw.
    """

    site: str
    index: int
    conditions: tuple[str, ...]
    choices: tuple[Choice, ...]
    draw: str
    cookie_variable: str
    cookie: str
    sets_cookie: bool


@dataclass(frozen=True)
class Answer:
    """A route that needs no server."""

    site: str
    index: int
    redirect: Redirect | None
    respond: Respond | None


def host_assignments(sites: tuple[SiteView, ...]) -> tuple[Assignment, ...]:
    """Exact names first, then wildcards, the longest first: nginx's order."""
    exact = [
        Assignment(site.name, "str", hosts)
        for site in sites
        for hosts in _lines([host for host in site.hosts if not host.startswith("*.")])
    ]
    wild = sorted(
        ((host[1:], site.name) for site in sites for host in site.hosts if host.startswith("*.")),
        key=lambda pair: (-len(pair[0]), pair),
    )
    return (*exact, *(Assignment(site, "end", (suffix,)) for suffix, site in wild))


def _lines(patterns: list[str]) -> Iterator[tuple[str, ...]]:
    line: list[str] = []
    for pattern in patterns:
        if len(line) == PATTERNS_PER_LINE or sum(map(len, line)) > CHARACTERS_PER_LINE:
            yield tuple(line)
            line = []
        line.append(pattern)
    if line:
        yield tuple(line)


def _source_patterns(networks: tuple[IPv4Network | IPv6Network, ...]) -> list[str]:
    """HAProxy sees an IPv4 client in ::/0 too, as ::ffff:a.b.c.d: that range is taken out."""
    patterns: list[str] = []
    for network in networks:
        if isinstance(network, IPv6Network) and network.supernet_of(_MAPPED):
            patterns += [str(part) for part in sorted(network.address_exclude(_MAPPED))]
        else:
            patterns.append(str(network))
    return patterns


class Rules:
    """Collects the rules of one frontend; equal conditions share one ACL, equal headers one variable."""

    def __init__(self) -> None:
        self.acls: list[Acl] = []
        self.extracts: list[Extract] = []
        self.routes: list[RouteRule] = []
        self._names: dict[Condition, str] = {}

    @property
    def uses_cookies(self) -> bool:
        """Whether any cookie is looked at."""
        return any(extract.cookie for extract in self.extracts)

    @property
    def sticky_cookies(self) -> tuple[str, ...]:
        """The names of cookies that keep clients where they are."""
        return tuple(dict.fromkeys(rule.cookie for rule in self.routes if rule.cookie))

    def add_site(self, site: SiteView) -> Iterator[Answer]:
        """Add the site's routes; yields those that are answered without a server."""
        for planned in planned_routes(site):
            self.routes.append(self._route(site.name, planned))
            if not planned.shares:
                yield Answer(site.name, planned.index, planned.route.redirect, planned.route.respond)

    def _route(self, site: str, planned: PlannedRoute) -> RouteRule:
        sticky = planned.route.sticky
        cookie = (sticky.cookie or "") if sticky else ""
        draw = ""
        if len(planned.shares) > 1:
            draw = "src,xxh32(0),mod(100)" if sticky and sticky.source else "rand(100)"
        below, choices = 0, []
        for share in planned.shares:
            below += share.percent
            choices.append(
                Choice(share.backend.pool, share.backend.name, rf"^{value_regex(share.backend.pool)}(?:\.|\z)", below)
            )
        return RouteRule(
            site=site,
            index=planned.index,
            conditions=tuple(self._condition(condition) for condition in planned.conditions),
            choices=tuple(choices),
            draw=draw,
            cookie_variable=self._extract(cookie, cookie=True) if cookie else "",
            cookie=cookie,
            sets_cookie=bool(sticky and cookie and "server" not in sticky.keeps),
        )

    def _condition(self, condition: Condition) -> str:
        if condition not in self._names:
            name = f"c{len(self._names) + 1}"
            self._names[condition] = self._add(name, condition)
        return self._names[condition]

    def _add(self, name: str, condition: Condition) -> str:
        match condition:
            case PathPrefix(prefix):
                # `segments` is the path with a slash behind it, so whole segments are a matter of beginnings.
                whole = "path" if prefix.endswith("/") else "segments"
                self.acls.append(Acl(name, f"var(txn.{whole}) -m beg", (prefix.rstrip("/") + "/",)))
            case PathRegex(regex):
                self.acls.append(Acl(name, "var(txn.path) -m reg", (regex,)))
            case UserAgent(words):
                self.acls += [Acl(name, "req.fhdr(user-agent,1) -m sub -i", line) for line in _lines(list(words))]
            case Methods(names):
                self.acls += [Acl(name, "method", line) for line in _lines(list(names))]
            case Sources(networks):
                self.acls += [Acl(name, "src", line) for line in _lines(_source_patterns(networks))]
            case Header(header, match):
                return self._value(name, self._extract(header, cookie=False), match)
            case Cookie(cookie, match):
                return self._value(name, self._extract(cookie, cookie=True), match)
        return name

    def _value(self, name: str, variable: str, match: ValueMatch) -> str:
        if match.present is not None:
            self.acls.append(Acl(name, f"var({variable}) -m found", ()))
            return name if match.present else f"!{name}"
        if match.equals is not None:
            self.acls.append(Acl(name, f"var({variable}) -m str", (match.equals.strip(),)))
        elif match.contains is not None:
            self.acls.append(Acl(name, f"var({variable}) -m sub", (match.contains,)))
        else:
            assert match.regex is not None
            self.acls.append(Acl(name, f"var({variable}) -m reg", (match.regex,)))
        return name

    def _extract(self, name: str, *, cookie: bool) -> str:
        for extract in self.extracts:
            if (extract.name, extract.cookie) == (name, cookie):
                return extract.variable
        kind = "cookie" if cookie else "header"
        variable = f"txn.{kind}_{len(self.extracts) + 1}"
        pattern = rf"^(?:[^;]*;)*?[ \t]*{value_regex(name)}=" if cookie else ""
        self.extracts.append(Extract(variable, name, cookie, pattern))
        return variable
