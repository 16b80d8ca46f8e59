"""nginx's lists of servers, `server ADDRESS:PORT …;` a line: only their `down` marks are state."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from holdfast.bundle import NGINX_SERVERS_DIR, PROBER_FILE, Bundle, ProbedPool, ProbedPools

_LINE = re.compile(r"(?P<head>server (?P<endpoint>[0-9a-fA-F.:\[\]]+)[^;#]*?)(?P<down> down)?(?P<tail>;.*)")


def _lines(text: str) -> Iterator[tuple[str, re.Match[str] | None]]:
    for line in text.splitlines(keepends=True):
        yield line, _LINE.fullmatch(line.rstrip("\n"))


def endpoints(text: str) -> tuple[str, ...]:
    """Every `address:port` that the list names, in its order."""
    return tuple(found["endpoint"] for _, found in _lines(text) if found)


def down_in(text: str) -> frozenset[str]:
    """Those that are marked down."""
    return frozenset(found["endpoint"] for _, found in _lines(text) if found and found["down"])


def backups_in(text: str) -> frozenset[str]:
    """Those that get traffic only when no other server is up."""
    return frozenset(f["endpoint"] for _, f in _lines(text) if f and "backup" in f["head"].split())


def marked(text: str, down: Collection[str]) -> str:
    """The same list with exactly those of `down` marked that it names; what else it says is kept to the byte."""
    written = []
    for line, found in _lines(text):
        if found:
            mark, end = " down" if found["endpoint"] in down else "", "\n" if line.endswith("\n") else ""
            written.append(f"{found['head']}{mark}{found['tail']}{end}")
        else:
            written.append(line)
    return "".join(written)


def unmarked(text: str) -> str:
    """The list as its bundle brought it."""
    return marked(text, ())


def list_path(upstream: str) -> str:
    """Where the list of an upstream is."""
    return f"{NGINX_SERVERS_DIR}/{upstream}.conf"


def pools_of(bundle: Bundle | None) -> ProbedPools | None:
    """What the bundle has the prober ask, or None; raises ValidationError for what admission would have refused."""
    file = bundle.file(PROBER_FILE) if bundle else None
    return ProbedPools.model_validate_json(file.content) if file else None


def carried_over(bundle: Bundle, previous: Mapping[str, str]) -> dict[str, str]:
    """Each list of servers of `bundle` (by path) with the marks that servers had before: applying heals nobody.

    `previous` are the lists in use, by path. A pool whose remaining servers would be too few starts with all of them.
    """
    pools = pools_of(bundle)
    found: dict[str, str] = {}
    for pool in pools.pools if pools else ():
        down = _known_down(pool, previous)
        for path in map(list_path, pool.upstreams):
            file = bundle.file(path)
            if file is not None and file.state:
                found[path] = marked(file.content, down)
    return found


def _known_down(pool: ProbedPool, previous: Mapping[str, str]) -> frozenset[str]:
    named = {server.endpoint for server in pool.servers}
    known = frozenset[str]().union(*(down_in(previous.get(list_path(upstream), "")) for upstream in pool.upstreams))
    down = known & named
    return down if len(named) - len(down) >= min(pool.min_servers, len(named)) else frozenset()
