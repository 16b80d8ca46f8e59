"""The kinds of stores that the contract is proved for."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.store.etcd_cluster import EtcdCluster
from tests.store.kinds import Kind

ETCD = (pytest.mark.lab, pytest.mark.xdist_group("etcd"))  # one cluster for all, in one process
KINDS = ["memory", "sqlite", pytest.param("etcd", marks=ETCD)]
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def etcd() -> Iterator[EtcdCluster]:
    """Three members, all there; a test that kills one starts it again."""
    cluster = EtcdCluster()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Kind:
    if request.param != "etcd":
        return Kind(request.param, tmp_path)
    cluster: EtcdCluster = request.getfixturevalue("etcd")
    return Kind("etcd", Path(f"test{next(_numbers)}"), cluster.endpoints)
