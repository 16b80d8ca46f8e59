"""Runs in the virtual machine, in a network namespace: steady traffic, looked at more often than the kernel counts."""

from __future__ import annotations

import json
import socket
import sys
import time

from tests.vm import inside_table as table

from holdfast.ipvs.rates import Meter
from holdfast.ipvs.reader import KernelTable

EVERY_S = 0.5
LOOKS = 30
PACKETS = 10  # between two looks


def main() -> None:
    """The rates of one service, a list for each look."""
    table.set_up()
    meter, found = Meter(), []
    with KernelTable() as reader, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        for _ in range(LOOKS):
            for _ in range(PACKETS):
                udp.sendto(b"x", ("10.1.0.100", 54))
                time.sleep(EVERY_S / PACKETS)
            rates = meter.take(reader.services()).services
            found.append(next(rate.in_packets if rate else None for key, rate in rates.items() if key.port == 54))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
