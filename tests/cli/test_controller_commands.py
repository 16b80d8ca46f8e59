"""The commands over a real controller, TLS and all, with agents that carry out what they are told in memory."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.controlled import Controlled, controlled, token_profile
from tests.controller.operations.world import MORE_WEIGHT, SPEC
from tests.controller.world import join
from tests.waiting import wait_until

from holdfast.agent.enrolment import client_context
from holdfast.cli.output import print_error
from holdfast.client.trust import fingerprint_of
from holdfast.errors import (
    AuthorityChanged,
    HoldfastError,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    Outdated,
    PlanRefused,
    UsageError,
)
from holdfast.store.models import NodeRecord
from holdfast.store.port import Put

# In one story: each test goes on from what those before it made of the cluster.
pytestmark = [pytest.mark.whole, pytest.mark.xdist_group("controller-commands")]


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controlled]:
    """A controller with a cluster that was applied once: revision 1, on lb01 and lb02."""
    folder = tmp_path_factory.mktemp("controlled")
    with controlled(folder) as world:
        world.log_in()
        (folder / "cluster.yaml").write_text(SPEC)
        world.well("apply", str(folder / "cluster.yaml"), "--yes", "-m", "the beginning", "--no-wait")
        for node in ("lb01", "lb02"):
            now = world.world.store.clock.now()
            world.there(world.world.store.cluster("shop").nodes.create(node, NodeRecord(node=node, enrolled=now)))
        world.run("rollout", "show", "--follow")
        world.well("set", "pools.app.tries=2", "--yes")  # by now they have joined: both get it
        yield world


def test_what_is_not_there_and_what_cannot_be_asked_are_wrong_calls(applied: Controlled) -> None:
    for words in (("show", "99"), ("move", "mail"), ("config", "lb77"), ("history", "-c", "x y")):
        done = applied.run(*words)
        assert isinstance(done.exception, HoldfastError), done.output
        assert done.exception.exit_status == 2, words


def fails(world: Controlled, kind: type[HoldfastError], *words: str) -> str:
    """What a command is refused with."""
    done = world.run(*words)
    assert isinstance(done.exception, kind), (done.output, done.exception)
    return f"{done.exception.message} {done.exception.hint}\n{done.stderr}"


def test_what_login_keeps_only_its_owner_can_read(applied: Controlled) -> None:
    profile = applied.folder / "profile.json"
    assert stat.S_IMODE(profile.stat().st_mode) == 0o600
    profile.chmod(0o644)
    try:
        assert "can be read by others" in fails(applied, UsageError, "history")
    finally:
        profile.chmod(0o600)


def test_a_controller_that_nobody_vouches_for_gets_no_password(applied: Controlled) -> None:
    words = ("login", applied.world.url, "--name", "admin", "--password-stdin")
    wrong = applied.run(*words, "--fingerprint", "ab" * 32, stdin="secret\n")
    assert isinstance(wrong.exception, AuthorityChanged)
    elsewhere = applied.world.url.replace("127.0.0.1", "localhost")
    unknown = applied.run("login", elsewhere, "--name", "admin", "--password-stdin", stdin="secret\n")
    assert isinstance(unknown.exception, UsageError)
    assert "--fingerprint" in unknown.exception.hint


def test_history_show_and_diff(applied: Controlled) -> None:
    assert "the beginning" in applied.well("history")
    told = json.loads(applied.well("history", "--json"))
    assert [one["number"] for one in told["revisions"]][-1] == 1
    assert applied.well("show", "1") == SPEC
    assert "keepalived.conf" in applied.well("show", "1", "--node", "lb01")
    found = applied.well("diff", "1", "2")
    assert "+    tries: 2" in found
    assert "━━ lb01" in found
    document = json.loads(applied.well("diff", "1", "2", "--json"))
    assert set(document["nodes"]) == {"lb01", "lb02"}
    assert json.loads(applied.well("plan", "1", "2", "--json"))["class"] == "reload"
    assert "no revision 99" in fails(applied, NotFound, "show", "99")
    assert "holdfast show REVISION -o" in fails(applied, UsageError, "diff", "1", "other.yaml")


def test_apply_is_planned_confirmed_followed_and_comments_stay(applied: Controlled, tmp_path: Path) -> None:
    spec = tmp_path / "cluster.yaml"
    applied.well("show", "-o", str(spec))
    before = spec.read_text()
    assert "nobody is there to be asked" in fails(applied, UsageError, "apply", str(spec))
    spec.write_text(before.replace("weight: 2", "weight: 5"))
    planned = json.loads(applied.well("plan", "live", str(spec), "--json"))
    assert (planned["class"], set(planned["nodes"])) == ("reload", {"lb01", "lb02"})
    assert applied.run("plan", "live", str(spec), "--forbid", "reload").exit_code == 1
    done = applied.run("apply", str(spec), "--yes", "-m", "more for the new one")
    assert done.exit_code == 0, done.output
    assert "lb02: verified" in done.stderr
    assert re.search(r"✓ rollout \d+, revision \d+: succeeded", done.stdout)
    changed = applied.well("set", "pool.app.servers[web02].weight=7", "--yes")
    assert "weight: 7" in changed
    now = applied.well("show")
    assert now == before.replace("weight: 2", "weight: 7")
    assert "# the old one" in now


def test_a_file_that_others_have_overtaken_is_refused_with_both_diffs(applied: Controlled, tmp_path: Path) -> None:
    spec = tmp_path / "mine.yaml"
    applied.well("show", "-o", str(spec))
    applied.well("set", "pools.app.tries=4", "--yes", "-m", "theirs")
    spec.write_text(spec.read_text().replace("www.example.com", "shop.example.com"))
    said = fails(applied, Outdated, "apply", str(spec), "--yes")
    assert "what others changed since:" in said
    assert "+    tries: 4" in said
    assert "what you changed:" in said
    assert "shop.example.com" in said


def test_who_is_overtaken_and_is_a_program_gets_both_diffs_too(
    applied: Controlled, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "mine.yaml"
    told = json.loads(applied.well("show", "-o", str(spec), "--json"))
    assert spec.read_text() == told["spec"]
    applied.well("set", "pools.app.tries=3", "--yes", "-m", "theirs")
    spec.write_text(spec.read_text().replace("www.example.com", "shop.example.com"))
    done = applied.run("apply", str(spec), "--yes", "--json")
    assert isinstance(done.exception, Outdated)
    print_error(done.exception, as_json=True)
    about = json.loads(capsys.readouterr().out)["outdated"]
    assert about["newest"] == about["base"] + 1
    assert "+    tries: 3" in about["theirs"]
    assert "shop.example.com" in about["yours"]


def test_the_lock_of_a_revision_is_written_where_it_is_asked_for(applied: Controlled, tmp_path: Path) -> None:
    printed = applied.well("show", "1", "--lock")
    assert "holdfast_lock" in printed
    applied.well("show", "1", "--lock", "-o", str(tmp_path / "[b]shop.lock"))
    assert (tmp_path / "[b]shop.lock").read_text() == printed
    assert "--node shows the files" in fails(applied, UsageError, "show", "--node", "lb01", "-o", str(tmp_path / "x"))


@pytest.mark.parametrize(
    "words",
    [
        ("users", "add", "ada lovelace"),
        ("users", "add", "ada", "--only", "no cluster"),
        ("users", "change", "ada", "--only", "../shop"),
        ("tokens", "add", ""),
        ("rollback", "1", "--yes", "-m", "x" * 10_001),
        ("rollback", "1", "--yes", "--without", "lb 01"),
        ("rollback", "1", "--yes", "--at-a-time", "5000"),
        ("rollout", "stop", "--why", "x" * 1001),
        ("maintenance", "lb01", "on", "--why", "x" * 1001),
        ("move", "www", "lb 01"),
        ("drain", "web01", "--why", "x" * 1001),
    ],
    ids=lambda words: " ".join(words)[:30],
)
def test_what_no_controller_would_take_is_a_mistake_of_who_called(applied: Controlled, words: tuple[str, ...]) -> None:
    assert "cannot be asked of a controller" in fails(applied, UsageError, *words)


def test_a_login_without_a_password_is_told(applied: Controlled, tmp_path: Path) -> None:
    nobody = Controlled(applied.world, applied.agents, applied.loop, tmp_path)
    words = ("login", applied.world.url, "--name", "admin", "--password-stdin")
    words = (*words, "--fingerprint", fingerprint_of(applied.world.authority))
    done = nobody.run(*words, stdin="")
    assert isinstance(done.exception, UsageError), done.exception


def test_back_to_the_beginning(applied: Controlled) -> None:
    assert "as revision 1" not in applied.well("history", "-n", "1")
    done = applied.well("rollback", "1", "--yes")
    assert "succeeded" in done
    assert "back to revision 1" in applied.well("history", "-n", "1")
    assert applied.well("show") == SPEC


def test_a_rollout_that_fails_says_which_node_which_program_which_line(applied: Controlled, tmp_path: Path) -> None:
    newest = json.loads(applied.well("history", "--json"))["newest"]
    applied.agents.refuses.add(("lb02", newest + 1))
    spec = tmp_path / "cluster.yaml"
    spec.write_text(MORE_WEIGHT)
    done = applied.run("apply", str(spec), "--yes")
    assert done.exit_code == 1
    assert "lb02" in done.stderr
    assert "nginx refused line 7" in done.stderr
    assert "unknown directive" in done.stderr
    told = applied.run("rollout", "show", "--json")
    assert told.exit_code == 1
    assert json.loads(told.stdout)["reason"]
    assert applied.run("status").exit_code == 1
    back = applied.well("rollback", str(newest), "--yes", "--no-wait")
    assert "no node changes" in back, "it was put back: what is planned is what the nodes run, not the newest revision"
    assert "in this order" not in back
    applied.well("rollback", "1", "--yes", "--no-wait")


def last_rollout(applied: Controlled) -> tuple[int, str]:
    """Its number and its state."""
    one = json.loads(applied.well("rollout", "list", "-n", "1", "--json"))["rollouts"][0]
    return one["id"], one["phase"]


def nodes_of_the_last(applied: Controlled) -> list[dict[str, str]]:
    """How each node of the last rollout is; 1 is no failure of the command, where that has not gone well."""
    told = applied.run("rollout", "show", "--json")
    nodes: list[dict[str, str]] = json.loads(told.stdout)["nodes"]
    return nodes


def test_a_rollout_that_waits_is_listed_continued_and_stopped(applied: Controlled) -> None:
    applied.well("rollback", "1", "--yes")
    paused = applied.run("set", "pools.app.tries=5", "--yes", "--pause-after-first")
    assert paused.exit_code == 0, paused.output
    number, phase = last_rollout(applied)
    assert phase == "paused"
    listed = applied.well("rollout", "list")
    assert re.search(rf"{number} +\d+ +.*admin +paused", listed), listed
    applied.well("rollout", "continue")
    done = applied.run("rollout", "show", str(number), "--follow")
    assert done.exit_code == 0, done.output
    assert last_rollout(applied) == (number, "succeeded")
    assert "has ended" in fails(applied, HoldfastError, "rollout", "continue", str(number))
    applied.well("set", "pools.app.tries=6", "--yes", "--pause-after-first")
    (first,) = [one["node"] for one in nodes_of_the_last(applied) if one["phase"] == "verified"]
    applied.well("rollout", "stop", "--why", "wrong pool")
    ended = applied.run("rollout", "show", "--follow")
    assert ended.exit_code == 1, ended.output
    assert last_rollout(applied)[1] == "put back"
    assert "stopped by admin (wrong pool)" in applied.well("rollout", "list")
    assert {one["node"]: one["phase"] for one in nodes_of_the_last(applied)}[first] == "put back"
    assert "(wrong pool)" in applied.well("events")
    assert "there is no rollout" in fails(applied, NotFound, "rollout", "show", "999")


def test_mistakes_in_a_spec_are_told_before_anything_is_sent(applied: Controlled, tmp_path: Path) -> None:
    spec = tmp_path / "cluster.yaml"
    spec.write_text(SPEC.replace("to: app", "to: nowhere"))
    assert "mistake" in fails(applied, UsageError, "apply", str(spec), "--yes")


def test_users_and_tokens(applied: Controlled, tmp_path: Path) -> None:
    assert "hfa_" not in applied.well("tokens", "list")
    added = applied.well("users", "add", "ada", "--role", "operator", "--only", "shop")
    assert len(added.splitlines()[-1].strip()) >= 16
    assert "ada" in applied.well("users", "list")
    applied.well("users", "change", "ada", "--role", "viewer", "--disable")
    told = json.loads(applied.well("users", "list", "--json"))["users"]
    assert [(one["role"], one["disabled"]) for one in told if one["name"] == "ada"] == [("viewer", True)]
    applied.well("users", "remove", "ada")
    secret = applied.well("tokens", "add", "ci", "--role", "viewer", "--days", "1").splitlines()[-1].strip()
    token_profile(tmp_path, applied, secret)
    program = Controlled(applied.world, applied.agents, applied.loop, tmp_path)
    assert program.well("history", "-n", "1")
    assert "it takes the role operator" in fails(program, NotPermitted, "rollback", "1", "--yes")
    applied.well("tokens", "revoke", secret[:12])
    fails(program, NotAuthenticated, "history")


def test_nodes_are_invited_events_and_audit_are_told(applied: Controlled) -> None:
    command, token = applied.well("nodes", "invite", "web01").splitlines()
    assert command == f"holdfast agent join - --controller {applied.world.url}"
    assert applied.there(join(applied.world.client(), applied.world.authority, token)).node == "web01"
    assert "lb01" in applied.well("nodes", "list")
    assert "revision.made" in applied.well("events")
    assert json.loads(applied.well("events", "--json", "-n", "1"))["number"] > 1
    assert "node.invite" in applied.well("audit")
    assert "login" in applied.well("audit", "--all", "-n", "1000")


def test_a_node_that_is_revoked_is_shut_out_at_once(applied: Controlled) -> None:
    token = applied.well("nodes", "invite", "web02").splitlines()[-1]
    identity = applied.there(join(applied.world.client(), applied.world.authority, token))
    agent = applied.world.client(client_context(identity))
    told = "/agent/v1/bundles/" + "0" * 64
    assert applied.there(agent.get(told)).status_code == 404
    assert "nobody is there to be asked" in fails(applied, UsageError, "nodes", "revoke", "web02")
    assert "counts no more" in applied.well("nodes", "revoke", "web02", "--yes")
    assert applied.there(agent.get(told)).status_code == 401
    assert "no node" in fails(applied, NotFound, "nodes", "revoke", "lb77", "--yes")
    assert "node.revoke" in applied.well("audit")


def test_who_forgot_a_password_gets_one_for_one_time_and_their_sessions_end(
    applied: Controlled, tmp_path: Path
) -> None:
    first = applied.well("users", "add", "bea", "--role", "viewer").splitlines()[-1].strip()
    bea = Controlled(applied.world, applied.agents, applied.loop, tmp_path)
    words = ("login", applied.world.url, "--name", "bea", "--password-stdin")
    words = (*words, "--fingerprint", fingerprint_of(applied.world.authority))
    assert "has to be changed first" in str(bea.run(*words, stdin=f"{first}\n").exception)  # so it is the right one
    changed = json.loads(applied.well("users", "reset-password", "bea", "--json"))["password"]
    assert changed != first
    assert isinstance(bea.run(*words, stdin=f"{first}\n").exception, NotAuthenticated)
    assert "has to be changed first" in str(bea.run(*words, stdin=f"{changed}\n").exception)
    applied.well("users", "remove", "bea")
    assert "no user bea" in fails(applied, NotFound, "users", "reset-password", "bea")


def test_a_node_in_maintenance_holds_nothing_until_it_ends(applied: Controlled) -> None:
    applied.run("move", "www", "lb01")
    begun = applied.well("maintenance", "lb01", "on", "--why", "new kernel", "--until", "2h")
    assert "lb01 is in maintenance" in begun
    assert applied.agents.holders["www"] == "lb02"
    kept = json.loads(applied.run("status", "--json").stdout)  # other nodes here have their troubles
    assert any(one["node"] == "lb01" and one["maintenance"] for one in kept["nodes"])
    assert "lb01 is in maintenance" in fails(applied, PlanRefused, "move", "www", "lb01")
    assert "is over already" in fails(
        applied, UsageError, "maintenance", "lb02", "on", "--until", "2020-01-01T00:00:00Z"
    )
    told = json.loads(applied.well("maintenance", "lb01", "off", "--json"))
    assert (told["ok"], told["on"]) == (True, False)
    assert "there is no node" in fails(applied, NotFound, "maintenance", "lb77", "off")
    applied.run("move", "www", "lb01")  # these agents prefer nobody: it does not come back by itself


def test_events_are_followed_until_somebody_stops_it(applied: Controlled) -> None:
    environment = {**os.environ, "HOLDFAST_PROFILE": str(applied.folder / "profile.json"), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "holdfast.cli", "events", "--follow", "--json", "-n", "1"]
    lines: list[dict[str, object]] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as following:
        try:
            reading = threading.Thread(
                target=lambda: lines.extend(map(json.loads, following.stdout or ())), daemon=True
            )
            reading.start()
            wait_until(lambda: bool(lines), 60)
            applied.well("set", "pools.app.tries=9", "--yes", "--no-wait")
            wait_until(lambda: any(one["kind"] == "revision.made" for one in lines[1:]), 60)
            following.send_signal(signal.SIGINT)
            assert following.wait(60) == 130
        finally:
            following.kill()
    numbers = [one["number"] for one in lines]
    assert numbers == sorted(set(numbers), key=int)


def test_what_is_live_and_moves(applied: Controlled) -> None:
    assert "nginx.conf" in applied.well("config", "lb01")
    assert "is with lb01" in applied.well("move", "www", "lb01")
    assert "there is no VRRP group" in fails(applied, NotFound, "move", "mail")
    assert "no group has the address" in fails(applied, NotFound, "move", "10.0.0.77")


def test_without_a_controller_it_is_said_what_to_do(applied: Controlled, tmp_path: Path) -> None:
    nobody = Controlled(applied.world, applied.agents, applied.loop, tmp_path)
    assert "holdfast login" in fails(nobody, UsageError, "history")
    assert "no address of a controller" in fails(nobody, UsageError, "history", "--controller", "http://ctl:1")


def test_a_session_is_never_sent_to_another_controller(applied: Controlled) -> None:
    """The pinned authority does not count there, either: nothing is said to a stranger."""
    other = applied.world.url.replace("127.0.0.1", "localhost")
    assert "CERTIFICATE_VERIFY_FAILED" in fails(applied, HoldfastError, "history", "--controller", other)


def test_a_spec_comes_back_byte_for_byte(applied: Controlled, tmp_path: Path) -> None:
    theirs = SPEC.replace("\n", "\r\n") + "#\ta tab\r\n"
    (tmp_path / "cluster.yaml").write_bytes(theirs.encode())
    base = str(json.loads(applied.well("history", "--json"))["newest"])
    applied.well("apply", str(tmp_path / "cluster.yaml"), "--yes", "--base", base)
    assert applied.run("show").stdout_bytes == theirs.encode()
    applied.well("show", "-o", str(tmp_path / "again.yaml"))
    assert (tmp_path / "again.yaml").read_bytes() == theirs.encode()


def test_a_plan_names_agents_that_are_too_old_before_anybody_confirms(applied: Controlled, tmp_path: Path) -> None:
    spec = tmp_path / "cluster.yaml"
    spec.write_text(MORE_WEIGHT, encoding="utf-8")
    applied.agents.older = {"lb02"}
    applied.there(applied.agents.say_again("lb02"))
    planned = applied.well("plan", "live", str(spec))
    assert "the agent of lb02 is too old for this: the rollout would be refused" in planned
    assert json.loads(applied.well("plan", "live", str(spec), "--json"))["too_old"] == ["lb02"]
    asked = applied.run("apply", str(spec))
    assert "the agent of lb02 is too old" in asked.stdout
    assert isinstance(asked.exception, UsageError), "it ends where it would have asked"
    applied.agents.older = set()


def test_lists_show_what_is_not_damaged_and_say_what_is(applied: Controlled) -> None:
    store = applied.world.store
    keys = (store.events.key(1), store.audit.key(1), store.cluster("shop").revisions.headings.key("1"))
    applied.there(store.engine.commit([], [Put(key, b"{") for key in keys]))
    for words, what in (
        (("history",), "revision"),
        (("audit", "--all", "-n", "1000"), "record"),
        (("events",), "event"),
    ):
        done = applied.run(*words)
        assert done.exit_code == 0, done.output
        assert f"{what} 1 is damaged" in done.stderr
        assert "restore a dump" in done.stderr
    assert "damaged" in applied.well("history", "--json")


def test_logged_out_is_logged_out(applied: Controlled) -> None:
    applied.well("logout")
    assert "nobody is logged in" in fails(applied, NotAuthenticated, "history")
    applied.log_in()
    assert applied.well("history", "-n", "1")
