"""Small keepalived.conf files for tests, and the cluster that they make."""

from __future__ import annotations

from holdfast.failover.machine import Machine
from holdfast.failover.model import Cluster, World
from holdfast.failover.router import State
from holdfast.keepalived.parse import parse
from holdfast.keepalived.to_failover import Host, cluster_of


def instance(name: str = "www", *, priority: int, more: str = "", vrid: int = 51, vip: str = "10.0.0.3") -> str:
    """A VRRP instance of version 3 on eth0 that advertises ten times a second."""
    return (
        f"vrrp_instance {name} {{\n    interface eth0\n    virtual_router_id {vrid}\n    priority {priority}\n"
        f"    advert_int 0.1\n    version 3\n{more}\n    virtual_ipaddress {{\n        {vip}/24\n    }}\n}}\n"
    )


def cluster(**files: str) -> Cluster:
    """The cluster of these files; lb1 has 10.0.0.11 on eth0, lb2 10.0.0.12 and so on."""
    hosts = {name: Host({"eth0": (f"10.0.0.{11 + at}",)}, {}) for at, name in enumerate(files)}
    return cluster_of({name: parse(text, name) for name, text in files.items()}, hosts)


def settled(made: Cluster, world: World | None = None) -> Machine:
    """A machine that came to rest."""
    machine = Machine(made, world)
    assert machine.settle()
    return machine


def active(machine: Machine, name: str = "www") -> set[str]:
    """The nodes on which the instance is ACTIVE."""
    return {place[0] for place, state in machine.states().items() if place[1] == name and state is State.ACTIVE}
