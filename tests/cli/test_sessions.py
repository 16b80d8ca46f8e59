"""Sessions from the command line, and logging in where nobody sits at a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.controlled import Controlled, controlled
from tests.controller.world import PASSWORD

from holdfast.cli.secret_files import SecretFile, read_secret
from holdfast.client.trust import fingerprint_of
from holdfast.errors import NotAuthenticated, NotFound, NotPermitted, UsageError
from holdfast.store.models import ClusterRecord, NodeRecord, Override, OverrideKind
from holdfast.store.port import Put

pytestmark = pytest.mark.whole


@pytest.fixture(scope="module")
def admin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controlled]:
    with controlled(tmp_path_factory.mktemp("controlled")) as world:
        world.log_in()
        yield world


def secret(path: Path, text: str) -> Path:
    path.write_text(f"{text}\n")
    path.chmod(0o600)
    return path


def login(admin: Controlled, name: str, folder: Path, *words: str) -> Controlled:
    """Somebody else, at another machine, without a terminal."""
    other = Controlled(admin.world, admin.agents, admin.loop, folder)
    told = ("login", admin.world.url, "--name", name, "--fingerprint", fingerprint_of(admin.world.authority))
    other.well(*told, *words)
    return other


def user(admin: Controlled, name: str, folder: Path) -> Controlled:
    """A new user, whose first login is a script's."""
    once = json.loads(admin.well("users", "add", name, "--json"))["password"]
    files = secret(folder / "once", once), secret(folder / "new", PASSWORD)
    return login(admin, name, folder, "--password-file", str(files[0]), "--new-password-file", str(files[1]))


def test_a_first_login_is_done_by_a_script_and_the_password_is_another_one_then(
    admin: Controlled, tmp_path: Path
) -> None:
    bea = user(admin, "bea", tmp_path)
    assert json.loads(bea.well("sessions", "list", "--json"))["sessions"][0]["owner"] == "bea"
    assert isinstance(bea.run("users", "list").exception, NotPermitted)
    again = login(admin, "bea", tmp_path, "--password-file", str(tmp_path / "new"))
    assert len(json.loads(again.well("sessions", "list", "--json"))["sessions"]) == 2


def test_a_secret_that_others_can_read_is_not_taken_nor_two_at_once(admin: Controlled, tmp_path: Path) -> None:
    open_file = secret(tmp_path / "open", "x")
    open_file.chmod(0o644)
    told = ("login", admin.world.url, "--name", "admin", "--fingerprint", fingerprint_of(admin.world.authority))
    done = admin.run(*told, "--password-file", str(open_file))
    assert "can be read by others" in str(done.exception)
    done = admin.run(*told, "--password-file", str(open_file), "--token-stdin")
    assert "one secret is enough" in str(done.exception)


