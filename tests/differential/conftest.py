"""One namespace with six pools of three servers each; the tests change what runs in front of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from tests.differential.l7_bench import Bench, Namespace
from tests.differential.l7_pair import POOLS, SERVERS


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    if missing := [program for program in ("nginx", "haproxy", "nsenter") if not shutil.which(program)]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    with Namespace() as namespace:
        made = Bench(namespace, tmp_path_factory.mktemp("engines"))
        for pool in POOLS:
            for server in SERVERS[pool]:
                made.origin(pool, server.name, str(server.address), server.port)
        yield made
        for origin in made.origins:
            origin.close()


@pytest.fixture(autouse=True)
def _good_mood(bench: Bench) -> None:
    for origin in bench.origins:
        origin.mood = "ok"
        origin.seen.clear()
