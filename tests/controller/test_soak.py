"""Everything that can be killed is killed, in the middle of rollouts: users notice nothing, and the plan is what is."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.controller.soak import (
    SLOW_S,
    Installation,
    Killer,
    dumped,
    holders,
    installed,
    messages,
    revisions,
    watched,
)
from tests.waiting import comes_true, wait_until

from holdfast.bundle import HOLD_DIR
from holdfast.errors import ControllerUnreachable, HoldfastError, StoreError
from holdfast.lab.commands import tool
from holdfast.lab.strikes import running, stop
from holdfast.protocol.api.nodes import MoveRequest

ROOT = Path(__file__).resolve().parents[2]
AT_HOME = {"www": ["lb01"], "bbs": ["lb02"]}

pytestmark = [
    pytest.mark.lab,
    pytest.mark.traffic,
    pytest.mark.xdist_group("soak"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a lab makes network namespaces"),
    pytest.mark.skipif(shutil.which("etcd") is None, reason="needs etcd"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(ROOT / "examples" / "dual-master-nginx" / "cluster.yaml", tmp_path_factory.mktemp("soak")) as found:
        wait_until(lambda: holders(found) == AT_HOME, SLOW_S)
        yield found


@pytest.mark.parametrize(
    "rollouts",
    [
        pytest.param(2, marks=pytest.mark.timeout(600)),
        pytest.param(50, marks=[pytest.mark.soak, pytest.mark.timeout(4 * 3600)]),
    ],
)
def test_kills_at_random_during_rollouts_cost_nobody_a_request(made: Installation, rollouts: int) -> None:
    text = made.cluster.running().loaded.text
    seed = int(os.environ.get("HOLDFAST_SOAK_SEED", str(time.time_ns() % 1_000_000)))
    with watched(made) as users:
        with Killer(made, seed, gap_s=(0.2, 2.0)) as killer:
            for number, (changed, message) in enumerate(revisions(text), 1):
                view = made.change(changed, f"{message} of {rollouts}")
                assert view.phase == "succeeded", made.told(f"seed {seed}: {dumped(view)}")
                if number == rollouts:
                    break
            wait_until(lambda: all(killer.kills.values()), SLOW_S)
        trouble = users.trouble()
    with_seed = f"seed {seed}, {killer.kills}"
    assert trouble == "", made.told(f"{with_seed}: {trouble}")
    assert comes_true(lambda: made.as_planned(view.revision) == "", SLOW_S), made.told(made.as_planned(view.revision))
    assert comes_true(lambda: holders(made) == AT_HOME, SLOW_S), made.told(f"{with_seed}: {holders(made)}")


@pytest.mark.timeout(600)
def test_members_change_in_one_moment_although_one_is_killed_while_it_waits(made: Installation) -> None:
    """lb01 is kept from staging; lb02 is ready, and waits: its agent is killed, and so is each controller in turn."""
    text = made.cluster.running().loaded.text.replace("vrid: 51", "vrid: 151")
    lock = made.cluster.lab.node("lb01").spawn(
        ["flock", "/var/lib/holdfast/lock", "sleep", "300"], made.folder / "flock.log"
    )
    with lock:
        rollout = made.begin(text, "another VRID")

        def phases() -> dict[str, str]:
            return {one.node: one.phase for one in made.insist(lambda known: known.rollout(rollout)).nodes}

        assert comes_true(lambda: phases() == {"lb01": "staging", "lb02": "ready"}, SLOW_S), made.told(str(phases()))
        made.kill_agent("lb02")
        made.start_agent("lb02")
        for number in range(2):
            made.kill_controller(number)
        for number in range(2):
            made.serve(number)
        assert comes_true(lambda: phases() == {"lb01": "staging", "lb02": "ready"}, SLOW_S), made.told(str(phases()))
        assert made.insist(lambda known: known.rollout(rollout)).phase == "running"
    view = made.ended(rollout)
    assert view.phase == "succeeded", made.told(dumped(view))
    said = messages(made)
    assert max(said.index(f"{node}: is ready, and waits for the others") for node in ("lb01", "lb02")) < min(
        said.index(f"{node}: is given the word to go") for node in ("lb01", "lb02")
    )
    assert comes_true(lambda: made.as_planned(view.revision) == "", SLOW_S), made.told(made.as_planned(view.revision))
    assert comes_true(lambda: holders(made) == AT_HOME, SLOW_S), made.told(str(holders(made)))


@pytest.mark.timeout(600)
def test_a_controller_is_killed_while_nobody_has_a_group_that_was_given_up(made: Installation) -> None:
    """A request that never ends keeps lb01 from giving www up at once: meanwhile lb02's keepalived hangs, and nobody
    takes over. Both controllers die in that moment. Whoever leads next gives it back to lb01.
    """
    assert comes_true(lambda: holders(made) == AT_HOME, SLOW_S), made.told(str(holders(made)))
    lb01, lb02 = (made.cluster.lab.node(node) for node in ("lb01", "lb02"))
    hold_file = lb01.root / HOLD_DIR.lstrip("/") / "www"
    told = "what admin began with www was cut off in the middle: it was undone, and lb01 holds www"
    half = ["/bin/bash", "-c", "exec 3<>/dev/tcp/10.0.0.3/80; printf 'GET / HTTP/1.1\r\nHost: x\r\n' >&3; sleep 60"]
    with made.client.spawn(half, made.folder / "half.log"), ThreadPoolExecutor(1) as pool:
        time.sleep(1.0)
        asked = pool.submit(_asked_to_move, made)
        nft = [tool("nft"), "list", "tables"]
        wait_until(lambda: "holdfast_move" in lb01.exec(nft).stdout or asked.done(), SLOW_S)
        stop(lambda: running(lb02, "keepalived"))
        try:
            wait_until(lambda: hold_file.read_text().strip() == "-254" or asked.done(), SLOW_S)
            for number in range(2):
                made.kill_controller(number)
            assert asked.result(SLOW_S) == "", "nobody answered: it was cut off"
            assert hold_file.read_text().strip() == "-254"
            made.serve(0)
            assert comes_true(lambda: hold_file.read_text().strip() != "-254", SLOW_S), made.told("it is still held")
            assert comes_true(lambda: told in messages(made), SLOW_S), made.told(str(messages(made)))
        finally:
            for hung in running(lb02, "keepalived"):
                hung.signal(signal.SIGCONT)
            for number in range(2):
                process = made.controllers[number]
                if process is None or process.poll() is not None:
                    made.serve(number)
    assert comes_true(lambda: holders(made) == AT_HOME, SLOW_S), made.told(str(holders(made)))


def _asked_to_move(made: Installation) -> str:
    """What came of it; empty where nobody was left to answer."""
    try:
        with made.people() as known:
            return str(known.move("www", MoveRequest()))
    except (ControllerUnreachable, StoreError):
        return ""
    except HoldfastError as error:
        return error.message
