"""Effective priorities, as `failover` reckons them: lint has no arithmetic of its own, and corrects nothing itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from holdfast.failover import model as vrrp
from holdfast.failover.standing import Reckoning

from .model import Model, once_each
from .model_vrrp import Instance, Tracker

_KINDS = {
    "track_script": vrrp.Watched.SCRIPT,
    "track_file": vrrp.Watched.FILE,
    "track_process": vrrp.Watched.PROCESS,
    "track_interface": vrrp.Watched.INTERFACE,
    "track_bfd": vrrp.Watched.SCRIPT,
}
_Key = tuple[vrrp.Watched, str]


def counted(model: Model, one: Instance) -> Iterator[Tracker]:
    """The lines whose weights count for an instance: its own and its group's, as keepalived takes them.

    Files are none of them: their weight multiplies what stands in the file, and -254 there is FAULT, whatever it is.
    """
    mine = (tracker for tracker in _instance(model, one).trackers if not tracker.ignored)
    weights = {(tracker.kind, tracker.name): tracker.weight for tracker in mine}
    for tracker in _lines(model, one):
        key = _key(tracker)
        if tracker.kind != "track_file" and weights.pop(key, 0):
            yield tracker


def healthy(model: Model, one: Instance) -> int:
    """The priority that an instance advertises while all is well."""
    return _reckoning(model, one).healthy


def without(model: Model, one: Instance, tracker: Tracker) -> tuple[int, bool]:
    """The priority of an instance once only what a line tracks is lost; and whether it is in FAULT then."""
    return _reckoning(model, one).without(*_key(tracker))


def blocked(model: Model, one: Instance) -> str:
    """What keeps an instance in FAULT whatever happens; empty where nothing does."""
    return _instance(model, one).blocked


@once_each
def _reckoning(model: Model, one: Instance) -> Reckoning:
    return Reckoning(model.vrrp, _instance(model, one))


def _instance(model: Model, one: Instance) -> vrrp.Instance:
    found = model.vrrp.by_name[one.name]
    bfd = tuple(_bfd(tracker) for tracker in _lines(model, one) if tracker.kind == "track_bfd" and tracker.definition)
    return replace(found, trackers=found.trackers + bfd) if bfd and not found.owner else found


def _bfd(tracker: Tracker) -> vrrp.Tracker:
    """`failover` plays no BFD sessions; to a priority they are what scripts are."""
    return vrrp.Tracker(*_key(tracker), tracker.weight.value)


def _lines(model: Model, one: Instance) -> tuple[Tracker, ...]:
    group = model.group_of(one)
    return (*one.trackers, *(group.trackers if group is not None else ()))


def _key(tracker: Tracker) -> _Key:
    name = f"bfd {tracker.name}" if tracker.kind == "track_bfd" else tracker.name
    return _KINDS[tracker.kind], name
