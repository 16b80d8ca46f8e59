"""What `holdfast status` says first."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from holdfast.cli.status_view import show_status
from holdfast.protocol.api.status import ClusterStatus, ServerHealth, ServiceHealth

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def shown(*servers: ServerHealth, ok: bool = True) -> list[str]:
    services = (ServiceHealth(name="web", kind="pool", servers=servers),)
    found = ClusterStatus(cluster="shop", time=NOW, ok=ok, services=services)
    text = io.StringIO()
    show_status(found, Console(file=text, width=200))
    return text.getvalue().splitlines()


def server(number: int, up: bool | None, override: str | None = None) -> ServerHealth:
    return ServerHealth(name=f"app{number}-80", up=up, override=override)


def test_a_server_that_is_down_is_said_first_though_the_pool_is_served() -> None:
    assert shown(server(1, True), server(2, False), server(3, False)) == [
        "! shop: no revision yet",
        "  ! pool web: 2 of 3 down: app2-80, app3-80",
        "pool web: app1-80, app2-80 down, app3-80 down",
    ]


@pytest.mark.parametrize("second", [server(2, True), server(2, None), server(2, False, "drained")])
def test_what_is_well_not_known_or_taken_out_is_no_loss(second: ServerHealth) -> None:
    head, line = shown(server(1, True), second)
    assert head.startswith("✓")
    assert line.startswith("pool web: app1-80, app2-80")


def test_a_pool_that_lost_all_of_them_is_trouble_and_said_once() -> None:
    head, *lines = shown(server(1, False), server(2, False), ok=False)
    assert head.startswith("✗")
    assert lines == ["pool web: app1-80 down, app2-80 down"]  # what is wrong with it is in the controller's words
