"""A rehearsal as a controller's child: a line of JSON for each thing that happens, and an end when its input closes.

    python -m holdfast.cli.rehearse_child SPEC FOLDER LAB

Whoever begins it holds the other end of its standard input. When that closes, on purpose or because its holder died,
the lab is taken down and the process ends: nothing is left that nobody looks after.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast import __version__
from holdfast.errors import HoldfastError
from holdfast.sentences import Sentence, as_data

from .inputs import compile_input

if TYPE_CHECKING:
    from holdfast.lab.rehearsal import Progress
    from holdfast.lab.verdict import StepResult

_EVERY_S = 1.0
_NICER = 5  # the controller beside it comes first
_MOST = 1000  # characters of a text


def main(arguments: list[str]) -> int:
    """Rehearse; 0: done, whatever the verdict; 1: it could not be done; 130: it was stopped."""
    spec, folder, lab = Path(arguments[0]), Path(arguments[1]), arguments[2]
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    threading.Thread(target=_leash, daemon=True).start()
    try:
        os.nice(_NICER)
        _rehearse(spec, folder, lab)
    except HoldfastError as error:
        told = {"message": error.message[:_MOST], "message_said": _said(error.message)}
        _say({"error": {**told, "hint": error.hint[:_MOST], "hint_said": _said(error.hint)}})
        return 1
    except KeyboardInterrupt:
        _say({"stopped": True})
        return 130
    return 0


def _rehearse(spec: Path, folder: Path, lab: str) -> None:
    from holdfast.lab.rehearsal import rehearse
    from holdfast.lab.report import write_report
    from holdfast.lab.vm.where import place_for

    source = compile_input(spec, choose=True)
    place_for(source.loaded.spec, wish=False)  # never a virtual machine beside a controller: what is missing is told
    result = rehearse(source, lab=lab, progress=_Teller().show)
    write_report(result, folder, f"holdfast rehearse {source.loaded.spec.cluster}.yaml")
    _say({"verdict": str(result.verdict), "version": __version__})


def _stop(number: int, frame: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # once: what is taken down is not to be interrupted
    raise KeyboardInterrupt


def _leash() -> None:
    """Until the other end of the input is closed.

    Not by `sys.stdin`: whoever waits in there holds its lock, and an interpreter that ends meanwhile is aborted.
    """
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _say(told: dict[str, Any]) -> None:
    try:
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.kill(os.getpid(), signal.SIGTERM)  # nobody listens any more


class _Teller:
    """Tells progress, at most once a second while nothing but numbers change."""

    def __init__(self) -> None:
        self._told_at, self._doing = 0.0, ""

    def show(self, event: Progress) -> None:
        """Called by the rehearsal, several times a second."""
        if event.finished is not None:
            _say({"step": step_data(event.finished)})
        now = time.monotonic()
        if event.doing == self._doing and now - self._told_at < _EVERY_S:
            return
        self._told_at, self._doing = now, event.doing
        counts = event.counts
        _say(
            {
                "doing": event.doing[:_MOST],
                "doing_said": _said(event.doing),
                "number": event.number,
                "total": event.total,
                "holders": _holders(event.holders),
                "sent": counts.sent if counts else 0,
                "failed": counts.failed if counts else 0,
            }
        )


def step_data(step: StepResult) -> dict[str, Any]:
    """A step that is over, as the controller's API tells it."""
    return {
        "name": step.name[:_MOST],
        "name_said": _said(step.name),
        "kind": str(step.kind),
        "verdict": str(step.verdict),
        "failover_s": step.failover_s,
        "sent": step.sent,
        "failed": step.failed,
        "longest_gap_s": step.longest_gap_s,
        "double_holder_s": step.double_holder_s,
        "before": _holders(step.holders_before),
        "after": _holders(step.holders_after),
        "reasons": [reason[:_MOST] for reason in step.reasons[:50]],
        "reasons_zh": [reason[:_MOST] for reason in step.reasons_zh[:50]],
    }


def _said(text: str) -> dict[str, Any]:
    return as_data(text) if isinstance(text, Sentence) and len(text) <= _MOST else {}


def _holders(holders: Any) -> dict[str, list[str]]:
    return {str(address): list(nodes) for address, nodes in list(holders.items())[:200]}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
