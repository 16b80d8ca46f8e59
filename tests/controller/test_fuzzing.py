"""A stranger with an API token and schemathesis, as anybody would run it: nothing but what the document says."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.controller.world import World, running

from holdfast.protocol import Answer
from holdfast.rollout.orders import Orders

ROOT = Path(__file__).resolve().parents[2]
SPEC = ROOT / "examples" / "dual-master-nginx" / "cluster.yaml"
# A spec that is no YAML, a moment that is past, a server that there is not: refused for reasons that no schema can say.
NOT_ASKED = "positive_data_acceptance"
LEAST_TESTED = 65  # operations; those of agents, with certificates, are held to the document in test_openapi

SOON_S = 0.3

pytestmark = pytest.mark.lab  # thousands of requests: beside those that wait, not among the quick ones


@pytest.fixture
def no_agents(monkeypatch: pytest.MonkeyPatch) -> None:
    """No node has an agent here: orders to them are given up soon, as they are in the end, not after twenty seconds."""
    asked = Orders.ask

    async def ask(self: Orders, *words: Any, **named: Any) -> Answer:
        return await asked(self, *words, **{**named, "within_s": SOON_S, "work_s": SOON_S})

    monkeypatch.setattr(Orders, "ask", ask)


async def with_a_cluster(world: World) -> str:
    """What a token may do who administers everything, where there is something to administer."""
    admin = await world.admin()
    (await admin.post("/api/v1/clusters", json={"name": "shop"})).raise_for_status()
    spec = SPEC.read_text().replace("cluster: dual-master", "cluster: shop")
    first = {"spec": spec, "base": 0, "message": "the first"}
    applied = await admin.post("/api/v1/clusters/shop/revisions", json=first)
    applied.raise_for_status()
    token = await admin.post("/api/v1/tokens", json={"name": "fuzz", "role": "admin", "days": 1, "scopes": ["users"]})
    token.raise_for_status()
    return str(token.json()["token"])


@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("no_agents")
@pytest.mark.parametrize(
    ("phases", "examples"),
    [
        pytest.param("coverage", 1, id="each rule of the document once"),
        pytest.param("examples,coverage,fuzzing,stateful", 200, id="at random", marks=pytest.mark.soak),
    ],
)
def test_schemathesis_finds_nothing(tmp_path: Path, phases: str, examples: int) -> None:
    async def story() -> subprocess.CompletedProcess[str]:
        async with running() as world:
            (tmp_path / "ca.pem").write_text(world.authority)
            command = [
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{world.url}/api/openapi.json", "--no-color"),
                *("--tls-verify", str(tmp_path / "ca.pem"), "--request-timeout", "30"),
                *("--header", f"Authorization: Bearer {await with_a_cluster(world)}"),
                *("--phases", phases, "--max-examples", str(examples), "--seed", "1", "--continue-on-failure"),
                *("--exclude-checks", NOT_ASKED, "--exclude-path-regex", "^/agent/"),
            ]
            return await asyncio.to_thread(
                subprocess.run, command, capture_output=True, text=True, check=False, timeout=3500, cwd=tmp_path
            )

    done = asyncio.run(story())
    assert done.returncode == 0, done.stdout + done.stderr
    tested = re.search(r"Tested: (\d+)", done.stdout)
    assert tested is not None, done.stdout
    assert int(tested[1]) >= LEAST_TESTED, done.stdout
