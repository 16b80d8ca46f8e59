"""What the agent tells of the machine itself; programs are asked for their versions now and then, not at each look."""

from __future__ import annotations

import ipaddress
import os
import time
from collections.abc import Callable

from holdfast.agent.facts.programs import said_of_versions, version
from holdfast.agent.host.port import Host, LocalAddress
from holdfast.bundle import HeldAddress
from holdfast.protocol.machine import MOST_ADDRESSES, MachineFacts

ASKED_EVERY_S = 3600.0


class Machine:
    """Of one host; `clock` counts seconds."""

    def __init__(self, host: Host, clock: Callable[[], float] = time.monotonic) -> None:
        self._host, self._clock = host, clock
        self._programs: dict[str, str | None] = {}
        self._ask_at = 0.0

    def look(self) -> MachineFacts:
        """As it is now. Raises ApplyError where the kernel does not tell its addresses."""
        if not self._programs or self._clock() >= self._ask_at:
            self._programs = {name: version(said) for name, said in said_of_versions(self._host).items()}
            self._ask_at = self._clock() + ASKED_EVERY_S
        system = os.uname()
        found = sorted((one for one in self._host.addresses() if _leaves(one)), key=_order)
        return MachineFacts(
            hostname=system.nodename[:255],
            kernel=system.release[:255],
            programs=self._programs,
            addresses=tuple(
                HeldAddress(address=one.address, interface=one.interface) for one in found[:MOST_ADDRESSES]
            ),
        )


def _leaves(one: LocalAddress) -> bool:
    address = ipaddress.ip_interface(one.address).ip
    return not (address.is_loopback or (address.version == 6 and address.is_link_local))


def _order(one: LocalAddress) -> tuple[str, int, int]:
    address = ipaddress.ip_interface(one.address).ip
    return one.interface, address.version, int(address)
