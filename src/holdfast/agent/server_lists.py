"""nginx's lists of servers, `server ADDRESS:PORT …;` a line: their `down` marks and their weights are state.

There are two marks, and nginx takes one for as much as both: the prober's stands at the end, an operator's (it is an
override) right behind the address. So each comes and goes without a word about the other. A line whose mark or weight
is an operator's says so at its end: a weight that was changed by hand is none.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from holdfast.bundle import NGINX_SERVERS_DIR, PROBER_FILE, Bundle, ProbedPool, ProbedPools

_LINE = re.compile(r"(?P<head>server (?P<endpoint>[0-9a-fA-F.:\[\]]+)[^;#]*?)(?P<down> down)?(?P<tail>;.*)")
_SAID = " (overridden)"
_WISH = re.compile(
    r"server (?P<endpoint>\S+?)(?P<out> down)? weight=(?P<weight>[0-9]{1,5})(?P<rest>[ ;].*?)(?P<said> \(overridden\))?"
)


@dataclass(frozen=True)
class ListedServer:
    """A server as a list names it. `out`: an operator took it out; `said`: its line says that it is overridden."""

    endpoint: str
    weight: int
    out: bool = False
    name: str = ""
    said: bool = False


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


def taken_out(text: str) -> frozenset[str]:
    """Those that an operator took out."""
    return frozenset(one.endpoint for one in listed(text) if one.out)


def listed(text: str) -> tuple[ListedServer, ...]:
    """Every server with its weight; those without one, which Holdfast does not write, are left out."""
    found = (_WISH.fullmatch(line) for line in text.splitlines())
    return tuple(
        ListedServer(
            one["endpoint"],
            int(one["weight"]),
            one["out"] is not None,
            one["rest"].partition("; # ")[2].strip(),
            one["said"] is not None,
        )
        for one in found
        if one
    )


def overridden(text: str, base: str, wanted: Mapping[str, ListedServer]) -> str:
    """The same list with what an operator wants: what was overridden before, and is not now, is as `base` has it.

    The prober's marks stay, as does everything else, to the byte.
    """
    as_brought = {one.endpoint: one for one in listed(base)}
    written = []
    for line in text.splitlines(keepends=True):
        found = _WISH.fullmatch(line.rstrip("\n"))
        if found:
            mine = wanted.get(found["endpoint"])
            wish = mine or (as_brought.get(found["endpoint"]) if found["said"] else None)
            if wish:
                out, said, end = " down" if wish.out else "", _SAID if mine else "", "\n" if line.endswith("\n") else ""
                line = f"server {wish.endpoint}{out} weight={wish.weight}{found['rest']}{said}{end}"
        written.append(line)
    return "".join(written)


def unmarked(text: str, base: str) -> str:
    """The list as its bundle brought it, `base`, if only its marks and weights are others."""
    return marked(overridden(text, base, {}), ())


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
