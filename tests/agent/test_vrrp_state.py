"""Which groups a node holds: its own by anchor and hold file, imported ones by all that they carry."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.agent.host.port import LocalAddress, Places
from holdfast.agent.vrrp_state import groups_of, in_fault
from holdfast.bundle import Bundle, Expectations, HeldAddress, ImportedGroupExpectation


class _Host:
    def __init__(self, *addresses: str) -> None:
        self._addresses = frozenset(LocalAddress("eth0", address) for address in addresses)

    def addresses(self) -> frozenset[LocalAddress]:
        return self._addresses


BUNDLE = Bundle(
    cluster="shop",
    node="lb1",
    services=(),
    files=(),
    expected=Expectations(
        imported=(
            ImportedGroupExpectation(
                group="VI_1",
                vrid=51,
                interface="eth0",
                priority=150,
                addresses=tuple(HeldAddress(address=f"10.0.0.{n}/24", interface="eth0") for n in (3, 4)),
                advert_interval_ms=1000,
            ),
        )
    ),
)


@pytest.mark.parametrize(
    ("here", "holds", "in_part"),
    [
        (("10.0.0.3/24", "10.0.0.4/24", "10.0.0.1/24"), True, False),
        (("10.0.0.3/24",), False, True),
        (("10.0.0.1/24",), False, False),
    ],
)
def test_an_imported_group_is_held_with_all_its_addresses(
    tmp_path: Path, here: tuple[str, ...], holds: bool, in_part: bool
) -> None:
    (group,) = groups_of(BUNDLE, _Host(*here), Places(tmp_path))  # type: ignore[arg-type]
    assert group.expected.group == "VI_1"
    assert group.holds is holds
    assert bool(group.present and group.missing) is in_part
    assert not group.given_up


START = "Sun Nov 22 12:00:00 2026: Starting Keepalived v2.2.7 (01/16,2022)"
FAULT = "Sun Nov 22 12:00:01 2026: (www) Entering FAULT STATE"
OTHER = "Sun Nov 22 12:00:02 2026: (mail.one) Entering FAULT STATE"
STANDBY = "Sun Nov 22 12:00:03 2026: (www) Entering BACKUP STATE"


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ((), set()),
        ((START, FAULT, OTHER), {"www", "mail.one"}),
        ((START, FAULT, OTHER, STANDBY), {"mail.one"}),
        ((START, FAULT, START), set()),
        ((START, STANDBY, FAULT), {"www"}),
        (("(www) Entering nothing", "Entering FAULT STATE", "(a (www) Entering FAULT STATE"), {"www"}),
    ],
)
def test_what_keepalived_says_last_counts(lines: tuple[str, ...], found: set[str]) -> None:
    assert in_fault(lines) == found
