"""Rehearsals over the API and in the console: who may begin one, what is said and audited, what is no markup."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from tests.controller.console.world import CLUSTER, HERE, World, part, world
from tests.controller.operations.world import SPEC
from tests.controller.rehearsing.test_runner import ENDS, WAITS, WITHIN_S, command, swept, until

from holdfast.controller.console.pictures.rehearsals import rehearsed, summary_of
from holdfast.controller.rehearsing.runner import Rehearsals
from holdfast.errors import StoreFull
from holdfast.protocol.api.rehearsals import RehearsalView, RehearsedStep
from holdfast.store.models import Role

API = f"/api/v1/clusters/{CLUSTER}/rehearsals"
ODD = "<img src=x onerror=alert(1)>"
pytestmark = [pytest.mark.whole, pytest.mark.usefixtures(swept.__name__)]  # no lab of this machine is taken down
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="a controller that is not root rehearses nothing")


def allow(made: World, folder: Path, script: str) -> Rehearsals:
    """The operator has allowed it; a small program stands in the place of the rehearsal."""
    here = Rehearsals(folder / "kept", command=command(folder, script))
    object.__setattr__(made.context, "rehearsals", here)
    return here


def test_it_is_off_by_default_and_says_what_is_missing_and_how_else() -> None:
    async def story() -> None:
        async with world() as made:
            client = await made.browser(Role.ADMIN)
            text = (await client.get(f"{HERE}/rehearsals")).text
            assert "This controller cannot rehearse" in text
            assert "sudo holdfast rehearse" in text
            assert "Begin a rehearsal" not in text
            refused = await client.post(API, json={})
            assert refused.status_code == 422
            assert "--rehearsals" in refused.json()["error"]["hint"]
            told = (await client.get(API)).json()
            assert told["missing"]
            assert told["rehearsals"] == []

    asyncio.run(story())


@needs_root
def test_an_administrator_begins_watches_and_reads_one(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as made:
            here = allow(made, tmp_path, ENDS)
            client = await made.browser(Role.ADMIN)
            assert "Rehearse revision 1" in (await client.get(f"{HERE}/rehearsals")).text
            begun = await client.post(f"{HERE}/rehearsals", data={"revision": "1"}, headers=part(client))
            assert begun.headers["HX-Redirect"] == f"{HERE}/rehearsals/1"
            await until(lambda: here.now is None)
            text = (await client.get(f"{HERE}/rehearsals/1")).text
            assert "lb01 dies" in text
            assert "lb01 → lb02" in text
            now = await client.get(f"{HERE}/rehearsals/1/now", headers=part(client))
            assert 'id="rehearsal"' in now.text
            assert 'hx-trigger="changed:' in now.text, "without a trigger htmx takes clicks for one"
            assert f"{HERE}/rehearsals/1" in (await client.get(f"{HERE}/rehearsals/list")).text
            assert (await client.get(f"{API}/1")).json()["state"] == "passed"
            assert (await client.get(f"{API}/1/report")).json() == {"verdict": "pass"}
            assert (await client.get(f"{API}/2")).status_code == 404
            actions = [
                one["action"] for one in (await client.get(f"/api/v1/clusters/{CLUSTER}/audit")).json()["records"]
            ]
            assert "rehearsal.begin" in actions
            events = (await client.get(f"/api/v1/clusters/{CLUSTER}/events?limit=1000")).json()["events"]
            kinds = {one["kind"] for one in events}
            assert {"rehearsal.begun", "rehearsal.step", "rehearsal.ended"} <= kinds
            kept = (tmp_path / "kept" / "1" / "cluster.yaml").read_text()
            assert kept == SPEC
            assert (tmp_path / "kept" / "1" / f"{CLUSTER}.lock").exists()
            assert not (tmp_path / "kept" / "1" / f"{CLUSTER}.secrets").exists()

    asyncio.run(story())


@needs_root
def test_it_takes_a_permission_of_its_own(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as made:
            allow(made, tmp_path, ENDS)
            # A spec may bring commands with it, which run as root where the keys of every cluster are.
            for role, limits in ((Role.VIEWER, None), (Role.OPERATOR, None), (Role.ADMIN, (CLUSTER,))):
                client = await made.browser(role, limits)
                assert "Begin a rehearsal" not in (await client.get(f"{HERE}/rehearsals")).text
                assert (await client.post(API, json={})).status_code == 403
                assert (await client.post(f"{API}/1/stop")).status_code == 403
                assert (await client.post(f"{HERE}/rehearsals", data={})).status_code == 403

    asyncio.run(story())


@needs_root
def test_one_that_runs_is_stopped_and_a_second_one_waits(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as made:
            here = allow(made, tmp_path, WAITS)
            client = await made.browser(Role.ADMIN)
            assert (await client.post(API, json={"spec": SPEC})).status_code == 202
            await until(lambda: here.now is not None and here.now.doing == "waiting")
            assert "Stop it" in (await client.get(f"{HERE}/rehearsals/1")).text
            assert (await client.post(API, json={})).status_code == 409
            box = await client.post(f"{HERE}/rehearsals", data={}, headers=part(client))
            assert "another rehearsal runs" in box.text
            stopped = await client.post(f"{HERE}/rehearsals/1/stop", headers=part(client))
            assert stopped.status_code == 200
            await until(lambda: here.now is None)
            assert "stopped by admin-" in (await client.get(f"{HERE}/rehearsals/1")).text
            assert (await client.post(f"{API}/1/stop")).status_code == 409

    asyncio.run(asyncio.wait_for(story(), WITHIN_S))


@needs_root
def test_a_proposed_spec_with_mistakes_is_told_and_nothing_of_it_is_markup(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as made:
            here = allow(made, tmp_path, ENDS)
            client = await made.browser(Role.ADMIN)
            wrong = SPEC.replace("engine: nginx", f"engine: '{ODD}'")
            box = await client.post(f"{HERE}/rehearsals", data={"spec": wrong}, headers=part(client))
            assert box.status_code == 422
            assert ODD not in box.text
            assert "SPEC003" in box.text
            other = await client.post(API, json={"spec": SPEC.replace("cluster: shop", "cluster: other")})
            assert other.status_code == 422
            assert (await client.post(API, json={"spec": SPEC, "revision": 1})).status_code == 422
            assert here.all(CLUSTER) == ()

    asyncio.run(story())


@needs_root
def test_nothing_is_begun_or_stopped_that_cannot_be_audited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*records: object) -> None:
        raise StoreFull("no space is left", "make some")

    async def story() -> None:
        async with world() as made:
            here = allow(made, tmp_path, WAITS)
            client = await made.browser(Role.ADMIN)
            with monkeypatch.context() as patched:
                patched.setattr(type(made.context.store.audit), "append", full)
                assert (await client.post(API, json={})).status_code >= 400
                assert here.now is None
            assert (await client.post(API, json={})).status_code == 202
            await until(lambda: here.now is not None and here.now.doing == "waiting")
            with monkeypatch.context() as patched:
                patched.setattr(type(made.context.store.audit), "append", full)
                assert (await client.post(f"{API}/1/stop")).status_code >= 400
                assert here.one(CLUSTER, 1).state == "running"
            await here.close()

    asyncio.run(asyncio.wait_for(story(), WITHIN_S))


@needs_root
def test_a_proposed_spec_may_be_as_large_as_the_page_lets_it_be(tmp_path: Path) -> None:
    async def story() -> None:
        async with world() as made:
            here = allow(made, tmp_path, ENDS)
            client = await made.browser(Role.ADMIN)
            large = SPEC + "# " + "x" * 2_500_000 + "\n"
            begun = await client.post(f"{HERE}/rehearsals", data={"spec": large}, headers=part(client))
            assert begun.headers.get("HX-Redirect") == f"{HERE}/rehearsals/1", begun.text[:300]
            await until(lambda: here.now is None)
            assert (tmp_path / "kept" / "1" / "cluster.yaml").stat().st_size == len(large)

    asyncio.run(asyncio.wait_for(story(), WITHIN_S))


def test_what_a_report_says_is_read_whatever_is_in_it() -> None:
    assert summary_of({}, "en").duration_s == 0
    odd = summary_of({"duration_s": "x", "totals": [1], "notes": [ODD, 3], "versions": {"nginx": 1}}, "zh")
    assert (odd.notes, odd.versions, odd.totals) == ((ODD, "3"), (("nginx", "1"),), ())


def test_a_picture_says_how_far_it_is() -> None:
    from datetime import UTC, datetime

    view = RehearsalView(
        id=1, cluster=CLUSTER, state="running", who="ada", started=datetime(2026, 11, 21, tzinfo=UTC),
        number=1, total=4,
        steps=(RehearsedStep(name="a", verdict="fail", reasons=("too slow",)), RehearsedStep(name="b", verdict="info")),
    )  # fmt: skip
    made = rehearsed(view, "en")
    assert (made.share, made.failed_steps, made.state) == (0.25, 1, "busy")
    assert rehearsed(view.model_copy(update={"state": "passed"}), "zh").share is None
