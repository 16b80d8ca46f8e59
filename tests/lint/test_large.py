"""Files of 50 MB, which is as much as is read: lint answers within a minute of processor time, and bounded memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.keepalived.statements import MOST_BYTES

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]

MOST_S = 60.0  # of processor time
MOST_MB = 1_200
_LINT = """
import json, re, sys, time
from pathlib import Path
from holdfast.lint import engine, suppressions
subject = engine.read(sys.argv[1])
remarks = suppressions.apply(engine.examine([subject]), subject.sources)
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(json.dumps([len(remarks), time.process_time(), int(peak[1]) / 1000]))
"""


def filled(size: int, one: Callable[[int], str]) -> str:
    """Different lines, until there are so many signs."""
    found: list[str] = []
    left, number = size, 0
    while left > 0:
        found.append(one(number))
        left -= len(found[-1])
        number += 1
    return "".join(found)


def address(number: int) -> str:
    return f"{10 + (number >> 24)}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def instance(more: str, number: int = 0) -> str:
    return f"vrrp_instance a{number} {{\ninterface eth0\nvirtual_router_id {number % 255 + 1}\n{more}}}\n"


def listed(block: str, one: Callable[[int], str]) -> Callable[[int], str]:
    return lambda size: instance(f"{block} {{\n{filled(size, one)}}}\n")


def real(number: int, check: str) -> str:
    return f"real_server {address(number)} 80 {{\nweight 1\n{check}}}\n"


TCP = "TCP_CHECK {\nconnect_timeout 3\n}\n"
KINDS: dict[str, Callable[[int], str]] = {
    "tracked interfaces": listed("track_interface", lambda one: f"eth{one} weight 2\n"),
    "instances": lambda size: filled(size, lambda one: instance(f"virtual_ipaddress {{\n{address(one)}\n}}\n", one)),
    "groups of virtual servers": lambda size: filled(
        size,
        lambda one: (
            f"virtual_server_group g{one} {{\n{address(one)} 80\n}}\n"
            f"virtual_server group g{one} {{\nprotocol TCP\n{real(one, TCP)}}}\n"
        ),
    ),
    "suppressions": lambda size: filled(size, lambda one: f"word{one} # holdfast: ignore[KA001] why\n"),
    "suppressions on one line": lambda size: filled(size, lambda one: "# holdfast: ignore[VRRP101] why "),
    "quotes": lambda size: '"' * size,
    "NUL bytes": lambda size: "\0" * size,
}


@pytest.mark.parametrize("kind", KINDS)
def test_as_much_as_is_read_is_answered_in_bounded_time_and_memory(kind: str, tmp_path: Path) -> None:
    made = KINDS[kind](MOST_BYTES - 1_000)
    file = tmp_path / "keepalived.conf"
    file.write_text(made)
    assert MOST_BYTES - 2_000 < file.stat().st_size <= MOST_BYTES
    ended = subprocess.run([sys.executable, "-c", _LINT, str(file)], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-2_000:]
    remarks, seconds, peak = json.loads(ended.stdout)
    print(f"{kind}: {remarks} findings, {seconds:.0f} s, {peak:.0f} MB")  # noqa: T201
    assert seconds < MOST_S
    assert peak < MOST_MB
