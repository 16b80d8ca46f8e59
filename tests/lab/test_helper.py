"""The helper processes of a rehearsal: orders in, lines out, and an end whatever happens."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from holdfast.errors import LabError
from holdfast.lab.helper import Helper

_ECHO = "import sys\nfor line in sys.stdin:\n    print('heard', line.strip(), flush=True)\nprint('over', flush=True)\n"
_FLOOD = "for number in range(100_000): print('line', number, flush=True)\n"


def nothing(line: bytes) -> None:
    return None


def program(text: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", text]


def test_orders_go_in_and_every_line_comes_out() -> None:
    lines: list[bytes] = []
    helper = Helper("The helper", program(_ECHO), lines.append)
    helper.check()
    helper.send({"add": 1})
    helper.close(5.0)
    assert lines == [b'heard {"add": 1}\n', b"over\n"]
    helper.close()
    with pytest.raises(LabError, match="The helper has ended"):
        helper.send({"add": 2})


def test_what_it_says_before_it_dies_is_its_problem() -> None:
    helper = Helper("The helper", program("raise SystemExit('no such network')"), nothing)
    assert helper.wait(60.0)
    helper.close()
    with pytest.raises(LabError, match="has ended: no such network"):
        helper.check()


def test_a_line_that_makes_no_sense_is_a_problem_and_the_rest_is_read_but_not_taken() -> None:
    taken = []

    def refuse(line: bytes) -> None:
        taken.append(line)
        raise ValueError(f"it wrote {line!r}")

    helper = Helper("The helper", program(_FLOOD), refuse)
    assert helper.wait(60.0), "one that is not read would hang"
    helper.close()
    assert taken == [b"line 0\n"]
    with pytest.raises(LabError, match="it wrote b'line 0"):
        helper.check()


def test_one_that_does_not_end_is_ended() -> None:
    helper = Helper("The helper", program("import time; time.sleep(600)"), nothing)
    assert not helper.wait(0.1)
    started = time.monotonic()
    helper.close(0.1)
    assert time.monotonic() - started < 60.0
    assert not Path(f"/proc/{helper.pid}").exists()
