"""Forms of edits: all that a spec may say fits through them, and nothing that is no form."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.controller.console.test_servers_pages import SPEC, WEIGHT, applied, begun, got, newest, planned, run
from tests.controller.console.world import HERE, part, world
from tests.controller.operations.agents import report

from holdfast.controller.console.pictures.edits import EditForm, edit_of
from holdfast.controller.console.views.edits import dumped
from holdfast.controller.operations.edits import EDIT
from holdfast.errors import UsageError
from holdfast.rollout.records import RolloutStore

LONG_PATH = SPEC.replace("/healthz", "/" + "x" * 500)


def test_whatever_a_spec_may_say_can_be_edited() -> None:
    """A path as long as the spec allows, and as many servers as a form takes, however long their names are."""

    async def story() -> None:
        async with world(LONG_PATH) as made:
            client = await begun(made)
            form = await got(client, "/edit?kind=change_virtual_server&entry=shop")
            assert "x" * 500 in form
            name = "a" * 63 + ".example"
            many = "\n".join(f"{name}:{port} 2" for port in range(1000, 2200))
            asked = EditForm.model_validate(VIRTUAL | {"servers": many, "base": 1})
            edit = edit_of(asked)
            assert EDIT.validate_json(dumped(edit)) == edit
            most = "\n".join("x" * 44 + f"{number:05} 2" for number in range(1900))
            edit = edit_of(EditForm.model_validate(VIRTUAL | {"servers": most, "base": 1}))
            assert len(dumped(edit)) < 200_000

    run(story())


VIRTUAL = {"kind": "add_virtual_server", "entry": "more", "on": "www:8080", "check": "tcp"}


@pytest.mark.parametrize("weight", ["²", "1" * 5000, "-1", "1 2", "70000"])
def test_a_weight_that_is_none_is_told(weight: str) -> None:
    with pytest.raises(UsageError):
        edit_of(EditForm.model_validate(VIRTUAL | {"servers": f"rs01:80 {weight}", "base": 1}))


def test_a_form_that_is_larger_than_any_of_ours_is_not_read() -> None:
    async def story() -> None:
        async with world(SPEC) as made:
            client = await begun(made)
            large = await planned(client, **(WEIGHT | {"servers": "x" * 2_000_000}))
            assert (large.status_code, "too large" in large.text) == (400, True)

            async def pieces() -> AsyncIterator[bytes]:
                for _ in range(30):
                    yield b"x" * 100_000

            said = {"content-type": "application/x-www-form-urlencoded"} | part(client)
            large = await client.post(f"{HERE}/edit/plan", content=pieces(), headers=said)
            assert (large.status_code, "too large" in large.text) == (400, True)

    run(story())


def test_a_node_that_does_not_answer_need_not_be_waited_for() -> None:
    async def story() -> None:
        async with world(SPEC) as made:
            client = await begun(made)
            await report(made.desk, "lb02")
            plan = await planned(client, **WEIGHT)
            assert 'name="without" type="checkbox" value="lb01"' in plan.text
            assert 'value="lb02"' not in plan.text
            done = await applied(client, plan, without="lb01")
            assert done.status_code == 200, done.text
            found = await RolloutStore(made.context.store, "shop").rollout(2)
            assert found is not None
            assert found.record.options.without == ("lb01",)

    run(story())


def test_what_is_worse_than_what_was_shown_is_not_done() -> None:
    async def story() -> None:
        async with world(SPEC) as made:
            client = await begun(made)
            plan = await planned(client, **WEIGHT)
            refused = await applied(client, plan, hazard="")
            assert refused.status_code >= 400
            assert (await newest(made))[0] == 1
            done = await applied(client, plan)
            assert done.status_code == 200, done.text
            assert (await newest(made))[0] == 2

    run(story())
