"""Files of 50 MB, which is as much as is read: lint answers within a minute of processor time, and bounded memory."""

from __future__ import annotations

import json
import random
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


def script(number: int) -> str:
    return f'vrrp_script s{number} {{\nscript "/usr/bin/true {number}"\ninterval 2\n}}\n'


NEW = "\n"
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
    "addresses": listed("virtual_ipaddress", lambda one: f"{address(one + 1)}/24\n"),
    "peers": listed("unicast_peer", lambda one: f"{address(one)}\n"),
    "routes": listed("virtual_routes", lambda one: f"{address(one)}/32 via 10.0.0.254 dev eth0\n"),
    "scripts": lambda size: filled(size, script),
    "scripts and their trackers": lambda size: (
        filled(size // 2, script) + instance(f"track_script {{\n{filled(size // 2, lambda one: f's{one}' + NEW)}}}\n")
    ),
    "real servers": lambda size: f"virtual_server 10.0.0.9 80 {{\n{filled(size, lambda one: real(one, TCP))}}}\n",
    "virtual servers": lambda size: filled(
        size, lambda one: f"virtual_server {address(one)} 80 {{\nprotocol TCP\n{real(one, TCP)}}}\n"
    ),
    "includes": lambda size: "include none.conf\n" * (size // 18),
    "sequences": lambda size: filled(size, lambda one: f"~SEQ(A,1,70000) x{one}\n"),
    "variables": lambda size: (
        filled(size // 2, lambda one: f"$V{one}=10.0.0.{one % 256}\n")
        + instance(f"virtual_ipaddress {{\n{filled(size // 2, lambda one: f'$V{one}' + NEW)}}}\n")
    ),
    "variables on one line": lambda size: "$A" * (size // 2),
    "unknown words": lambda size: filled(size, lambda one: f"word{one} x\n"),
    "words on one line": lambda size: "a " * (size // 2),
    "braces": lambda size: "{" * size,
    "blocks within blocks": lambda size: "vrrp_instance a {\n" * (size // 18),
    "empty lines": lambda size: "\n" * size,
    "comments": lambda size: "# x\n" * (size // 4),
    "lines of quotes": lambda size: '"\n' * (size // 2),
    "lines of NUL bytes": lambda size: "\0\n" * (size // 2),
    "any bytes": lambda size: random.Random(1).randbytes(size).decode("latin-1"),
    "quotes": lambda size: '"' * size,
    "NUL bytes": lambda size: "\0" * size,
}


@pytest.mark.parametrize("kind", KINDS)
def test_as_much_as_is_read_is_answered_in_bounded_time_and_memory(kind: str, tmp_path: Path) -> None:
    made = KINDS[kind](MOST_BYTES - 1_000)
    file = tmp_path / "keepalived.conf"
    file.write_text(made, encoding="latin-1", newline="")
    assert MOST_BYTES - 2_000 < file.stat().st_size <= MOST_BYTES
    ended = subprocess.run([sys.executable, "-c", _LINT, str(file)], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-2_000:]
    remarks, seconds, peak = json.loads(ended.stdout)
    print(f"{kind}: {remarks} findings, {seconds:.0f} s, {peak:.0f} MB")  # noqa: T201
    assert seconds < MOST_S
    assert peak < MOST_MB
