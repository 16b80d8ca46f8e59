"""The prober on a machine with real nginx and real servers: who is out, who comes back, and what users notice."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.agent import bundles
from tests.agent.machine import PYTHON, Machine
from tests.agent.prober import pools
from tests.waiting import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.traffic]

HERE = Path(__file__).parent
FALL_S = 3 * 0.2
DEBOUNCE_S = 1.0
RELOAD_S = 1.5  # nginx -t, the reload and its verification, on a busy machine
PROMISED_S = FALL_S + DEBOUNCE_S + RELOAD_S


@contextmanager
def serving(node: Machine, *ports: int) -> Iterator[None]:
    node.run("ip", "address", "add", "10.9.0.3/24", "dev", "eth0")
    child = node.spawn(PYTHON, str(HERE / "backend.py"), *(f"s{port}:{port}" for port in ports))
    try:
        yield
    finally:
        assert child.stdin is not None
        child.stdin.close()
        child.wait(timeout=60)


@contextmanager
def hammering(node: Machine) -> Iterator[dict[str, Any]]:
    """What it found is there once the block has ended."""
    child = node.spawn(PYTHON, str(HERE / "hammer.py"), "10.9.0.3", "8080")
    found: dict[str, Any] = {}
    try:
        yield found
    finally:
        out, _ = child.communicate(timeout=60)
        found.update(json.loads(out))


def break_one(node: Machine, port: int) -> float:
    node.run("touch", f"/tmp/BROKEN.s{port}")
    return time.time()


def mend(node: Machine, port: int) -> None:
    node.run("rm", "-f", f"/tmp/BROKEN.s{port}")


def down(node: Machine) -> set[int]:
    """What nginx's list says."""
    lines = node.read(pools.LIST).splitlines()
    return {int(line.split()[1].rpartition(":")[2]) for line in lines if " down;" in line}


def answering(node: Machine) -> set[str]:
    return {node.get(pools.URL) for _ in range(12)}


def status(node: Machine) -> dict[str, dict[str, Any]]:
    (pool,) = node.agent("status")["pools"]
    return {server["name"]: server for server in pool["servers"]}


def prober(node: Machine) -> dict[str, Any]:
    services: list[dict[str, Any]] = node.agent("status")["services"]
    return next(each for each in services if each["service"] == "prober")


def reloads(node: Machine) -> int:
    """The prober's log has a line for each time that nginx was told of this pool."""
    return node.read("/var/log/holdfast/prober/prober.log").count("nginx leaves out")


def test_a_server_whose_check_fails_is_out_in_time_and_back_again_and_nobody_notices(node: Machine) -> None:
    with serving(node, *pools.PORTS):
        report = node.apply(pools.bundle())
        assert report["outcome"] == "committed", report
        assert report["started"] == ["nginx", "prober"]
        assert answering(node) == {"s9001", "s9002", "s9003"}
        took: list[float] = []
        while len(took) < 3 and not (took and took[-1] <= PROMISED_S):  # the best counts: what else runs makes it later
            if took:
                mend(node, 9002)
                wait_until(lambda: "s9002" in answering(node))
            with hammering(node) as traffic:
                broken = break_one(node, 9002)
                wait_until(lambda: down(node) == {9002})
                wait_until(lambda: "s9002" not in answering(node))
                time.sleep(0.5)
            assert traffic["failed"] == []
            assert traffic["sent"] > 20
            took.append(traffic["last"]["s9002"] - broken)
        assert took[-1] <= PROMISED_S, took
        wait_until(lambda: not status(node)["s9002"]["in_use"])
        found = status(node)["s9002"]
        assert (found["up"], found["in_use"], found["last"]) == (False, False, "answers 500")
        assert node.agent("status")["drift"] == []
        with hammering(node) as traffic:
            mend(node, 9002)
            wait_until(lambda: "s9002" in answering(node))
        assert traffic["failed"] == []
        assert down(node) == set()
        wait_until(lambda: status(node)["s9002"]["in_use"])
        assert reloads(node) == 2 * len(took)


def test_the_minimum_stays_though_it_fails(node: Machine) -> None:
    with serving(node, *pools.PORTS):
        assert node.apply(pools.bundle(min_servers=2))["outcome"] == "committed"
        for port in (9002, 9003):
            break_one(node, port)
        wait_until(lambda: sum(server["up"] for server in status(node).values()) == 1)
        wait_until(lambda: reloads(node) == 1)
        before = down(node)
        assert len(before) == 1
        assert before < {9002, 9003}
        time.sleep(2.5)
        assert (down(node), reloads(node)) == (before, 1)  # and which of them does not change with every answer
        assert len(answering(node)) == 2


def test_a_pool_that_is_dead_altogether_is_left_whole(node: Machine) -> None:
    """It may be this node that is cut off; all of them may still answer users."""
    with serving(node, *pools.PORTS):
        assert node.apply(pools.bundle())["outcome"] == "committed"
        break_one(node, 9001)
        wait_until(lambda: down(node) == {9001})
        for port in (9002, 9003):
            break_one(node, port)
        wait_until(lambda: not any(server["up"] for server in status(node).values()))
        wait_until(lambda: down(node) == set())
        wait_until(lambda: all(server["in_use"] for server in status(node).values()))
        told = reloads(node)
        time.sleep(2.5)
        assert (down(node), reloads(node)) == (set(), told)
        assert answering(node) == {"s9001", "s9002", "s9003"}
        mend(node, 9002)
        wait_until(lambda: down(node) == {9001, 9003})


