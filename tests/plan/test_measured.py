"""The measured table of what keepalived 2.2.7 does (two members, priorities 120 and 100), row by row, as classes."""

from __future__ import annotations

import pytest
from tests.plan.raw import bundle, pair, plan, text

from holdfast.plan import Hazard, Plan, make_plan

TWO = "10.0.0.3/24\n10.0.0.9/24"
PASSWORD = "authentication {{\nauth_type PASS\nauth_pass {}\n}}"
UNICAST = {
    "a": "unicast_src_ip 10.0.0.1\nunicast_peer {\n10.0.0.2\n}",
    "b": "unicast_src_ip 10.0.0.2\nunicast_peer {\n10.0.0.1\n}",
}
TRACKER = 'vrrp_script nginx {\nscript "/usr/bin/killall -0 nginx"\ninterval 1\nweight 3\n}'
TRACKED = "track_script {{\nnginx {}\n}}"


@pytest.mark.parametrize("changed", [("a",), ("b",), ("a", "b")])
def test_an_advertised_address_needs_all_members_at_once(changed: tuple[str, ...]) -> None:
    """Rows 1, 2 and 6: one of them reloaded makes two masters, whichever it is; both within 1 s does not."""
    old = pair()
    new = {**old, **{node: bundle(node, text(node, addresses=TWO)) for node in changed}}
    found = make_plan(old, new)
    assert found.hazard is Hazard.SIMULTANEOUS
    assert found.waves[0].nodes == tuple(sorted(changed, reverse=True))
    assert {each.row for node in found.nodes for each in node.changes} == {"advertised", "address-added"}


def test_an_excluded_address_is_safe_in_any_order() -> None:
    """Row 3."""
    found = plan(pair(), excluded="10.0.0.4/24\n10.0.0.9/24")
    assert found.hazards == {Hazard.RELOAD}
    assert [wave.nodes for wave in found.waves] == [("b",), ("a",)]


def test_not_comparing_adverts_is_a_reload_and_does_not_make_addresses_safe() -> None:
    """Rows 4 and 5: safe on the master, not safe after all once the backup restarts."""
    unchecked = pair(globals="vrrp_skip_check_adv_addr")
    assert plan(pair(), globals="vrrp_skip_check_adv_addr").hazard is Hazard.RELOAD
    assert plan(unchecked, globals="vrrp_skip_check_adv_addr", addresses=TWO).hazard is Hazard.SIMULTANEOUS


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"version": 2, "more": PASSWORD.format("aaaaaaaa")}, {"version": 2, "more": PASSWORD.format("bbbbbbbb")}),
        ({"version": 2}, {"version": 2, "more": PASSWORD.format("bbbbbbbb")}),
        ({}, {"interval": 2}),
        ({}, {"version": 2}),
    ],
)
def test_what_the_adverts_say_needs_all_members_at_once(old: dict[str, object], new: dict[str, object]) -> None:
    """Row 7: password, interval and version; all members at once and it is over."""
    found = plan(pair(**old), **new)
    assert found.hazards == {Hazard.SIMULTANEOUS}
    (wave,) = found.waves
    assert wave.at_once


def test_another_vrid_is_also_given_up_and_taken_again() -> None:
    """Row 7: two masters one by one; at once, nobody holds the address for three adverts."""
    found = plan(pair(), vrid=52)
    assert found.hazards == {Hazard.SIMULTANEOUS, Hazard.MOVES_VIP}
    assert found.waves[0].at_once


def test_unicast_on_one_side_needs_all_members_at_once() -> None:
    """Row 7, the last of it."""
    new = {node: bundle(node, text(node, more=UNICAST[node])) for node in UNICAST}
    found = make_plan(pair(), new)
    assert Hazard.SIMULTANEOUS in found.hazards
    assert found.waves[0].at_once
    one_side = make_plan(pair(), {**pair(), "a": new["a"]})
    assert Hazard.SIMULTANEOUS in one_side.hazards


def test_a_password_behind_its_eighth_character_changes_nothing() -> None:
    """Row 8."""
    old = pair(version=2, more=PASSWORD.format("aaaaaaaa1"))
    found = plan(old, version=2, more=PASSWORD.format("aaaaaaaa2"))
    assert found.hazards == {Hazard.RELOAD}
    assert {each.row for node in found.nodes for each in node.changes} == {"password-rest"}
    told = " ".join(each.sentence for node in found.nodes for each in node.changes)
    assert "aaaaaaaa" not in told


def test_equal_priorities_move_nothing_by_themselves_and_a_better_one_does() -> None:
    """Row 9: with equal ones the highest address wins the next election; a higher one takes over at once."""
    equal = make_plan(pair(), {**pair(), "b": bundle("b", text("b", priority=120))})
    assert equal.hazard is Hazard.RELOAD
    better = make_plan(pair(), {**pair(), "b": bundle("b", text("b", priority=130))})
    assert better.hazard is Hazard.MOVES_VIP
    assert "moves from a to b" in " ".join(note.reason for note in better.nodes[0].hazards)


def test_who_starts_as_master_counts_at_a_start_alone() -> None:
    """Row 9: `state MASTER` on both."""
    assert plan(pair(), state="MASTER").hazards == {Hazard.RELOAD}


@pytest.mark.parametrize("weight", ["weight -60", "", "weight 3"])
def test_trackers_move_groups_at_failures_and_not_when_they_are_changed(weight: str) -> None:
    """Rows 10 to 12: whether a group fails over is what-if's to say; the change itself is a reload that keeps it."""
    tracked = {"before": TRACKER, "more": TRACKED.format(weight)}
    for old, new in ((pair(), tracked), (pair(**tracked), {})):
        found = plan(old, **new)
        assert found.hazards == {Hazard.RELOAD}
        assert any("whatif" in each.safer for node in found.nodes for each in node.changes)


def test_a_restart_drops_what_a_reload_keeps() -> None:
    """Below the table: a restart of keepalived drops every VIP and every IPVS entry."""
    assert plan(pair(), globals="}\ninstance other\nglobal_defs {").hazard is Hazard.DROPS_CONNECTIONS


def test_the_device_that_is_meant_anyway_changes_nothing() -> None:
    """Imported addresses rarely name it, compiled ones always do."""
    named = plan(pair(), addresses="10.0.0.3/24 dev eth0", excluded="10.0.0.4/24 dev eth0")
    assert rows(named) == {"keepalived-default"}
    elsewhere = plan(pair(), addresses="10.0.0.3/24 dev eth1")
    assert rows(elsewhere) - {"keepalived-default"}
    vmac = plan(pair(more="use_vmac"), more="use_vmac", addresses="10.0.0.3/24 dev eth0")
    assert rows(vmac) - {"keepalived-default"}


def rows(found: Plan) -> set[str]:
    return {change.row for node in found.nodes for change in node.changes}
