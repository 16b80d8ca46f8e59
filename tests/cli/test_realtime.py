"""`holdfast realtime`: what a terminal shows of a table, and what scripts are told."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from tests.ipvs.tables import MARKED, WEB, destination, service, table
from typer.testing import CliRunner

from holdfast.cli import realtime, realtime_sources
from holdfast.cli.main import app
from holdfast.cli.realtime_sources import Seen
from holdfast.cli.realtime_view import SortBy, Watched, grid, short, sparkline
from holdfast.errors import HoldfastError
from holdfast.ipvs.connections import Connection, Connections
from holdfast.ipvs.document import Look, to_line
from holdfast.ipvs.model import KernelInfo, Service, Timeouts

FIRST, SECOND, THIRD = "10.0.0.11", "10.0.0.12", "10.0.0.9"
OPEN = Connection("TCP", "10.9.9.9", 5000, "10.0.0.3", 80, FIRST, 80, "ESTABLISHED", 899, "", "")


def look(at: float, *services: Service, connections: Connections | None = None) -> Look:
    return Look(
        1700000000.0 + at, table(at, *services), (), Timeouts(900, 120, 300), KernelInfo("1.2.1", 4096), connections
    )


def web(first: int, second: int) -> Service:
    return service(
        WEB,
        destination(FIRST, count=first, active=3, weight=5),
        destination(SECOND, count=second, active=7, weight=0),
        destination(THIRD, inactive=1),
        count=first + second,
    )


def watched(*looks: Look) -> Watched:
    found = Watched("lb01")
    for one in looks:
        found.add(one)
    return found


TWO = (look(10.0, web(0, 0), service(MARKED)), look(12.0, web(20, 4), service(MARKED)))


def shown(of: Watched, sort: SortBy = SortBy.NAME, *, width: int = 160, rows: int = 50) -> str:
    console = Console(width=width, force_terminal=False)
    with console.capture() as capture:
        console.print(grid(of, sort, width=width, rows=rows))
    return capture.get()


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        (SortBy.CONNECTIONS, [FIRST, SECOND, THIRD]),
        (SortBy.IN_BYTES, [FIRST, SECOND, THIRD]),
        (SortBy.ACTIVE, [SECOND, FIRST, THIRD]),
        (SortBy.INACTIVE, [THIRD, FIRST, SECOND]),
        (SortBy.WEIGHT, [SECOND, THIRD, FIRST]),
    ],
)
def test_servers_are_sorted_below_their_service(sort: SortBy, order: list[str]) -> None:
    rows = watched(*TWO).rows(sort)
    assert [row.destination.address for row in rows if row.destination is not None] == order
    place = next(n for n, row in enumerate(rows) if row.service.key == WEB)
    assert rows[place].destination is None
    assert all(row.destination is not None for row in rows[place + 1 : place + 4])


def test_services_are_sorted_by_what_they_do() -> None:
    assert watched(*TWO).rows(SortBy.CONNECTIONS)[0].service.key == WEB


def test_rates_are_those_between_the_looks() -> None:
    rows = {row.destination and row.destination.address: row for row in watched(*TWO).rows(SortBy.NAME)}
    assert (rows[FIRST].rates.connections, rows[FIRST].rates.in_bytes, rows[SECOND].rates.connections) == (
        10,
        10_000,
        2,
    )
    assert rows[FIRST].past == (10.0,)


def test_a_wide_terminal_shows_everything() -> None:
    text = shown(watched(*TWO))
    for word in (
        "tcp 10.0.0.3:80 wlc",
        "→ 10.0.0.11:80 dr",
        "in pkt/s",
        "out B/s",
        "new connections",
        "█",
        "10.0k",
        "mark 7",
    ):
        assert word in text, word


@pytest.mark.parametrize("width", range(20, 170, 7))
def test_a_narrow_terminal_shows_less_and_never_wraps(width: int) -> None:
    connected = look(14.0, web(30, 4), connections=Connections((OPEN,), False))
    lines = shown(watched(*TWO, connected), width=width).splitlines()
    body = [line for line in lines if "→" in line]
    assert len(body) == 3
    assert all(len(line) <= width for line in lines)
    assert "conn/s" in "".join(lines) or width < 30


def test_more_rows_than_fit_are_counted() -> None:
    text = shown(watched(*TWO), rows=3)
    assert text.count("→") == 1
    assert "2 more lines" in text


def test_states_stand_beside_their_server() -> None:
    of = watched(look(10.0, web(0, 0), connections=Connections((OPEN, OPEN), False)))
    text = shown(of, width=110)
    assert [line for line in text.splitlines() if "established:2" in line and FIRST in line]
    assert not [line for line in text.splitlines() if "established" in line and SECOND in line]


def test_sparklines() -> None:
    assert sparkline([]) == ""
    assert sparkline([0, 0]) == "▁▁"
    assert sparkline([0, 7, 3.5, 7]) == "▁█▅█"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (3.44, "3.4"),
        (99.9, "99.9"),
        (999, "999"),
        (12_345, "12.3k"),
        (4_560_000, "4.6M"),
        (2**63, "9223372T"),
    ],
)
def test_numbers_stay_short(number: float, text: str) -> None:
    assert short(number) == text


@pytest.fixture
def lb01(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine, as if it had a table, which then is interrupted."""

    def here(watch: realtime_sources.Watch) -> Iterator[Seen]:
        for number, one in enumerate(itertools.cycle(TWO)):
            if watch.count and number >= watch.count:
                return
            if number == len(TWO):
                raise KeyboardInterrupt
            yield Seen("lb01", one)

    monkeypatch.setattr(realtime, "here", here)


