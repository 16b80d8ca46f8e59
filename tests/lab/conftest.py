"""Labs for the tests: small clusters under names of their own, taken down whatever happens."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from holdfast.lab.lab import Lab
from holdfast.lab.topology import Interface, LabNode, LabTopology, Network, Role, with_client

_PROGRAMS = ("ip", "nft", "unshare", "nsenter")
_counter = itertools.count()


def small_topology(name: str, balancers: int = 2, servers: int = 1) -> LabTopology:
    """Balancers on two networks (one with IPv6), servers on the inner one."""
    nodes = [
        LabNode(
            name=f"lb{number:02}",
            role=Role.BALANCER,
            interfaces=(
                Interface(name="eth0", network="front", addresses=(f"10.0.0.{number}/24", f"fd00::{number}/64")),
                Interface(name="eth1", network="inside", addresses=(f"192.168.30.{number}/24",)),
            ),
            gateways=("10.0.0.254",),
        )
        for number in range(1, balancers + 1)
    ]
    nodes += [
        LabNode(
            name=f"web{number:02}",
            role=Role.SERVER,
            interfaces=(Interface(name="eth0", network="inside", addresses=(f"192.168.30.{50 + number}/24",)),),
            gateways=("192.168.30.1",),
            origin_ports=(80, 8080),
        )
        for number in range(1, servers + 1)
    ]
    front = Network(name="front", gateways=("10.0.0.254/24",))
    return with_client(LabTopology(name=name, networks=(front, Network(name="inside")), nodes=tuple(nodes)))


@pytest.fixture(scope="session")
def small() -> Callable[..., LabTopology]:
    """The function that lays a small lab out: `small(name, balancers=2, servers=1)`."""
    return small_topology


@pytest.fixture(scope="session")
def lab_possible() -> None:
    """Skip where no lab can be: without root, or without the programs that make one."""
    if os.geteuid() != 0:
        pytest.skip("a lab needs root")
    missing = [name for name in _PROGRAMS if shutil.which(name) is None and not Path(f"/usr/sbin/{name}").exists()]
    if missing:
        pytest.skip(f"a lab needs {', '.join(missing)}")


@pytest.fixture
def lab_name(lab_possible: None) -> Iterator[str]:
    """A lab name that nobody else has; whatever there is of it afterwards is removed."""
    name = f"t{os.getpid()}-{next(_counter)}"
    yield name
    Lab.destroy(name)


@pytest.fixture(scope="module")
def lab(lab_possible: None) -> Iterator[Lab]:
    """One lab for all tests of a module: two balancers, a server, the client."""
    with Lab.up(small_topology(f"m{os.getpid()}-{next(_counter)}")) as made:
        yield made


_REACH = """
import socket, sys
socket.create_connection((sys.argv[1], int(sys.argv[2])), 0.7).close()
"""
_GET = """
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], timeout=float(sys.argv[2])).read().decode())
"""


@pytest.fixture(scope="session")
def reaches() -> Callable[..., bool]:
    """Whether a TCP connection from a node to an address and port can be made within 0.7 s."""

    def ask(lab: Lab, node: str, address: str, port: int = 80) -> bool:
        done = lab.node(node).exec(["python", "-I", "-S", "-c", _REACH, address, str(port)], timeout=60)
        return done.returncode == 0

    return ask


@pytest.fixture(scope="session")
def fetch() -> Callable[..., str]:
    """The body of a URL, fetched on a node; an empty string where there was no answer in time."""

    def ask(lab: Lab, node: str, url: str, timeout: float = 1.0) -> str:
        done = lab.node(node).exec(["python", "-I", "-S", "-c", _GET, url, str(timeout)], timeout=20)
        return done.stdout if done.returncode == 0 else ""

    return ask
