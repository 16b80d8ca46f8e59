"""The end of the agent's log, and what reports say of the machine."""

from __future__ import annotations

import logging

import pytest

from holdfast.agent.daemon.machine import ASKED_EVERY_S, Machine
from holdfast.agent.daemon.recent import Recent, presentable
from holdfast.agent.host.fake import FakeHost
from holdfast.agent.host.port import Completed, LocalAddress
from holdfast.protocol.machine import LONGEST_LINE, MOST_LINES


def _logger() -> tuple[logging.Logger, Recent]:
    logger, recent = logging.Logger("of this test"), Recent()
    logger.addHandler(recent)
    return logger, recent


def test_the_last_lines_are_kept_with_what_was_given_beside_them() -> None:
    logger, recent = _logger()
    for number in range(MOST_LINES + 5):
        logger.info("line %d", number)
    logger.warning("overrides are not carried out", extra={"why": "the table cannot be read"})
    lines = recent.lines()
    assert len(lines) == MOST_LINES
    assert lines[0].text == "line 6"
    assert (lines[-1].level, lines[-1].text) == (
        "warning",
        "overrides are not carried out; why: the table cannot be read",
    )


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("keepalived.conf:7: auth_pass hunter2 is too long", "keepalived.conf:7: auth_pass ******** is too long"),
        ('{"password": "hunter2"}', '{"password": "********'),
        ("join with hfj1:shop:lb01:00ff:secret", "join with hfj1:shop:lb01:********"),
        ("one\nline\x1b[31m of\tit", "one line [31m of it"),
        ("a" * 400, "a" * (LONGEST_LINE - 1) + "…"),
    ],
)
def test_a_line_is_one_line_without_secrets(said: str, shown: str) -> None:
    assert presentable(said) == shown


def test_programs_are_asked_for_their_versions_now_and_then_alone() -> None:
    host, now = FakeHost(), [0.0]
    host.programs["nginx"] = lambda argv, stdin: Completed(0, "nginx version: nginx/1.22.1")
    host.local_addresses |= {
        LocalAddress("lo", "127.0.0.1/8"),
        LocalAddress("eth0", "fe80::1/64"),
        LocalAddress("eth0", "10.0.0.20/24"),
        LocalAddress("eth0", "10.0.0.3/24"),
    }
    machine = Machine(host, lambda: now[0])
    found = machine.look()
    assert (found.programs["nginx"], found.programs["keepalived"]) == ("1.22.1", None)
    assert [each.address for each in found.addresses] == ["10.0.0.3/24", "10.0.0.20/24"]
    asked = len(host.ran)
    machine.look()
    assert len(host.ran) == asked
    now[0] += ASKED_EVERY_S
    machine.look()
    assert len(host.ran) == 2 * asked
