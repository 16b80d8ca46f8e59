"""What a rollout does next, for any batches and whatever becomes of them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.rollout import Apply, NodePhase, Pause, PutBack, RolloutState, Stop, Wait, decide

BATCHES = st.lists(st.integers(1, 3), min_size=1, max_size=4).map(
    lambda sizes: tuple(tuple(f"n{at}{each}" for each in range(size)) for at, size in enumerate(sizes))
)
ENDS = st.sampled_from([NodePhase.VERIFIED] * 6 + [NodePhase.FAILED, NodePhase.REGRESSED, NodePhase.LOST])


@settings(max_examples=120, deadline=None)
@given(BATCHES, st.booleans(), st.booleans(), st.booleans(), st.data())
def test_whatever_happens_it_ends_and_nobody_is_told_two_things(
    batches: tuple[tuple[str, ...], ...], put_back: bool, pause: bool, halts: bool, data: st.DataObject
) -> None:
    nodes = [node for batch in batches for node in batch]
    state = RolloutState(batches, dict.fromkeys(nodes, NodePhase.WAITING), put_back, pause)
    applied: list[tuple[str, ...]] = []
    went_back: list[tuple[str, ...]] = []
    for _ in range(10 * len(nodes) + 10):
        if halts and data.draw(st.integers(0, 9)) == 0:
            state = RolloutState(batches, state.phases, put_back, state.pause_after_first, halted=True)
        step = decide(state)
        match step:
            case Stop(succeeded=succeeded):
                break
            case Apply(nodes=told):
                assert not went_back, "forward after backward"
                assert not state.halted
                assert not state.those(tuple(nodes), NodePhase.APPLYING, NodePhase.PUTTING_BACK)
                assert all(state.phases[node] is NodePhase.WAITING for node in told)
                before = [node for batch in batches[: batches.index(told)] for node in batch]
                assert all(state.phases[node] is NodePhase.VERIFIED for node in before)
                applied.append(told)
                for node in told:
                    state = state.with_phase(node, NodePhase.APPLYING)
            case PutBack(nodes=told):
                assert put_back
                assert not state.those(tuple(nodes), NodePhase.APPLYING, NodePhase.PUTTING_BACK)
                went_back.append(told)
                for node in told:
                    state = state.with_phase(node, NodePhase.PUTTING_BACK)
            case Wait(nodes=waited):
                node = data.draw(st.sampled_from(waited))
                back = state.phases[node] is NodePhase.PUTTING_BACK
                ends = st.sampled_from([NodePhase.PUT_BACK, NodePhase.LOST]) if back else ENDS
                state = state.with_phase(node, data.draw(ends))
            case Pause():
                assert len(applied) == 1
                state = RolloutState(batches, state.phases, put_back, False, state.halted)
    else:
        raise AssertionError("it does not end")
    assert succeeded == (set(state.phases.values()) <= {NodePhase.VERIFIED})
    if put_back and not succeeded:
        assert not state.those(tuple(nodes), NodePhase.VERIFIED, NodePhase.REGRESSED)
    numbers = [next(at for at, batch in enumerate(batches) if set(told) <= set(batch)) for told in went_back]
    assert numbers == sorted(numbers, reverse=True)


def test_a_halted_rollout_with_nothing_left_to_do_has_succeeded() -> None:
    done = {"a": NodePhase.VERIFIED}
    assert decide(RolloutState((("a",),), done, put_back_on_failure=False, halted=True)) == Stop(succeeded=True)
    assert decide(RolloutState((("a",),), done, put_back_on_failure=True, halted=True)) == PutBack(("a",))


def test_what_was_told_in_part_is_told_to_the_rest() -> None:
    """A batch that is too large for one commit, cut by a leader that died in between."""
    phases = {"a": NodePhase.APPLYING, "b": NodePhase.WAITING}
    assert decide(RolloutState((("a", "b"),), phases, pause_after_first=True)) == Apply(("b",))
