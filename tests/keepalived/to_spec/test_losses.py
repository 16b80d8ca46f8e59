"""What cannot be carried over is listed with its line; nothing raises, and the time is bounded."""

from __future__ import annotations

import random
import time

import pytest
from tests.keepalived.corpus import samples
from tests.keepalived.test_fuzz import IN_A_SOAK, mutated
from tests.keepalived.to_spec.meaning import imported

from holdfast.keepalived.parse import parse
from holdfast.keepalived.to_spec import import_nodes
from holdfast.spec import parse_spec


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("include other.conf\nvrrp_instance a {\n}\n", 1, "was not read"),
        ("vrrp_instance a {\n  priority ${_RANDOM 1 9}\n}\n", 2, "another value at each start"),
        ("vrrp_instance a {\n  interface\n}\n", 2, "ends here"),
        ("", 1, "nothing in this file"),
        ("\0\1\2", 1, "NUL"),
        ("ops@lb1:/etc/keepalived$ cat keepalived.conf\nvrrp_instance a {\n}\n", 1, "prompt"),
        ("[root@lb1 keepalived]# cat keepalived.conf\nvrrp_instance a {\n}\n", 1, "prompt"),
    ],
)
def test_an_import_is_incomplete_where_meaning_is_lost(text: str, line: int, reason: str) -> None:
    found = imported(lb1=text)
    assert not found.complete
    assert any(left.line == line and reason in left.reason for left in found.not_carried), found.not_carried
    assert "NOT CARRIED" in found.text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("vrrp_instance a {\n  prioritty 5\n}\n", 2),
        ("vrrp_instance a {\n  priority 300\n}\n", 2),
        ("vrrp_instance a {\n  interface eth0 priority 44\n}\n", 2),
        ("vrrp_instance a {\n  priority 5\n  priority 6\n}\n", 3),
        ("vrrp_instance a {\n}\n}\n", 3),
    ],
)
def test_what_keepalived_leaves_out_is_declared(text: str, line: int) -> None:
    found = imported(lb1=text)
    assert found.complete
    assert line in [left.line for left in found.declared_differences]


@pytest.mark.parametrize("kind", ["vrrp_instance", "vrrp_sync_group", "track_group"])
def test_a_block_without_a_name_is_passed_over_as_keepalived_does(kind: str) -> None:
    """Measured: of these keepalived skips the block and reads on; at a nameless vrrp_script it stops."""
    found = imported(lb1=f"{kind} {{\n  interface\n}}\nvrrp_instance b {{\n  virtual_router_id 9\n}}\n")
    assert found.complete, found.not_carried
    assert any(left.line == 1 and "skips the whole block" in left.reason for left in found.declared_differences)
    assert list(found.data["origin"]["vrrp_instance"]) == ["b"]
    alone = imported(lb1=f"{kind} {{\n}}\n")
    assert (alone.data["origin"].get("outside", {}).get("static_ipaddress") == []) == (kind == "vrrp_instance")
    assert not imported(lb1="vrrp_script {\n  script /bin/true\n}\nvrrp_instance b {\n}\n").complete


@pytest.mark.parametrize("seconds", [2.0, IN_A_SOAK])
def test_nothing_raises_whatever_the_files_hold(seconds: float) -> None:
    """Mutated samples: an answer, and a spec that loads, for as long as the test may take."""
    chance = random.Random(20)
    sources = [path.read_bytes() for path in samples()]
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        first, second = (mutated(chance.choice(sources), chance) for _ in range(2))
        found = imported(lb1=first, lb2=second)
        if not any("the spec cannot hold" in left.reason for left in found.not_carried):
            parse_spec(found.text)


@pytest.mark.whole
def test_too_large_a_file_has_an_answer_soon() -> None:
    one = "virtual_server 10.0.0.1 {} {{\n real_server 10.0.0.2 80 {{\n TCP_CHECK {{\n }}\n }}\n}}\n"
    text = "".join(one.format(port) for port in range(1, 60_001))
    began = time.process_time()
    found = imported(lb1=text)
    assert not found.complete
    assert time.process_time() - began < 30


def test_of_lists_only_the_lines_that_keepalived_skips_are_left_out() -> None:
    """As `keepalived -t` says of each: an address that is none, options that it does not know, weights too large."""
    found = imported(
        lb1=(
            "vrrp_script chk {\n  script /bin/true\n}\n"
            "vrrp_instance a {\n  virtual_ipaddress {\n    this is the address\n    10.0.0.1/24 dev eth0\n  }\n"
            "  track_script {\n    chk weight=2\n  }\n"
            "  track_interface {\n    eth0 weight 300\n    eth1 weight 254 other\n    eth2 weight\n    eth3 weight 5x\n"
            "  }\n  track_process {\n    proc weight 254\n  }\n}\n"
        )
    )
    assert found.complete
    assert sorted({left.line for left in found.declared_differences}) == [6, 10, 13, 14, 15, 16]
    instance = found.data["origin"]["vrrp_instance"]["a"]
    assert instance["virtual_ipaddress"] == ["10.0.0.1/24 dev eth0"]
    assert instance["track_script"] == []
    assert instance["track_interface"] == [
        {"name": "eth0", "weight": 0, "on_loss": "release"},
        {"name": "eth1", "weight": 253},
        {"name": "eth3", "weight": 5},
    ]
    assert instance["track_process"] == [{"name": "proc", "weight": 254}]


@pytest.mark.whole
def test_a_spec_that_nobody_can_read_is_no_complete_import() -> None:
    addresses = "".join(f"    10.{n // 250}.{n % 250}.1/32 label eth0:{'x' * 800}\n" for n in range(9_900))
    found = imported(lb1=f"vrrp_instance a {{\n  virtual_ipaddress {{\n{addresses}  }}\n}}\n")
    assert not found.complete
    assert any("MB are read" in left.reason for left in found.not_carried)


def test_bytes_that_are_no_utf8_are_lost_and_the_spec_can_be_written() -> None:
    found = import_nodes({"lb1": parse(b"vrrp_instance a {\n  interface eth\xf7\n}\n", "lb1.conf")}, "shop")
    assert not found.complete
    found.text.encode()


def test_a_neighbour_may_be_any_number_of_hops_away() -> None:
    """-1 is what keepalived takes for as many as the packet may go."""
    found = imported(lb1="bfd_instance b {\n  neighbor_ip 10.0.0.9\n  max_hops -1\n}\n")
    assert found.complete
    assert not found.declared_differences
    assert found.data["origin"]["bfd_instance"]["b"]["max_hops"] == -1


def test_the_name_of_a_sequence_may_be_any_bytes() -> None:
    found = imported(lb1=b"~SEQ(LA\xf9T, 1, 3) $LA\xf9T x\n")
    assert not found.complete
    assert any("\\xf9" in left.reason for left in (*found.not_carried, *found.declared_differences))
