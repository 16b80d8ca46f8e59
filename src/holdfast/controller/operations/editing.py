"""Edits of virtual servers and servers, as forms ask for them: changes of a spec's text, planned before they are made.

What an edit does to the text is pure; comments stay. What becomes of it goes through the plan, revision and rollout of
any other change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.errors import NotFound, PlanRefused, StateForbids, UsageError
from holdfast.protocol.api.plans import ProposalView
from holdfast.protocol.api.revisions import Applied, RevisionRequest
from holdfast.protocol.api.rollouts import RolloutOptions
from holdfast.sentences import Sentence
from holdfast.spec.checks import Check
from holdfast.spec.cluster import ClusterSpec
from holdfast.spec.load import parse_spec
from holdfast.spec.positions import read_yaml
from holdfast.spec.rewrite import Append, Put, Remove, Rewriting, rewrite
from holdfast.spec.servers import Server
from holdfast.spec.values import WrongError, format_duration, parse_duration
from holdfast.spec.virtual_servers import TakenPorts, VirtualServer
from holdfast.store.revisions import digest_of

from ..turns import Turns
from .compiling import content_of
from .desk import Desk, known_cluster
from .edits import (
    WITH_TARGET,
    AddServer,
    AddVirtualServer,
    ChangeServer,
    ChangeVirtualServer,
    CheckAsked,
    Edit,
    RemoveServer,
    RemoveVirtualServer,
    Section,
    ServerAsked,
    VirtualServerAsked,
    described,
)
from .merging import merged
from .proposals import propose, text_diff
from .revisions import apply


@dataclass(frozen=True)
class Merging:
    """`text` is for revision `newest`; what both sides changed, and what `text` adds to the newest, as diffs."""

    newest: int
    text: str
    conflicts: int
    theirs: str
    yours: str
    added: str


_WITH_FLAGS = ("sh", "mh")
_OF_ANY_CHECK = ("every", "timeout", "fall", "retry_every", "delay")


async def propose_edit(desk: Desk, cluster: str, base: int, edit: Edit) -> ProposalView:
    """What an edit of revision `base` would do; nothing is written. Raises what `propose` does, and NotFound."""
    return await propose(desk, cluster, await _text(desk, cluster, base, edit), base, f"revision {base}, edited")


async def apply_edit(
    desk: Desk, cluster: str, base: int, edit: Edit, digest: str, message: str, options: RolloutOptions
) -> Applied:
    """Make it a revision, and roll it out. `digest` is of the text that was planned: nothing else is applied."""
    text = await _text(desk, cluster, base, edit)
    return await apply_text(desk, cluster, base, text, digest, message or described(edit), options)


async def apply_text(
    desk: Desk, cluster: str, base: int, text: str, digest: str, message: str, options: RolloutOptions
) -> Applied:
    """The same of a whole text, as somebody has written it."""
    if digest_of(text) != digest:
        raise UsageError("this is not what was planned", "look at the plan again, then apply it")
    return await apply(desk, cluster, RevisionRequest(spec=text, base=base, message=message, options=options))


async def merge(desk: Desk, turns: Turns, cluster: str, base: int, text: str) -> Merging:
    """What somebody made of revision `base`, brought together with what others have made of it since.

    Conflict if the same person has asked anew while this waited for its turn.
    """
    await known_cluster(desk.store, cluster)
    newest = await desk.store.cluster(cluster).revisions.newest_number()
    theirs = (await content_of(desk.store, cluster, newest)).spec if newest else ""
    old = (await content_of(desk.store, cluster, base)).spec if base else ""

    def work() -> Merging:
        found = merged(old, text, theirs, f"revision {newest}")
        return Merging(
            newest=newest,
            text=found.text,
            conflicts=found.conflicts,
            theirs=text_diff(old, theirs, f"revision {base}", f"revision {newest}"),
            yours=text_diff(old, text, f"revision {base}", "yours"),
            added=text_diff(theirs, found.text, f"revision {newest}", "both"),
        )

    async with turns.turn(f"{desk.actor} merging {cluster}"):
        return await asyncio.to_thread(work)


async def _text(desk: Desk, cluster: str, base: int, edit: Edit) -> str:
    await known_cluster(desk.store, cluster)
    if not base:
        raise NotFound(
            Sentence("%(name)s has no revision yet", name=cluster),
            Sentence("apply a spec first: holdfast apply cluster.yaml"),
        )
    content = await content_of(desk.store, cluster, base)
    return await desk.worked_out(lambda: edited(content.spec, edit))


def edited(text: str, edit: Edit) -> str:
    """The spec's text after an edit; NotFound for what it does not have, UsageError for what cannot be written."""
    spec = parse_spec(text).spec
    data = read_yaml(text, "the spec")[0]
    return rewrite(text, tuple(_changes(spec, data, edit)))