@pytest.mark.usefixtures("lb01")
def test_json_is_a_line_for_each_look() -> None:
    done = CliRunner().invoke(app, ["realtime", "--json"])
    assert done.exit_code == 0  # although it was interrupted
    first, second = map(json.loads, done.stdout.splitlines())
    assert (first["node"], first["services"][0]["rates"]) == ("lb01", None)
    assert second["seconds"] == 2.0
    assert second["services"][0]["destinations"][0]["rates"]["connections"] == 10.0
    assert second["services"][0]["destinations"][0]["counters"]["in_bytes"] == 20_000


@pytest.mark.usefixtures("lb01")
def test_interrupting_it_is_no_failure() -> None:
    done = CliRunner().invoke(app, ["realtime"])
    assert (done.exit_code, done.stderr) == (0, "")
    assert "10.0.0.11:80" in done.stdout


@pytest.mark.usefixtures("lb01")
def test_once() -> None:
    assert len(CliRunner().invoke(app, ["realtime", "--json", "--once"]).stdout.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments", [["--interval", "1ms"], ["--interval", "x"], ["--vip", "web"], ["--node", "lb01"], ["--sort", "x"]]
)
def test_called_wrongly(arguments: list[str]) -> None:
    nobody = {
        "HOLDFAST_PROFILE": "/nonexistent",
        "HOLDFAST_CONTROLLER": "",
    }  # not where its author logged in
    done = CliRunner().invoke(app, ["realtime", "--once", *arguments], env=nobody)
    assert done.exit_code == 2 or (isinstance(done.exception, HoldfastError) and done.exception.exit_status == 2)


AGENT = """
import sys, time
for line in open(sys.argv[1]):
    for piece in (line[:40], line[40:]):
        sys.stdout.write(piece); sys.stdout.flush(); time.sleep(0.02)
sys.exit(int(sys.argv[2]))
"""


def child(tmp_path: Path, text: str, status: int) -> list[Seen]:
    """What an agent told: its lines come in pieces."""
    script, lines = tmp_path / "agent.py", tmp_path / "lines"
    script.write_text(AGENT)
    lines.write_text(text)
    return list(realtime_sources.told_by({"lb01": [sys.executable, str(script), str(lines), str(status)]}))


def test_an_agents_lines_are_put_together(tmp_path: Path) -> None:
    found = child(tmp_path, "".join(to_line(one) + "\n" for one in TWO), 0)
    assert [one.look for one in found] == list(TWO)


def test_an_agents_last_word_is_told(tmp_path: Path) -> None:
    word = json.dumps({"error": {"message": "no table", "hint": "modprobe ip_vs"}})
    *_, last = child(tmp_path, f"{to_line(TWO[0])}\n{word}\n", 1)
    assert last.error is not None
    assert (last.error.message, last.error.hint) == ("lb01: no table", "modprobe ip_vs")


def test_an_agent_that_died_without_a_word(tmp_path: Path) -> None:
    (last,) = child(tmp_path, "", 9)
    assert last.error is not None
    assert "status 9" in last.error.message


def test_whoever_stops_watching_ends_the_agents(tmp_path: Path) -> None:
    line, pid = tmp_path / "line", tmp_path / "pid"
    line.write_text(to_line(TWO[0]) + "\n")
    script = f"echo $$ >{pid}; cat {line}; exec sleep 600"
    seen = realtime_sources.told_by({"lb01": ["sh", "-c", script]})
    assert next(seen).look == TWO[0]
    assert Path(f"/proc/{pid.read_text().strip()}").exists()
    seen.close()
    assert not Path(f"/proc/{pid.read_text().strip()}").exists()
