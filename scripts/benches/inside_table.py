"""Runs in the virtual machine, in a network namespace of its own: fills the table, then times both readers in turn."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from holdfast.ipvs.reader import KernelTable


def fill(services: int, servers: int) -> None:
    """TCP services with wlc and real servers behind NAT, all by `ipvsadm -R`."""
    lines = []
    for number in range(services):
        service = f"10.{100 + number // 250}.{number % 250}.1:80"
        lines.append(f"-A -t {service} -s wlc")
        lines += [f"-a -t {service} -r 10.200.{number % 250}.{10 + n}:8080 -m -w {n + 1}" for n in range(servers)]
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=30)  # else no address counts as unicast
    subprocess.run(["ipvsadm", "-R"], input="\n".join(lines) + "\n", text=True, check=True, timeout=300)


def ipvsadm() -> None:
    """The whole command, its start included, for that is what a poll with it costs; nobody reads what it prints."""
    null = [(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)]
    child = os.posix_spawnp("ipvsadm", ["ipvsadm", "-Ln"], os.environ, file_actions=null)
    if os.waitpid(child, 0)[1] != 0:
        raise RuntimeError("ipvsadm failed")


def timed(what: Callable[[], object]) -> float:
    began = time.perf_counter()
    what()
    return time.perf_counter() - began


def summary(times: list[float]) -> dict[str, float]:
    return {"median": statistics.median(times), "least": min(times), "most": max(times)}


def main() -> None:
    services, servers, rounds = map(int, sys.argv[1:])
    fill(services, servers)
    with KernelTable() as reader:
        table = reader.table()  # warm: layouts known, socket open
        ipvsadm()
        pairs = [(timed(reader.table), timed(ipvsadm)) for _ in range(rounds)]
    found = {
        "services": len(table.services),
        "destinations": sum(len(service.destinations) for service in table.services),
        "netlink_s": summary([ours for ours, _ in pairs]),
        "ipvsadm_s": summary([theirs for _, theirs in pairs]),
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
