"""What a plan says of a change: which files, in which words, and what it may do to traffic."""

from __future__ import annotations

from typing import get_args

import pytest
from pydantic import BaseModel
from tests.rollout.bundles import bundle

from holdfast.bundle import PROBER_FILE, Bundle, BundleFile, ListenerExpectation, Service
from holdfast.plan import Hazard, make_plan, unified_diff
from holdfast.spec.origin.origin import Origin
from holdfast.spec.origin.values import Form


def hazards(old: Bundle | None, new: Bundle | None) -> set[Hazard]:
    plan = make_plan({"lb01": old} if old else {}, {"lb01": new} if new else {})
    return set(plan.hazards)


def test_nothing_changes_when_nothing_changes() -> None:
    assert make_plan({"lb01": bundle("lb01")}, {"lb01": bundle("lb01")}).is_empty


def test_a_first_bundle_interrupts_nothing() -> None:
    assert hazards(None, bundle("lb01")) == {Hazard.LIVE}


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
        ({"hold_back_at_most_ms": 5000}, Hazard.LIVE),
    ],
)
def test_changes_of_a_group_are_classed(change: dict[str, object], expected: Hazard) -> None:
    assert expected in hazards(bundle("lb01"), bundle("lb01", **change))  # type: ignore[arg-type]


def with_listener(*ports: int, service: Service = Service.NGINX) -> Bundle:
    base = bundle("lb01")
    listeners = tuple(ListenerExpectation(service=service, address="10.0.0.3", port=port) for port in ports)
    return base.model_copy(update={"expected": base.expected.model_copy(update={"listeners": listeners})})


def test_a_listener_that_goes_or_changes_hands_drops_connections_and_one_that_comes_does_not() -> None:
    assert hazards(with_listener(80, 81), with_listener(80)) == {Hazard.DROPS_CONNECTIONS}
    assert hazards(with_listener(80), with_listener(80, 81)) == {Hazard.RELOAD}
    assert hazards(with_listener(80), with_listener(80, service=Service.HAPROXY)) == {Hazard.DROPS_CONNECTIONS}


def test_an_address_that_goes_and_a_service_that_goes_drop_connections() -> None:
    old = bundle("lb01")
    group = old.expected.vrrp[0].model_copy(update={"addresses": ()})
    without = old.model_copy(update={"expected": old.expected.model_copy(update={"vrrp": (group,)})})
    assert hazards(old, without) == {Hazard.DROPS_CONNECTIONS}
    stopped = old.model_copy(update={"services": (Service.KEEPALIVED,), "files": ()})
    (node,) = make_plan({"lb01": old}, {"lb01": stopped}).nodes
    assert [(change.sentence, change.hazard) for change in node.changes] == [("nginx: stops", Hazard.DROPS_CONNECTIONS)]


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
        (
            bundle("lb01"),
            with_check(2000),
            "asks the servers GET /healthz every 2 s, 0.5 s long; 3 bad answers take one",
        ),
        (
            with_check(2000),
            with_check(500),
            "asks the servers GET /healthz every 2 s, 0.5 s long; 3 bad answers take one",
        ),
        (with_check(2000), bundle("lb01"), "prober: stops"),
    ],
)
def test_a_check_that_comes_changes_or_goes_is_live_and_says_what_it_does(old: Bundle, new: Bundle, said: str) -> None:
    (node,) = make_plan({"lb01": old}, {"lb01": new}).nodes
    assert node.hazard is Hazard.LIVE
    assert any(said in change.sentence for change in node.changes)
    if "asks" in said:
        assert any("while it is dead, what it knew last holds" in change.why for change in node.changes)


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
        (with_mail("true"), with_check(2000), "(from ha@example.com) removed"),
    ],
)
def test_mail_about_servers_that_begins_changes_or_ends_is_live(old: Bundle, new: Bundle, said: str) -> None:
    (node,) = make_plan({"lb01": old}, {"lb01": new}).nodes
    (change,) = node.changes
    assert change.hazard is Hazard.LIVE
    assert change.sentence.startswith("prober: it mails")
    assert said in change.sentence


def test_a_node_that_leaves_is_in_the_plan() -> None:
    plan = make_plan({"lb01": bundle("lb01")}, {})
    assert [(node.node, node.new) for node in plan.nodes] == [("lb01", None)]
    assert Hazard.MOVES_VIP in plan.hazards


def keepalived_conf(text: str) -> Bundle:
    file = BundleFile(path="/etc/holdfast/keepalived/keepalived.conf", content=f"# Managed\n{text}\n", mode=0o600)
    return bundle("lb01").model_copy(update={"files": (file,)})


def with_secret(value: str) -> Bundle:
    group = f"vrrp_instance www {{\nvirtual_router_id 51\nauthentication {{\nauth_pass {value}\n}}\n}}"
    return keepalived_conf(group)


