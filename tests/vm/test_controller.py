"""A controller beside directors in a virtual machine: whoever is outside works on a real IPVS table through it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lab.installation import Installation, installed
from tests.waiting import wait_until

SLOW_S = 300.0  # emulated: a controller, four agents and users on one processor
VIRTUAL = "10.0.0.3:80"

pytestmark = [
    pytest.mark.vm,
    pytest.mark.soak,  # some minutes until it is up: `make test` has each part of it alone
    pytest.mark.timeout(3600),
]


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Installation]:
    with installed(tmp_path, "lvs-dr-pair", f"v{os.getpid()}", "--vm") as made:
        yield made


def weights(outside: Installation, director: str) -> dict[str, int]:
    """What the kernel of a director has for each server."""
    table = outside.run("lab", "exec", "--lab", outside.lab, director, "ipvsadm", "-Ln", "-t", VIRTUAL)
    rows = [line.split() for line in table.splitlines() if line.lstrip().startswith("->")]
    return {words[1]: int(words[3]) for words in rows if words[1][0].isdigit()}


def test_servers_and_addresses_of_directors_are_worked_on_from_outside(outside: Installation) -> None:
    at_home = {"www": ["lb01"]}
    wait_until(lambda: outside.holders() == at_home, SLOW_S)
    before = weights(outside, "lb01")
    assert before == {"10.0.0.7:80": 1, "10.0.0.8:80": 2}

    outside.run("drain", "web01", "--why", "a new disk")
    assert weights(outside, "lb01") == {**before, "10.0.0.7:80": 0}
    outside.run("resume", "web01")
    assert weights(outside, "lb01") == before

    outside.run("move", "www", "lb02")
    assert outside.holders() == {"www": ["lb02"]}
    assert weights(outside, "lb02") == before
    outside.run("move", "www", "--back")
    wait_until(lambda: outside.holders() == at_home, SLOW_S)
