"""Runs in the virtual machine, in a network namespace: what an agent tells who looks, of a real table under traffic."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from tests.agent.realtime.test_looker import InForce
from tests.vm import inside_table as table

from holdfast.agent.host.port import Places
from holdfast.agent.realtime.looker import Looker
from holdfast.ipvs.rates import REFRESH_S

FAST_CLOCK = 20.0  # a bucket of ten seconds is over in half a second


def clock() -> float:
    """The machine's, but faster."""
    return time.monotonic() * FAST_CLOCK


def settled() -> str:
    """What ipvsadm counts once the kernel has brought it up to date, which it does every two seconds (`rates`)."""
    ends = time.monotonic() + 60.0
    before = ""
    while time.monotonic() < ends:
        said = table.run("ipvsadm -Ln --stats --exact")
        if said == before:
            return said
        before = said
        time.sleep(1.5 * REFRESH_S)
    raise RuntimeError("the counters never stood still")


def main() -> None:
    """One look, traffic, another look; ipvsadm in between two of ours."""
    table.set_up()
    looker = Looker(Places(Path("/nowhere")), in_force=InForce(directs=True), clock=clock)
    looker.brief()
    first = looker.sample("lb01", [""])
    table.traffic(20)
    said = settled()
    second = looker.sample("lb01", ["", "10.1.0.100:80 syn_recv", "nowhere"])
    looker.sample("lb01")
    found = {
        "first": first.model_dump(mode="json"),
        "second": second.model_dump(mode="json"),
        "stats": said,
        "history": [looker.ring.bucket(number).model_dump(mode="json") for number in looker.ring.numbers],
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
