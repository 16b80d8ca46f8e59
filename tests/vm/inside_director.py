"""Run by pytest inside the virtual machine: a director and a real server with a kernel that has IPVS and tunnels."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.agent import bundles, directors
from tests.agent.machine import Machine, machine
from tests.waiting import wait_until

from holdfast.bundle import Bundle, NetworkTunnel

PAIR = directors.pair()
NOTHING = Bundle(cluster="shop", node="lb01", services=(), files=())
SLOW_S = 60.0  # the machine is emulated in software
DRAINED = {"server": "rs01:80", "kind": "drained"}
SUSPENDED = {"server": "rs01:80", "kind": "suspended"}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """One for all: to make one takes seconds here."""
    with machine(tmp_path_factory.mktemp("machine"), up_within_s=120) as made:
        yield made


def director(weight: int = 100, check: str = "") -> Bundle:
    return directors.bundle(directors.pair(weight), check=check, modules=True)


def committed(report: dict[str, Any]) -> dict[str, Any]:
    assert report["outcome"] == "committed", report
    return report


def weights(node: Machine) -> dict[str, int]:
    found = {}
    for line in node.run("ipvsadm", "-Ln").stdout.splitlines():
        words = line.split()
        if words[:1] == ["->"] and words[1] != "RemoteAddress:Port":
            found[words[1]] = int(words[3])
    return found


def override(node: Machine, *servers: dict[str, Any]) -> dict[str, Any]:
    return node.agent("override", "--set", "-", text=json.dumps({"servers": servers}))


def now_in(node: Machine, path: str) -> str:
    """What a file holds, nothing if it is not there: keepalived removes and writes them meanwhile."""
    try:
        return node.read(path)
    except FileNotFoundError:
        return ""


def restart_keepalived(node: Machine) -> None:
    """Killed, as it fails; the supervisor starts it again. What it had made stays in the kernel's table until then."""
    pids = [f"/run/holdfast/keepalived/{name}.pid" for name in ("keepalived", "checkers")]
    before = [node.read(pid) for pid in pids]
    node.run("kill", "-KILL", before[0].strip())
    wait_until(lambda: all(now_in(node, pid) not in ("", old) for pid, old in zip(pids, before, strict=True)), SLOW_S)
    time.sleep(3)  # it says nowhere that it follows its files


BOTH = {"10.9.0.21:80": 100, "10.9.0.22:80": 100}


@pytest.fixture
def directing(node: Machine) -> Machine:
    """The node as a director, nothing overridden."""
    assert node.apply(director())["outcome"] in ("committed", "unchanged")
    assert override(node)["done"]
    return node


def test_a_director_comes_up_and_its_table_is_as_expected(node: Machine) -> None:
    report = committed(node.apply(director()))
    assert weights(node) == BOTH
    status = node.agent("status")
    assert status["table"] == []
    assert node.apply(director())["outcome"] == "unchanged", report


def test_drained_in_the_kernel_and_kept_over_everything(directing: Machine) -> None:
    node = directing
    report = override(node, DRAINED)
    assert report["done"], report
    assert weights(node) == {**BOTH, "10.9.0.21:80": 0}
    assert node.agent("status")["table"] == []
    assert node.agent("status")["overrides"][0]["kind"] == "drained"
    other = {"10.9.0.21:80": 0, "10.9.0.22:80": 200}
    committed(node.apply(director(200)))  # another base weight: keepalived is reloaded
    assert weights(node) == other
    node.run("kill", "-HUP", node.read("/run/holdfast/keepalived/keepalived.pid").strip())
    time.sleep(2)
    assert weights(node) == other
    restart_keepalived(node)
    wait_until(lambda: len(weights(node)) == 2, SLOW_S)
    assert weights(node) == other
    assert committed(node.agent("rollback"))
    assert weights(node) == {**BOTH, "10.9.0.21:80": 0}
    assert override(node)["done"]
    assert weights(node) == BOTH


def test_suspended_is_out_of_the_table_and_comes_back_whole_also_after_a_restart(directing: Machine) -> None:
    node = directing
    assert override(node, SUSPENDED)["done"]
    assert weights(node) == {"10.9.0.22:80": 100}
    assert node.agent("override")["servers"][0]["weight"] is None
    report = override(node)
    assert report["done"]
    assert not report["reloaded"]
    assert weights(node) == BOTH
    assert override(node, SUSPENDED)["done"]
    restart_keepalived(node)
    wait_until(lambda: weights(node) == {"10.9.0.22:80": 100}, SLOW_S)
    report = override(node)
    assert report["done"], report
    assert report["reloaded"]  # 2.2.7 alone would bring it back with weight 0
    assert weights(node) == BOTH


def test_another_weight_follows_the_base(directing: Machine) -> None:
    node = directing
    assert override(node, {"server": "rs01:80", "kind": "weight", "weight": 30})["done"]
    assert weights(node)["10.9.0.21:80"] == 30
    committed(node.apply(director(50)))
    assert weights(node) == {"10.9.0.21:80": 30, "10.9.0.22:80": 50}
    committed(node.apply(director()))
    assert override(node)["done"]
    assert weights(node) == BOTH


def limits(node: Machine) -> dict[str, tuple[int, int]]:
    """(upper, lower) of each server, from the kernel."""
    found = {}
    for line in node.run("ipvsadm", "-Ln", "--thresholds").stdout.splitlines():
        words = line.split()
        if words[:1] == ["->"] and words[1] != "RemoteAddress:Port":
            found[words[1]] = (int(words[2]), int(words[3]))
    return found


