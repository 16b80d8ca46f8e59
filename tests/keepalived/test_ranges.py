"""The ranges of the tables are keepalived's own: it is asked about the last number that fits and the first that not."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from tests.keepalived.corpus import needs_keepalived

from holdfast.keepalived.keywords import OLDEST, Keyword, tables

pytestmark = [pytest.mark.lab, needs_keepalived]
_INSTANCE = (
    "vrrp_instance i{n} {{\ninterface lo\nvirtual_router_id {n}\nvirtual_ipaddress {{\n10.0.1.{n}\n}}\n{line}\n}}\n"
)
_SERVER = (
    "virtual_server 10.0.0.{n} 80 {{\nprotocol TCP\nlb_algo rr\nlb_kind NAT\n{outer}\n"
    "real_server 10.0.2.{n} 80 {{\n{line}\n}}\n}}\n"
)
_CHECKS = {"HTTP_GET": "url {{\npath /\n}}\n", "MISC_CHECK": "misc_path /bin/true\n"}
# Block → how a line of it stands in a file; `{n}` makes each one another.
AROUND = {
    "global_defs": "global_defs {{\n{line}\n}}\n",
    "vrrp_instance": _INSTANCE,
    "vrrp_script": "vrrp_script s{n} {{\nscript /bin/true\n{line}\n}}\n",
    "vrrp_track_process": "vrrp_track_process p{n} {{\nprocess web\n{line}\n}}\n",
    "track_file": "track_file f{n} {{\nfile /etc/passwd\n{line}\n}}\n",
    "bfd_instance": "bfd_instance b{n} {{\nneighbor_ip 10.0.3.{n}\n{line}\n}}\n",
    "virtual_server": _SERVER.replace("{line}", "TCP_CHECK {{\n}}").replace("{outer}", "{line}"),
    "real_server": _SERVER.replace("{outer}", ""),
    **{
        name: _SERVER.replace("{outer}", "").replace("{line}", f"{name} {{{{\n{_CHECKS.get(name, '')}{{line}}\n}}}}")
        for name in ("HTTP_GET", "TCP_CHECK", "SMTP_CHECK", "DNS_CHECK", "UDP_CHECK", "PING_CHECK", "MISC_CHECK")
    },
}
# How many processors there are is the machine's to say.
OF_THE_MACHINE = frozenset({"vrrp_cpu_affinity", "checker_cpu_affinity", "bfd_cpu_affinity"})
_LINE = re.compile(r"Line (\d+)\) (.*)")
_RANGE = re.compile(r"outside|out of range|must be (?:between|in)")


def numbers(keyword: Keyword) -> dict[str, bool]:
    """Numbers beside both ends of what a keyword takes, and whether they fit."""
    argument = keyword.arguments[0]
    low, _, high = argument.note.partition("..")
    step = 0.000001 if argument.kind == "num" and "." in low + high and len(high) < 12 else 1
    found = {text: True for text in (low, high) if text}
    if low and (argument.kind == "int" or float(low) > 0):
        found["0" if step == 1 and "." in low else _written(low, -step)] = False
    if high:
        found[_written(high, step)] = False
    return found


def _written(text: str, more: float) -> str:
    if "." not in text and isinstance(more, int):
        return str(int(text) + more)
    return f"{float(text) + more:.6f}".rstrip("0").rstrip(".")


def asked(block: str) -> dict[str, bool]:
    """Lines of a block, and whether their numbers fit."""
    return {
        f"{name} {number}": fits
        for name, keyword in tables()[block].items()
        if keyword.arguments and keyword.arguments[0].kind in ("int", "uint", "num")
        if keyword.since <= OLDEST and not keyword.built and name not in OF_THE_MACHINE
        for number, fits in numbers(keyword).items()
    }


@pytest.mark.parametrize("block", AROUND)
def test_a_number_fits_as_keepalived_says(block: str, tmp_path: Path) -> None:
    lines = asked(block)
    assert lines
    text, places = "", {}
    for number, line in enumerate(lines, 1):
        piece = AROUND[block].format(n=number, line=line)
        places[text.count("\n") + piece.split("\n").index(line) + 1] = line
        text += piece
    path = tmp_path / "keepalived.conf"
    path.write_text(text)
    done = subprocess.run(["keepalived", "-t", "-f", str(path)], capture_output=True, timeout=60, check=False)
    said: dict[str, list[str]] = {}
    for one in _LINE.finditer(done.stderr.decode("utf-8", "replace")):
        said.setdefault(places.get(int(one[1]), ""), []).append(one[2])
    missed = [line for line, fits in lines.items() if not fits and line not in said]
    refused = [line for line, fits in lines.items() if fits and any(map(_RANGE.search, said.get(line, ())))]
    assert not missed, f"keepalived takes these: {missed}"
    assert not refused, f"keepalived takes none of these: {[(line, said[line]) for line in refused]}"
