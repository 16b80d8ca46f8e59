"""`drain`, `suspend`, `resume`, `weight`, `overrides`: refused, written, told to every director, waited for."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.cli.overrides_run import runner, spec_file, written
from tests.directors_spec import SPEC
from typer.testing import Result

from holdfast.cli import (
    overrides_edit,
    overrides_place,
    overrides_tell,
)
from holdfast.cli.overrides_place import Place
from holdfast.controller.operations import quorum, servers
from holdfast.errors import ApplyError, HoldfastError, PlanRefused, RolloutFailed, UsageError
from holdfast.protocol import OverrideKind, OverrideReport, Overrides, WeighedServer
from holdfast.spec import load_spec
from holdfast.spec.resolve_lvs import all_directors

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@dataclass
class Directors:
    """Directors in memory: what they are told is what their tables show; `open_counts` are used up one a look."""

    told: dict[str, Overrides] = field(default_factory=dict)
    open_counts: list[int] = field(default_factory=list)
    down: set[str] = field(default_factory=set)
    unreachable: set[str] = field(default_factory=set)
    holder: str = "lb01"
    sessions_end: bool = True
    stubborn: bool = False

    def override(self, node: str, overrides: Overrides | None) -> OverrideReport:
        if node in self.unreachable:
            raise RolloutFailed(f"{node} cannot be reached", "is the node up?")
        if overrides is not None:
            self.told[node] = overrides
        known = {each.server: each for each in self.told.get(node, Overrides()).servers}
        count = (self.open_counts.pop(0) if len(self.open_counts) > 1 else (self.open_counts or [0])[0]) if (
            node == self.holder and overrides is None and known
        ) else 7  # fmt: skip
        rows = []
        for source, server in (("shop", "rs01:80"), ("shop", "rs02:80"), ("api", "rs01:443"), ("api", "rs02:443")):
            override = known.get(server)
            out = server in self.down or (override is not None and override.kind is OverrideKind.SUSPENDED)
            weighs = override.weight or 0 if override is not None else 1
            rows.append(
                WeighedServer(
                    virtual_server=source,
                    source=source,
                    server=server.replace(":", "-"),
                    kind=override.kind if override else None,
                    wanted=weighs,
                    weight=None if out else weighs,
                    holds=node == self.holder,
                    open=count if override else None,
                    persistent=2,
                )
            )
        done = not (self.stubborn and known)
        detail = "" if done else "rs01:80 of shop weighs 1 in the kernel's table, not 0"
        return OverrideReport(node=node, done=done, servers=tuple(rows), sessions_end=self.sessions_end, detail=detail)


@pytest.fixture
def directors() -> Directors:
    return Directors()


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    return spec_file(tmp_path, SPEC)


@pytest.fixture
def run(spec: Path, directors: Directors, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    def place() -> Place:
        loaded = load_spec(spec)
        return Place(loaded, spec, directors, all_directors(loaded.spec))  # type: ignore[arg-type]

    return runner(monkeypatch, spec, place)


def test_drain_is_written_and_told_to_each_director(
    run: Callable[..., Result], spec: Path, directors: Directors
) -> None:
    done = run("drain", "rs01:80", "--why", "new disk", "--json")
    assert done.exit_code == 0, done.output
    assert set(directors.told) == {"lb01", "lb02"}
    for told in directors.told.values():
        assert [(each.server, each.kind, each.why) for each in told.servers] == [("rs01:80", "drained", "new disk")]
    assert [(each["server"], each["kind"]) for each in written(spec)] == [("rs01:80", "drained")]
    said = json.loads(done.stdout)
    assert said["ok"]
    assert said["directors"]["lb02"]["servers"][0]["weight"] == 0


def test_a_node_means_all_its_ports_and_from_only_one(run: Callable[..., Result], spec: Path) -> None:
    assert run("drain", "rs01").exit_code == 0
    assert [each["server"] for each in written(spec)] == ["rs01:80", "rs01:443"]
    assert run("resume", "rs01").exit_code == 0
    assert written(spec) == []
    assert run("drain", "rs01", "--from", "api").exit_code == 0
    assert [(each["server"], each["virtual_server"]) for each in written(spec)] == [("rs01:443", "api")]


def test_weight_and_suspend_and_resume(run: Callable[..., Result], spec: Path, directors: Directors) -> None:
    assert run("weight", "rs01:80", "5", "--until", "2h").exit_code == 0
    assert directors.told["lb01"].servers[0].weight == 5
    assert directors.told["lb01"].servers[0].until is not None
    assert run("suspend", "rs01:80").exit_code == 0
    assert [each["kind"] for each in written(spec)] == ["suspended"]
    assert run("resume", "rs01:80").exit_code == 0
    assert directors.told["lb02"].servers == ()
    assert run("weight", "rs01:80", "0").exit_code == 2


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("drain", "rs09:80"), "no virtual server and no pool has a server 'rs09:80'"),
        (("drain", "10.9.0.99:8080"), "no proxy sends anything to pool 'app'"),
        (("drain", "rs01:80", "--from", "web"), "there is no virtual server 'web'"),
        (("drain", "rs01:443", "--from", "shop"), "'shop' has no server 'rs01:443'"),
        (("drain", "rs01:80", "--until", "yesterday"), "yesterday"),
        (("drain", "rs01:80", "--until", "2001-01-01T00:00:00Z"), "over already"),
        (("drain", "rs01:80", "--wait", "--deadline", "soon"), "--deadline"),
    ],
)
def test_what_is_not_there_is_named_before_anything_changes(
    run: Callable[..., Result], spec: Path, directors: Directors, words: tuple[str, ...], why: str
) -> None:
    done = run(*words)
    assert isinstance(done.exception, UsageError)
    assert why in done.exception.message
    assert directors.told == {}
    assert not (spec.parent / "shop.overrides.yaml").exists()


def test_the_last_server_is_not_drained(run: Callable[..., Result], spec: Path, directors: Directors) -> None:
    assert run("drain", "rs01:80").exit_code == 0
    done = run("drain", "rs02:80")
    assert isinstance(done.exception, PlanRefused)
    assert "rs02:80 is the only server left of 'shop': nobody would answer" in done.exception.message
    assert [each["server"] for each in written(spec)] == ["rs01:80"]
    assert run("drain", "rs02:80", "--force").exit_code == 0


def test_a_server_whose_fellows_are_down_is_not_drained(run: Callable[..., Result], directors: Directors) -> None:
    directors.down = {"rs02:80"}
    done = run("suspend", "rs01:80")
    assert isinstance(done.exception, PlanRefused)
    assert "the last server that is up of 'shop'" in done.exception.message
    assert directors.told == {}


SORRY = "'rs02:80'], sorry: '10.9.0.98:80'{more}}}"


RESET = "sorry server 10.9.0.98:80 would answer, and the connections that its servers have are reset"


@pytest.mark.parametrize("words", [("drain", "rs01:80"), ("suspend", "rs01:80")])
def test_what_a_sorry_server_does_to_connections_is_said_first_also_with_force(
    run: Callable[..., Result],
    spec: Path,
    directors: Directors,
    words: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec.write_text(SPEC.replace("'rs02:80']}", SORRY.format(more="")))
    assert run("drain", "rs02:80").exit_code == 0
    before = dict(directors.told)
    done = run(*words)
    assert isinstance(done.exception, PlanRefused)
    assert RESET in done.exception.message
    assert directors.told == before
    with monkeypatch.context() as full:
        full.setattr(overrides_tell, "replace", _refuse)
        forced = run(*words, "--force")
    assert isinstance(forced.exception, ApplyError)
    assert directors.told == before
    assert RESET in " ".join(forced.stderr.split())  # nothing has been changed yet
    done = run(*words, "--force", "--json")
    assert done.exit_code == 0
    assert RESET in json.loads(done.stdout)["warnings"][0]
    assert directors.told != before


def _refuse(path: Path, data: bytes) -> None:
    raise OSError(28, "No space left on device")


def _drained(server: str) -> overrides_edit.Override:
    return overrides_edit.Override(server=server, kind="drained")


@pytest.mark.parametrize(
    ("more", "drained", "said"),
    [
        ("", "rs01:80 rs02:80", "rs02:80 is the only server left of 'shop': its sorry server 10.9.0.98:80 would answer"
         ", and the connections that its servers have are reset: keepalived takes all out of the table"),
        (", failed: weightless", "rs01:80 rs02:80",
         "rs02:80 is the only server left of 'shop': its sorry server 10.9.0.98:80 would answer"),
        (", quorum: 2", "rs02:80", "'shop' is left with a weight of 1, below its quorum of 2: its sorry server "
         "10.9.0.98:80 would answer, and the connections that its servers have are reset: keepalived takes all out of "
         "the table"),
        (", quorum: {weight: 3, hysteresis: 1}", "rs02:80", None),
        ("", "rs02:80", None),
    ],
)  # fmt: skip
def test_what_is_said_of_a_quorum(spec: Path, more: str, drained: str, said: str | None) -> None:
    text = SPEC.replace("'rs02:80']}", SORRY.format(more=more))
    if "hysteresis" in more:
        text = text.replace("'rs01:80', 'rs02:80'", "{address: 'rs01:80', weight: 2}, {address: 'rs02:80', weight: 2}")
    spec.write_text(text)
    loaded = load_spec(spec).spec
    found = quorum.emptied(loaded, [_drained(each) for each in drained.split()], ["rs02:80"], None, ())
    assert found == ((said,) if said else ())


def test_a_weight_below_the_quorum_is_said(run: Callable[..., Result], spec: Path) -> None:
    text = SPEC.replace("'rs02:80']}", SORRY.format(more=", quorum: 20"))
    spec.write_text(text.replace("'rs01:80',", "{address: 'rs01:80', weight: 30},"))
    assert "below its quorum" not in run("weight", "rs01:80", "19").stderr
    assert "a weight of 2, below its quorum of 20" in " ".join(run("weight", "rs01:80", "1").stderr.split())


def test_the_poorer_family_counts(spec: Path, directors: Directors) -> None:
    """Of a server that only one of two families has, the other family is not left."""
    loaded, report = load_spec(spec).spec, directors.override("lb01", None)
    alone = next(row for row in report.servers if row.server == "rs01-80")
    other = alone.model_copy(update={"virtual_server": "shop.v6"})
    both = report.model_copy(update={"servers": (*report.servers, other)})
    assert quorum.emptied(loaded, [_drained("rs01:80")], ["rs01:80"], None, [report]) == ()
    found = quorum.emptied(loaded, [_drained("rs01:80")], ["rs01:80"], None, [both])
    assert found == ("rs01:80 is the last server that is up of 'shop': nobody would answer",)


def test_a_director_that_is_not_reached_is_an_error_and_the_others_are_told(
    run: Callable[..., Result], directors: Directors
) -> None:
    directors.unreachable = {"lb02"}
    done = run("drain", "rs01:80", "--force")
    assert done.exit_code == 1
    assert "lb02 cannot be reached" in done.output
    assert set(directors.told) == {"lb01"}


def test_a_kernel_that_does_not_show_it_is_an_error(run: Callable[..., Result], directors: Directors) -> None:
    directors.stubborn = True
    done = run("drain", "rs01:80")
    assert done.exit_code == 1
    assert "weighs 1 in the kernel's table, not 0" in done.output


def test_wait_returns_when_the_last_connection_has_ended(run: Callable[..., Result], directors: Directors) -> None:
    directors.open_counts = [3, 2, 0]
    done = run("drain", "rs01:80", "--wait", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["left"] == 0


def test_wait_gives_up_at_its_deadline_and_says_how_many_are_left(
    run: Callable[..., Result], directors: Directors
) -> None:
    directors.open_counts = [4]
    done = run("drain", "rs01:80", "--wait", "--deadline", "50ms")
    assert done.exit_code == 1
    assert "4 connections are left" in done.output
    assert "stays drained" in done.output


def test_sessions_that_stay_are_waited_for(directors: Directors) -> None:
    directors.told = {"lb01": Overrides.model_validate({"servers": [{"server": "rs01:80", "kind": "drained"}]})}
    directors.sessions_end = False
    report = directors.override("lb01", None)
    assert servers.left([report], servers.Meant(("rs01:80",))) == 2


def test_overrides_lists_and_pushes_again(run: Callable[..., Result], directors: Directors) -> None:
    run("drain", "rs01:80", "--why", "new disk", "--until", "1h")
    directors.told = {}
    listed = run("overrides")
    assert listed.exit_code == 0
    assert "rs01:80" in listed.output
    assert directors.told == {}
    said = json.loads(run("overrides", "--push", "--json").stdout)
    assert said["ok"]
    assert [each["over"] for each in said["overrides"]] == [False]
    assert set(directors.told) == {"lb01", "lb02"}


def test_resuming_in_one_what_is_drained_in_all_is_refused(run: Callable[..., Result]) -> None:
    run("drain", "rs01:80")
    done = run("resume", "rs01:80", "--from", "shop")
    assert isinstance(done.exception, UsageError)
    assert "leave --from out" in done.exception.hint


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2h", NOW + timedelta(hours=2)), ("2026-11-21T14:00:00+01:00", NOW + timedelta(hours=1)), (None, None)],
)
def test_until(text: str | None, expected: datetime | None) -> None:
    assert overrides_edit.parse_until(text, NOW) == expected


def test_without_a_spec_or_a_lab_nobody_is_meant() -> None:
    with pytest.raises(UsageError, match="which cluster"):
        overrides_place.find(None, None)


def test_a_machine_that_directs_nothing_says_so(spec: Path) -> None:
    """This machine has no bundle, so its agent says that it directs nothing."""
    with pytest.raises(HoldfastError, match=r"directs no virtual server|must be root"):
        overrides_place.find(spec, None)
