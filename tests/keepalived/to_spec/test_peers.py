"""Several nodes' files become one spec: who speaks with whom, what is common, what weights mean."""

from __future__ import annotations

import pytest
from tests.keepalived.to_spec.meaning import imported, meaning, texts

PAIR = """\
vrrp_script chk {{
    script "/usr/bin/pgrep nginx"
    weight {weight}
}}
vrrp_instance {name} {{
    state {state}
    interface {interface}
    virtual_router_id {vrid}
    priority {priority}
    {more}
    authentication {{
        auth_type PASS
        auth_pass hunter22
    }}
    virtual_ipaddress {{
        {address}
    }}
    track_script {{
        chk
    }}
}}
"""
DEFAULTS = {
    "name": "VI_1", "state": "BACKUP", "interface": "eth0", "vrid": 51, "priority": 100, "more": "",
    "address": "10.0.0.3/24", "weight": 0,
}  # fmt: skip


def conf(**values: object) -> str:
    return PAIR.format(**{**DEFAULTS, **values})


def instances(**files: str) -> dict[str, dict[str, object]]:
    found = imported(**files)
    assert found.complete, found.not_carried
    before = {node: meaning(text) for node, text in files.items()}
    assert {node: meaning(text) for node, text in texts(found).items()} == before
    return found.data["origin"]["vrrp_instance"]  # type: ignore[no-any-return]


def test_peers_are_one_group_in_order_of_preference() -> None:
    found = instances(lb1=conf(priority=90), lb2=conf(priority=150, state="MASTER", interface="ens3"))
    assert list(found) == ["VI_1"]
    group = found["VI_1"]
    assert group["virtual_router_id"] == 51
    assert group["virtual_ipaddress"] == ["10.0.0.3/24"]
    assert group["nodes"] == {
        "lb2": {"state": "MASTER", "interface": "ens3", "priority": 150},
        "lb1": {"state": "BACKUP", "interface": "eth0", "priority": 90},
    }
    assert list(group["nodes"]) == ["lb2", "lb1"]  # type: ignore[call-overload]


def test_peers_may_call_their_instance_differently() -> None:
    found = instances(lb1=conf(name="front"), lb2=conf(name="FRONT_2", priority=90))
    assert list(found) == ["front"]
    assert found["front"]["nodes"]["lb2"] == {"name": "FRONT_2", "state": "BACKUP", "priority": 90}  # type: ignore[index]


def test_one_name_with_other_numbers_is_no_group() -> None:
    found = instances(lb1=conf(), lb2=conf(vrid=52, address="10.0.0.4/24"))
    assert [(name, list(group["nodes"])) for name, group in found.items()] == [  # type: ignore[call-overload]
        ("VI_1", ["lb1"]),
        ("VI_1-lb2", ["lb2"]),
    ]
    assert found["VI_1-lb2"]["name"] == "VI_1"


def test_addresses_tell_apart_what_has_one_number_on_two_networks() -> None:
    inside = {"name": "in", "interface": "eth1", "address": "192.168.0.1/24"}
    found = instances(lb1=conf() + conf(**inside).partition("}\n")[2], lb2=conf(**inside))
    assert {name: list(group["nodes"]) for name, group in found.items()} == {"VI_1": ["lb1"], "in": ["lb1", "lb2"]}  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("high", "low", "weight", "more", "meant"),
    [
        (150, 100, -60, "", "yield"),  # 90 against 100
        (150, 100, -50, "", None),  # 100 against 100: an address decides
        (150, 100, -2, "", None),  # 148 against 100
        (101, 100, 10, "", "yield"),  # 101 against 110, both of them with 10 more while all is well
        (152, 101, 3, "", None),  # 152 against 104
        (150, 100, -60, "nopreempt", None),  # the better one never takes over
        (150, 100, 0, "", "release"),  # FAULT
        (150, 100, 0, "nopreempt", "release"),
        (255, 100, -60, "", None),  # an owner keeps its priority
    ],
)
def test_weights_are_intent_where_that_is_certain(high: int, low: int, weight: int, more: str, meant: str) -> None:
    found = imported(
        lb1=conf(priority=high, weight=weight, more=more), lb2=conf(priority=low, weight=weight, more=more)
    )
    group = found.data["origin"]["vrrp_instance"]["VI_1"]
    on_first = group.get("track_script") or group["nodes"]["lb1"]["track_script"]
    assert on_first[0].get("on_loss") == meant
    assert set(texts(found)) == {"lb1", "lb2"}, "what it means changes nothing of what is compiled"


def test_no_password_is_in_the_spec_or_in_what_is_said() -> None:
    found = imported(lb1=conf(), lb2=conf().replace("hunter22", "hunter22 and more\n  auth_pass"))
    assert found.secrets == {"vrrp": "hunter22"}
    said = found.text + "".join(map(str, (*found.not_carried, *found.declared_differences)))
    assert "hunter22" not in said


def test_what_keepalived_does_not_track_is_not_tracked() -> None:
    script, _, instance = conf().partition("}\n")
    found = imported(lb1=instance + script + "}\n")
    assert found.complete
    assert [left.what for left in found.declared_differences] == ["'chk'"]
    assert "track_script" not in texts(found)["lb1"] or "chk" not in texts(found)["lb1"].split("track_script")[1]
