"""From a spec to what the traffic asks: every listener, and for each site requests that end at a pool (pure)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from holdfast.lab.traffic_records import Target, TargetListener
from holdfast.lab.traffic_virtual import Sources, not_asked, virtual_listeners
from holdfast.spec.cluster import ClusterSpec
from holdfast.spec.proxies import Listener
from holdfast.spec.resolve import listener_addresses
from holdfast.spec.sites import Match, Route, Site, ValueMatch
from holdfast.spec.values import join_host_port

_ANYBODY = "visitor.example"  # the Host of requests to a site that names none
_USER_AGENT = "holdfast-rehearsal"
MAX_TARGETS = 20


@dataclass(frozen=True)
class _Request:
    """A request as routes see it; header and cookie names in lower case."""

    path: str = "/"
    user_agent: str = _USER_AGENT
    headers: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """The listeners to ask, and the routes that no request could be found for (`site: route 3`)."""

    listeners: tuple[TargetListener, ...]
    not_asked: tuple[str, ...]


def wanted_traffic(spec: ClusterSpec, sources: Sources | None = None) -> Wanted:
    """What to ask of a cluster so that every listener, virtual server and route to a pool is used.

    `sources` are the addresses that the users of virtual servers come from, by family.
    """
    listeners: list[TargetListener] = []
    missed: list[str] = [*not_asked(spec)]
    for proxy in spec.proxies.values():
        for listener in proxy.listeners:
            targets = _targets(spec, listener, missed)
            for address in listener_addresses(spec, listener.on.target):
                if address.is_loopback or address.is_unspecified:
                    continue  # not for users
                name = join_host_port(str(address), listener.on.port)
                listeners.append(TargetListener(name, str(address), listener.on.port, targets, listener.tls))
    asked = {listener.name: listener for listener in listeners}
    asked |= {listener.name: listener for listener in virtual_listeners(spec, asked, sources or {})}
    return Wanted(tuple(asked.values()), tuple(dict.fromkeys(missed)))


def _targets(spec: ClusterSpec, listener: Listener, missed: list[str]) -> tuple[Target, ...]:
    found: list[Target] = []
    for name in listener.sites:
        site = spec.sites[name]
        for number, route in enumerate(site.routes):
            if not route.split:
                continue
            target = _target(site, route)
            if target is None:
                missed.append(f"{name}: route {number + 1}")
            elif target not in found:
                found.append(target)
    return tuple(found[:MAX_TARGETS])


def _target(site: Site, route: Route) -> Target | None:
    """A GET that takes this route, or None where none was found (another method, a source address, a hard pattern)."""
    if (route.method and "GET" not in route.method) or route.source:
        return None
    for path in _paths(route):
        request = _Request(
            path,
            f"Mozilla/5.0 ({route.user_agent[0]}) {_USER_AGENT}" if route.user_agent else _USER_AGENT,
            _values({name.lower(): match for name, match in route.header.items()}),
            _values(route.cookie),
        )
        if next((r for r in site.routes if _matches(r, request)), None) is route:
            return _as_target(site, request)
    return None


def _as_target(site: Site, request: _Request) -> Target:
    host = site.hosts[0].replace("*.", "www.", 1) if site.hosts else _ANYBODY
    headers = [("User-Agent", request.user_agent), *request.headers.items()]
    if request.cookies:
        headers.append(("Cookie", "; ".join(f"{name}={value}" for name, value in request.cookies.items())))
    return Target(host, request.path, tuple(headers))


def _paths(route: Route) -> tuple[str, ...]:
    """Paths that may match, the likeliest first."""
    base = route.path or "/"
    if route.path_regex is None:
        return (base, base.rstrip("/") + "/page")
    plain = re.sub(r"\\(.)", r"\1", re.sub(r"\(\?[^)]*\)|[\^$()+*?]", "", route.path_regex.replace(".*", "x")))
    first_choice = re.sub(r"\|[^/|]*", "", plain)
    guesses = (plain, first_choice, base + plain, base + "x" + plain, base)
    return tuple(guess if guess.startswith("/") else f"/{guess}" for guess in guesses)


def _values(matches: dict[str, ValueMatch]) -> dict[str, str]:
    """A value for each header or cookie that must be there."""
    found = {}
    for name, match in matches.items():
        if match.present is False:
            continue
        text = match.equals or match.contains or re.sub(r"[\^$()+*?\\.]", "", match.regex or "") or "1"
        found[name] = text
    return found


def _matches(match: Match, request: _Request) -> bool:
    """Whether a route takes a GET; source addresses are taken not to match, because the client's is not known."""
    if (match.method and "GET" not in match.method) or match.source:
        return False
    if match.path and match.path != "/":
        prefix = match.path.rstrip("/")
        if request.path != prefix and not request.path.startswith(prefix + "/"):
            return False
    if match.path_regex and not re.search(match.path_regex, request.path):
        return False
    agent = request.user_agent.lower()
    if match.user_agent and not any(text.lower() in agent for text in match.user_agent):
        return False
    headers = all(_holds(m, request.headers.get(name.lower())) for name, m in match.header.items())
    return headers and all(_holds(m, request.cookies.get(name)) for name, m in match.cookie.items())


def _holds(match: ValueMatch, value: str | None) -> bool:
    if match.present is not None:
        return match.present == (value is not None)
    if value is None:
        return False
    if match.equals is not None:
        return value == match.equals
    if match.contains is not None:
        return match.contains in value
    return bool(re.search(match.regex or "", value))
