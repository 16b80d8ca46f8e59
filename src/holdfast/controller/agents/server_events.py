"""Servers that went down or came back since a node's report before, as events: pure but for the JSON of that report."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from holdfast.protocol import AgentReport
from holdfast.sentences import Sentence, cut
from holdfast.store.models import Event, NodeReport

from ..identity import NodeAgent
from ..operations.written import Service, Written, as_written

_MOST_NAMED = 8  # servers that one sentence names
_LONGEST = 1000
_MOST_IN_DATA = 100
_LONGEST_NAME = 80  # of what agents may name as they like: an event has a largest size

Health = dict[Service, dict[str, bool]]  # by the names of servers that somebody has asked: whether they are up


@dataclass(frozen=True)
class Change:
    """Servers of one service that went down, or came back."""

    service: Service
    servers: tuple[str, ...]
    up: bool


def server_changes(before: NodeReport | None, report: AgentReport) -> list[Change]:
    """At most two for each pool and virtual server, however many servers changed.

    What has not been asked yet is neither: a server that was down before its proxy began anew, and is down again, is
    told again, as it was used in between.
    """
    present = _health(report)
    known = _known(before) if present else None
    if known is None:
        return []
    found = []
    for service, servers in sorted(present.items()):
        earlier = known.get(service, {})
        down = [name for name, up in servers.items() if not up and earlier.get(name) is not False]
        back = [name for name, up in servers.items() if up and earlier.get(name) is False]
        found += [Change(service, tuple(names), up) for names, up in ((down, False), (back, True)) if names]
    return found


def asked_anew(before: NodeReport | None, report: AgentReport) -> dict[Service, set[str]]:
    """Servers that are up, of which the report before did not say: their proxy began anew, and has asked them now."""
    present = _health(report)
    known = _known(before) if present else None
    if known is None:
        return {}
    found = {
        service: {name for name, up in servers.items() if up and name not in known.get(service, {})}
        for service, servers in present.items()
    }
    return {service: names for service, names in found.items() if names}


def came_back(asked: Mapping[Service, set[str]], past: Iterable[NodeReport]) -> list[Change]:
    """Those of them that were down when somebody last asked; `past`: what the node said before, newest first."""
    open_, back = {service: set(names) for service, names in asked.items()}, dict[Service, list[str]]()
    for report in past:
        for service, servers in (_known(report) or {}).items():
            for name in open_.get(service, set()) & servers.keys():
                open_[service].discard(name)
                if not servers[name]:
                    back.setdefault(service, []).append(name)
        if not any(open_.values()):
            break
    return [Change(service, tuple(sorted(names)), up=True) for service, names in sorted(back.items())]


def server_events(agent: NodeAgent, changes: Iterable[Change], names: Written, now: datetime) -> list[Event]:
    """One for each change, with servers as the spec writes them."""
    return [
        _event(agent, one.service, [as_written(names, one.service, server) for server in one.servers], one.up, now)
        for one in changes
    ]


def _health(report: AgentReport) -> Health:
    found: Health = {}
    for pool in report.status.pools if report.status else ():
        for server in pool.servers:
            if server.last:
                _add(found, ("pool", pool.pool), server.name, server.up)
    for row in report.overrides.servers if report.overrides else ():
        if row.kind is None:
            _add(found, ("virtual_server", row.source), row.server, row.weight is not None)
    return found


def _add(found: Health, service: Service, server: str, up: bool) -> None:
    """Whoever of several on this node sees it down is believed."""
    servers = found.setdefault(service, {})
    servers[server] = up and servers.get(server, True)


def _known(kept: NodeReport | None) -> Health | None:
    """Of a report that is kept; None: it does not say, as of an agent that has just started.

    Read as plain JSON, which takes a part of the time only: this is asked at each report.
    """
    try:
        said = json.loads(kept.content) if kept is not None else {}
        return _said(said) if said.get("status") else None
    except (ValueError, KeyError, TypeError, AttributeError):  # another version of the controller wrote it
        return None


def _said(report: Mapping[str, Any]) -> Health:
    found: Health = {}
    for pool in report["status"].get("pools", ()):
        for one in pool["servers"]:
            if one.get("last"):
                _add(found, ("pool", pool["pool"]), one["name"], one["up"])
    for row in (report.get("overrides") or {}).get("servers", ()):
        if row.get("kind") is None:
            _add(found, ("virtual_server", row.get("source", "")), row["server"], row.get("weight") is not None)
    return found


def _event(agent: NodeAgent, service: Service, names: list[str], up: bool, now: datetime) -> Event:
    kind, name = service[0], service[1][:_LONGEST_NAME]
    shown = [one[:_LONGEST_NAME] for one in names[:_MOST_IN_DATA]]
    named = ", ".join(shown[:_MOST_NAMED]) + (" …" if len(names) > _MOST_NAMED else "")
    values: dict[str, str | int] = {"node": agent.node, kind: name, "servers": named}
    message = cut(_sentence(kind, up, values), _LONGEST)
    data = json.dumps({kind: name, "servers": shown, "count": len(names)})
    word = "server.up" if up else "server.down"
    return Event(time=now, kind=word, cluster=agent.cluster, node=agent.node, message=message, data=data)


def _sentence(kind: str, up: bool, values: Mapping[str, str | int]) -> Sentence:
    if kind == "pool":
        if up:
            return Sentence("%(node)s sees servers of pool %(pool)s up again: %(servers)s", **values)
        return Sentence("%(node)s sees servers of pool %(pool)s down: %(servers)s", **values)
    if up:
        return Sentence("%(node)s sees servers of virtual server %(virtual_server)s up again: %(servers)s", **values)
    return Sentence("%(node)s sees servers of virtual server %(virtual_server)s down: %(servers)s", **values)
