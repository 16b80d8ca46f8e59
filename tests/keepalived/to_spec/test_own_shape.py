"""From an imported shape to Holdfast's own: what the steps are, that each one compiles, and what each one does."""

from __future__ import annotations

from itertools import pairwise

import pytest
from tests.keepalived.to_spec.meaning import PATH, imported

from holdfast.agent.admission.check import admit
from holdfast.agent.policy import Policy, parse_policy
from holdfast.bundle import PROBE_DIR, Bundle
from holdfast.compile.compiler import CompileInput, compile_cluster
from holdfast.compile.lock import Lock, Secrets, complete_lock, complete_secrets
from holdfast.keepalived.to_spec import own_shape
from holdfast.plan import Hazard, make_plan
from holdfast.spec import parse_spec

PROBE = f"{PROBE_DIR}/probe"
PAIR = """\
global_defs {{
    router_id LVS_DEVEL
}}
vrrp_script chk {{
    script "/usr/bin/pgrep nginx"
    interval 2
    weight -60
}}
vrrp_instance VI_1 {{
    state {state}
    interface eth0
    virtual_router_id 51
    priority {priority}
    unicast_src_ip 10.0.0.{own}
    unicast_peer {{
        10.0.0.{peer}
    }}
    virtual_ipaddress {{
        10.0.0.3/24 dev eth0
    }}
    track_script {{
        chk
    }}
    {more}
}}
"""


# On an interface of which the files do not tell the nodes' own addresses.
OTHER = """\
vrrp_instance VI_2 {
    interface eth1
    virtual_router_id 52
    virtual_ipaddress {
        10.1.0.3/24
    }
}
"""


def spec_of(more: str = "", behind: str = "") -> str:
    lb1 = PAIR.format(state="MASTER", priority=150, own=1, peer=2, more=more) + behind
    lb2 = PAIR.format(state="BACKUP", priority=100, own=2, peer=1, more=more) + behind
    found = imported(lb1=lb1, lb2=lb2)
    assert found.complete, found.not_carried
    return found.text


def bundles(text: str) -> dict[str, Bundle]:
    loaded = parse_spec(text)
    lock = complete_lock(loaded.spec, Lock(cluster="shop"))
    secrets = complete_secrets(loaded.spec, Secrets(cluster="shop"), lambda: "rehearse")
    return compile_cluster(CompileInput(loaded, lock, secrets))


def test_each_step_is_a_spec_and_does_to_traffic_what_its_kind_does() -> None:
    text = spec_of()
    found = own_shape(text, PROBE)
    assert [step.name for step in found.steps] == ["1-commands", "2-states", "3-vi-1"]
    assert not found.kept
    states = [bundles(one) for one in (text, *(step.text for step in found.steps))]
    worst = [max(make_plan(old, new).hazards, key=lambda hazard: hazard.rank) for old, new in pairwise(states)]
    assert worst == [Hazard.RELOAD, Hazard.RELOAD, Hazard.SIMULTANEOUS]
    last = parse_spec(found.steps[-1].text).spec
    assert last.origin is None
    group = last.vrrp["vi-1"]
    assert (group.members, group.vrid, group.adverts) == (("lb1", "lb2"), 51, "unicast")
    assert [(one.script, one.on_loss) for one in group.keeps_while] == [("chk", "yield")]


def test_an_agent_takes_a_step_once_its_policy_has_what_is_printed() -> None:
    """The import's own commands it refuses, as it refuses the step without the policy."""
    text = spec_of('notify_master "/etc/keepalived/up.sh now" root\n    notify_fault /etc/keepalived/fault.sh')
    found = own_shape(text, PROBE)
    first = bundles(found.steps[0].text)["lb1"]
    policy = parse_policy(found.policies["lb1"].encode(), "policy.toml")
    assert policy.hooks["VI_1-active"].command == ("/etc/keepalived/up.sh", "now")
    assert policy.hooks["VI_1-active"].user == "root"
    assert policy.scripts["chk"].command == ("/usr/bin/pgrep", "nginx")
    assert (first.policy_names.scripts, first.policy_names.hooks) == (("chk",), ("VI_1-active", "VI_1-fault"))
    assert not admit(first, policy)
    assert admit(first, Policy())
    assert admit(bundles(text)["lb1"], policy)


@pytest.mark.parametrize(
    ("more", "behind", "reason"),
    [
        ("virtual_routes {\n 10.9.0.0/16 via 10.0.0.1\n}", "", "virtual_routes"),
        ("", "vrrp_sync_group G {\n group {\n VI_1\n }\n}\n", "sync group"),
        ("notify /etc/any.sh", "", "notify"),
        ("track_interface {\n eth1 weight -2\n }", "", "on_loss"),
        ("", OTHER, "nothing says which address lb1 has on eth1: write `nodes: {lb1: {interfaces: {eth1: ADDRESS}}}`"),
    ],
)
def test_what_has_no_word_keeps_its_shape(more: str, behind: str, reason: str) -> None:
    found = own_shape(spec_of(more, behind), PROBE)
    assert any(reason in kept for kept in found.kept), found.kept
    assert "virtual_router_id 51" in (bundles(found.steps[-1].text)["lb1"].file(PATH) or pytest.fail("no file")).content
    assert parse_spec(found.steps[-1].text).spec.origin is not None


def test_a_spec_without_an_origin_has_no_steps() -> None:
    last = own_shape(spec_of(), PROBE).steps[-1].text
    assert own_shape(last, PROBE).steps == ()
