"""Files with thousands of instances, watches or servers: what is played is bounded, and the rest grows in line."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from holdfast.failover.failures import every_failure
from holdfast.failover.model import Cluster
from holdfast.failover.parts import parts_of
from holdfast.failover.whatif import what_if
from holdfast.keepalived.parse import parse
from holdfast.keepalived.to_failover import backends_of

from .confs import cluster, instance

pytestmark = pytest.mark.whole  # by processor time, which is their own: others may run beside them

FEW, TIMES = 1_000, 4
MOST = 9.0  # times as long: linear is 4, squares are 16; processor time, so that others do not count


def instances(count: int) -> str:
    return "".join(
        instance(f"i{at}", priority=100, vrid=at % 255 + 1, vip=f"10.{at >> 8}.{at & 255}.1").replace(
            "eth0", f"eth{at}"
        )
        for at in range(count)
    )


def scripts(count: int) -> str:
    defined = "".join(f"vrrp_script s{at} {{\nscript /bin/true\n}}\n" for at in range(count))
    tracked = "".join(f"s{at} weight -1\n" for at in range(count))
    return defined + instance(priority=100, more=f"track_script {{\n{tracked}}}\n")


def groups(count: int) -> str:
    made = "".join(f"vrrp_sync_group g{at} {{\ngroup {{\ni{at}\n}}\n}}\n" for at in range(count))
    return instances(count) + made


def servers(count: int) -> Cluster:
    behind = "".join(f"real_server 10.{at >> 8}.{at & 255}.1 80 {{\nweight 1\n}}\n" for at in range(count))
    read = parse(f"virtual_server 10.0.0.3 80 {{\nprotocol TCP\n{behind}}}\n", "lb1")
    return replace(cluster(lb1=instance(priority=100)), backends=backends_of({"lb1": read}))


def one_way(count: int) -> Cluster:
    return cluster(lb1=instances(count))


def two_nodes(count: int) -> Cluster:
    text = instances(count)
    return cluster(lb1=text, lb2=text.replace("priority 100", "priority 90"))


def played(made: Cluster) -> object:
    return what_if(made)


def parted(made: Cluster) -> object:
    return parts_of(made), every_failure(made)


KINDS: dict[str, tuple[Callable[[int], Cluster], Callable[[Cluster], object]]] = {
    "instances of one node, in parts": (one_way, parted),
    "instances of two nodes, in parts": (two_nodes, parted),
    "scripts that one instance tracks, in parts": (lambda n: cluster(lb1=scripts(n)), parted),
    "sync groups, in parts": (lambda n: cluster(lb1=groups(n)), parted),
    "servers behind one virtual server, read": (lambda n: servers(4 * n), lambda made: made),
    "servers behind one virtual server, played": (servers, played),
    "instances of one node, played": (one_way, played),
    "instances of two nodes that share virtual routers, played": (lambda n: two_nodes(n // 4), played),
}


@pytest.mark.parametrize("kind", KINDS)
def test_four_times_as_many_take_four_times_as_long(kind: str) -> None:
    make, work = KINDS[kind]
    base, spent = (took(make, work, count) for count in (FEW, FEW * TIMES))
    assert spent / max(base, 0.05) < MOST, f"{base:.2f} s, then {spent:.2f} s"
    assert spent < 60


def took(make: Callable[[int], Cluster], work: Callable[[Cluster], object], count: int) -> float:
    began = time.process_time()
    work(make(count))
    return time.process_time() - began
