"""A week of revisions is listed in a moment."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from scripts.benches.store import LONGEST_LIST, REVISIONS, fill, listed
from tests.store.etcd_cluster import EtcdCluster
from tests.store.kinds import Kind, run

pytestmark = pytest.mark.measures


def test_ten_thousand_revisions_out_of_a_file(tmp_path: Path) -> None:
    """In processor time, which is the same whatever else the machine does; it waits for nothing else."""

    async def scenario() -> tuple[float, float, float]:
        async with Kind("sqlite", tmp_path).open() as engine:
            await fill(engine, REVISIONS)
            page = await listed(engine, 100, time.process_time)
            return page, await listed(engine, REVISIONS, time.process_time), await listed(engine, REVISIONS)

    page, whole, waited = run(scenario(), 280)
    assert page < LONGEST_LIST / 5
    assert whole < LONGEST_LIST
    assert waited < 10 * LONGEST_LIST


@pytest.mark.lab
def test_a_page_of_ten_thousand_revisions_out_of_etcd(etcd: EtcdCluster) -> None:
    async def scenario() -> float:
        async with Kind("etcd", Path("times"), etcd.endpoints).open() as engine:
            await fill(engine, REVISIONS)
            return await listed(engine, 1000, times=20)

    assert run(scenario(), 280) < LONGEST_LIST
