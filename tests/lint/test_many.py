"""Files with very many of one thing: the time grows with their number, and not with its square."""

from __future__ import annotations

import time

import pytest
from tests.keepalived.trees import instance

from holdfast.lint import engine

_LINES = {
    "addresses": lambda count: instance(
        "virtual_router_id 7",
        "virtual_ipaddress {",
        *(f"10.{one >> 16}.{one >> 8 & 255}.{one & 255}/24" for one in range(count)),
        "}",
    ),
    "instances": lambda count: "".join(
        f"vrrp_instance a{one} {{\nvirtual_router_id {one % 255 + 1}\ninterface eth{one}\n}}\n" for one in range(count)
    ),
    "instances with peers": lambda count: "".join(
        f"vrrp_instance a{one} {{\nvirtual_router_id 7\nunicast_peer {{\n10.0.0.{one % 250 + 2}\n}}\n}}\n"
        for one in range(count)
    ),
}


@pytest.mark.whole
@pytest.mark.parametrize("name", _LINES)
def test_time_grows_with_the_number(name: str) -> None:
    """Ten times as many take some ten times as long; a square would make it a hundred."""

    def seconds(count: int) -> float:
        text = _LINES[name](count)
        began = time.process_time()
        engine.examine([engine.read_text(text)])
        return time.process_time() - began

    seconds(10)  # reads the tables
    small = min(seconds(600) for _ in range(3))
    assert seconds(6_000) < 40 * max(small, 0.02)


def test_the_network_of_a_mask_is_one_object() -> None:
    text = instance("virtual_ipaddress {", "10.0.0.1/24", "10.0.0.2/024", "10.0.0.3", "10.0.0.4/33", "fd00::1/0", "}")
    held = engine.read_text(text).model.instances[0].addresses
    assert [str(one.network) for one in held] == ["10.0.0.0/24", "10.0.0.0/24", "None", "None", "::/0"]
    assert held[0].network is held[1].network
    assert [one.family for one in held] == [4, 4, 4, 4, 6]
