"""`holdfast store`: dump, load and info as a user runs them, and what is refused."""

from __future__ import annotations

import asyncio
import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.cli.conftest import Command

from holdfast.store.models import RevisionContent
from holdfast.store.revisions import Draft
from holdfast.store.sqlite import SqliteEngine
from holdfast.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with three revisions of a cluster."""
    path = tmp_path / "store.db"

    async def fill() -> None:
        engine = await SqliteEngine.open(path)
        revisions = (await Store.open(engine)).cluster("shop").revisions
        for base in range(3):
            content = RevisionContent(spec=f"# {base}\n")
            await revisions.add(Draft(base, "anna", "m", datetime(2026, 3, 1, tzinfo=UTC), content))
        await engine.close()

    asyncio.run(fill())
    return path


def test_a_store_is_dumped_and_loaded_into_a_new_one(holdfast: Command, store: Path, tmp_path: Path) -> None:
    dump = tmp_path / "store.dump"
    done = holdfast("store", "dump", dump, "--store", f"sqlite:{store}", "--json")
    assert (done.returncode, json.loads(done.stdout)["entries"]) == (0, 7), done.stderr
    assert stat.S_IMODE(dump.stat().st_mode) == 0o600
    done = holdfast("store", "load", dump, "--store", f"sqlite:{tmp_path / 'new.db'}")
    assert done.returncode == 0, done.stderr
    before = json.loads(holdfast("store", "info", "--store", f"sqlite:{store}", "--json").stdout)
    after = json.loads(holdfast("store", "info", "--store", f"sqlite:{tmp_path / 'new.db'}", "--json").stdout)
    assert after["store_id"] == before["store_id"]
    assert after["epoch"] > before["epoch"] == 1
    assert after["clusters"] == before["clusters"] == [{"name": "shop", "revision": 3, "nodes": 0}]


def test_what_is_there_is_never_overwritten_unnamed(holdfast: Command, store: Path, tmp_path: Path) -> None:
    dump = tmp_path / "store.dump"
    assert holdfast("store", "dump", dump, "--store", f"sqlite:{store}").returncode == 0
    content = dump.read_bytes()
    done = holdfast("store", "dump", dump, "--store", f"sqlite:{store}")
    assert (done.returncode, dump.read_bytes()) == (2, content)
    done = holdfast("store", "load", dump, "--store", f"sqlite:{store}")
    assert done.returncode == 1
    assert "--replace " in done.stderr
    name = done.stderr.split("--replace ")[1].split()[0]
    assert holdfast("store", "load", dump, "--store", f"sqlite:{store}", "--replace", name).returncode == 0


def test_info_says_how_the_store_is(holdfast: Command, store: Path) -> None:
    done = holdfast("store", "info", "--store", f"sqlite:{store}")
    assert done.returncode == 0
    for words in (str(store), "epoch 1", "can be written", "3 revisions", "shop: revision 3"):
        assert words in done.stdout


@pytest.mark.parametrize("command", [("info",), ("dump", "x.dump")])
def test_a_store_is_not_made_by_looking_at_it(holdfast: Command, tmp_path: Path, command: tuple[str, ...]) -> None:
    done = holdfast("store", *command, "--store", f"sqlite:{tmp_path / 'none.db'}")
    assert done.returncode == 1
    assert "there is no store at" in done.stderr
    assert list(tmp_path.glob("none.db*")) == []
    assert list(tmp_path.glob("*x.dump*")) == []


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("redis://localhost", "no kind of store"),
        ("etcd://root:secret@127.0.0.1:2379", "can be read by everybody"),
        ("etcd://10.0.0.1:2379", "are missing"),
        ("etcd://127.0.0.1:2379?credentials=none.toml", "cannot be read"),
        ("memory:", "ends with the command"),
    ],
)
def test_addresses_that_cannot_be(holdfast: Command, address: str, words: str) -> None:
    done = holdfast("store", "info", "--store", address)
    assert done.returncode == 2
    assert words in done.stderr
    assert "secret" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_no_dump_changes_nothing(holdfast: Command, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no dump\n")
    for name, status in (("text", 1), ("none", 2)):
        done = holdfast("store", "load", tmp_path / name, "--store", f"sqlite:{tmp_path / 'new.db'}")
        assert done.returncode == status
        assert "Traceback" not in done.stderr
    done = holdfast("store", "info", "--store", f"sqlite:{tmp_path / 'new.db'}")
    assert "never used" in done.stdout
