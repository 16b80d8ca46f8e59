"""A what-if as the API says it: who holds each address after failures, within what time, and what is left."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from holdfast.bundle import SafeName

from .base import Count, Told

MOST_FAILURES = 8
FailureName = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Verdict = Literal["stays", "moves", "stuck", "two holders", "never settles", "nobody serves"]


class FailureView(Told):
    """Something that may fail: `title` is how it is asked for, such as `lb1`, `nginx@lb2`, `eth0@lb1`, `front:lb1`."""

    title: str
    kind: Literal["node", "keepalived", "service", "link", "watch", "server", "partition"]
    node: str = ""
    what: str = ""


class MemberView(Told):
    """A node's part in a group at the end; `priority` null: it takes no part."""

    node: SafeName
    state: str
    priority: int | None = None
    lost: tuple[str, ...] = ()


class HeldView(Told):
    """Addresses of a group. `within_s`: when they have moved, at most; `left` of `total` capacity may hold them."""

    group: str
    addresses: tuple[str, ...]
    before: tuple[str, ...] = ()
    holders: tuple[str, ...] = ()
    verdict: Verdict
    within_s: float | None = None
    why: tuple[str, ...] = ()
    left: float
    total: float
    members: tuple[MemberView, ...] = ()


class WayView(Told):
    """One way in which it ends; where there are several, it hangs on which node is quicker. The likeliest is first."""

    verdict: Verdict
    groups: tuple[HeldView, ...] = ()


class LeftView(Told):
    """The share of a pool's or a virtual server's weight that serves, 0 to 1; not `served`: none of its servers does.

    `sorry` is the host that answers in their place.
    """

    name: str
    share: float
    served: bool
    sorry: str = ""


class MissedView(Told):
    """A promised time that cannot be kept."""

    objective: str
    promised_s: float
    takes_s: float


class ScenarioView(Told):
    """What some failures lead to, one after another; `harmful`: users notice more than a move."""

    title: str
    failures: tuple[FailureView, ...] = ()
    verdict: Verdict
    harmful: bool
    within_s: float | None = None
    ways: tuple[WayView, ...] = ()
    backends: tuple[LeftView, ...] = ()
    missed: tuple[MissedView, ...] = ()
    mended: WayView | None = None


class WhatIfView(Told):
    """Every single failure, the worst first; or, if failures were asked for, these and each step towards them."""

    cluster: SafeName
    revision: Count
    normal: ScenarioView
    asked: ScenarioView | None = None
    steps: tuple[ScenarioView, ...] = ()
    singles: tuple[ScenarioView, ...] = ()
    partitions: tuple[ScenarioView, ...] = ()
    combined: tuple[ScenarioView, ...] = Field(default=(), description="Pairs, if the depth is 2; what is harmful.")
    possible: tuple[FailureView, ...] = Field(default=(), description="All that can be asked for.")
    left_out: Count = 0
    unplayed: Count = 0
