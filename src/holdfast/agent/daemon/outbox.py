"""What waits to be told to a controller: reports in their order, and answers, which outlive a lost connection."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from holdfast.agent.daemon.log import LOG
from holdfast.agent.daemon.wire import Controller
from holdfast.errors import NotTaken
from holdfast.protocol import AgentReport, Answer

_REPORTS_AT_MOST = 50
_ANSWERS_AT_MOST = 200
_ANSWER_GOOD_FOR_S = 600.0  # nobody waits longer


class Outbox:
    """`present` makes the report that tells everything as it is now."""

    def __init__(self, present: Callable[[], AgentReport], clock: Callable[[], float] = time.monotonic) -> None:
        self._present = present
        self._clock = clock
        self._reports: deque[AgentReport] = deque(maxlen=_REPORTS_AT_MOST)
        self._answers: deque[tuple[float, Answer]] = deque(maxlen=_ANSWERS_AT_MOST)
        self._filled = asyncio.Event()
        self._posting = False
        self.took_s = 0.0  # the last report, until the controller had taken it

    def tell(self) -> None:
        """Something changed: it is told, and every step before it as well."""
        self._reports.append(self._present())
        self._filled.set()

    @property
    def waiting(self) -> bool:
        """Whether a report has not been taken yet: what can wait for the next one is not added to it."""
        return bool(self._reports) or self._posting

    def answer(self, answer: Answer) -> None:
        """It is told to whichever controller is reached first."""
        self._answers.append((self._clock(), answer))
        self._filled.set()

    async def deliver(self, controller: Controller) -> None:
        """Post everything, until cancelled; begins with how things are now. ControllerUnreachable, NotAuthenticated."""
        self._reports.clear()
        self.tell()
        while True:  # ends: cancelled, with the connection
            await self._filled.wait()
            self._filled.clear()
            while self._answers or self._reports:  # ends: it is emptied
                await self._deliver_one(controller)

    async def _deliver_one(self, controller: Controller) -> None:
        try:
            if self._answers:
                await self._deliver_answer(controller, *self._answers[0])
                self._answers.popleft()  # only now: a broken connection leaves it for the next one
            else:
                await self._deliver_report(controller, self._reports.popleft())
        except NotTaken as error:
            LOG.warning("a controller does not take a report", extra={"why": error.message})

    async def _deliver_report(self, controller: Controller, report: AgentReport) -> None:
        began, self._posting = self._clock(), True
        try:
            await controller.report(report)
        finally:
            self._posting = False
            self.took_s = self._clock() - began

    async def _deliver_answer(self, controller: Controller, made: float, answer: Answer) -> None:
        if self._clock() - made > _ANSWER_GOOD_FOR_S:
            return
        try:
            await controller.answer(answer)
        except NotTaken as error:  # nobody waits for it any more
            LOG.info("an answer came too late", extra={"order": answer.order, "why": error.message})
