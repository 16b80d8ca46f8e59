"""What is expected of imported groups, so that a node can verify what it holds."""

from __future__ import annotations

import json

import pytest
from tests.keepalived.to_spec.meaning import compiled, imported

from holdfast.bundle import Bundle, HeldAddress

CONF = """\
vrrp_instance VI_1 {{
    interface eth0
    virtual_router_id 51
    priority 150
    advert_int 2
    {more}
    virtual_ipaddress {{
        10.0.0.3/24 label eth0:1
        10.0.0.4 dev eth1
    }}
    virtual_ipaddress_excluded {{
        fd00::3
    }}
}}
"""


def test_all_addresses_of_an_imported_group_are_expected_of_its_holder() -> None:
    bundle = compiled(imported(lb1=CONF.format(more="")))["lb1"]
    assert not bundle.expected.vrrp, "it has no hold file"
    (group,) = bundle.expected.imported
    assert (group.group, group.vrid, group.priority, group.advert_interval_ms) == ("VI_1", 51, 150, 2000)
    assert group.addresses == (
        HeldAddress(address="10.0.0.3/24", interface="eth0"),
        HeldAddress(address="10.0.0.4/32", interface="eth1"),
        HeldAddress(address="fd00::3/128", interface="eth0"),
    )
    assert Bundle.from_json(bundle.to_json()) == bundle


@pytest.mark.parametrize("more", ["use_vmac", "interface"])
def test_nothing_is_expected_where_the_file_does_not_say_where_addresses_are(more: str) -> None:
    text = CONF.format(more=more) if more == "use_vmac" else CONF.format(more="").replace("    interface eth0\n", "")
    bundle = compiled(imported(lb1=text))["lb1"]
    assert not bundle.expected.imported
    assert "imported" not in json.loads(bundle.to_json())["expected"]
