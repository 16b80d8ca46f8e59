"""Whether a commit of unknown fate is found out rightly, when the question itself comes late (on a real etcd)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from tests.store.etcd_cluster import EtcdCluster
from tests.store.kinds import run

from holdfast.errors import StoreUnsure
from holdfast.store.address import EtcdAddress, EtcdCredentials
from holdfast.store.etcd.client import Client
from holdfast.store.etcd.commits import Commits

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("etcd")]

THROUGH, REQUEST_LOST, ANSWER_LOST, LATE, LATE_ARRIVES_AND_ANSWER_LOST = range(5)


class Fated:
    """Hands on to etcd; the n-th request meets the n-th fate."""

    def __init__(self, client: Client, fates: list[int]) -> None:
        self._client = client
        self._fates: Iterator[int] = iter(fates)
        self._late: list[dict[str, Any]] = []

    async def write(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        fate = next(self._fates, THROUGH)
        if fate == LATE:
            self._late.append(body)
        if fate in (REQUEST_LOST, LATE):
            raise StoreUnsure("no answer", "ask")
        answer = await self._client.write(path, body)
        if fate == LATE_ARRIVES_AND_ANSWER_LOST:
            for late in self._late:
                await self._client.write(path, late)
        if fate in (ANSWER_LOST, LATE_ARRIVES_AND_ANSWER_LOST):
            raise StoreUnsure("no answer", "ask")
        return answer


def put_once(key: str) -> dict[str, Any]:
    compare = [{"key": key, "target": "VERSION", "result": "EQUAL", "version": "0"}]
    return {"compare": compare, "success": [{"request_put": {"key": key, "value": "MQ=="}}], "failure": []}


def on(etcd: EtcdCluster, fates: list[int], scenario: Callable[[Commits], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        client = Client(EtcdAddress(etcd.endpoints, "x"), EtcdCredentials())
        try:
            await scenario(Commits(Fated(client, fates), "fated/"))
        finally:
            await client.close()

    run(whole(), 30)


@pytest.mark.parametrize(
    "fates",
    [
        [ANSWER_LOST],
        [REQUEST_LOST],
        [REQUEST_LOST, ANSWER_LOST],
        [ANSWER_LOST, ANSWER_LOST],
        [REQUEST_LOST, REQUEST_LOST, ANSWER_LOST],
        # The first question is on its way for long, and arrives after the commit was repeated and happened.
        [REQUEST_LOST, LATE, THROUGH, LATE_ARRIVES_AND_ANSWER_LOST],
        [REQUEST_LOST, LATE, ANSWER_LOST, THROUGH, LATE_ARRIVES_AND_ANSWER_LOST],
        # The commit itself is late: it may happen no more.
        [LATE, THROUGH, LATE_ARRIVES_AND_ANSWER_LOST],
    ],
    ids=lambda fates: "-".join(map(str, fates)),
)
def test_a_commit_that_happened_is_never_called_a_conflict(etcd: EtcdCluster, fates: list[int]) -> None:
    async def scenario(commits: Commits) -> None:
        key = f"ZmF0ZWQv{''.join(chr(65 + fate) for fate in fates):A<8}"
        for _ in range(8):  # the eight commits at once have a mark each: so that the next one takes the first again
            await asyncio.wait_for(commits.commit({"compare": [], "success": [], "failure": []}), 60)
        answer = await commits.commit(put_once(key))
        assert answer.get("succeeded")
        assert not (await commits.commit(put_once(key))).get("succeeded")

    on(etcd, [THROUGH] * 8 + fates, scenario)


def test_a_mark_that_somebody_deleted_leaves_it_unsure(etcd: EtcdCluster) -> None:
    async def whole() -> None:
        client = Client(EtcdAddress(etcd.endpoints, "x"), EtcdCredentials())
        fated = Fated(client, [THROUGH] * 8 + [ANSWER_LOST, REQUEST_LOST])
        commits = Commits(fated, "deleted/")
        try:
            for _ in range(8):
                await commits.commit({"compare": [], "success": [], "failure": []})
            commit = asyncio.create_task(commits.commit(put_once("ZGVsZXRlZC14")))
            await asyncio.sleep(0.05)
            await client.write("kv/deleterange", {"key": "ZGVsZXRlZC8=", "range_end": "ZGVsZXRlZDA="})
            with pytest.raises(StoreUnsure):
                await commit
        finally:
            await client.close()

    run(whole(), 30)
