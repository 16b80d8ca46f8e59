"""What a node does at this moment: looked at by whoever asks, one sample after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from holdfast.errors import NotFound
from holdfast.protocol.api.realtime import RealtimeView
from holdfast.protocol.realtime import Sample, TableServer, WebKind, WebRow
from holdfast.protocol.realtime_ring import Ring
from holdfast.sentences import Sentence
from holdfast.store.store import Store

from ..realtime.desk import Realtime
from ..realtime.seen import Seen
from .desk import known_cluster
from .written import Written, as_written, written

ALIVE_S = 5.0  # without a sample for so long, whoever follows is told that there is none


async def known_node(store: Store, cluster: str, node: str) -> None:
    """Nothing; NotFound names the nodes whose agents could tell."""
    known = await known_cluster(store, cluster)
    if await known.nodes.get(node) is None:
        there = ", ".join([one.name for one in await known.nodes.all()][:20]) or "none yet"
        raise NotFound(
            Sentence("no node '%(node)s' is enrolled in %(cluster)s", node=node[:80], cluster=cluster),
            Sentence("enrolled: %(there)s", there=there),
        )


async def text_of(store: Store, seen: Seen, *, history: bool = False) -> str:
    """A node as it was told last, a RealtimeView as JSON.

    The history of a large node is a million figures: they are written in a thread, from a copy of this moment.
    """
    sample = _named(seen.sample, await written(store, seen.cluster)) if seen.sample is not None else None
    now = RealtimeView(cluster=seen.cluster, node=seen.node, time=store.clock.now(), taken=seen.taken, sample=sample)
    if not history:
        return now.model_dump_json()
    return await asyncio.to_thread(_with_history, now, seen.ring.copy())


def _named(sample: Sample, names: Written) -> Sample:
    """With servers as the spec writes them: agents tell of them under the names that files and engines take."""
    services = tuple(
        service.model_copy(update={"servers": tuple(_server(service.source, one, names) for one in service.servers)})
        for service in sample.services
    )
    return sample.model_copy(update={"services": services, "web": tuple(_row(one, names) for one in sample.web)})


def _server(source: str, one: TableServer, names: Written) -> TableServer:
    name = as_written(names, ("virtual_server", source), one.name)
    return one if name == one.name else one.model_copy(update={"name": name})


def _row(one: WebRow, names: Written) -> WebRow:
    if one.kind is not WebKind.SERVER:
        return one
    name = as_written(names, ("pool", one.pool.partition(".")[0]), one.name)
    return one if name == one.name else one.model_copy(update={"name": name})


def _with_history(view: RealtimeView, ring: Ring) -> str:
    buckets = tuple(ring.bucket(number) for number in ring.numbers)
    return view.model_copy(update={"history": buckets}).model_dump_json()


async def one(
    store: Store, realtime: Realtime, cluster: str, node: str, find: str | None, within_s: float, *, history: bool
) -> str:
    """A sample with its rates as JSON, as soon as there is one; after `within_s` s, whatever there is. NotFound."""
    await known_node(store, cluster, node)
    ends = store.clock.steady() + within_s
    with realtime.looking(cluster, node, find=find) as seen:
        serial = seen.serial
        while (left := ends - store.clock.steady()) > 0 and await seen.after(serial, left):
            serial = seen.serial
            answered = find is None or seen.connections(find) is not None
            if answered and seen.sample is not None and seen.sample.seconds > 0:
                break
        return await text_of(store, seen, history=history)


async def followed(
    realtime: Realtime, cluster: str, node: str, every_s: float, find: str | None
) -> AsyncGenerator[Seen, None]:
    """The node whenever there is another sample, not more often than `every_s`, and now and then if there is none."""
    with realtime.looking(cluster, node, every_s, find) as seen:
        serial = 0
        while True:  # ends: nobody follows any more
            await seen.after(serial, max(ALIVE_S, 2 * every_s))
            serial = seen.serial
            began = asyncio.get_running_loop().time()
            yield seen
            pace_s = max(every_s, seen.pace_s)
            await asyncio.sleep(max(0.0, began + pace_s - asyncio.get_running_loop().time() - 0.1))
