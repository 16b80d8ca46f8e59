"""Services of which no server is left: those that are down, and those that somebody took out, count alike. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.protocol.api.status import ServiceHealth
from holdfast.sentences import Sentence

_OUT = ("drained", "suspended")


def nothing_left(services: Iterable[ServiceHealth]) -> Iterable[Sentence]:
    """What is to be said of those that nobody serves."""
    for one in services:
        out = sum(each.override in _OUT for each in one.servers)
        down = sum(each.up is False and each.override not in _OUT for each in one.servers)
        if one.servers and out + down == len(one.servers):
            yield _pool(one.name, down, out) if one.kind == "pool" else _virtual_server(one.name, down, out)


def _pool(name: str, down: int, out: int) -> Sentence:
    if not out:
        return Sentence("pool %(pool)s has no server that is up", pool=name)
    if not down:
        return Sentence("pool %(pool)s has no server left: all are taken out", pool=name)
    return Sentence("pool %(pool)s has no server left: %(down)s down, %(out)s taken out", pool=name, down=down, out=out)


def _virtual_server(name: str, down: int, out: int) -> Sentence:
    if not out:
        return Sentence("virtual server %(virtual_server)s has no server that is up", virtual_server=name)
    if not down:
        return Sentence("virtual server %(virtual_server)s has no server left: all are taken out", virtual_server=name)
    values: dict[str, str | int] = {"virtual_server": name, "down": down, "out": out}
    return Sentence("virtual server %(virtual_server)s has no server left: %(down)s down, %(out)s taken out", **values)
