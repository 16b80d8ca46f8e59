"""Looks at a node for what differs from what was applied: cheap things each time, dear ones now and then."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from holdfast.agent import overrides
from holdfast.agent.changes import KERNEL
from holdfast.agent.daemon.drift import files
from holdfast.agent.daemon.drift.ledger import Seen
from holdfast.agent.generations import Generations
from holdfast.agent.host.network import in_words
from holdfast.agent.services import network, nftables, sysctl
from holdfast.agent.services.base import Node, healthy
from holdfast.agent.steps import translated
from holdfast.agent.vrrp_state import groups_of
from holdfast.bundle import Bundle, Service
from holdfast.findings import Finding, Severity
from holdfast.protocol import DriftKind
from holdfast.sentences import Sentence

DEAR_EVERY_S = 30.0
AFRESH_EVERY_S = 600.0  # though nothing tells of a change
_TOLD = frozenset({Severity.ERROR, Severity.WARNING})
_SHARE = 0.001  # of a processor, for the table
_STARTED_AT = 19  # in /proc/PID/stat, counted behind the program's name


@dataclass
class _Watched:
    """What is compared. `bundle` is without its files: an idle agent is small."""

    name: str
    bundle: Bundle
    sysctls: dict[str, str]
    signature: files.Signature = ()
    in_files: tuple[Seen, ...] = ()
    processes: dict[Service, tuple[int, str]] = field(default_factory=dict)
    dear_at: float = 0.0
    dear: tuple[Seen, ...] = ()
    ruleset_at: float = 0.0  # when it may be listed again
    ruleset_number: int | None = None
    ruleset: tuple[Seen, ...] = ()
    table_at: float = 0.0
    table: tuple[Seen, ...] = ()


class Looks:
    """At one node; keeps what it saw, to see the next time only what changed."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._generations = Generations(node.places)
        self._watched: _Watched | None = None

    def forget(self) -> None:
        """Something was applied: everything is looked at afresh."""
        self._watched = None

    def look(self) -> tuple[Seen, ...]:
        """Everything that differs; nothing on a node where nothing was applied. Raises ApplyError, TableUnreadable."""
        with translated():
            watched = self._current()
            if watched is None:
                return ()
            now = self._node.host.monotonic()
            dear = now >= watched.dear_at
            if dear:  # what is found is looked at again the next time: it may pass
                watched.dear = tuple(self._dear(watched))
                watched.dear_at = now if watched.dear else now + DEAR_EVERY_S
            return (
                *self._files(watched),
                *self._services(watched, dear),
                *self._sysctls(watched),
                *self._groups(watched),
                *self._table(watched, now),
                *self._ruleset(watched, now),
                *watched.dear,
            )

    def _current(self) -> _Watched | None:
        name = self._generations.current()
        if name is None or self._watched is None or self._watched.name != name:
            bundle = self._generations.bundle(name)
            if name is None or bundle is None:
                self._watched = None
            else:
                light = bundle.model_copy(update={"files": ()})
                self._watched = _Watched(name, light, sysctl.wanted(bundle, self._node.host))
        return self._watched

    def _files(self, watched: _Watched) -> tuple[Seen, ...]:
        folder = self._generations.folder(watched.name)
        now = files.signature(self._node.places, folder, watched.bundle)
        if now != watched.signature:
            watched.in_files = files.differing(self._generations, watched.name)
            watched.signature = now
        return watched.in_files

    def _services(self, watched: _Watched, thoroughly: bool) -> Iterator[Seen]:
        for service in watched.bundle.services:
            if service in KERNEL:
                continue
            known = watched.processes.get(service)
            if known is not None and not thoroughly and _started(known[0]) == known[1]:
                continue
            watched.processes.pop(service, None)
            why = healthy(self._node, watched.bundle, service)
            if why:
                yield Seen(DriftKind.SERVICE, service.value, why)
                continue
            pid = self._node.manager.status(service).pid
            words = _stat(pid) if pid is not None else []
            if words[:1] == ["T"]:
                yield Seen(
                    DriftKind.SERVICE, service.value, Sentence("process %(pid)s was halted by a signal", pid=pid)
                )
            elif pid is not None and words:
                watched.processes[service] = (pid, _started(pid))

    def _sysctls(self, watched: _Watched) -> Iterator[Seen]:
        host = self._node.host
        for key, value in watched.sysctls.items():
            if host.has_sysctl(key) and (now := host.read_sysctl(key)) != value:
                said = Sentence("it is %(now)s, and should be %(wanted)s", now=now, wanted=value)
                yield Seen(DriftKind.SYSCTL, key, said)

    def _groups(self, watched: _Watched) -> Iterator[Seen]:
        # keepalived 2.2.7 that loses an address to a hand steps back and takes all of them anew within 0.1 s (asked of
        # it): what stays is one that has stopped to follow its interfaces.
        for group in groups_of(watched.bundle, self._node.host, self._node.places):
            for address in group.missing if group.present else ():
                where = Sentence("%(address)s on %(interface)s", address=address.address, interface=address.interface)
                said = Sentence("group %(group)s is held here without it", group=group.expected.group)
                yield Seen(DriftKind.ADDRESS, where, said)

    def _table(self, watched: _Watched, now: float) -> tuple[Seen, ...]:
        """A table of thousands of servers is compared less often than one of ten, while nothing differs."""
        if now >= watched.table_at:
            started = time.thread_time()
            watched.table = tuple(
                Seen(DriftKind.TABLE, _named(finding), finding.hint)
                for finding in overrides.differences(self._node, watched.bundle)
                if finding.severity in _TOLD
            )
            rest = min((time.thread_time() - started) / _SHARE, DEAR_EVERY_S)
            watched.table_at = now if watched.table else now + rest
        return watched.table

    def _ruleset(self, watched: _Watched, now: float) -> tuple[Seen, ...]:
        """A program lists it, which takes long with many rules: only after a change, as the kernel counts them.

        Where others change theirs all the time, or the kernel does not count, it is listed now and then.
        """
        if Service.NFTABLES not in watched.bundle.services:
            return ()
        number = self._node.host.ruleset_number()  # before it is listed: what comes in between raises it once more
        changed = number is None or number != watched.ruleset_number
        if now >= watched.ruleset_at + (0.0 if changed else AFRESH_EVERY_S):
            bundle = self._generations.bundle(watched.name)
            well = bundle is None or nftables.as_remembered(self._node.places, self._node.host, bundle)
            said = Sentence("its tables are not as they were loaded")
            seen = Seen(DriftKind.SERVICE, Service.NFTABLES.value, said)
            watched.ruleset = () if well else (seen,)
            watched.ruleset_number = number
            watched.ruleset_at = now + DEAR_EVERY_S if well else now
        return watched.ruleset

    def _dear(self, watched: _Watched) -> Iterator[Seen]:
        """What programs have to be run for."""
        bundle = self._generations.bundle(watched.name) if Service.NETWORK in watched.bundle.services else None
        if bundle is not None:
            orders = network.missing(self._node.host, network.target(bundle, self._node.places))
            for order in (*orders.make, *orders.add, *orders.take, *orders.route, *orders.remove):
                said = Sentence("this node's network is not as it was told to be")
                yield Seen(DriftKind.ADDRESS, in_words(order), said)


def _named(finding: Finding) -> Sentence:
    return Sentence("%(code)s %(what)s", code=finding.code, what=finding.message)


def _started(pid: int) -> str:
    """When a process started, in the kernel's own words; empty for one that ended, or was halted."""
    words = _stat(pid)
    return words[_STARTED_AT] if words and words[0] not in ("Z", "X", "T") else ""


def _stat(pid: int) -> list[str]:
    """/proc/PID/stat behind the program's name, its state first; empty for a process that ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            words = file.read(4096).decode("ascii", "replace").rpartition(")")[2].split()
    except OSError:
        return []
    return words if len(words) > _STARTED_AT else []
