"""Where keepalived goes by the order of lines, an import does too: what it ignores for its place is left out."""

from __future__ import annotations

import pytest
from tests.keepalived.to_spec.meaning import imported, texts

INSTANCE = (
    "vrrp_instance a {{\n{}\n  interface eth0\n  virtual_router_id 5\n  virtual_ipaddress {{\n  10.0.0.1\n  }}\n}}\n"
)
SERVER = "virtual_server 10.0.0.1 80 {{\n{}\n  real_server 10.0.0.2 80 {{\n  }}\n}}\n"


@pytest.mark.parametrize(
    ("block", "lines", "kept"),
    [
        (INSTANCE, "preempt\nnopreempt", {"nopreempt"}),
        (INSTANCE, "nopreempt\npreempt", {"preempt"}),
        (INSTANCE, "no_accept\naccept", {"accept"}),
        (INSTANCE, "unicast_src_ip 10.0.0.8\nmcast_src_ip 10.0.0.9", {"mcast_src_ip 10.0.0.9"}),
        (INSTANCE, "state MASTER\nstate BACKUP", {"state MASTER"}),
        (INSTANCE, "state BACKUP\nstate MASTER", {"state MASTER"}),
        (INSTANCE, "state MASTER\nstate bogus\nstate BACKUP", {"state BACKUP"}),
        (SERVER, "lb_algo wrr\nlvs_sched sh", {"lvs_sched sh"}),
        (SERVER, "lb_algo wrr\nlvs_sched bogus", {"lb_algo wrr"}),
        (SERVER, "lvs_method DR\nlb_kind TUN", {"lb_kind TUN"}),
        (SERVER, "sh-port\nlvs_sched sh\nsh-fallback", {"lvs_sched sh", "sh-fallback"}),
        (SERVER, "lb_algo mh\nmh-port\nsh-port", {"lb_algo mh", "mh-port"}),
        (SERVER, "sorry_server_inhibit\nsorry_server 10.0.0.9 80", {"sorry_server 10.0.0.9 80"}),
        (SERVER, "inhibit_on_failure 0", {"inhibit_on_failure true"}),
        (SERVER, "lvs_method TUN type gue", {"lvs_method TUN"}),
        (SERVER, "lvs_method TUN type gue port 5555", {"lvs_method TUN type gue port 5555"}),
        (SERVER, "lvs_method TUN type ipip csum", {"lvs_method TUN"}),
        (SERVER, "lvs_method TUN type gre remcsum", {"lvs_method TUN"}),
        (SERVER, "lvs_method TUN type gre csum", {"lvs_method TUN type gre csum"}),
        (SERVER, "lvs_method TUN port 5555", {"lvs_method TUN"}),
    ],
)
def test_what_counts_is_what_is_compiled(block: str, lines: str, kept: set[str]) -> None:
    """As `keepalived -t` and its dump have it, line by line."""
    found = imported(lb1=block.format(lines))
    assert found.complete, found.not_carried
    rest = set(texts(imported(lb1=block.format("")))["lb1"].splitlines())
    made = {line.strip() for line in texts(found)["lb1"].splitlines() if line not in rest}
    assert made == kept
    assert bool(found.declared_differences) == bool(set(lines.splitlines()) - kept)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("vrrp_script a {\n  script /bin/a\n}\nglobal_defs {\n  script_user root\n}\n", 5),
        (INSTANCE.format("  mcast_src_ip fd00::1"), 1),
    ],
)
def test_an_order_that_no_spec_can_say_is_lost_by_its_line(text: str, line: int) -> None:
    found = imported(lb1=text)
    assert line in {left.line for left in found.not_carried}


def test_a_script_below_its_user_is_carried() -> None:
    assert imported(lb1="global_defs {\n  script_user root\n}\nvrrp_script a {\n  script /bin/a\n}\n").complete
