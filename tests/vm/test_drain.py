"""`holdfast drain --wait` under traffic, in a lab that lives in a virtual machine.

The tests build on one lab, in their order; each leaves it with nothing overridden, the last one with another spec.
"""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any

import pytest
from tests.vm.kept_lab import ANY, PATIENCE_S, STICKY, USERS, Lab

pytestmark = [pytest.mark.vm, pytest.mark.lab, pytest.mark.timeout(1500), pytest.mark.xdist_group("kept-lab")]

OTHER = {"web01": "web02", "web02": "web01"}


def weight(said: dict[str, Any], director: str, server: str) -> set[int | None]:
    rows = said["directors"][director]["servers"]
    return {row["weight"] for row in rows if row["server"].startswith(server)}


def test_drained_under_downloads_it_waits_for_the_last_one_and_none_is_lost(kept_lab: Lab) -> None:
    """Two of six downloads are the drained server's; one ends a good while before the other."""
    lasting = ["60", "60", "60", "100", "100", "100"]
    client = subprocess.Popen(
        kept_lab.on_client("long", str(ANY), *lasting), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )
    assert client.stdout is not None
    serving: list[str] = json.loads(client.stdout.readline())
    began = time.monotonic()
    assert sorted(serving[:3]) == sorted(serving[3:]) == ["web01", "web02", "web02"]  # by weight

    gave_up = kept_lab.override("drain", "web01", "--wait", "--deadline", "1s", "--why", "new disk", status=1)
    assert gave_up["left"] == 2
    assert weight(gave_up, "lb01", "web01") == weight(gave_up, "lb02", "web01") == {0}
    assert kept_lab.weights("lb01", ANY) == {"10.0.0.7:8080": "0", "10.0.0.8:8080": "2"}
    assert kept_lab.written == [("web01", "drained")]  # the user's own file, not one in the machine
    assert set(kept_lab.servers(ANY, *USERS[:6])) == {"web02"}  # it stays drained: nobody new comes

    time.sleep(max(0.0, began + 62 - time.monotonic()))  # each question costs the emulated processor seconds
    seen = [2]
    # More than two: on a starved machine the other director holds for a moment, and counts, too.
    while seen[-1] >= 2 and time.monotonic() < began + 95:
        seen.append(kept_lab.override("drain", "web01")["open"])
    assert seen[-1] == 1  # the count falls
    waited = kept_lab.override("drain", "web01", "--wait", "--deadline", "4m")
    assert waited["left"] == 0
    assert time.monotonic() - began > 95  # not before the last one has ended

    assert client.wait(PATIENCE_S) == 0
    assert json.loads(client.stdout.readline()) == [True] * 6  # every byte of every one
    client.stdout.close()
    assert weight(kept_lab.override("resume", "web01"), "lb01", "web01") == {1}
    assert kept_lab.written == []
    assert set(kept_lab.servers(ANY, *USERS[:6])) == {"web01", "web02"}


def test_the_overrides_beside_the_spec_are_what_is_told(kept_lab: Lab) -> None:
    """What an editor writes there counts, also after commands in the machine have written it."""
    path = kept_lab.spec.with_name("cluster.overrides.yaml")
    kept_lab.override("weight", "web02", "5")
    assert kept_lab.written == [("web02", "weight")]
    path.write_text(path.read_text().replace("weight: 5", "weight: 9"))
    said = kept_lab.override("overrides", "--push")
    rows = [row for row in said["directors"]["lb01"]["servers"] if row["server"].startswith("web02")]
    assert {row["weight"] for row in rows} == {9}
    path.unlink()
    assert kept_lab.override("overrides", "--push")["overrides"] == []
    assert not path.exists()


def test_sessions_of_a_drained_server_end(kept_lab: Lab) -> None:
    """The default: the user's next connection goes elsewhere, and nobody waits for the session."""
    user = USERS[6]
    bound = kept_lab.servers(STICKY, user, user)
    assert len(set(bound)) == 1
    done = kept_lab.override("drain", bound[0], "--wait", "--deadline", "1m")
    assert done["left"] == 0
    assert kept_lab.servers(STICKY, user) == [OTHER[bound[0]]]
    kept_lab.override("resume", bound[0])


def test_sessions_that_stay_are_served_and_waited_for(kept_lab: Lab) -> None:
    text = kept_lab.spec.read_text()
    assert "directors:" not in text
    kept_lab.spec.write_text(f"{text}\ndirectors: {{sessions_of_drained: stay}}\n")
    kept_lab.run("lab", "apply", str(kept_lab.spec), "--lab", kept_lab.name)
    user = USERS[7]
    (bound,) = kept_lab.servers(STICKY, user)
    gave_up = kept_lab.override(
        "drain", bound, "--wait", "--deadline", "12s", status=1
    )  # the connection itself is over
    assert gave_up["left"] >= 1
    assert kept_lab.servers(STICKY, user, USERS[8], USERS[9]) == [bound, OTHER[bound], OTHER[bound]]
    kept_lab.override("resume", bound)
