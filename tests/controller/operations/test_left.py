"""A service of which no server is left is trouble, whether they failed or somebody took them out."""

from __future__ import annotations

import pytest

from holdfast.controller.operations.left import nothing_left
from holdfast.protocol.api.status import ServerHealth, ServiceHealth

UP, DOWN = ServerHealth(name="a", up=True), ServerHealth(name="b", up=False)
DRAINED = ServerHealth(name="c", up=True, weight=0, override="drained")
SUSPENDED = ServerHealth(name="d", up=None, override="suspended")
LIGHTER = ServerHealth(name="e", up=True, override="weight")
LIGHTER_DOWN = ServerHealth(name="f", up=False, override="weight")
UNKNOWN = ServerHealth(name="g")


@pytest.mark.parametrize(
    ("servers", "said"),
    [
        ((), []),
        ((UP, DOWN), []),
        ((UNKNOWN, DOWN), []),
        ((LIGHTER, DOWN), []),
        ((DOWN,), ["pool app has no server that is up"]),
        ((DOWN, LIGHTER_DOWN), ["pool app has no server that is up"]),
        ((DOWN, SUSPENDED), ["pool app has no server left: 1 down, 1 taken out"]),
        ((DRAINED, SUSPENDED), ["pool app has no server left: all are taken out"]),
    ],
)
def test_a_pool_is_judged_by_what_is_left(servers: tuple[ServerHealth, ...], said: list[str]) -> None:
    assert [str(one) for one in nothing_left([ServiceHealth(name="app", kind="pool", servers=servers)])] == said


def test_virtual_servers_are_called_what_they_are() -> None:
    shop = ServiceHealth(name="shop", kind="virtual_server", servers=(DOWN, DRAINED))
    gone = ServiceHealth(name="gone", kind="virtual_server", servers=(DRAINED,))
    dead = ServiceHealth(name="dead", kind="virtual_server", servers=(DOWN,))
    assert [(one, one.values["virtual_server"]) for one in nothing_left([shop, gone, dead])] == [
        ("virtual server shop has no server left: 1 down, 1 taken out", "shop"),
        ("virtual server gone has no server left: all are taken out", "gone"),
        ("virtual server dead has no server that is up", "dead"),
    ]
