"""An instance and a sync group as they run: states, what led to them, and timers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from .model import Instance, Place, SyncGroup

NEVER = math.inf


class State(StrEnum):
    """What an instance is. DOWN: nothing runs there."""

    DOWN = "down"
    FAULT = "fault"
    STANDBY = "standby"
    ACTIVE = "active"


class Cause(StrEnum):
    """Why an instance changed its state."""

    STARTED = "started"
    DIED = "its node died"
    STOPPED = "keepalived was stopped"
    SILENCE = "its master fell silent"
    GIVEN_UP = "its master gave up"
    OUTRANKS = "it outranks the master"
    WAITED = "it outranks the master, and its delay before preempting is over"
    OUTRANKED = "a better one advertises"
    LOST = "lost what it must have"
    REGAINED = "has again what it must have"
    SYNC = "its sync group moved"


BY_MASTER = (Cause.OUTRANKED, Cause.OUTRANKS, Cause.WAITED, Cause.SILENCE, Cause.GIVEN_UP)


@dataclass(frozen=True)
class Change:
    """An instance changed its state, `at` seconds after the beginning."""

    at: float
    place: Place
    before: State
    after: State
    cause: Cause
    about: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ranked:
    """An instance has another priority, `at` seconds after the beginning; `losses` are what weighs on it then."""

    at: float
    place: Place
    before: int
    after: int
    losses: tuple[str, ...] = ()


@dataclass(slots=True)
class Router:
    """The instance at a place, as it runs. `down_s` is keepalived's ms_down_timer: also what was left of it."""

    place: Place
    config: Instance
    state: State = State.DOWN
    _wants: State = State.STANDBY
    group: Group | None = None  # its sync group
    priority: int = 0
    faults: tuple[str, ...] = ()
    expires: float = NEVER
    down_s: float = 0.0
    master_advert_s: float = 0.0
    preempt_at: float | None = None
    waits: Cause = Cause.STARTED
    master: Place | None = None
    owner: bool = False

    @property
    def wants(self) -> State:
        """The state that it goes to as soon as it may."""
        return self._wants

    @wants.setter
    def wants(self, state: State) -> None:
        if self.group is not None:
            self.group.willing += (state is State.ACTIVE) - (self._wants is State.ACTIVE)
        self._wants = state

    @property
    def full_s(self) -> float:
        """A whole wait for a silent master."""
        return self.config.down_s(self.priority, self.master_advert_s)


@dataclass(slots=True)
class Group:
    """A sync group, as it runs. `willing` counts the members that want to be active: each asks that of all others."""

    config: SyncGroup
    members: tuple[Place, ...]
    state: State = State.STANDBY
    willing: int = 0
