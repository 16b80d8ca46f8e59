"""keepalived.conf files of two members, as plans compare them."""

from __future__ import annotations

from holdfast.bundle import Bundle, BundleFile, Service
from holdfast.plan import Plan, make_plan

PATH = "/etc/holdfast/keepalived/keepalived.conf"
PRIORITY = {"a": 120, "b": 100}
_INSTANCE = """
global_defs {{
{globals}
}}
{before}
vrrp_instance {name} {{
    state {state}
    interface {interface}
    virtual_router_id {vrid}
    priority {priority}
    advert_int {interval}
    version {version}
    {more}
    virtual_ipaddress {{
{addresses}
    }}
    virtual_ipaddress_excluded {{
{excluded}
    }}
}}
{after}
"""


def text(node: str, **changes: object) -> str:
    """The file of one member; what is not said is as in the measured cases."""
    values: dict[str, object] = {
        "globals": "", "before": "", "after": "", "name": "VI_1", "state": "BACKUP", "interface": "eth0", "vrid": 51,
        "priority": PRIORITY[node], "interval": 1, "version": 3, "more": "", "addresses": "10.0.0.3/24",
        "excluded": "10.0.0.4/24",
    }  # fmt: skip
    return _INSTANCE.format(**{**values, **changes})


def bundle(node: str, content: str) -> Bundle:
    """A bundle with nothing but this file."""
    return Bundle(
        cluster="raw", node=node, services=(Service.KEEPALIVED,), files=(BundleFile(path=PATH, content=content),)
    )


def pair(**changes: object) -> dict[str, Bundle]:
    """Both members, with the same change."""
    return {node: bundle(node, text(node, **changes)) for node in PRIORITY}


def plan(old: dict[str, Bundle], **changes: object) -> Plan:
    """From `old` to a pair with these changes."""
    return make_plan(old, pair(**changes))