def test_one_session_is_ended_and_then_all_but_ones_own(admin: Controlled, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = user(admin, "cleo", tmp_path / "a")
    second = login(admin, "cleo", tmp_path / "b", "--password-file", str(tmp_path / "a" / "new"))
    listed = json.loads(second.well("sessions", "list", "--json"))["sessions"]
    (other,) = [one["prefix"] for one in listed if not one["this"]]
    second.well("sessions", "end", other)
    assert isinstance(first.run("sessions", "list").exception, NotAuthenticated)
    assert isinstance(second.run("sessions", "end", other).exception, NotFound)
    login(admin, "cleo", tmp_path / "a", "--password-file", str(tmp_path / "a" / "new"))
    second.well("sessions", "end", "--all")
    assert isinstance(first.run("sessions", "list").exception, NotAuthenticated)
    assert "this one" in second.well("sessions", "list")
    assert isinstance(second.run("sessions", "end").exception, UsageError)


def test_an_administrator_ends_those_of_others_and_nobody_else_does(admin: Controlled, tmp_path: Path) -> None:
    for name in ("dora", "emil"):
        (tmp_path / name).mkdir()
    dora, emil = user(admin, "dora", tmp_path / "dora"), user(admin, "emil", tmp_path / "emil")
    assert isinstance(emil.run("sessions", "list", "--user", "dora").exception, NotPermitted)
    assert isinstance(emil.run("sessions", "end", "--all", "--user", "dora").exception, NotPermitted)
    assert "dora" in admin.well("sessions", "list", "--user", "dora")
    (one,) = json.loads(admin.well("sessions", "list", "--user", "dora", "--json"))["sessions"]
    admin.well("sessions", "end", one["prefix"], "--user", "dora")
    assert isinstance(dora.run("sessions", "list").exception, NotAuthenticated)
    admin.well("sessions", "end", "--all", "--user", "emil")
    assert isinstance(emil.run("sessions", "list").exception, NotAuthenticated)
    assert "session.end" in admin.well("audit", "--all", "-n", "100")


def test_a_token_goes_into_a_file_of_ones_own_and_comes_from_one(admin: Controlled, tmp_path: Path) -> None:
    file = tmp_path / "token"
    said = admin.well("tokens", "add", "ci", "--role", "admin", "--to", str(file))
    kept = read_secret(file)
    assert kept.startswith("hfa_")
    assert kept not in said
    other = Controlled(admin.world, admin.agents, admin.loop, tmp_path)
    told = ("login", admin.world.url, "--fingerprint", fingerprint_of(admin.world.authority))
    assert "admin" in other.well(*told, "--token-file", str(file))
    assert isinstance(other.run("users", "list").exception, NotPermitted), "it has no scope for that"
    before = len(json.loads(admin.well("tokens", "list", "--json"))["tokens"])
    assert isinstance(admin.run("tokens", "add", "ci", "--to", str(file)).exception, UsageError)
    assert len(json.loads(admin.well("tokens", "list", "--json"))["tokens"]) == before, "none was made in vain"
    scoped = tmp_path / "scoped"
    admin.well("tokens", "add", "hr", "--role", "admin", "--scope", "users", "--to", str(scoped))
    other.well(*told, "--token-file", str(scoped))
    assert "admin" in other.well("users", "list")


def test_a_file_for_a_secret_that_never_came_is_not_left_behind(tmp_path: Path) -> None:
    file = SecretFile(tmp_path / "one")
    file.close()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError):
        SecretFile(tmp_path / "nowhere" / "one")


def test_a_damaged_override_is_listed_and_cleared(admin: Controlled) -> None:
    world = admin.world

    async def damage() -> None:
        shop = world.store.cluster("shop")
        now = world.store.clock.now()
        await shop.nodes.create("lb01", NodeRecord(node="lb01", enrolled=now))
        record = Override(kind=OverrideKind.DRAINED, target="web02:80", who="ada", since=now)
        await shop.overrides.create("drained/web02:80", record)
        await world.store.engine.commit([], [Put(shop.overrides.key("drained/web01:80"), b"{")])

    admin.there(make_cluster(admin))
    admin.there(damage())
    assert "drained/web01:80" in admin.well("damaged", "list", "--cluster", "shop")
    assert "drained/web01:80 is damaged" in admin.run("status", "--cluster", "shop").stdout.replace("\n", " ")
    assert isinstance(
        admin.run("damaged", "clear", "override", "drained/web02:80", "--yes", "-c", "shop").exception, NotFound
    )
    admin.well("damaged", "clear", "override", "drained/web01:80", "--yes", "--cluster", "shop")
    assert json.loads(admin.well("damaged", "list", "--cluster", "shop", "--json")) == {"records": []}
    assert "damaged.clear" in admin.well("audit", "--cluster", "shop")


async def make_cluster(admin: Controlled) -> None:
    now = admin.world.store.clock.now()
    await admin.world.store.clusters.create("shop", ClusterRecord(name="shop", created=now))
