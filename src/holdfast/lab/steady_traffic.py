"""`python -m holdfast.lab.steady_traffic LAB`: users who ask a lab's cluster steadily until the lab is gone.

What becomes of it is said once a second, one line of JSON in the lab's log `traffic`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

from holdfast.errors import LabError
from holdfast.lab import state
from holdfast.lab.cluster import LabCluster
from holdfast.lab.pace import suited_plan
from holdfast.lab.topology import CLIENT
from holdfast.lab.traffic import Traffic, TrafficCounts
from holdfast.lab.traffic_targets import wanted_traffic
from holdfast.lab.users import user_addresses

_EVERY_S = 1.0
_CLIENT_S = 1800.0
_AT_MOST_S = 7 * 86_400.0


def start(lab: str) -> int:
    """Leave it running; its pid."""
    with state.log_file(lab, "traffic").open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", __name__, lab],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return child.pid


def main(name: str) -> int:
    """Until the lab is gone, or a week is over; 1 if the traffic ended before."""
    cluster = LabCluster.attach(name)
    until = time.monotonic() + _AT_MOST_S
    sent = failed = 0
    while time.monotonic() < until and state.folder(name).exists():
        try:
            counts = _ask(cluster, sent, failed)
        except LabError:
            return 1 if state.folder(name).exists() else 0
        sent, failed = sent + counts.sent, failed + counts.failed
    return 0


def _ask(cluster: LabCluster, sent: int, failed: int) -> TrafficCounts:
    """What came of it in half an hour: the client remembers every request, so it has to be another one then."""
    spec = cluster.running().loaded.spec
    sources = {family: user_addresses(cluster.lab.topology, family) for family in (4, 6)}
    listeners = wanted_traffic(spec, sources).listeners
    plan = suited_plan(1.0, listeners, directors=bool(spec.virtual_servers))
    until = time.monotonic() + _CLIENT_S
    counts = TrafficCounts(0, 0, 0)
    with Traffic(cluster.lab.node(CLIENT).netns, plan) as traffic:
        traffic.add(listeners)
        while time.monotonic() < until and state.folder(cluster.lab.name).exists():
            time.sleep(_EVERY_S)
            counts = traffic.counts()
            line = {"time": round(time.time(), 1), "sent": sent + counts.sent, "failed": failed + counts.failed}
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()
    return counts


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
