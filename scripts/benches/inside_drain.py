"""Runs in the virtual machine, in a network namespace of its own: drains a server again and again, and times it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from holdfast.agent.files import replace
from holdfast.agent.weights import DRAINED
from holdfast.ipvs.reader import KernelTable

WEIGHT = 100
LIMIT_S = 30.0  # for anything: the machine is emulated
_CONF = """
global_defs {{
    router_id bench
}}
track_file shop/rs01-80 {{
    file "{file}"
}}
virtual_server 10.9.0.3 80 {{
    protocol TCP
    lvs_sched wrr
    lvs_method DR
    real_server 10.9.0.21 80 {{
        weight {weight}
        FILE_CHECK {{
            track_file shop/rs01-80
            weight 1
        }}
    }}
    real_server 10.9.0.22 80 {{
        weight {weight}
    }}
}}
"""


def weight(kernel: KernelTable) -> int | None:
    """Of the server in question, None while it is not there."""
    services = kernel.table().services
    found = {one.address: one.weight for one in services[0].destinations} if services else {}
    return found.get("10.9.0.21")


def wait_for(kernel: KernelTable, wanted: int) -> float:
    """Until the kernel has it; returns seconds. TimeoutError if it never does."""
    began = time.monotonic()
    while weight(kernel) != wanted:
        if time.monotonic() > began + LIMIT_S:
            raise TimeoutError(f"the kernel did not show weight {wanted} within {LIMIT_S:g} s")
    return time.monotonic() - began


def main(times: int) -> None:
    """Print JSON: milliseconds from the write to weight 0, of each drain."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=LIMIT_S)  # else no address counts as unicast
    with tempfile.TemporaryDirectory() as name, KernelTable() as kernel:
        folder = Path(name)
        file, conf = folder / "rs01-80", folder / "keepalived.conf"
        replace(file, b"0\n")
        conf.write_text(_CONF.format(file=file, weight=WEIGHT))
        pids = [option for flag in "pcr" for option in (f"-{flag}", str(folder / f"{flag}.pid"))]
        command = ["keepalived", "-n", "-l", "-f", str(conf), *pids]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as keepalived:
            try:
                wait_for(kernel, WEIGHT)
                time.sleep(1)  # its first second is spent on other things
                found = []
                for _ in range(times):
                    began = time.monotonic()
                    replace(file, f"{DRAINED}\n".encode())  # as the agent does it
                    wait_for(kernel, 0)
                    found.append((time.monotonic() - began) * 1000)
                    replace(file, b"0\n")
                    wait_for(kernel, WEIGHT)
                    time.sleep(0.2)
            finally:
                keepalived.terminate()
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