def test_thresholds_alone_reach_the_kernel_and_go_again(directing: Machine) -> None:
    node = directing
    assert limits(node) == dict.fromkeys(BOTH, (0, 0))
    limited = directors.bundle(directors.pair(upper=50, lower=20), modules=True)
    report = committed(node.apply(limited))
    carried = next(stage for stage in report["stages"] if stage["name"] == "carry thresholds")
    assert "rs01:80 of shop" in carried["detail"]
    assert limits(node) == dict.fromkeys(BOTH, (50, 20))
    assert weights(node) == BOTH
    assert override(node, DRAINED)["done"]
    committed(node.apply(director()))
    assert weights(node) == {**BOTH, "10.9.0.21:80": 0}
    assert limits(node) == {"10.9.0.21:80": (50, 20), "10.9.0.22:80": (0, 0)}  # it takes nothing that would count
    assert [found["severity"] for found in node.agent("status")["table"]] == ["info"]
    assert override(node)["done"]
    assert limits(node) == dict.fromkeys(BOTH, (0, 0))
    assert node.agent("status")["table"] == []


def test_a_bundle_whose_table_does_not_come_is_rolled_back(directing: Machine) -> None:
    node = directing
    two = directors.virtual_server(
        directors.server("rs03-80", "10.9.0.23", vs="api"), name="api", source="api", port=81
    )
    wanted = directors.bundle(PAIR, two, modules=True)
    lacking = directors.bundle(PAIR, modules=True)
    lies = lacking.model_copy(update={"expected": wanted.expected})
    report = node.apply(lies)
    assert report["outcome"] == "rolled_back", report
    assert "no virtual server api" in report["failure"]["message"]
    assert weights(node) == BOTH


def test_what_leaves_takes_its_weight_files_and_its_services_along(directing: Machine) -> None:
    node = directing
    override(node, DRAINED)
    committed(node.apply(bundles.bundle(bundles.sysctl(), bundles.keepalived())))
    assert weights(node) == {}
    assert not node.exists("/var/lib/holdfast/weight/shop")
    committed(node.apply(director()))  # the override is the node's, so it counts at once
    assert weights(node) == {**BOTH, "10.9.0.21:80": 0}
    override(node)
    committed(node.apply(NOTHING))


TUNNELS = [
    ("tunl0", "ipip", None, "10.9.7.3/32"),
    ("gre0", "gre", None, "10.9.7.3/32"),
    ("tunl0", "gue", 6080, "10.9.7.3/32"),
    ("ip6tnl0", "ip6tnl", None, "fd00:9:7::3/128"),
    ("ip6gre0", "ip6gre", None, "fd00:9:7::3/128"),
    ("ip6tnl0", "gue6", 6081, "fd00:9:7::3/128"),
    ("extra0", "ipip", None, "10.9.7.3/32"),
]
MODULES = ("ipip", "ip_gre", "ip6_tunnel", "ip6_gre", "fou", "fou6")


def links(node: Machine, device: str) -> str:
    done = node.run("ip", "-oneline", "address", "show", "dev", device, check=False)
    flags = node.run("ip", "-oneline", "link", "show", "dev", device, check=False).stdout
    flags = flags.partition("<")[2].partition(">")[0] if flags else "none"
    return (
        " ".join(sorted(flags.split(",")))
        + "|"
        + ",".join(
            sorted(line.split()[3] for line in done.stdout.splitlines() if " inet" in line and "fe80" not in line)
        )
    )


@pytest.mark.parametrize(("device", "kind", "port", "address"), TUNNELS)
def test_a_tunnel_is_brought_up_and_left_as_it_was(
    node: Machine, device: str, kind: str, port: int | None, address: str
) -> None:
    for module in MODULES:
        os.system(f"modprobe {module}")
    before, ports = links(node, device), node.run("ip", "fou", "show").stdout
    tunnel = NetworkTunnel(device=device, kind=kind, port=port)
    if device == "extra0":  # a second device that takes everything is what the kernel refuses
        refused = node.apply(bundles.bundle(bundles.network(f"{device} {address}", tunnels=(tunnel,))))
        assert refused["outcome"] in ("refused", "rolled_back"), refused
        assert links(node, device) == before
        return
    made = bundles.bundle(bundles.network(f"{device} {address}", tunnels=(tunnel,)))
    made = made.model_copy(update={"kernel_modules": MODULES})
    committed(node.apply(made))
    assert "UP" in links(node, device).split("|")[0].split()
    assert address in links(node, device)
    if port:
        listed = node.run("ip", "fou", "show").stdout
        assert f"port {port} gue" in listed
    assert node.apply(made)["outcome"] == "unchanged"
    committed(node.apply(NOTHING))
    assert links(node, device) == before
    assert node.run("ip", "fou", "show").stdout == ports


def test_a_module_is_loaded_before_the_sysctls_that_it_brings(node: Machine) -> None:
    made = bundles.bundle(bundles.sysctl(**{"net.ipv4.vs.expire_nodest_conn": "1"}))
    made = made.model_copy(update={"kernel_modules": ("ip_vs", "dummy")})
    os.system("rmmod dummy")
    report = committed(node.apply(made))
    names = [stage["name"] for stage in report["stages"]]
    assert names.index("load kernel modules") < names.index("set sysctls")
    assert "dummy " in Path("/proc/modules").read_text()
    committed(node.apply(NOTHING))
