"""Overrides of pools' servers on a machine with real nginx, real HAProxy and steady traffic: no request fails."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.agent.machine import PYTHON, Machine
from tests.waiting import wait_until

from holdfast.bundle import HAPROXY_STATE, Bundle
from holdfast.compile.compiler import CompileInput, compile_cluster
from holdfast.compile.lock import Lock, Secrets
from holdfast.spec import parse_spec

pytestmark = [pytest.mark.lab, pytest.mark.traffic]

HERE = Path(__file__).parent / "prober"
URL = "http://10.9.0.5:8080/"
PORTS = (9001, 9002, 9003)
FIRST = "10.9.0.5:9001"
SPEC = """
holdfast: 1
cluster: shop
networks: {{front: {{cidr: 10.9.0.0/24}}}}
nodes: {{lb01: 10.9.0.5}}
pools:
  web:
    servers: ['10.9.0.5:9001', '10.9.0.5:9002', {{address: '10.9.0.5:9003', weight: {weight}}}]
    {check}
sites: {{all: {{routes: [{{path: /{path}, to: web}}, {{to: web, sticky: source}}]}}}}
proxies:
  edge: {{engine: {engine}, nodes: [lb01], listeners: [{{on: '10.9.0.5:8080', sites: [all]}}]}}
"""
CHECK = "check: {http: /healthz, every: 200ms, timeout: 150ms, fall: 3, rise: 2}"
ENGINES = pytest.mark.parametrize("engine", ["nginx", "haproxy"])


def bundle(engine: str, path: str = "fair", check: str = CHECK, weight: int = 1) -> Bundle:
    loaded = parse_spec(SPEC.format(engine=engine, path=path, check=check, weight=weight), "cluster.yaml")
    assert loaded.findings == ()
    return compile_cluster(CompileInput(loaded, Lock(cluster="shop"), Secrets(cluster="shop")))["lb01"]


@contextmanager
def serving(node: Machine) -> Iterator[None]:
    child = node.spawn(PYTHON, str(HERE / "backend.py"), *(f"s{port}:10.9.0.5:{port}" for port in PORTS))
    try:
        yield
    finally:
        assert child.stdin is not None
        child.stdin.close()
        child.wait(timeout=60)


@contextmanager
def hammering(node: Machine) -> Iterator[None]:
    """No request may fail while it runs."""
    child = node.spawn(PYTHON, str(HERE / "hammer.py"), "10.9.0.5", "8080", "/fair")
    try:
        yield
    finally:
        found = json.loads(child.communicate(timeout=60)[0])
    assert found["failed"] == []
    assert found["sent"] > 20


def override(node: Machine, *several: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps({"version": 1, "pools": [{"pool": "web", "server": FIRST, **each} for each in several]})
    report = node.agent("override", "--set", "-", text=text)
    assert report["done"], report
    return report


def answering(node: Machine, count: int = 30) -> dict[str, int]:
    found: dict[str, int] = {}
    for _ in range(count):
        who = node.get(f"{URL}fair")
        found[who] = found.get(who, 0) + 1
    return found


def only(report: dict[str, Any]) -> dict[str, Any]:
    (row,) = report["pools"]
    return dict(row)


def used_again(node: Machine) -> None:
    wait_until(lambda: "s9001" in answering(node, 9))


@ENGINES
def test_a_reload_by_hand_loses_no_request(node: Machine, engine: str) -> None:
    """As docs/how-to/apply-on-a-node.md has it: the agent sends the same signal to the same process."""
    signal = {"haproxy": "USR2", "nginx": "HUP"}[engine]
    with serving(node):
        report = node.apply(bundle(engine))
        assert report["outcome"] == "committed", report
        used_again(node)
        with hammering(node):
            for _ in range(8):
                node.run("sh", "-c", f"kill -{signal} $(cat /run/holdfast/{engine}/{engine}.pid)")
                time.sleep(0.4)


@ENGINES
@pytest.mark.parametrize("check", [CHECK, "balance: round_robin"], ids=["asked", "unasked"])
def test_out_and_back_again_without_a_failed_request(node: Machine, engine: str, check: str) -> None:
    with serving(node):
        report = node.apply(bundle(engine, check=check))
        assert report["outcome"] == "committed", report
        used_again(node)
        with hammering(node):
            for kind in ("suspended", "drained"):
                row = only(override(node, {"kind": kind}))
                assert (row["kind"], row["weight"], row["as_wanted"]) == (kind, None, True)
                assert row["engine"] == engine
                time.sleep(0.3)
                assert set(answering(node)) <= {"s9002", "s9003"}  # in step with the others, it may be one alone
                assert override(node)["pools"] == []
                used_again(node)
            assert only(override(node, {"kind": "weight", "weight": 8}))["weight"] == 8
            time.sleep(0.3)
        shares = answering(node, 50)
        assert shares == {
            "s9001": pytest.approx(40, abs=6),
            "s9002": pytest.approx(5, abs=3),
            "s9003": pytest.approx(5, abs=3),
        }
        with hammering(node):
            override(node)
            time.sleep(1)
        assert node.agent("status")["drift"] == []


@ENGINES
def test_they_hold_over_a_reload_a_new_bundle_and_a_restart(node: Machine, engine: str) -> None:
    with serving(node):
        assert node.apply(bundle(engine))["outcome"] == "committed"
        used_again(node)
        override(node, {"kind": "drained"}, {"server": "10.9.0.5:9003", "kind": "weight", "weight": 2})
        with hammering(node):
            assert node.apply(bundle(engine, path="other", weight=7))["outcome"] == "committed"
            assert node.agent("override")["done"]
            assert set(answering(node, 12)) <= {"s9002", "s9003"}
            node.agent("rollback")
            assert node.agent("override")["done"]
            pid = service(node, engine)["pid"]
            node.run("kill", "-HUP" if engine == "nginx" else "-USR2", str(pid))
            time.sleep(0.5)
            assert set(answering(node)) == {"s9002", "s9003"}
        node.run("kill", "-KILL", str(service(node, engine)["pid"]))
        wait_until(lambda: service(node, engine)["pid"] != pid and service(node, engine)["running"])
        wait_until(lambda: answers(node))
        shares = answering(node)
        assert set(shares) == {"s9002", "s9003"}
        assert shares["s9003"] == pytest.approx(20, abs=4)
        assert node.agent("override")["done"]


def service(node: Machine, name: str) -> dict[str, Any]:
    return next(each for each in node.agent("status")["services"] if each["service"] == name)


def answers(node: Machine) -> bool:
    return node.run("curl", "-s", "-o", "/dev/null", "--max-time", "2", URL, check=False).returncode == 0


@ENGINES
def test_what_is_left_is_counted_until_it_ends(node: Machine, engine: str) -> None:
    with serving(node):
        assert node.apply(bundle(engine))["outcome"] == "committed"
        used_again(node)
        override(node, *({"server": f"10.9.0.5:{port}", "kind": "suspended"} for port in PORTS[1:]))
        argv = node.enter(["curl", "-s", "--max-time", "30", f"{URL}fair?slow=6"])
        slow = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        time.sleep(1.0)
        override(node)
        row = only(override(node, {"kind": "drained"}))
        assert row["open"] == 1
        assert set(answering(node, 9)) == {"s9002", "s9003"}
        wait_until(lambda: only(node.agent("override"))["open"] == 0)
        assert slow.communicate(timeout=60)[0] == "s9001"


@ENGINES
def test_one_that_is_killed_in_the_middle_leaves_what_the_next_one_finishes(node: Machine, engine: str) -> None:
    text = json.dumps({"version": 1, "pools": [{"pool": "web", "server": FIRST, "kind": "suspended"}]})
    with serving(node):
        assert node.apply(bundle(engine))["outcome"] == "committed"
        used_again(node)
        with hammering(node):
            for pause in (0.05, 0.15, 0.3, 0.5):
                child = node.spawn_agent("override", "--set", "-", text=text)
                time.sleep(pause)
                for pid in node.pids_of_agent():
                    node.run("kill", "-KILL", str(pid), check=False)
                child.wait(timeout=60)
                override(node, {"kind": "suspended"})
                assert "s9001" not in answering(node, 12)
                override(node)
                used_again(node)
        assert node.agent("status")["drift"] == []


def test_a_server_that_fails_and_is_taken_out_leaves_the_others_their_share(node: Machine) -> None:
    """The prober keeps `min_servers` of those that are not taken out."""
    with serving(node):
        assert node.apply(bundle("nginx"))["outcome"] == "committed"
        used_again(node)
        node.run("touch", "/tmp/BROKEN.s9002")
        wait_until(lambda: set(answering(node, 9)) == {"s9001", "s9003"})
        override(node, {"kind": "suspended"})
        assert set(answering(node, 9)) == {"s9003"}
        node.run("touch", "/tmp/BROKEN.s9003")
        time.sleep(2.5)
        assert set(answering(node, 9)) <= {"s9002", "s9003"}  # none of them is well: the last ones stay
        node.run("rm", "/tmp/BROKEN.s9002", "/tmp/BROKEN.s9003")
        override(node)
        wait_until(lambda: len(answering(node, 12)) == 3)


def test_haproxys_file_of_states_names_who_is_overridden_and_nobody_else(node: Machine) -> None:
    with serving(node):
        assert node.apply(bundle("haproxy"))["outcome"] == "committed"
        assert len(node.read(HAPROXY_STATE).splitlines()) == 2
        override(node, {"kind": "suspended"})
        lines = node.read(HAPROXY_STATE).splitlines()[2:]
        assert [line.split()[1:4:2] for line in lines] == [["web", "10-9-0-5-9001"], ["web.source", "10-9-0-5-9001"]]
