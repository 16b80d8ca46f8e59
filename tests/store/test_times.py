"""A week of revisions is listed in a moment."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripts.benches.store import LONGEST_LIST, REVISIONS, fill, listed
from tests.store.etcd_cluster import EtcdCluster
from tests.store.kinds import Kind, run

pytestmark = pytest.mark.measures


def test_ten_thousand_revisions_out_of_a_file(tmp_path: Path) -> None:
    async def scenario() -> tuple[float, float]:
        async with Kind("sqlite", tmp_path).open() as engine:
            await fill(engine, REVISIONS)
            return await listed(engine, 100), await listed(engine, REVISIONS)

    page, whole = run(scenario(), 120)
    assert page < LONGEST_LIST / 5
    assert whole < LONGEST_LIST


@pytest.mark.lab
def test_a_page_of_ten_thousand_revisions_out_of_etcd(etcd: EtcdCluster) -> None:
    async def scenario() -> float:
        async with Kind("etcd", Path("times"), etcd.endpoints).open() as engine:
            await fill(engine, REVISIONS)
            return await listed(engine, 1000)

    assert run(scenario(), 120) < LONGEST_LIST
