"""A page that is left open for days while servers change: what it keeps in memory does not grow with every change."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.browser.conftest import Console, Looking
from tests.browser.fleet import Fleet
from tests.browser.memory import least

if TYPE_CHECKING:
    from playwright.sync_api import CDPSession

pytestmark = [pytest.mark.browser]
ROUNDS, EACH = 12, 5
OBJECTS = frozenset({"object", "closure", "array", "string", "concatenated string", "sliced string", "regexp"})
_REFRESHED = """async (n) => { // as the stream does it, without waiting for the next change
  for (let each = 0; each < n; each += 1) await new Promise((done) => {
    document.body.addEventListener("htmx:afterSettle", () => done(), {once: true});
    htmx.trigger(document.body, "changed:status");
  });
}"""


def objects(client: CDPSession) -> int:
    """How many objects of scripts there are. A snapshot collects garbage; what it sets free may hold more of it.

    Bytes would count what a browser keeps for itself, too: compiled code, and for whoever looks on, each request.
    """
    client.send("HeapProfiler.collectGarbage")
    pieces: list[str] = []
    client.on("HeapProfiler.addHeapSnapshotChunk", lambda told: pieces.append(told["chunk"]))
    client.send("HeapProfiler.takeHeapSnapshot", {"reportProgress": False})
    told = json.loads("".join(pieces))
    fields, kinds = told["snapshot"]["meta"]["node_fields"], told["snapshot"]["meta"]["node_types"][0]
    found = told["nodes"][fields.index("type") :: len(fields)]
    return sum(kinds[one] in OBJECTS for one in found)


def nodes(client: CDPSession) -> int:
    """How many nodes of documents there are, shown or not."""
    return int(least(client)["Nodes"])


def changing(console: Console, looking: Looking) -> None:
    """A server goes down and comes back, and connections come and go: each is seen several times."""

    def change(fleet: Fleet) -> None:
        fleet.down.symmetric_difference_update({"web01-80"})
        fleet.open["web02-80"] = fleet.open.get("web02-80", 0) + 7

    for _ in range(ROUNDS):
        console.change(change)
        looking.page.evaluate(_REFRESHED, EACH)


@pytest.mark.timeout(600)
def test_an_overview_that_is_left_open_keeps_nothing_of_what_it_showed(console: Console, looking: Looking) -> None:
    looking.login()
    looking.page.get_by_text("Live", exact=True).wait_for()
    client = looking.page.context.new_cdp_session(looking.page)
    client.send("HeapProfiler.enable")
    changing(console, looking)  # until everything was made once
    before = objects(client), nodes(client)
    changing(console, looking)
    after = objects(client), nodes(client)
    assert after[0] - before[0] < ROUNDS * EACH, "something is kept of every refresh"
    assert after[1] - before[1] < ROUNDS * EACH, "nodes that are not shown any more are kept"
    looking.page.evaluate(
        "window.kept = []; document.body.addEventListener('htmx:afterSwap', (one) => kept.push([one]))"
    )
    changing(console, looking)
    assert objects(client) - after[0] >= ROUNDS * EACH, "what is kept on purpose is not seen"
