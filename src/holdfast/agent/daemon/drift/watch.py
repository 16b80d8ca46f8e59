"""Looks for drift every few seconds, tells what it finds, and puts right what the node's own policy names."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from functools import partial

from holdfast.agent.daemon.decide import ENDS, ended
from holdfast.agent.daemon.drift.ledger import Ledger, Seen
from holdfast.agent.daemon.drift.looks import Looks
from holdfast.agent.daemon.log import LOG
from holdfast.agent.daemon.state import State
from holdfast.agent.policy import load_policy
from holdfast.errors import HoldfastError
from holdfast.protocol import ApplyReport, DriftKind, Outcome

LOOK_EVERY_S = 3.0
_WELL = frozenset({Outcome.COMMITTED, Outcome.UNCHANGED})


def _allowed() -> Collection[str]:
    return load_policy().drift.correct


class DriftWatch:
    """Of one agent. `allowed` tells the kinds that are put right (PolicyRefused where it cannot be read: none are)."""

    def __init__(
        self, state: State, every_s: float = LOOK_EVERY_S, allowed: Callable[[], Collection[str]] = _allowed
    ) -> None:
        self._state = state
        self._looks = Looks(state.work.node)
        self._every_s = every_s
        self._allowed = allowed
        self._ledger = Ledger()
        self._changes = 0
        self._unable = ""  # what was said last of why …
        self._no_policy = ""

    async def keep(self) -> None:
        """Until cancelled."""
        while True:  # ends: cancelled
            await self._state.beat.rest(self._every_s)
            await self._once()

    async def _once(self) -> None:
        state = self._state
        if state.busy:  # what is seen now is the work itself
            return
        if state.changes != self._changes:
            self._changes = state.changes
            self._looks.forget()
        seen = await self._see()
        if seen is None or state.changes != self._changes:
            return
        self._take(self._ledger.after(seen, datetime.now(UTC)))
        kinds = self._to_correct()
        if kinds:
            await self._correct(kinds)

    async def _see(self) -> tuple[Seen, ...] | None:
        try:
            seen = await self._state.look(self._looks.look)
        except HoldfastError as error:
            if error.message != self._unable:  # once, not every few seconds
                LOG.warning("drift cannot be looked for", extra={"why": error.message})
            self._unable = error.message
            return None
        self._unable = ""
        return seen

    def _take(self, ledger: Ledger) -> None:
        self._ledger = ledger
        drifts = ledger.drifts
        if drifts == self._state.drift:
            return
        known = {(each.kind, each.what) for each in self._state.drift}
        for each in drifts:
            if (each.kind, each.what) not in known:
                LOG.warning("drift", extra={"kind": each.kind.value, "what": each.what, "detail": each.detail})
        self._state.drift = drifts
        self._state.tell()
        self._state.in_background(self._state.refresh())  # what is said of the node must not contradict it

    def _to_correct(self) -> frozenset[DriftKind]:
        if not self._ledger.entries or self._state.known.paused:
            return frozenset()
        try:
            allowed = self._allowed()
        except HoldfastError as error:
            if error.message != self._no_policy:
                LOG.warning("nothing is corrected", extra={"why": error.message, "hint": error.hint})
            self._no_policy = error.message
            return frozenset()
        self._no_policy = ""
        return self._ledger.to_correct(allowed, datetime.now(UTC))

    async def _correct(self, kinds: frozenset[DriftKind]) -> None:
        """Apply what was applied once more. Files that were changed by hand are kept aside."""
        state = self._state
        try:
            report = await state.change(lambda: state.work.correct(adopt=DriftKind.FILE in kinds))
        except HoldfastError as error:
            LOG.error("drift is not corrected", extra={"why": error.message})
            well = False
        else:
            well = report.outcome in _WELL
            why = report.failure.message if report.failure else ""
            LOG.info("drift corrected" if well else "drift is not corrected", extra={"why": why})
            if well:
                await self._brings_nearer(report)
        self._take(self._ledger.corrected(well, datetime.now(UTC)))
        state.in_background(state.refresh())

    async def _brings_nearer(self, report: ApplyReport) -> None:
        """What was refused because of a file in the way is as wanted now, where it is what is in use."""
        state, desired = self._state, self._state.known.desired
        if desired is None or desired.digest != report.digest or state.known.progress not in ENDS:
            return
        state.known = ended(state.known, desired, report)
        try:
            await state.look(partial(state.wanted.end, state.known))
        except OSError as error:  # a restart tries the same once more, and finds it done
            LOG.warning("how an attempt ended could not be kept", extra={"why": str(error)})
