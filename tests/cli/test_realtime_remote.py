"""`holdfast realtime --node`: what a terminal shows of what a controller tells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console
from typer.testing import CliRunner

from holdfast.cli import realtime
from holdfast.cli.main import app
from holdfast.cli.realtime_remote import picture
from holdfast.cli.realtime_view import SortBy, Watched
from holdfast.client.controller import Cluster
from holdfast.protocol.api.realtime import RealtimeView
from holdfast.protocol.realtime import (
    Connections,
    Sample,
    TableConnection,
    TableServer,
    TableService,
    WebKind,
    WebRow,
)

NOW = datetime(2026, 7, 1, tzinfo=UTC)


def view(count: int = 0, at: float = 0.0, **more: object) -> RealtimeView:
    servers = (
        TableServer(name="web01-80", address="10.0.0.11", port=80, method="dr", weight=5, counters=(count, 0, 0, 0, 0)),
        TableServer(name="web02-80", address="10.0.0.12", port=80, absent=True),
    )
    shop = TableService(
        name="tcp 10.0.0.3:80", source="shop", transport="tcp", address="10.0.0.3", port=80, scheduler="wlc",
        counters=(count, 0, 0, 0, 0), servers=servers,
    )  # fmt: skip
    mark = TableService(name="mark 7", mark=7, scheduler="rr")
    sample = Sample(node="lb01", controller="one", directs=True, services=(shop, mark), every_s=1.0)
    taken = NOW + timedelta(seconds=at)
    return RealtimeView(
        cluster="shop", node="lb01", time=taken, taken=taken, sample=sample.model_copy(update=more)
    )  # fmt: skip


def shown(*views: RealtimeView) -> str:
    console, watched = Console(width=140, force_terminal=False), Watched("lb01")
    with console.capture() as capture:
        for one in views:
            console.print(picture(one, watched, SortBy.NAME, 140))
    return capture.get()


def test_rates_are_those_between_two_samples() -> None:
    text = shown(view(0), view(40, 2.0))
    assert "20" in next(line for line in reversed(text.splitlines()) if "10.0.0.11:80" in line).split()
    assert "mark 7" in text
    assert "10.0.0.12" not in text  # it is not in the table


def test_proxies_connections_and_problems_are_told() -> None:
    row = WebRow(
        engine="haproxy", kind=WebKind.SERVER, name="app01-80", pool="app", per_s=12.0, state="UP", queue=3,
        statuses_per_s=(0, 11.0, 0, 0, 1.0, 0), response_ms=7,
    )  # fmt: skip
    one = TableConnection(
        protocol="TCP", client="[2001:db8::9]:5", virtual="v", server="s", state="SYN_RECV", expires_s=3
    )
    listed = Connections(find="9", listed=(one,), matching=1, counted=50)
    text = shown(view(web=(row,), connections=(listed,), problems=("HAProxy cannot be asked",)))
    for said in ("app01-80", "2xx:11 5xx:1", "[2001:db8::9]:5", "connections: 1 of 50", "HAProxy cannot be asked"):
        assert said in text


def test_a_node_that_says_nothing_is_said_to_do_so() -> None:
    silent = view().model_copy(update={"time": NOW + timedelta(seconds=30)})
    assert "silent for 30 s" in shown(silent)
    nothing = RealtimeView(cluster="shop", node="lb01", time=NOW)
    assert "has told nothing yet" in shown(nothing)


class Remote:
    """A controller that tells one sample."""

    def cluster(self, name: str | None) -> Cluster:
        return self  # type: ignore[return-value]

    def realtime(self, node: str, find: str | None = None) -> RealtimeView:
        told = RealtimeView(cluster="shop", node=node, time=NOW)
        return told if node == "lb02" else view()


def test_one_look_as_json_and_a_node_that_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realtime, "connect", lambda named: Remote())
    done = CliRunner().invoke(app, ["realtime", "--node", "lb01", "--once", "--json"])
    assert done.exit_code == 0, done.output
    assert RealtimeView.model_validate_json(done.output).sample is not None
    done = CliRunner().invoke(app, ["realtime", "--node", "lb02", "--once"])
    assert done.exit_code != 0
    for wrong in (["--node", "lb01", "--node", "lb02"], ["--find", "x"]):
        assert CliRunner().invoke(app, ["realtime", *wrong]).exit_code != 0
