"""`holdfast lab …` and `holdfast realtime --lab` with virtual servers, as a user types them.

The tests build on one lab, in their order; each leaves it as it was.
"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from tests.vm import as_ipvsadm
from tests.vm.kept_lab import ANY, STICKY, USERS, Lab

from holdfast.ipvs.rates import REFRESH_S

pytestmark = [pytest.mark.vm, pytest.mark.lab, pytest.mark.timeout(1500), pytest.mark.xdist_group("kept-lab")]

NODES = {"lb01", "lb02", "web01", "web02", "client"}
HEADINGS = ("IP Virtual", "Prot ", "-> RemoteAddress")


def status(lab: Lab) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(lab.run("lab", "status", "--lab", lab.name, "--json").stdout)
    return found


def holders(lab: Lab) -> list[str]:
    found: list[str] = status(lab)["holders"]["www"]
    return found


def on(lab: Lab, node: str, *words: str, status: int = 0) -> str:
    return lab.run("lab", "exec", "--lab", lab.name, node, *words, status=status).stdout


def looks(lab: Lab, *words: str) -> dict[str, dict[str, Any]]:
    """The last look at each node."""
    lines = lab.run("realtime", "--lab", lab.name, "--json", *words).stdout.splitlines()
    return {found["node"]: found for found in map(json.loads, lines)}


def test_it_is_up_and_says_so(kept_lab: Lab) -> None:
    found = status(kept_lab)
    assert found["lab"] == kept_lab.name
    assert found["holders"] == {"www": ["lb01"]}
    assert {name for name, node in found["nodes"].items() if node["up"]} == NODES
    assert any(each.startswith("10.0.0.3/") for each in found["nodes"]["lb01"]["addresses"]["eth0"])
    assert found["faults"] == []
    assert "www: lb01" in kept_lab.run("lab", "status", "--lab", kept_lab.name).stdout
    assert kept_lab.name in json.loads(kept_lab.run("lab", "status", "--json").stdout)["labs"]


def test_a_command_in_a_node_with_its_output_and_its_status(kept_lab: Lab) -> None:
    assert "IP Virtual Server" in on(kept_lab, "lb01", "ipvsadm", "-Ln")
    assert on(kept_lab, "web01", "sh", "-c", "hostname; exit 7", status=7) == "web01\n"
    refused = kept_lab.run("lab", "exec", "--lab", kept_lab.name, "lb07", "true", status=None)
    assert refused.returncode != 0
    assert "lb07" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_realtime_has_ipvsadms_numbers(kept_lab: Lab) -> None:
    """Once requests have come through, each counter of each server, on the director that forwarded them."""
    assert set(kept_lab.servers(ANY, *USERS)) == {"web01", "web02"}
    assert kept_lab.servers(STICKY, USERS[0])
    time.sleep(1.5 * REFRESH_S)  # until the kernel has counted them
    found = looks(kept_lab, "--once")
    assert found.keys() == {"lb01", "lb02"}
    theirs = on(kept_lab, "lb01", "ipvsadm", "-Ln", "--stats", "--exact")
    assert as_ipvsadm.numbers(found["lb01"], "counters") == as_ipvsadm.words(theirs, without=HEADINGS)
    used = {one["port"]: one["counters"]["connections"] for one in found["lb01"]["services"]}
    assert used[ANY] >= len(USERS)
    assert used[STICKY] >= 1


def test_realtime_of_one_node_and_one_virtual_server_with_rates(kept_lab: Lab) -> None:
    found = looks(kept_lab, "--node", "lb01", "--vip", f"10.0.0.3:{ANY}", "--count", "2", "--interval", "3s")
    assert found.keys() == {"lb01"}
    assert [service["port"] for service in found["lb01"]["services"]] == [ANY]
    assert found["lb01"]["services"][0]["rates"]["connections"] >= 0
    assert found["lb01"]["seconds"] >= 2.9
    table = kept_lab.run("realtime", "--lab", kept_lab.name, "--once").stdout
    assert f"10.0.0.3:{ANY}" in table
    nowhere = kept_lab.run("realtime", "--lab", kept_lab.name, "--node", "lb07", "--once", status=None)
    assert nowhere.returncode != 0
    assert "lb07" in nowhere.stdout + nowhere.stderr


def test_a_director_dies_and_comes_back(kept_lab: Lab) -> None:
    assert "crash" in kept_lab.run("lab", "fault", "--lab", kept_lab.name, "crash", "lb01").stdout
    kept_lab.until(lambda: holders(kept_lab) == ["lb02"])
    found = status(kept_lab)
    assert not found["nodes"]["lb01"]["up"]
    assert len(found["faults"]) == 1
    assert set(kept_lab.servers(ANY, *USERS[:6])) == {"web01", "web02"}
    kept_lab.run("lab", "fault", "--lab", kept_lab.name, "crash", "lb01", "--heal")
    kept_lab.until(lambda: holders(kept_lab) == ["lb01"])  # it is preferred, 15 s after it is up
    assert status(kept_lab)["faults"] == []


def test_a_group_is_moved_and_moved_back(kept_lab: Lab) -> None:
    assert "lb01 → lb02" in kept_lab.run("lab", "move", "--lab", kept_lab.name, "www").stdout
    assert holders(kept_lab) == ["lb02"]
    assert set(kept_lab.servers(ANY, *USERS[:6])) == {"web01", "web02"}
    assert "lb02 → lb01" in kept_lab.run("lab", "move", "--lab", kept_lab.name, "www", "--back").stdout
    assert holders(kept_lab) == ["lb01"]


def test_a_changed_spec_is_shown_then_rolled_out(kept_lab: Lab) -> None:
    apply = ("lab", "apply", "--lab", kept_lab.name)
    before = {"10.0.0.7:8080": "1", "10.0.0.8:8080": "2"}
    assert kept_lab.weights("lb01", ANY) == before
    changed = kept_lab.spec.with_name("changed.yaml")
    changed.write_text(kept_lab.spec.read_text().replace("{address: web02, weight: 2}", "{address: web02, weight: 7}"))
    kept_lab.run(*apply, str(changed), "--dry-run")
    assert kept_lab.weights("lb01", ANY) == before
    assert "every node runs it, verified" in kept_lab.run(*apply, str(changed)).stdout
    after = {"10.0.0.7:8080": "1", "10.0.0.8:8080": "7"}
    assert kept_lab.weights("lb01", ANY) == kept_lab.weights("lb02", ANY) == after
    kept_lab.run(*apply, str(kept_lab.spec))
    assert kept_lab.weights("lb01", ANY) == kept_lab.weights("lb02", ANY) == before


def test_a_spec_that_cannot_be_is_refused_with_its_line(kept_lab: Lab) -> None:
    """DR to another port: the real server would have to answer on the one that was asked."""
    wrong = kept_lab.spec.with_name("wrong.yaml")
    wrong.write_text(
        kept_lab.spec.read_text().replace("{address: web01, weight: 1}", "{address: 'web01:81', weight: 1}")
    )
    refused = kept_lab.run("lab", "apply", "--lab", kept_lab.name, str(wrong), status=None)
    assert refused.returncode != 0
    assert "wrong.yaml:" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert kept_lab.weights("lb01", ANY) == {"10.0.0.7:8080": "1", "10.0.0.8:8080": "2"}