def _changes(spec: ClusterSpec, data: Any, edit: Edit) -> Iterable[Rewriting]:
    match edit:
        case AddServer():
            _servers(spec, edit.section, edit.entry)
            yield Append((edit.section, edit.entry, "servers"), _written(edit.to))
        case ChangeServer():
            place, server = _found(spec, edit.section, edit.entry, edit.server)
            path = (edit.section, edit.entry, "servers", place)
            raw = data[edit.section][edit.entry]["servers"][place]
            yield Put(path, _server_changed(raw, server_asked(server), edit.to))
        case RemoveServer():
            place, _ = _found(spec, edit.section, edit.entry, edit.server)
            if len(_servers(spec, edit.section, edit.entry)) == 1:
                raise PlanRefused(
                    Sentence("%(server)s is the last server of %(entry)s", server=edit.server, entry=edit.entry),
                    "delete the whole instead",
                )
            yield Remove((edit.section, edit.entry, "servers", place))
        case AddVirtualServer():
            if edit.entry in spec.virtual_servers:
                raise StateForbids(
                    Sentence("there is a virtual server '%(entry)s' already", entry=edit.entry), "take another name"
                )
            yield Put(("virtual_servers", edit.entry), _whole(edit.to, edit.servers))
        case ChangeVirtualServer():
            virtual = _virtual(spec, edit.entry)
            raw = data["virtual_servers"][edit.entry]
            yield from _virtual_changed(("virtual_servers", edit.entry), raw, virtual_asked(virtual), edit.to)
        case RemoveVirtualServer():
            _virtual(spec, edit.entry)
            yield Remove(("virtual_servers", edit.entry))


def _virtual(spec: ClusterSpec, name: str) -> VirtualServer:
    if name not in spec.virtual_servers:
        raise NotFound(Sentence("there is no virtual server '%(name)s'", name=name[:80]), "look at the list")
    return spec.virtual_servers[name]


def _servers(spec: ClusterSpec, section: Section, entry: str) -> tuple[Server, ...]:
    if section == "virtual_servers":
        return _virtual(spec, entry).servers
    if entry not in spec.pools:
        raise NotFound(Sentence("there is no pool '%(entry)s'", entry=entry[:80]), "look at the list")
    return spec.pools[entry].servers


def _found(spec: ClusterSpec, section: Section, entry: str, written: str) -> tuple[int, Server]:
    for place, server in enumerate(_servers(spec, section, entry)):
        if server.written == written:
            return place, server
    raise NotFound(
        Sentence("%(entry)s has no server '%(written)s'", entry=entry, written=written[:80]), "look at the list"
    )


# --- what stands in the spec now, as forms ask for it ----------------------------------------------------------------


def find_server(spec: ClusterSpec, section: Section, entry: str, written: str) -> ServerAsked:
    """A server as the spec has it; NotFound."""
    return server_asked(_found(spec, section, entry, written)[1])


def server_asked(server: Server) -> ServerAsked:
    """The same of one that was found."""
    return ServerAsked(
        address=server.written,
        weight=server.weight,
        max_connections=server.max_connections,
        resume_below=server.resume_below,
        backup=server.backup,
    )


def find_virtual_server(spec: ClusterSpec, name: str) -> VirtualServerAsked:
    """A virtual server as the spec has it; NotFound."""
    return virtual_asked(_virtual(spec, name))


def virtual_asked(virtual: VirtualServer) -> VirtualServerAsked:
    """The same of one that was found; times that the spec leaves out are left out."""
    return VirtualServerAsked(
        on=tuple(_taken(one) for one in virtual.on),
        protocol=virtual.protocol,
        forward=virtual.forward,
        scheduler=virtual.scheduler.name,
        persistence=format_duration(virtual.persistence.keeps) if virtual.persistence else "",
        check=_check_asked(virtual.check) if virtual.check else None,
        quorum=virtual.quorum.weight,
        sorry=virtual.sorry.written if virtual.sorry else "",
        hook_up=virtual.hooks.up or "",
        hook_down=virtual.hooks.down or "",
    )


def _taken(one: TakenPorts) -> str:
    ports = f"{one.first}-{one.last}" if one.is_range else str(one.first)
    return f"[{one.target}]:{ports}" if ":" in one.target else f"{one.target}:{ports}"


def _check_asked(check: Check) -> CheckAsked:
    said = check.model_fields_set
    kind: Any = check.kind
    return CheckAsked(
        kind=kind,
        target=str(getattr(check, kind)) if kind in WITH_TARGET else "",
        every=format_duration(check.every) if "every" in said else "",
        timeout=format_duration(check.timeout) if "timeout" in said else "",
        fall=check.fall if "fall" in said else None,
        retry_every=format_duration(check.retry_every) if check.retry_every else "",
        port=check.port,
    )


# --- how it is written -----------------------------------------------------------------------------------------------


def _written(server: ServerAsked) -> Any:
    """A new entry of a list of servers: short where there is nothing more to say."""
    more = {key: value for key, value in _more(server).items() if value is not None}
    return {"address": server.address, **more} if more else server.address


