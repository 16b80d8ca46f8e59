"""What would move if a node were taken out."""

from __future__ import annotations

import pytest
from tests.controller.operations.agents import Members, enrol, report
from tests.controller.operations.world import SPEC, end_rollout, new_desk, request, run

from holdfast.controller.operations import leaving, revisions
from holdfast.controller.operations.desk import Desk
from holdfast.errors import NotFound


async def _cluster(held_back: set[str], down: set[str], silent: set[str]) -> Desk:
    desk = await new_desk()
    await enrol(desk, "lb01", "lb02")
    await end_rollout(desk, await revisions.apply(desk, "shop", request(SPEC, 0)))
    members = Members(desk, "www", ["lb01", "lb02"], held_back=held_back, down=down)
    for node in {"lb01", "lb02"} - silent:
        await report(desk, node, status=members.status(node))
    return desk


@pytest.mark.parametrize(
    ("held_back", "down", "silent", "node", "holds", "after", "refused"),
    [
        (set(), set(), set(), "lb01", True, "lb02", False),
        (set(), set(), set(), "lb02", False, "lb01", False),
        ({"lb02"}, set(), set(), "lb01", True, None, True),
        (set(), {"lb02"}, set(), "lb01", True, None, True),
        (set(), set(), {"lb02"}, "lb01", True, None, True),
        (set(), set(), {"lb01"}, "lb01", False, "lb02", True),  # it cannot be told to give anything up
    ],
)
def test_who_would_take_over(
    held_back: set[str], down: set[str], silent: set[str], node: str, holds: bool, after: str | None, refused: bool
) -> None:
    async def story() -> leaving.Leaving:
        return await leaving.would_move(await _cluster(held_back, down, silent), "shop", node)

    found = run(story())
    (group,) = found.groups
    assert (group.group, group.addresses, group.holds, group.after) == ("www", ("10.0.0.3/24",), holds, after)
    assert found.refused is refused


def test_a_node_that_is_not_known_is_said_so() -> None:
    async def story() -> None:
        await leaving.would_move(await _cluster(set(), set(), set()), "shop", "lb09")

    with pytest.raises(NotFound, match="lb09"):
        run(story())
