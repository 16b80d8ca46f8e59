"""The certificate authority replaced and the store dumped, as an administrator does it from afar."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import threading
import zlib
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from pydantic import SecretStr
from tests.cli.controlled import Controlled, controlled, token_profile
from tests.controller.operations.world import VERSION_2
from tests.controller.world import CHEAP, PASSWORD, join

from holdfast.controller.identity import open_doors
from holdfast.controller.operations import dumping
from holdfast.errors import ControllerUnreachable, NotPermitted, PlanRefused, StoreUnavailable, UsageError
from holdfast.rollout.bundles import Bundles
from holdfast.store.clock import SystemClock
from holdfast.store.dump import entries
from holdfast.store.memory import MemoryEngine
from holdfast.store.restore import load
from holdfast.store.store import Store

pytestmark = pytest.mark.whole


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Controlled]:
    with controlled(tmp_path) as world:
        world.log_in()
        yield world


def told(there: Controlled) -> list[tuple[bool, int]]:
    """Of each authority: whether it signs, and how many nodes are of it."""
    found = json.loads(there.well("authority", "list", "--json"))["authorities"]
    return [(one["signs"], one["nodes"]) for one in found]


def invited(there: Controlled, node: str) -> str:
    return there.well("nodes", "invite", node, "--cluster", "shop").splitlines()[-1]


def test_another_authority_follows_and_the_old_one_goes_once_no_node_is_of_it(there: Controlled) -> None:
    (there.folder / "cluster.yaml").write_text(VERSION_2)
    there.well("apply", str(there.folder / "cluster.yaml"), "--yes", "--no-wait")
    client = there.world.client()
    there.there(join(client, there.world.authority, invited(there, "lb01")))
    assert told(there) == [(True, 1)]
    old = json.loads(there.well("authority", "list", "--json"))["authorities"][0]["fingerprint"]
    assert isinstance(there.run("authority", "rotate").exception, UsageError)
    assert "still of" in there.well("authority", "rotate", "--yes")
    assert told(there) == [(False, 1), (True, 0)]
    assert there.well("history", "-n", "1")  # whoever pinned the old one is not cut off
    refused = there.run("authority", "withdraw", old[:12], "--yes").exception
    assert isinstance(refused, PlanRefused)
    assert "shop/lb01" in refused.message
    new = json.loads(there.well("authority", "list", "--json"))["authorities"][1]["fingerprint"]
    assert "the authority that signs" in str(there.run("authority", "withdraw", new, "--yes").exception)
    assert isinstance(there.run("authority", "withdraw", "0" * 16, "--yes").exception, UsageError)
    token = invited(there, "lb01")
    assert token.split(":")[3] == new
    shown = there.there(client.get("/agent/v1/authority")).text
    there.there(join(client, shown, token))
    assert told(there) == [(False, 0), (True, 1)]
    there.well("authority", "withdraw", old[:12], "--yes")
    audit = there.there(there.world.store.audit.newest(limit=10))
    actions = [one.record.action for one in audit]
    assert {"authority.rotate", "authority.withdraw"} <= set(actions)
    assert not any("PRIVATE" in one.record.after or '"sealed_key":"ey' in one.record.after for one in audit)


def test_it_takes_an_administrator(there: Controlled, tmp_path: Path) -> None:
    secret = there.well("tokens", "add", "ci", "--role", "operator").splitlines()[-1].strip()
    token_profile(tmp_path / "ci", there, secret)
    program = Controlled(there.world, there.agents, there.loop, tmp_path / "ci")
    dump = ("store", "dump", str(tmp_path / "x"), "--remote")
    for words in (("authority", "list"), ("authority", "rotate", "--yes"), dump):
        done = program.run(*words)
        assert isinstance(done.exception, NotPermitted), (done.output, done.exception)


def test_a_dump_from_afar_is_whole_audited_and_holds_no_secret_in_clear(there: Controlled, tmp_path: Path) -> None:
    spec, file = tmp_path / "cluster.yaml", tmp_path / "store.dump"
    spec.write_text(VERSION_2)
    there.well("apply", str(spec), "--yes", "--no-wait")
    there.well("store", "dump", str(file), "--remote")
    assert file.stat().st_mode & 0o777 == 0o600
    assert isinstance(there.run("store", "dump", str(file), "--remote").exception, UsageError)
    audit = there.there(there.world.store.audit.newest(limit=20))
    assert [one.record.actor for one in audit if one.record.action == "store.dump"] == ["user:admin"]
    secret = there.there(vrrp_password(there.world.store))
    with file.open("rb") as opened:
        kept = {one.key: one.value for one in entries(opened)}
    assert "cluster/shop/other/rollout/" in " ".join(
        kept
    )  # of what is kept beside compiled bundles, nothing is missing
    for key, value in kept.items():
        assert secret not in unpacked(value), key

    async def restored() -> None:
        engine = MemoryEngine()
        with file.open("rb") as opened:
            await load(engine, opened, SystemClock())
        doors = await open_doors(await Store.open(engine), there.folder / "controller.key", cost=CHEAP)
        assert await doors.logins.login("admin", SecretStr(PASSWORD), "192.0.2.1")

    asyncio.run(restored())


async def vrrp_password(store: Store) -> bytes:
    """What is generated for a group that speaks VRRP version 2, as a node gets it."""
    bundles = Bundles(store, "shop")
    digests = await bundles.of_revision(1)
    assert digests is not None
    bundle = await bundles.get(digests["lb01"])
    assert bundle is not None
    text = next(file.content for file in bundle.files if file.path.endswith("keepalived.conf"))
    found = re.search(r"auth_pass (\S+)", text)
    assert found is not None
    return found[1].encode()


def unpacked(value: bytes) -> bytes:
    """A value, and what is packed in it: a compiled bundle is."""
    found = [value]
    for packed in re.findall(rb'"data":"([A-Za-z0-9+/=]+)"', value):
        with suppress(zlib.error):
            found.append(zlib.decompressobj().decompress(base64.b64decode(packed)))
    return b"".join(found)


def test_only_one_dump_at_a_time_and_one_that_breaks_leaves_no_file(
    there: Controlled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "store.dump"
    held = threading.Event()

    async def slow(*words: object, **named: object) -> AsyncIterator[bytes]:
        yield b"a line\n" * dumping.PIECE
        held.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(dumping, "dump", slow)
    monkeypatch.setattr(dumping, "LONGEST_S", 5.0)
    with ThreadPoolExecutor(max_workers=1) as threads:
        first = threads.submit(there.run, "store", "dump", str(file), "--remote")
        assert held.wait(60)
        second = there.run("store", "dump", str(tmp_path / "second"), "--remote")
        assert isinstance(second.exception, StoreUnavailable), second.output
        assert isinstance(first.result(120).exception, ControllerUnreachable)
    assert not [one for one in tmp_path.iterdir() if "dump" in one.name or "second" in one.name]
    monkeypatch.undo()
    there.well("store", "dump", str(file), "--remote")
