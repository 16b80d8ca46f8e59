"""Which changes of servers wait for the next mail, and when it is sent: few mails, nothing kept without end. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

SETTLE_S = 3.0  # what fails together stands in one mail; checks find it at different moments
INTERVAL_S = 10.0  # between two mails, in a calm hour
BURST = 6  # mails at that pace within WINDOW_S; then
SLOW_INTERVAL_S = 120.0  # at this one: who gets a mail for every flap reads none
WINDOW_S = 600.0
AT_MOST = 500  # changes that wait; the oldest are left out, and counted
RETRY_S = (10.0, 300.0)  # after a mail server that did not take it: first, and at most


@dataclass(frozen=True)
class Change:
    """A server went down or came back. `at` is the time of day as RFC 3339 writes it, `why` the last answer in words.

    `in_use`: whether nginx sends requests to it all the same. `up_count` of `servers` in its pool are up.
    """

    pool: str
    server: str
    endpoint: str
    up: bool
    at: str
    why: str
    in_use: bool
    up_count: int
    servers: int


@dataclass(frozen=True)
class Batch:
    """What one mail tells, oldest first; `left_out` changes before them were too many to keep."""

    changes: tuple[Change, ...]
    left_out: int = 0


@dataclass(frozen=True)
class Outbox:
    """Times are seconds on a clock that only goes forward; `since` is when the first that waits came."""

    waiting: Batch = Batch(())
    since: float = 0.0
    sent: tuple[float, ...] = ()
    failures: int = 0  # in a row
    not_before: float = float("-inf")


def added(box: Outbox, change: Change, now: float) -> Outbox:
    """One more change waits."""
    since = box.since if box.waiting.changes else now
    return replace(box, waiting=_bounded(Batch((*box.waiting.changes, change), box.waiting.left_out)), since=since)


def due(box: Outbox) -> float | None:
    """When the next mail is to be sent, or None where nothing waits."""
    if not box.waiting.changes:
        return None
    settled = box.since + SETTLE_S
    if not box.sent:
        return max(settled, box.not_before)
    recent = [moment for moment in box.sent if moment > settled - WINDOW_S]
    interval = INTERVAL_S if len(recent) < BURST else SLOW_INTERVAL_S
    return max(settled, box.sent[-1] + interval, box.not_before)


def taken(box: Outbox) -> tuple[Batch, Outbox]:
    """All that waits, and the box without it: what comes while a mail is on its way is for the next one."""
    return box.waiting, replace(box, waiting=Batch(()))


def delivered(box: Outbox, now: float) -> Outbox:
    """The mail server took it, or will never take it: a mail was sent."""
    return replace(box, sent=(*box.sent, now)[-BURST:], failures=0, not_before=float("-inf"))


def failed(box: Outbox, batch: Batch, now: float) -> Outbox:
    """The mail server did not take `batch`: it waits again, before what has come since."""
    changes = (*batch.changes, *box.waiting.changes)
    back = _bounded(Batch(changes, batch.left_out + box.waiting.left_out))
    wait_s = retry_after(box.failures)
    return replace(box, waiting=back, since=now, failures=box.failures + 1, not_before=now + wait_s)


def retry_after(failures: int) -> float:
    """Seconds until the next attempt, after so many failures in a row before this one."""
    return min(RETRY_S[0] * 2.0 ** min(failures, 30), RETRY_S[1])


def _bounded(batch: Batch) -> Batch:
    """The newest stay: they say how things are now."""
    over = max(0, len(batch.changes) - AT_MOST)
    return Batch(batch.changes[over:], batch.left_out + over)