def test_killed_it_changes_nothing_and_comes_back_to_what_it_knew(node: Machine) -> None:
    with serving(node, *pools.PORTS):
        node.apply(pools.bundle())
        break_one(node, 9003)
        wait_until(lambda: down(node) == {9003})
        wait_until(lambda: "s9003" not in answering(node))
        pid = prober(node)["pid"]
        node.run("kill", "-STOP", str(pid))  # as good as dead, and nothing starts it again
        mend(node, 9003)
        time.sleep(1.5)
        assert down(node) == {9003}
        assert answering(node) == {"s9001", "s9002"}
        with hammering(node) as traffic:
            node.run("kill", "-KILL", str(pid))
            wait_until(lambda: prober(node)["running"] and prober(node)["pid"] != pid)
            wait_until(lambda: down(node) == set())
        assert traffic["failed"] == []
        assert prober(node)["restarts"] == 1


def test_a_bundle_applied_meanwhile_heals_no_server_and_going_back_neither(node: Machine) -> None:
    with serving(node, *pools.PORTS, 9004):
        first = node.apply(pools.bundle())
        break_one(node, 9001)
        wait_until(lambda: "s9001" not in answering(node))
        with hammering(node) as traffic:
            ports = (*pools.PORTS, 9004)
            second = node.apply(pools.bundle(ports))
            assert second["outcome"] == "committed", second
            assert second["reloaded"] == ["nginx", "prober"]
            assert down(node) == {9001}
            wait_until(lambda: "s9004" in answering(node))
            mend(node, 9001)
            break_one(node, 9002)
            wait_until(lambda: down(node) == {9002})
            back = node.agent("rollback")
            assert back["digest"] == first["digest"]
            assert down(node) == {9002}  # not 9001, as the old generation was left
            refused = node.apply(pools.bundle(more="location / { return 404; }"))
            assert refused["outcome"] == "refused"
            assert down(node) == {9002}
        assert traffic["failed"] == []
        assert node.apply(pools.bundle())["outcome"] == "unchanged"


def test_killed_while_it_writes_it_leaves_a_valid_configuration(node: Machine) -> None:
    """Again and again, at moments spread over the whole of a write and its reload."""
    with serving(node, *pools.PORTS):
        node.apply(pools.bundle())
        with hammering(node) as traffic:
            for round_ in range(8):
                was = down(node)
                mend(node, 9002) if was else break_one(node, 9002)
                pid = prober(node)["pid"]
                wait_until(lambda: node.exists("/run/holdfast/prober/unfinished"))
                time.sleep(0.06 * round_)
                node.run("kill", "-KILL", str(pid), check=False)
                checked = node.run("nginx", "-t", "-c", "/etc/holdfast/nginx/nginx.conf", check=False)
                assert checked.returncode == 0, checked.stderr
                assert node.agent("status")["drift"] == []
                recovered = node.agent("recover")  # does not wait for the supervisor's growing patience
                assert recovered["outcome"] in ("committed", "unchanged"), recovered
                wait_until(lambda was=was: down(node) != was)
                wait_until(lambda: not node.exists("/run/holdfast/prober/unfinished"))
                expected = {"s9001", "s9003"} if down(node) else {"s9001", "s9002", "s9003"}
                wait_until(lambda expected=expected: answering(node) == expected)
        assert traffic["failed"] == []
        assert node.apply(pools.bundle())["outcome"] == "unchanged"


def test_a_change_that_nginx_refuses_is_taken_back(node: Machine) -> None:
    """Somebody broke nginx.conf by hand: the lists go back, the trouble is told, and it goes on once that is mended."""
    with serving(node, *pools.PORTS):
        node.apply(pools.bundle())
        good = next(f.content for f in pools.bundle().files if f.path.endswith("nginx.conf"))
        generation = node.agent("status")["generation"]
        path = f"/etc/holdfast/generations/{generation}/nginx/nginx.conf"
        node.write(path, good.replace("events", "evnets"))
        break_one(node, 9002)
        wait_until(lambda: "nginx refuses" in node.read("/run/holdfast/prober/status.json"))
        assert down(node) == set()
        assert answering(node) == {"s9001", "s9002", "s9003"}
        node.write(path, good)
        wait_until(lambda: down(node) == {9002})
        wait_until(lambda: '"trouble": ""' in node.read("/run/holdfast/prober/status.json"))


def test_the_prober_leaves_with_its_pools(node: Machine) -> None:
    with serving(node, *pools.PORTS):
        node.apply(pools.bundle())
        report = node.apply(bundles.bundle(bundles.sysctl(), bundles.nginx(), listeners=()))
        assert report["outcome"] == "committed", report
        assert report["stopped"] == ["prober"]
        assert node.agent("status")["pools"] == []
