"""What a change may do to traffic: every difference of two bundles is classed, and says why."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.bundle import PROBER_FILE, Bundle, ProbedPool, ProbedPools, Service, VrrpExpectation

from .difference import FileChange
from .hazards_lvs import lvs_hazards
from .note import Hazard, HazardNote

_RELOADED = (Service.NGINX, Service.HAPROXY, Service.KEEPALIVED)


def hazards(old: Bundle | None, new: Bundle | None, changes: tuple[FileChange, ...]) -> tuple[HazardNote, ...]:
    """The hazards of taking one node from `old` to `new`; a node's first bundle has none: nothing runs there yet."""
    if old is None:
        return ()
    notes = [*_reloads(old, new, changes), *_groups(old, new), *_listeners(old, new), *lvs_hazards(old, new)]
    return tuple(dict.fromkeys(notes))


def _reloads(old: Bundle, new: Bundle | None, changes: tuple[FileChange, ...]) -> Iterator[HazardNote]:
    services = set(new.services) if new else set()
    yield from _checks(old, new)
    for service in sorted({change.service for change in changes} - {Service.PROBER}):
        if service in services and service in old.services:
            if service in _RELOADED:
                yield HazardNote(Hazard.RELOAD, f"{service} reads its configuration anew")
            else:
                yield HazardNote(Hazard.LIVE, f"{service} settings are set anew")
    for service in old.services:
        if service not in services and service in _RELOADED:
            yield HazardNote(Hazard.DROPS_CONNECTIONS, f"{service} is stopped: it is no longer part of this node")


def _checks(old: Bundle, new: Bundle | None) -> Iterator[HazardNote]:
    """What the prober asks from now on: itself it changes nothing, but what it finds reloads nginx."""
    before, after = _probed(old), _probed(new)
    if before and after and (told := _told(new)) != _told(old):
        yield HazardNote(Hazard.LIVE, f"the prober mails {told}")
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name), after.get(name)
        if now is None:
            reason = f"the prober asks the servers of pool '{name}' no more: passive checks alone find those that fail"
            yield HazardNote(Hazard.LIVE, reason)
        elif was is None or was != now:
            begins = "begins to ask the servers" if was is None else "asks the servers anew"
            yield HazardNote(Hazard.LIVE, f"the prober of pool '{name}' {begins}: {_in_words(now)}")


def _told(bundle: Bundle | None) -> str:
    file = bundle.file(PROBER_FILE) if bundle else None
    mail = ProbedPools.model_validate_json(file.content).mail if file else None
    if mail is None:
        return "nobody"
    events = " and ".join(word for word, asked in (("go down", mail.down), ("come back", mail.up)) if asked)
    return f"{', '.join(mail.recipients)} through {mail.host} port {mail.port} when servers {events}"


def _probed(bundle: Bundle | None) -> dict[str, ProbedPool]:
    file = bundle.file(PROBER_FILE) if bundle else None
    return {pool.pool: pool for pool in ProbedPools.model_validate_json(file.content).pools} if file else {}


def _in_words(pool: ProbedPool) -> str:
    check = pool.check
    what = f"GET {check.http}" if check.http else "a connection"
    return (
        f"{what} every {check.every_ms / 1000:g} s; {check.fall} bad answers in a row take one out by a reload of"
        f" nginx, {check.rise} good ones bring it back, {pool.min_servers} always stay; while the agent is dead, what"
        " it knew last holds, and passive checks go on"
    )


def _groups(old: Bundle, new: Bundle | None) -> Iterator[HazardNote]:
    after = {group.group: group for group in new.expected.vrrp} if new else {}
    for before in old.expected.vrrp:
        now = after.get(before.group)
        if now is None:
            yield HazardNote(Hazard.MOVES_VIP, f"this node leaves the group '{before.group}'")
            continue
        yield from _advert(before, now)
        gone = {held.address for held in before.addresses} - {held.address for held in now.addresses}
        for address in sorted(gone):
            yield HazardNote(Hazard.DROPS_CONNECTIONS, f"{address} is taken out of '{before.group}'")
        if before.priority != now.priority:
            reason = f"the rank of this node in '{before.group}' changes ({before.priority} → {now.priority})"
            yield HazardNote(Hazard.MOVES_VIP, reason)


def _advert(before: VrrpExpectation, now: VrrpExpectation) -> Iterator[HazardNote]:
    """What is in the advert, or decides who hears it, has to change on all members at once (RFC 5798 5.2)."""
    for what, was, becomes in (
        ("VRID", before.vrid, now.vrid),
        ("advert interval", f"{before.advert_interval_ms}ms", f"{now.advert_interval_ms}ms"),
        ("interface of the adverts", before.interface, now.interface),
        ("anchor", before.anchor.address, now.anchor.address),
    ):
        if was != becomes:
            yield HazardNote(Hazard.SIMULTANEOUS, f"the {what} of '{before.group}' changes ({was} → {becomes})")


def _listeners(old: Bundle, new: Bundle | None) -> Iterator[HazardNote]:
    after = {(item.address, item.port) for item in new.expected.listeners} if new else set()
    for item in old.expected.listeners:
        if (item.address, item.port) not in after:
            yield HazardNote(Hazard.DROPS_CONNECTIONS, f"nothing listens on {item.address} port {item.port} any more")
