"""VRRP groups as this node sees them: whose addresses are here, and which hold file gave a group up."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from holdfast.agent.hold import read_hold
from holdfast.agent.host.port import Host, LocalAddress, Places
from holdfast.bundle import HOLD_DIR, Bundle, HeldAddress, ImportedGroupExpectation, VrrpExpectation

_STARTED = "Starting Keepalived v"  # its children write into the same log in any order
_ENTERED = re.compile(r"\((?P<group>[!-'*-~]+)\) Entering (?P<state>[A-Z]+) STATE")


@dataclass(frozen=True)
class Group:
    """`present` and `missing` divide the anchor and the addresses; `hold` is the hold file's number."""

    expected: VrrpExpectation
    present: tuple[HeldAddress, ...]
    missing: tuple[HeldAddress, ...]
    hold: int

    @property
    def holds(self) -> bool:
        """All of the group's addresses are here."""
        return bool(self.present) and not self.missing

    @property
    def given_up(self) -> bool:
        """Its hold file puts it into FAULT."""
        return self.hold <= -254


def groups_of(bundle: Bundle, host: Host, places: Places) -> tuple[Group, ...]:
    """Each group that the bundle expects."""
    here = host.addresses()
    own = tuple(_group(expected, here, places) for expected in bundle.expected.vrrp)
    return (*own, *(_imported(expected, here) for expected in bundle.expected.imported))


def group_now(expected: VrrpExpectation, host: Host, places: Places) -> Group:
    """This one group."""
    return _group(expected, host.addresses(), places)


def in_fault(lines: Iterable[str]) -> frozenset[str]:
    """The groups that keepalived cannot hold, by the last that its log says of each since it started."""
    found: set[str] = set()
    for line in lines:
        if _STARTED in line:
            found.clear()
        elif said := _ENTERED.search(line):
            (found.add if said["state"] == "FAULT" else found.discard)(said["group"])
    return frozenset(found)


def _imported(expected: ImportedGroupExpectation, here: frozenset[LocalAddress]) -> Group:
    """A group without anchor and hold file: it cannot be held back, but what it holds is seen."""
    first, *others = expected.addresses
    like = VrrpExpectation(
        group=expected.group,
        vrid=expected.vrid,
        interface=expected.interface,
        priority=expected.priority,
        anchor=first,
        addresses=tuple(others),
        peers=(),
        hold_file=f"{HOLD_DIR}/{expected.group}",
        advert_interval_ms=expected.advert_interval_ms,
    )
    present = tuple(held for held in expected.addresses if _local(held) in here)
    missing = tuple(held for held in expected.addresses if _local(held) not in here)
    return Group(like, present, missing, hold=0)


def _group(expected: VrrpExpectation, here: frozenset[LocalAddress], places: Places) -> Group:
    everything = (expected.anchor, *expected.addresses)
    present = tuple(held for held in everything if _local(held) in here)
    missing = tuple(held for held in everything if _local(held) not in here)
    return Group(expected, present, missing, read_hold(places.at(expected.hold_file)))


def _local(held: HeldAddress) -> LocalAddress:
    return LocalAddress(held.interface, _in_words(held.address))


@lru_cache(maxsize=4096)
def _in_words(address: str) -> str:
    """As the kernel's addresses are written; groups are looked at every few seconds, and are mostly the same."""
    return str(ipaddress.ip_interface(address))
