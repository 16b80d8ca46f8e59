"""From VRRP groups to the instances that one node runs."""

from __future__ import annotations

from ipaddress import ip_interface
from typing import get_args

from holdfast.bundle import HOLD_DIR, PROBE_DIR, SERVICE_STATE_DIR, TRACK_DIR
from holdfast.failover import Ranking, rank
from holdfast.spec.checks import Tracker
from holdfast.spec.cluster import ClusterSpec
from holdfast.spec.proxies import Engine
from holdfast.spec.resolve import (
    advert_family,
    advert_interface,
    advert_source,
    carrying_interface,
    with_prefix,
)
from holdfast.spec.values import join_host_port
from holdfast.spec.vrrp import PreemptAfter, VrrpGroup

from .lock import Secrets
from .node_view import HeldView, TrackedFile, TrackedInterface, TrackedProcess, TrackedScript, VrrpView

PROBE = f"{PROBE_DIR}/probe"
SUPERVISED = get_args(Engine)  # services whose death the supervisor reports at once


def vrrp_views(
    spec: ClusterSpec, node: str, vrids: dict[str, int], secrets: Secrets, *, process_events: bool
) -> tuple[VrrpView, ...]:
    """The groups that `node` is a member of, as it runs them, by name."""
    return tuple(
        _view(spec, name, group, node, vrids[name], secrets, process_events)
        for name, group in sorted(spec.vrrp.items())
        if node in group.members
    )


def anchor_address(family: int, vrid: int) -> str:
    """The one advertised address of a group: it never changes and serves nothing."""
    return f"169.254.255.{vrid}/32" if family == 4 else f"fe80::5afe:{vrid:x}/128"


def _view(
    spec: ClusterSpec, name: str, group: VrrpGroup, node: str, vrid: int, secrets: Secrets, process_events: bool
) -> VrrpView:
    ranking = rank(group)
    interface = advert_interface(spec, group, node) or ""
    family = advert_family(group)
    held = tuple(
        HeldView(with_prefix(spec, address.address), carrying_interface(spec, node, address) or interface)
        for address in group.addresses.values()
    )
    peers = tuple(member for member in group.members if member != node)
    unicast = group.adverts == "unicast"
    sources = {member: advert_source(spec, group, member) for member in group.members}
    trackers = _Trackers(name, group, ranking, process_events)
    return VrrpView(
        group=name,
        vrid=vrid,
        interface=interface,
        priority=ranking.priorities[node],
        advert_ms=group.advertise_every,
        version=group.version,
        family=family,
        anchor=HeldView(ip_interface(anchor_address(family, vrid)), interface),
        held=held,
        peers=peers,
        source=sources[node],
        unicast_peers=tuple(a for peer in peers if unicast and (a := sources[peer]) is not None),
        preempt=group.preempts,
        preempt_delay_s=-(-group.preempt.after // 1000) if isinstance(group.preempt, PreemptAfter) else 0,
        secret=secrets.vrrp.get(name) if group.version == 2 else None,
        hold_file=f"{HOLD_DIR}/{name}",
        hold_back_ms=group.hold_back,
        scripts=trackers.scripts(),
        files=trackers.files(),
        processes=trackers.processes(),
        interfaces=trackers.interfaces({h.interface for h in held} - {interface}, interface),
        hooks=tuple((state, hook) for state in ("active", "standby", "fault") if (hook := getattr(group.hooks, state))),
        mail=spec.notify.email is not None and "vip_moved" in spec.notify.on,
    )


class _Trackers:
    """The trackers of one group, sorted by the keepalived block that each becomes."""

    def __init__(self, name: str, group: VrrpGroup, ranking: Ranking, process_events: bool) -> None:
        self._name = name
        self._process_events = process_events
        weights = [
            None if loss is None else loss or gain for loss, gain in zip(ranking.loss, ranking.gain, strict=True)
        ]
        self._trackers = list(zip(group.keeps_while, weights, strict=True))

    def scripts(self) -> tuple[TrackedScript, ...]:
        """Asked trackers; and processes, where process events are missing."""
        return tuple(
            TrackedScript(
                name=f"{self._name}_{index}_{tracker.kind}",
                command=_command(tracker),
                as_root=tracker.kind == "script",
                every_s=max(1, tracker.every // 1000),
                timeout_s=max(1, -(-tracker.timeout // 1000)),
                fall=1 if tracker.kind == "process" else tracker.fall,
                rise=1 if tracker.kind == "process" else tracker.rise,
                weight=weight,
            )
            for index, (tracker, weight) in enumerate(self._trackers)
            if tracker.kind in ("http", "script") or self._asks_for(tracker, weight)
        )

    def _asks_for(self, tracker: Tracker, weight: int | None) -> bool:
        """Whether a process is asked for each second. Beside the supervisor's word a weight would count twice."""
        told = tracker.process in SUPERVISED and weight is not None
        return tracker.kind == "process" and not self._process_events and not told

    def files(self) -> tuple[TrackedFile, ...]:
        """The hold file, the operator's own files, and the supervisor's word on a process where events are missing."""
        files = [TrackedFile(f"hold_{self._name}", f"{HOLD_DIR}/{self._name}", 1)]
        for index, (tracker, weight) in enumerate(self._trackers):
            label = f"{self._name}_{index}"
            if tracker.kind == "file":
                # -1 in the file means lost: times 254 is FAULT, times a weight is that much off the priority.
                files.append(TrackedFile(label, f"{TRACK_DIR}/{tracker.file}", 254 if weight is None else abs(weight)))
            if tracker.kind == "process" and tracker.process in SUPERVISED and not self._process_events:
                path = f"{SERVICE_STATE_DIR}/{tracker.process}"
                files.append(TrackedFile(label, path, 254 if weight is None else abs(weight)))
        return tuple(files)

    def processes(self) -> tuple[TrackedProcess, ...]:
        """Processes that keepalived watches itself."""
        return tuple(
            TrackedProcess(f"{self._name}_{index}", tracker.process or "", weight or 0)
            for index, (tracker, weight) in enumerate(self._trackers)
            if tracker.kind == "process" and self._process_events
        )

    def interfaces(self, carrying: set[str], own: str) -> tuple[TrackedInterface, ...]:
        """Every interface that carries an address of the group, and those that the spec names; the adverts' own one
        keepalived tracks by itself, and complains if it is named."""
        named = {t.interface: weight for t, weight in self._trackers if t.interface is not None}
        watched = sorted((carrying | named.keys()) - {own})
        return tuple(TrackedInterface(interface, named.get(interface)) for interface in watched)


def _command(tracker: Tracker) -> tuple[str, ...]:
    if tracker.http is not None:
        target = join_host_port(tracker.http.address, tracker.http.port)
        return (PROBE, "http", target, tracker.http.path, str(tracker.timeout))
    if tracker.process is not None:
        return (PROBE, "process", tracker.process)
    return (PROBE, "script", tracker.script or "")
