"""A spec pushed over SSH to nodes that run the real programs: the applier, keepalived and nginx, in namespaces."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli import forked
from tests.rollout.far_side import FarSide, far_side
from tests.waiting import comes_true

from holdfast.lab.lab import Lab
from holdfast.lab.twin import from_spec
from holdfast.spec import parse_spec

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

SPEC = """\
holdfast: 1
cluster: pushed
networks:
  front: {cidr: 10.0.0.0/24}
nodes: {lb01: 10.0.0.5, lb02: 10.0.0.6, web01: 10.0.0.7}
vrrp:
  www: {addresses: [10.0.0.3/24], nodes: [lb01, lb02], vrid: 51, advertise_every: 100ms}
pools:
  app: {servers: [web01:80]}
sites:
  shop: {hosts: [www.example.com], routes: [{to: app}]}
proxies:
  edge: {engine: nginx, nodes: [lb01, lb02], listeners: [{on: 'www:80', sites: [shop]}]}
"""
MORE = SPEC.replace("addresses: [10.0.0.3/24]", "addresses: [10.0.0.3/24, 10.0.0.33/24]")


@pytest.fixture
def lab(lab_name: str) -> Iterator[Lab]:
    running = Lab.up(from_spec(parse_spec(SPEC, "cluster.yaml").spec, lab_name))
    try:
        yield running
    finally:
        running.down()


@pytest.fixture
def there(lab: Lab, tmp_path: Path) -> Iterator[FarSide]:
    def answer(node: str, words: list[str], stdin: str) -> tuple[int, str, str]:
        assert words[0] == "holdfast-agent"
        done = lab.agents.run(lab.node(node), words[1:], input=stdin, timeout=90)
        return done.returncode, done.stdout, done.stderr

    with far_side(tmp_path / "far", answer) as running:
        yield running


def held(lab: Lab, node: str) -> set[str]:
    return {str(each.ip) for addresses in lab.node(node).addresses().values() for each in addresses}


def test_the_holder_comes_last_and_everything_really_runs(lab: Lab, there: FarSide, tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"

    def push(text: str) -> subprocess.CompletedProcess[str]:
        path.write_text(text)
        hosts = [f"--host={node}={node}@127.0.0.1:{there.port}" for node in ("lb01", "lb02")]
        keys = [f"--identity={there.identity}", f"--known-hosts={there.known_hosts}", "--no-sudo"]
        words = ["push", str(path), "--ssh", "--yes", "--json", "--no-process-events", *hosts, *keys]
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
        return forked.run(words, tmp_path, environment, 240)

    first = push(SPEC)
    assert first.returncode == 0, first.stdout + first.stderr
    assert comes_true(lambda: "10.0.0.3" in held(lab, "lb01"), 30)
    assert "10.0.0.3" not in held(lab, "lb02")
    there.ran.clear()
    second = push(MORE)
    assert second.returncode == 0, second.stdout + second.stderr
    told = json.loads(second.stdout)["rollout"]
    assert [report["node"] for report in told["reports"]] == ["lb02", "lb01"]
    assert all("reload" in {stage["name"].split()[0] for stage in report["stages"]} for report in told["reports"])
    assert {"10.0.0.3", "10.0.0.33"} <= held(lab, "lb01")
    again = json.loads(push(MORE).stdout)
    assert (again["ok"], again["rollout"], again["plan"]["changed"]) == (True, None, False)
