"""What goes wrong with one VRRP instance: its identity, its state and preemption, its version and authentication."""

from __future__ import annotations

from collections.abc import Iterator

from .model import Model
from .rule import ERROR, WARNING, Hit, rule
from .samples import instance, plain


@rule(
    "VRRP101",
    WARNING,
    "nopreempt with state MASTER",
    effect="keepalived drops nopreempt: the instance takes its addresses back as soon as it returns.",
    hint="write `state BACKUP` on every node; the priority decides who comes first",
    bad=instance("nopreempt", state="MASTER"),
    good=instance("nopreempt", state="BACKUP"),
    references=("man keepalived.conf: nopreempt", "RFC 5798, 6.1 (Preempt_Mode)"),
)
def nopreempt_of_a_master(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        if one.nopreempt is not None and one.state.value == "MASTER":
            message = f"{one.name} says state MASTER, so keepalived drops nopreempt: it will preempt when it returns"
            yield Hit(one.nopreempt, message, related=(one.state.node,))


@rule(
    "VRRP102",
    ERROR,
    "no virtual_router_id",
    effect="keepalived removes the instance: nobody holds its addresses.",
    hint="add `virtual_router_id`, 1 to 255, the same on all peers and no other cluster's on this network",
    bad=plain("""
        vrrp_instance web {
            state BACKUP
            interface eth0
            priority 100
            virtual_ipaddress {
                10.0.0.100/24
            }
        }
        """),
    good=instance(),
    references=("man keepalived.conf: virtual_router_id",),
)
def no_vrid(model: Model) -> Iterator[Hit]:
    for one in model.instances:
        if one.block.get("virtual_router_id") is None:
            yield Hit(
                one.node, f"{one.name} has no virtual_router_id: keepalived removes it, nobody holds its addresses"
            )
