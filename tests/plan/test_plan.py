"""What a plan says of a change: which files, and what it may do to traffic."""

from __future__ import annotations

import pytest
from tests.rollout.bundles import bundle

from holdfast.bundle import PROBER_FILE, Bundle, BundleFile, ListenerExpectation, Service
from holdfast.plan import Hazard, make_plan, unified_diff


def hazards(old: Bundle | None, new: Bundle | None) -> set[Hazard]:
    plan = make_plan({"lb01": old} if old else {}, {"lb01": new} if new else {})
    return set(plan.hazards)


def test_nothing_changes_when_nothing_changes() -> None:
    assert make_plan({"lb01": bundle("lb01")}, {"lb01": bundle("lb01")}).is_empty


def test_a_first_bundle_has_no_hazard() -> None:
    assert hazards(None, bundle("lb01")) == set()


def test_a_changed_file_of_a_service_is_a_reload() -> None:
    assert hazards(bundle("lb01", "one"), bundle("lb01", "two")) == {Hazard.RELOAD}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"vrid": 52}, Hazard.SIMULTANEOUS),
        ({"advert_interval_ms": 200}, Hazard.SIMULTANEOUS),
        ({"interface": "eth1"}, Hazard.SIMULTANEOUS),
        ({"groups": (("www", 245),)}, Hazard.MOVES_VIP),
        ({"groups": ()}, Hazard.MOVES_VIP),
    ],
)
def test_changes_of_a_group_are_classed(change: dict[str, object], expected: Hazard) -> None:
    assert expected in hazards(bundle("lb01"), bundle("lb01", **change))  # type: ignore[arg-type]


def with_listener(*ports: int) -> Bundle:
    base = bundle("lb01")
    listeners = tuple(ListenerExpectation(service=Service.NGINX, address="10.0.0.3", port=port) for port in ports)
    return base.model_copy(update={"expected": base.expected.model_copy(update={"listeners": listeners})})


def test_a_listener_that_goes_drops_connections_and_one_that_comes_does_not() -> None:
    assert Hazard.DROPS_CONNECTIONS in hazards(with_listener(80, 81), with_listener(80))
    assert Hazard.DROPS_CONNECTIONS not in hazards(with_listener(80), with_listener(80, 81))


def test_an_address_that_goes_and_a_service_that_goes_drop_connections() -> None:
    old = bundle("lb01")
    group = old.expected.vrrp[0].model_copy(update={"addresses": ()})
    without = old.model_copy(update={"expected": old.expected.model_copy(update={"vrrp": (group,)})})
    assert Hazard.DROPS_CONNECTIONS in hazards(old, without)
    stopped = old.model_copy(update={"services": (Service.KEEPALIVED,), "files": ()})
    assert Hazard.DROPS_CONNECTIONS in hazards(old, stopped)


def with_check(every_ms: int) -> Bundle:
    check = f'{{"http": "/healthz", "every_ms": {every_ms}, "timeout_ms": 500, "fall": 3, "rise": 2}}'
    servers = '[{"name": "web01-80", "address": "10.0.0.7", "port": 80}]'
    pool = f'{{"pool": "web", "upstreams": ["web"], "servers": {servers}, "min_servers": 1, "check": {check}}}'
    file = BundleFile(path=PROBER_FILE, content=f'{{"_": "Managed by Holdfast",\n"pools": [{pool}]}}\n')
    base = bundle("lb01")
    return base.model_copy(update={"services": (*base.services, Service.PROBER), "files": (*base.files, file)})


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (bundle("lb01"), with_check(2000), "begins to ask the servers: GET /healthz every 2 s; 3 bad answers"),
        (with_check(2000), with_check(500), "asks the servers anew: GET /healthz every 0.5 s"),
        (with_check(2000), bundle("lb01"), "no more: passive checks alone"),
    ],
)
def test_a_check_that_comes_changes_or_goes_is_live_and_says_what_it_does(old: Bundle, new: Bundle, said: str) -> None:
    (node,) = make_plan({"lb01": old}, {"lb01": new}).nodes
    (note,) = node.hazards
    assert note.hazard is Hazard.LIVE
    assert said in note.reason
    if "every" in said:
        assert "while the agent is dead, what it knew last holds" in note.reason


def with_mail(up: str) -> Bundle:
    base = with_check(2000)
    mail = (
        '{"cluster": "shop", "node": "lb01", "host": "10.0.0.9", "port": 25, "sender": "ha@example.com",'
        f' "recipients": ["ops@example.com"], "down": true, "up": {up}}}'
    )
    (*others, file) = base.files
    told = file.model_copy(update={"content": file.content.replace('"pools"', f'"mail": {mail},\n"pools"', 1)})
    return base.model_copy(update={"files": (*others, told)})


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (with_check(2000), with_mail("false"), "ops@example.com through 10.0.0.9 port 25 when servers go down"),
        (with_mail("false"), with_mail("true"), "when servers go down and come back"),
        (with_mail("true"), with_check(2000), "the prober mails nobody"),
    ],
)
def test_mail_about_servers_that_begins_changes_or_ends_is_live(old: Bundle, new: Bundle, said: str) -> None:
    (node,) = make_plan({"lb01": old}, {"lb01": new}).nodes
    (note,) = node.hazards
    assert note.hazard is Hazard.LIVE
    assert note.reason.endswith(said)


def test_a_node_that_leaves_is_in_the_plan() -> None:
    plan = make_plan({"lb01": bundle("lb01")}, {})
    assert [(node.node, node.new) for node in plan.nodes] == [("lb01", None)]
    assert Hazard.MOVES_VIP in plan.hazards


def test_a_diff_shows_lines_and_hides_secrets() -> None:
    def secret(value: str) -> BundleFile:
        text = f"# Managed\n    auth_pass {value}\n"
        return BundleFile(path="/etc/holdfast/keepalived/keepalived.conf", content=text, mode=0o600)

    old, new = (bundle("lb01").model_copy(update={"files": (secret(value),)}) for value in ("abcdefgh", "ijklmnop"))
    (change,) = make_plan({"lb01": old}, {"lb01": new}).nodes[0].changes
    text = unified_diff(change, "lb01")
    assert "abcdefgh" not in text
    assert "ijklmnop" not in text
    assert "a secret" in text

    plan = make_plan({"lb01": bundle("lb01", "one")}, {"lb01": bundle("lb01", "two")})
    lines = unified_diff(plan.nodes[0].changes[0], "lb01").splitlines()
    assert lines[0] == "--- lb01:/etc/holdfast/nginx/nginx.conf"
    assert "-# one" in lines
    assert "+# two" in lines