def test_a_diff_shows_lines_and_hides_secrets() -> None:
    plan = make_plan({"lb01": with_secret("abcdefgh")}, {"lb01": with_secret("ijklmnop")})
    (change,) = plan.nodes[0].files
    text = unified_diff(change, "lb01")
    assert "abcdefgh" not in text
    assert "ijklmnop" not in text
    assert "a secret" in text
    said = " ".join(f"{change.sentence} {change.why}" for change in plan.nodes[0].changes)
    assert "secret ******** → ********" in said
    assert "abcdefgh" not in said

    plan = make_plan({"lb01": bundle("lb01", "one")}, {"lb01": bundle("lb01", "two")})
    lines = unified_diff(plan.nodes[0].files[0], "lb01").splitlines()
    assert lines[0] == "--- lb01:/etc/holdfast/nginx/nginx.conf"
    assert "-# one" in lines
    assert "+# two" in lines


def secret_words(block: type[BaseModel], seen: frozenset[type] = frozenset()) -> set[str]:
    """The keywords of a block, and of all blocks in it, that take the name of a secret."""
    found: set[str] = set()
    for name, field in block.model_fields.items():
        if Form.SECRET in field.metadata:
            found.add(name)
        for inner in models_in(field.annotation):
            if inner not in seen:
                found |= secret_words(inner, seen | {block})
    return found


def models_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models_in(part)]


@pytest.mark.parametrize("before", ["", "other"])
def test_no_secret_that_a_spec_may_refer_to_is_shown(before: str) -> None:
    """Whatever takes the name of a secret in a spec is masked, the password of an imported `SSL` block among it."""
    words = secret_words(Origin)
    assert {"auth_pass", "password"} <= words
    for word in sorted(words):
        old = keepalived_conf(f"SSL {{\n    {word} {before}\n}}" if before else "")
        new = keepalived_conf(f"SSL {{\n    {word} abcdefgh\n    ca new\n}}")
        (change,) = make_plan({"lb01": old}, {"lb01": new}).nodes[0].files
        text = unified_diff(change, "lb01")
        assert "abcdefgh" not in text
        assert "other" not in text
        assert f"{word} ********" in text


def test_what_nobody_knows_is_expected_to_do_the_worst() -> None:
    for old, new in (
        (keepalived_conf("nonsense 1"), keepalived_conf("nonsense 2")),
        (keepalived_conf("global_defs {\nnonsense 1\n}"), keepalived_conf("global_defs {\nnonsense 2\n}")),
        (with_file("/etc/holdfast/varnish/default.vcl", "a"), with_file("/etc/holdfast/varnish/default.vcl", "b")),
        (with_file("/etc/holdfast/nginx/other.conf", "a"), with_file("/etc/holdfast/nginx/other.conf", "b")),
        (with_sysctl("net.core.somaxconn = 1"), with_sysctl("net.core.somaxconn = 2")),
        (with_sysctl(""), with_sysctl("kernel.unheard_of = 1")),
    ):
        (node,) = make_plan({"lb01": old}, {"lb01": new}).nodes
        assert {change.row for change in node.changes} == {"unknown"}, node.changes
        assert node.hazard is Hazard.DROPS_CONNECTIONS


def test_what_is_not_understood_is_told_beside_what_is() -> None:
    group = "vrrp_instance www {{\nvirtual_router_id 51\n{}\n}}\n{}"
    old, new = keepalived_conf(group.format("", "")), keepalived_conf(group.format("debug 1", "nonsense {\n}"))
    (node,) = make_plan({"lb01": old}, {"lb01": new}).nodes
    assert {change.row for change in node.changes} == {"group-behaviour", "unknown"}
    assert node.hazard is Hazard.DROPS_CONNECTIONS
    hidden = keepalived_conf(group.format("", "auth_pass abcdefgh"))
    (node,) = make_plan({"lb01": old}, {"lb01": hidden}).nodes
    assert node.hazard is Hazard.DROPS_CONNECTIONS
    assert "abcdefgh" not in str(node.changes)


def with_file(path: str, text: str) -> Bundle:
    base = bundle("lb01")
    return base.model_copy(update={"files": (*base.files, BundleFile(path=path, content=text))})


def with_sysctl(text: str) -> Bundle:
    base = with_file("/etc/holdfast/sysctl/sysctl.conf", f"# Managed\n{text}\n")
    return base.model_copy(update={"services": (Service.SYSCTL, *base.services)})


def test_settings_that_leave_with_their_file_are_told_each() -> None:
    """A node that stops forwarding drops what goes through it, also where all other settings leave with it."""
    old = with_sysctl("net.ipv4.ip_forward = 1\nnet.ipv4.ip_nonlocal_bind = 1")
    (node,) = make_plan({"lb01": old}, {"lb01": bundle("lb01")}).nodes
    assert [(change.row, change.hazard) for change in node.changes] == [
        ("service-stops-quietly", Hazard.LIVE), ("forwarding-off", Hazard.DROPS_CONNECTIONS), ("sysctl", Hazard.LIVE),
    ]  # fmt: skip


def test_comments_and_access_are_a_reload_and_nothing_more() -> None:
    old = keepalived_conf("vrrp_instance www {\nvirtual_router_id 51\n}")
    (file,) = old.files
    commented = old.model_copy(update={"files": (file.model_copy(update={"content": f"# Other\n{file.content}"}),)})
    readable = old.model_copy(update={"files": (file.model_copy(update={"mode": 0o644}),)})
    for new, row in ((commented, "file-text"), (readable, "file-access")):
        (node,) = make_plan({"lb01": old}, {"lb01": new}).nodes
        assert [(change.row, change.hazard) for change in node.changes] == [(row, Hazard.RELOAD)]
