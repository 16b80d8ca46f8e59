"""Runs in the virtual machine, in a network namespace: a table with everything in it, as ipvsadm and netlink tell it.

What changes by itself (rates, what has expired) is only comparable at one moment: so each reading of ours stands
between two of ipvsadm's, and counts where those two are alike.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterable

from holdfast.agent.table_watch import look
from holdfast.ipvs.document import to_document
from holdfast.ipvs.reader import KernelTable

SETUP = """
ip link set lo up
ip link add d0 type dummy
ip link set d0 up
ip address add 10.1.0.1/24 dev d0
ip address add 2001:db8::f/64 dev d0 nodad
ip route add default via 10.1.0.254
ip -6 route add default via 2001:db8::fe
"""
RULES = """
-A -t 10.1.0.100:80 -s wlc
-a -t 10.1.0.100:80 -r 10.1.0.21:80 -g -w 3 -x 100 -y 50
-a -t 10.1.0.100:80 -r 10.1.0.22:80 -i -w 0
-a -t 10.1.0.100:80 -r 10.1.0.23:80 -i --tun-type gue --tun-port 6080 --tun-csum -w 5
-a -t 10.1.0.100:80 -r 10.1.0.24:80 -i --tun-type gre --tun-nocsum
-a -t 10.1.0.100:80 -r 10.1.0.25:80 -i --tun-type gue --tun-port 6081 --tun-remcsum
-A -u 10.1.0.100:53 -s mh -p 60 -M 255.255.255.0 -b mh-fallback,mh-port
-a -u 10.1.0.100:53 -r 10.1.0.23:5353 -m -w 65535
-A -u 10.1.0.100:54 -s rr -o
-a -u 10.1.0.100:54 -r 10.1.0.24:54 -m
-A -u 10.1.0.100:55 -s sh -b sh-port
-a -u 10.1.0.100:55 -r 10.1.0.24:55 -m
-a -u 10.1.0.100:55 -r 10.1.0.25:55 -m -w 2
-A -t [2001:db8::1]:443 -s rr -p 300 -M 64
-a -t [2001:db8::1]:443 -r [2001:db8::11]:443 -g
-a -t [2001:db8::1]:443 -r [2001:db8::12]:8443 -m -w 9
-A -f 7 -s sh -p 360
-a -f 7 -r 10.1.0.21:0 -g
-A -f 7 -6 -s wrr
-a -f 7 -6 -r [2001:db8::11]:0 -i
-A -t 10.1.0.101:0 -s rr -p 10
-a -t 10.1.0.101:0 -r 10.1.0.21:0 -g
-A -u [2001:db8::1]:53 -s sed
-a -u [2001:db8::1]:53 -r [2001:db8::11]:53 -g
-A -t 10.1.0.102:80 -s lc
"""
SCTP = ("-A --sctp-service 10.1.0.100:99 -s wrr", "-a --sctp-service 10.1.0.100:99 -r 10.1.0.23:99 -m")
DAEMONS = (
    "--start-daemon master --mcast-interface d0 --syncid 5",
    "--start-daemon backup --mcast-interface d0 --syncid 6",
)
VIEWS = {
    "save": "-Sn",
    "list": "-Ln",
    "stats": "-Ln --stats --exact",
    "rate": "-Ln --rate --exact",
    "thresholds": "-Ln --thresholds",
    "persistent": "-Ln --persistent-conn",
    "connections": "-Lcn",
    "daemon": "-L --daemon",
    "timeout": "-L --timeout",
}
TRIES = 60


def run(command: str) -> str:
    return subprocess.run(command.split(), capture_output=True, text=True, check=True, timeout=60).stdout


def set_up() -> None:
    for line in SETUP.strip().splitlines():
        run(line)
    rules = [line for line in RULES.strip().splitlines() if not line.startswith("--")]
    for line in (*rules, *SCTP, *DAEMONS):
        run(f"ipvsadm {line}")


def traffic(rounds: int) -> None:
    """Nobody answers; what counts is that the director counts. Each socket is a connection of its own."""
    for _ in range(rounds):
        for family, address, port in (
            (socket.AF_INET, "10.1.0.100", 53),
            (socket.AF_INET, "10.1.0.100", 54),
            (socket.AF_INET, "10.1.0.100", 55),
            (socket.AF_INET6, "2001:db8::1", 53),
        ):
            with socket.socket(family, socket.SOCK_DGRAM) as udp:
                udp.sendto(b"x" * 1000, (address, port))
        for family, address, port in (
            (socket.AF_INET, "10.1.0.100", 80),
            (socket.AF_INET, "10.1.0.101", 8080),
            (socket.AF_INET6, "2001:db8::1", 443),
        ):
            with socket.socket(family, socket.SOCK_STREAM) as tcp:
                tcp.setblocking(False)
                tcp.connect_ex((address, port))


def between(views: Iterable[str], ready: str = "") -> dict[str, object]:
    """Our look between two equal readings of ipvsadm's; with `ready`, one whose text has that."""
    wanted = list(views)
    with KernelTable() as reader:
        look(reader, connections=True)
        for _ in range(TRIES):
            before = {name: run(f"ipvsadm {VIEWS[name]}") for name in wanted}
            ours = to_document(look(reader, connections=True))
            after = {name: run(f"ipvsadm {VIEWS[name]}") for name in wanted}
            if before == after and ready in "".join(after.values()):
                return {"ipvsadm": after, "look": ours}
            time.sleep(0.2)
    raise RuntimeError(f"{wanted} never stood still")


def connections() -> dict[str, object]:
    """They count down, so both of ipvsadm's readings are told."""
    with KernelTable() as reader:
        before = run(f"ipvsadm {VIEWS['connections']}")
        ours = to_document(look(reader, connections=True))
        return {"before": before, "after": run(f"ipvsadm {VIEWS['connections']}"), "look": ours}


def main() -> None:
    set_up()
    traffic(20)
    found: dict[str, object] = {"connections": connections()}
    steady = [name for name in VIEWS if name not in ("connections", "rate")]
    found["steady"] = between(steady)
    traffic(60)
    found["rate"] = between(["rate"])
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
