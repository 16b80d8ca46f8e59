"""Four times as many virtual servers are read and judged in four times as long, not in sixteen."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from holdfast.spec import ClusterSpec, parse_spec
from holdfast.spec.once import once

FEW, TIMES = 300, 4
MOST = 9.0  # times as long: linear is 4, squares are 16; processor time, so that others do not count
LEAST_S = 0.1  # what takes less is as much the clock's and the collector's as its own


def floating(number: int) -> str:
    return f"10.1.{number >> 8}.{number & 255}"


def spec(groups: int, services: str, nodes: str = "") -> str:
    """Two directors, groups with an address each, and what they direct."""
    addresses = "".join(f"  g{n}: {{addresses: [{floating(n)}/8], nodes: [lb01, lb02]}}\n" for n in range(groups))
    return (
        "holdfast: 1\ncluster: shop\nnetworks:\n  front: {cidr: 10.0.0.0/8}\n"
        f"nodes:\n  lb01: 10.0.0.5\n  lb02: 10.0.0.6\n{nodes}vrrp:\n{addresses}virtual_servers:\n{services}"
    )


def service(number: int, on: str, servers: int = 6) -> str:
    real = ", ".join(f"'10.{2 + number // 200}.{number % 200}.{10 + m}:80'" for m in range(servers))
    return f"  s{number}: {{on: '{on}', forward: nat, check: {{tcp: true}}, servers: [{real}]}}\n"


def each(count: int, line: Callable[[int], str]) -> str:
    return "".join(line(number) for number in range(count))


def of_nodes(count: int) -> str:
    def line(one: int) -> str:
        servers = f"['w{one % (count // 2)}:{8000 + one}']"
        return f"  s{one}: {{on: 'g{one % 10}:{8000 + one}', forward: dr, check: {{tcp: true}}, servers: {servers}}}\n"

    return spec(
        10,
        each(count, line),
        each(count // 2, lambda one: f"  w{one}: 10.9.{one >> 8}.{one & 255}\n"),
    )


KINDS: dict[str, Callable[[int], str]] = {
    "on a hundred groups": lambda n: spec(100, each(n, lambda one: service(one, f"g{one % 100}:{8000 + one // 100}"))),
    "on ports of one address": lambda n: spec(1, each(4 * n, lambda one: service(one, f"g0:{1 + one}", 1))),
    "on a group each": lambda n: spec(n // 2, each(n // 2, lambda one: service(one, f"g{one}:80"))),
    "on addresses of groups": lambda n: spec(n // 2, each(n // 2, lambda one: service(one, f"{floating(one)}:80"))),
    "of nodes": of_nodes,
}


@pytest.mark.whole  # by processor time, which is its own: others may run beside it
@pytest.mark.parametrize("kind", KINDS)
def test_four_times_as_many_take_four_times_as_long(kind: str) -> None:
    few, many = (min(_seconds(KINDS[kind](count)) for _ in range(2)) for count in (FEW, TIMES * FEW))
    assert many / max(few, LEAST_S) < MOST, f"{few:.2f} s for {FEW}, {many:.2f} s for {TIMES * FEW}"


def _seconds(text: str) -> float:
    began = time.process_time()
    parse_spec(text)
    return time.process_time() - began


def test_what_was_found_out_of_a_spec_is_not_believed_of_its_copy() -> None:
    asked: list[str] = []

    @once
    def named(spec: ClusterSpec, what: str) -> str:
        asked.append(what)
        return f"{what} of {spec.cluster}"

    first = parse_spec(spec(1, service(0, "g0:80"))).spec
    again = parse_spec(spec(1, service(0, "g0:80"))).spec
    assert [named(first, "a"), named(first, "a"), named(first, "b")] == ["a of shop", "a of shop", "b of shop"]
    assert asked == ["a", "b"]
    assert first == again, "what was found out is no part of what it says"
    assert first.model_dump() == again.model_dump()
    for deep in (False, True):
        other = first.model_copy(update={"cluster": "other"}, deep=deep)
        assert named(other, "a") == "a of other"
    assert named(first, "a") == "a of shop"
