"""`holdfast agent`: what it says to people and to programs, on a node of its own folder."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.agent.daemon.stand_in import bundle, desired, site, until
from tests.agent.daemon.test_agent import ended
from typer.testing import CliRunner

from holdfast.agent.daemon.pause import paused
from holdfast.agent.daemon.settings import Settings, read_settings, write_settings
from holdfast.agent.host.port import Places
from holdfast.cli import agent as command
from holdfast.errors import HoldfastError, UsageError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the agent is root's")


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    found = Places(tmp_path / "root")
    monkeypatch.setattr(command, "Places", lambda: found)
    monkeypatch.setattr(command, "IDENTITY_FILE", str(tmp_path / "node.pem"))
    monkeypatch.setattr(command, "SETTINGS_FILE", str(tmp_path / "agent.toml"))
    return found


def invoke(*words: str, text: str = "") -> tuple[int, str]:
    done = CliRunner().invoke(command.app, list(words), input=text)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def document(*words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(invoke(*words, "--json")[1])
    return found


def test_pause_and_resume(places: Places) -> None:
    _, text = invoke("pause", "--why", "a new cable", "--for", "2h")
    assert "holdfast agent resume" in text
    found = paused(places, datetime.now(UTC))
    assert found is not None
    assert found.why == "a new cable"
    assert found.until is not None
    assert 7100 < (found.until - datetime.now(UTC)).total_seconds() < 7300
    assert document("resume") == {"ok": True, "was_paused": True}
    assert paused(places, datetime.now(UTC)) is None
    assert "was not paused" in invoke("resume")[1]
    with pytest.raises(UsageError, match="is no time"):
        invoke("pause", "--for", "tomorrow")


def test_status_of_a_node_that_has_not_joined(places: Places) -> None:
    status, text = invoke("status")
    assert status == 1
    assert "has not joined" in text


def test_joining_running_and_looking(places: Places, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with site(tmp_path) as one:
            (tmp_path / "node.pem").unlink()
            token = await one.world.token("lb01")
            words = ("join", "-", "--controller", one.first.url)
            code, text = await asyncio.to_thread(invoke, *words, text=f"{token}\n")
            assert code == 0
            assert "this is lb01 of shop" in text
            assert read_settings(tmp_path / "agent.toml").controllers == (one.first.url,)
            with pytest.raises(HoldfastError, match="already"):
                await asyncio.to_thread(invoke, *words, text=f"{token}\n")
            _, text = await asyncio.to_thread(invoke, "status")
            assert "does not run" in text
            one.start()
            one.first.lines = []
            await until(lambda: bool(one.first.streams))
            await one.first.push(desired(4, bundle("1")))
            await until(lambda: ended(one, 4))
            found = await asyncio.to_thread(document, "status")
            assert (found["node"], found["cluster"]) == ("lb01", "shop")

    asyncio.run(scenario())


def test_a_join_needs_an_address_that_is_one(places: Places) -> None:
    with pytest.raises(UsageError, match="is not the address of a controller"):
        invoke("join", "token", "--controller", "http://ctl:8443")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"controllers = []", "controllers"),
        (b'controllers = ["ftp://x"]', "is not the address"),
        (b"controllers", "is not TOML"),
        (b"\xff", "is not TOML"),
    ],
)
def test_settings_that_are_wrong_are_named(tmp_path: Path, text: bytes, told: str) -> None:
    file = tmp_path / "agent.toml"
    with pytest.raises(UsageError, match="has not joined"):
        read_settings(file)
    file.write_bytes(text)
    with pytest.raises(UsageError, match=told):
        read_settings(file)
    good = Settings(controllers=("https://ctl1:8443", "https://[fd00::1]:8443/"))
    write_settings(file, good)
    assert read_settings(file) == good
