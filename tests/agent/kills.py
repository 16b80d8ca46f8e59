"""kill -9 of the agent while it applies: at a moment of a clock, or when its journal has so many lines."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from tests.agent.machine import Machine

from holdfast.bundle import Bundle

_JOURNAL = "var/lib/holdfast/journal.jsonl"
_ENDS_S = 120.0


@dataclass(frozen=True)
class Moment:
    """When to kill; `lines` of the journal if it is not None. In any case when the attempt has ended."""

    after_s: float
    lines: int | None = None

    @classmethod
    def of_turn(cls, turn: int, rng: random.Random, *, attempt_s: float, journal_lines: int) -> Moment:
        """By turns at random within an attempt of that length, and at each line of its journal."""
        if turn % 2:
            return cls(3 * attempt_s, 1 + (turn // 2) % journal_lines)
        return cls(rng.uniform(0.0, 1.1 * attempt_s))


def kill_during(node: Machine, bundle: Bundle, moment: Moment, every_s: float = 0.002) -> bool:
    """Whether the agent was killed before its attempt had ended."""
    said: list[str] = []
    attempt = threading.Thread(target=lambda: said.append(_apply(node, bundle)))
    attempt.start()
    deadline = time.monotonic() + moment.after_s
    journal = node.root / _JOURNAL
    while attempt.is_alive() and time.monotonic() < deadline:
        with suppress(FileNotFoundError):
            if moment.lines is not None and journal.read_bytes().count(b"\n") >= moment.lines:
                break
        time.sleep(every_s)
    signal_agent(node.pids_of_agent(), signal.SIGKILL)
    attempt.join(_ENDS_S)
    assert not attempt.is_alive()
    return not said[0]


def _apply(node: Machine, bundle: Bundle) -> str:
    return node.run_agent(("apply", "--json"), bundle.to_json()).stdout


def signal_agent(pids: Iterable[int], number: int) -> None:
    """To an agent and the programs that it runs."""
    for pid in pids:
        with suppress(ProcessLookupError):  # it may have ended since it was listed
            os.kill(pid, number)
