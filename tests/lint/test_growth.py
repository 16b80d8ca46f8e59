"""Four times as many of anything take four times as long, not sixteen: files may have a hundred thousand of them."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from holdfast.lint import engine, fixes, suppressions
from holdfast.lint.facts_samples import host

pytestmark = pytest.mark.whole  # by processor time, which is their own: others may run beside them

FEW, TIMES = 1500, 4
MOST = 9.0  # times as long: linear is 4, squares are 16; processor time, so that others do not count
LEAST_S = 0.1  # what takes less is as much the clock's and the collector's as its own
FACTS = host(users={"nobody": None, "keepalived_script": None}, groups={"nobody": None})


def each(count: int, line: Callable[[int], str]) -> str:
    return "".join(f"{line(number)}\n" for number in range(count))


def address(number: int) -> str:
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def script(number: int) -> str:
    return f'vrrp_script s{number} {{\nscript "/usr/bin/ping -c 3 {address(number)}"\nuser nobody nobody\n}}'


def instance(more: str, number: int = 0) -> str:
    return f"vrrp_instance a{number} {{\ninterface eth0\nvirtual_router_id {number % 255 + 1}\n{more}}}\n"


def server(number: int) -> str:
    check = f'MISC_CHECK {{\nmisc_path "/usr/bin/true {number}"\nuser nobody\n}}'
    return f"real_server {address(number)} 80 {{\nweight 1\n{check}\n}}"


def virtual(more: str, number: int = 0) -> str:
    return f"virtual_server {address(number)} 80 {{\nlb_algo rr\nlb_kind NAT\nprotocol TCP\n{more}}}\n"


def groups(count: int) -> str:
    """Each of three instances, two of which an owner of its addresses leads."""
    members = each(count, lambda one: instance(f"priority {255 if one % 3 == 0 else 100}\n", one))
    return members + each(
        count // 3, lambda one: f"vrrp_sync_group g{one} {{\ngroup {{\na{3 * one} a{3 * one + 1} a{3 * one + 2}\n}}\n}}"
    )


def tracked(count: int, kind: str, define: Callable[[int], str]) -> str:
    return each(count, define) + instance(f"{kind} {{\n{each(count, lambda one: f't{one} weight {one % 9 - 4}')}}}\n")


KINDS: dict[str, Callable[[int], str]] = {
    "scripts, and trackers of which half are defined": lambda n: (
        each(n // 2, script) + instance(f"track_script {{\n{each(n, lambda one: f's{one}')}}}\n")
    ),
    "addresses": lambda n: instance(f"virtual_ipaddress {{\n{each(n, lambda one: address(one) + '/24')}}}\n"),
    "routes": lambda n: instance(f"virtual_routes {{\n{each(n, lambda one: address(one) + '/32 dev eth0')}}}\n"),
    "unicast peers": lambda n: instance(f"unicast_peer {{\n{each(n, address)}}}\n"),
    "instances": lambda n: each(n, lambda one: instance(f"virtual_ipaddress {{\n{address(one)}\n}}\n", one)),
    "members of a sync group": lambda n: (
        f"vrrp_sync_group g {{\ngroup {{\n{each(n, lambda one: f'a{one}')}}}\n}}\n"
        + each(n, lambda one: instance("", one))
    ),
    "real servers": lambda n: virtual(each(n, server)),
    "virtual servers": lambda n: each(n, lambda one: virtual(server(one), one)),
    "entries of a group": lambda n: (
        f"virtual_server_group g {{\n{each(n, lambda one: address(one) + ' 80')}}}\n"
        "virtual_server group g {\nprotocol TCP\nreal_server 10.9.9.9 80 {\n}\n}\n"
    ),
    "groups of virtual servers": lambda n: each(
        n // 2,
        lambda one: (
            f"virtual_server_group g{one} {{\n{address(one)} 80\n}}\nvirtual_server group g{one} {{\n"
            "protocol TCP\nreal_server 10.9.9.9 80 {\n}\n}"
        ),
    ),
    "suppressions": lambda n: each(2 * n, lambda one: f"word{one} # holdfast: ignore[KA001] why"),
    "suppressions of nothing": lambda n: each(2 * n, lambda one: f"# holdfast: ignore[X{one}, KA0] why"),
    "suppressions of the whole file": lambda n: each(n, lambda one: f"word # holdfast: ignore-file[KA001, X{one}] why"),
    "suppressions on one line": lambda n: "# holdfast: ignore[KA001] why " * 4 * n,
    "brackets on one line": lambda n: "holdfast: ignore[KA001 " * 8 * n,
    "signs on one line": lambda n: "#" * 40 * n + "xholdfast: ignore",
    "includes": lambda n: each(n, lambda one: f"include none-{one}.conf"),
    "variables": lambda n: each(n, lambda one: f"$V{one}={address(one)}") + instance(each(n, lambda one: f"$V{one}")),
    "sync groups": groups,
    "interfaces that are tracked": lambda n: tracked(2 * n, "track_interface", lambda one: ""),
    "processes that are tracked": lambda n: tracked(
        n, "track_process", lambda one: f"vrrp_track_process t{one} {{\nprocess p{one}\n}}"
    ),
    "files that are tracked": lambda n: tracked(
        2 * n, "track_file", lambda one: f'track_file t{one} {{\nfile "/t"\n}}'
    ),
    "lines that can be fixed": lambda n: each(n, lambda one: instance("priority\u00a0100\n", one)),
    "blanks that can be fixed on one line": lambda n: "a\u00a0" * 10 * n,
    "quotes": lambda n: '"' * 100 * n,
    "unknown words": lambda n: each(n, lambda one: f"word{one} x"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_four_times_as_many_take_four_times_as_long(kind: str) -> None:
    few, many = (min(_seconds(KINDS[kind](count)) for _ in range(2)) for count in (FEW, TIMES * FEW))
    assert many / max(few, LEAST_S) < MOST, f"{few:.2f} s for {FEW}, {many:.2f} s for {TIMES * FEW}"


def _seconds(text: str) -> float:
    began = time.process_time()
    subject = engine.read_text(text, "keepalived.conf", "lb1")
    remarks = suppressions.apply(engine.examine([subject], {"lb1": FACTS}), subject.sources)
    fixes.edits(remarks, subject.sources)
    return time.process_time() - began
