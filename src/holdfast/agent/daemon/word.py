"""Where an attempt that changes together with others waits for the word to go: between `written` and what follows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from holdfast.agent.daemon import decide
from holdfast.agent.daemon.decide import Known
from holdfast.errors import ApplyError
from holdfast.protocol import Desired, Fence

_LOOK_EVERY_S = 1.0  # a pause by hand rings no bell


class Word:
    """`known` is what the agent goes by; it is read from the thread that waits, and changed by others."""

    def __init__(self, known: Callable[[], Known], clock: Callable[[], float] = time.monotonic) -> None:
        self._known = known
        self._clock = clock
        self._changed = threading.Event()
        self._over = False
        self._waits: tuple[Desired, float] | None = None  # with what somebody waits, and since when

    @property
    def waiting(self) -> Fence | None:
        """The state that waits for the word at this moment, and for which it would not come too late."""
        waits = self._waits
        return decide.waiting(self._known(), waits[0], self._clock() - waits[1]) if waits is not None else None

    def ring(self) -> None:
        """What is known has changed: whoever waits looks again, at once."""
        self._changed.set()

    def end(self) -> None:
        """The agent ends: nobody waits any more."""
        self._over = True
        self._changed.set()

    def wait(self, attempt: Desired) -> None:
        """Until `attempt` may go on. ApplyError where it is dropped instead: see decide.may_go_on."""
        begun = self._clock()
        self._waits = (attempt, begun)
        try:
            while not decide.may_go_on(self._known(), attempt, self._clock() - begun):  # ends: the wait is limited
                if self._over:
                    raise ApplyError(
                        "the agent ended before the word to go came", "it stages anew when it starts again"
                    )
                self._changed.wait(_LOOK_EVERY_S)
                self._changed.clear()
        finally:
            self._waits = None