def _more(server: ServerAsked) -> dict[str, Any]:
    """Fields beside the address; None where nothing is to be written."""
    return {
        "weight": server.weight if server.weight != 1 else None,
        "max_connections": server.max_connections,
        "resume_below": server.resume_below,
        "backup": server.backup or None,
    }


def _server_changed(raw: Any, before: ServerAsked, after: ServerAsked) -> Any:
    """The entry with what differs: whatever else stands there stays."""
    new: dict[str, Any] = dict(raw) if isinstance(raw, Mapping) else {"address": raw}
    if after.address != before.address:
        for key in ("host", "port"):
            new.pop(key, None)
        new["address"] = after.address
    had, wanted = _more(before), _more(after)
    for key, value in wanted.items():
        if value == had[key]:
            continue
        if value is None:
            new.pop(key, None)
        else:
            new[key] = value
    return new["address"] if set(new) == {"address"} and not isinstance(raw, Mapping) else new


def _whole(asked: VirtualServerAsked, servers: Iterable[ServerAsked]) -> dict[str, Any]:
    default = VirtualServerAsked()
    found: dict[str, Any] = {"on": _one_or_more(asked.on)}
    if asked.protocol != default.protocol:
        found["protocol"] = asked.protocol
    found["forward"] = asked.forward
    if asked.scheduler != default.scheduler:
        found["scheduler"] = asked.scheduler
    if asked.persistence:
        found["persistence"] = asked.persistence
    found["servers"] = [_written(one) for one in servers]
    if asked.check:
        found["check"] = _check(asked.check, {})
    if asked.sorry:
        found["sorry"] = asked.sorry
    if asked.quorum != default.quorum:
        found["quorum"] = asked.quorum
    if hooks := {key: value for key, value in (("up", asked.hook_up), ("down", asked.hook_down)) if value}:
        found["hooks"] = hooks
    return found


def _one_or_more(on: tuple[str, ...]) -> Any:
    return on[0] if len(on) == 1 else list(on)


def _virtual_changed(
    at: tuple[str, ...], raw: Mapping[str, Any], before: VirtualServerAsked, after: VirtualServerAsked
) -> Iterable[Rewriting]:
    """A change for each field that differs, and none for what the form does not know."""
    if after.on != before.on:
        yield Put((*at, "on"), list(after.on) if isinstance(raw.get("on"), list) else _one_or_more(after.on))
    for field in ("protocol", "forward"):
        if getattr(after, field) != getattr(before, field):
            yield Put((*at, field), getattr(after, field))
    if after.scheduler != before.scheduler:
        keeps = isinstance(raw.get("scheduler"), Mapping) and after.scheduler in _WITH_FLAGS
        yield Put((*at, "scheduler", "name") if keeps else (*at, "scheduler"), after.scheduler)
    inner: Iterable[tuple[str, str, Any, Any, Any]] = (
        ("persistence", "keeps", before.persistence, after.persistence, ""),
        ("quorum", "weight", before.quorum, after.quorum, None),
        ("sorry", "address", before.sorry, after.sorry, ""),
    )
    for field, key, old, new, empty in inner:
        if new == empty and old != empty:
            yield Remove((*at, field))
        elif new != old:
            yield Put((*at, field, key) if isinstance(raw.get(field), Mapping) else (*at, field), new)
    for key, old, new in (("up", before.hook_up, after.hook_up), ("down", before.hook_down, after.hook_down)):
        if new != old:
            yield Put((*at, "hooks", key), new) if new else Remove((*at, "hooks", key))
    if after.check != before.check:
        place = (*at, "check")
        yield Put(place, _check(after.check, raw.get("check") or {})) if after.check else Remove(place)


def _check(check: CheckAsked, raw: Mapping[str, Any]) -> dict[str, Any]:
    """A check as it is written; of the present one everything stays that belongs to the same question."""
    same = check.kind in raw
    kept = {key: value for key, value in raw.items() if same or key in _OF_ANY_CHECK}
    kept[check.kind] = check.target if check.kind in WITH_TARGET else True
    if check.kind in ("http", "https") and not check.target:
        kept[check.kind] = "/"
    fields = (
        ("every", check.every),
        ("timeout", check.timeout),
        ("fall", check.fall),
        ("retry_every", check.retry_every),
        ("port", check.port),
    )
    for key, value in fields:
        if not value:
            kept.pop(key, None)
        elif _differs(kept.get(key), value):
            kept[key] = value
    return {check.kind: kept.pop(check.kind), **kept}


def _differs(old: Any, new: Any) -> bool:
    """`60s` says what `1m` says: what means the same stays as its author wrote it."""
    return old != new and (_milliseconds(old) is None or _milliseconds(old) != _milliseconds(new))


def _milliseconds(value: Any) -> int | None:
    try:
        return parse_duration(value)
    except WrongError:
        return None
