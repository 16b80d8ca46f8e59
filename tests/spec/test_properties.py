"""Whatever is written in a file, the loader answers with a spec or with findings that have a place."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.errors import SpecError
from holdfast.spec import parse_spec
from holdfast.spec.load import LoadedSpec
from holdfast.spec.positions import read_yaml
from holdfast.spec.values import LONGEST, WrongError, format_duration, parse_duration

EXAMPLES = sorted(Path(__file__).parents[2].glob("examples/*/cluster.yaml"))
SEEDS = [path.read_text(encoding="utf-8") for path in EXAMPLES]
FAST = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def judged(text: str) -> LoadedSpec | SpecError:
    """What the loader says, with every place inside the text."""
    lines = text.count("\n") + text.count("\r") + 2
    answer: LoadedSpec | SpecError
    try:
        answer = parse_spec(text, "cluster.yaml")
    except SpecError as error:
        answer = error
    assert answer.findings or isinstance(answer, LoadedSpec)
    for finding in answer.findings:
        assert finding.location is not None
        assert 1 <= finding.location.line <= lines
        assert finding.location.column >= 1
        assert finding.message.isprintable(), finding.message
        assert finding.hint.isprintable(), finding.hint
        assert finding.location.field.isprintable()
    return answer


@FAST
@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    judged(text)


@FAST
@given(st.text(alphabet="a:-[]{}&*!|>'\"%@`#,? \n\t\\0", max_size=60))
def test_any_text_of_yaml_signs(text: str) -> None:
    judged("holdfast: 1\n" + text)


@settings(FAST, max_examples=120)
@given(st.sampled_from(SEEDS), st.integers(0, 2**32), st.integers(1, 6))
def test_sound_specs_with_typing_errors(text: str, seed: int, edits: int) -> None:
    """What a tired hand does: letters lost, doubled, swapped, lines lost and indented otherwise."""
    chance = random.Random(seed)
    for _ in range(edits):
        at = chance.randrange(len(text))
        what = chance.choice("dixlt")
        if what == "d":
            text = text[:at] + text[at + 1 :]
        elif what == "i":
            text = text[:at] + chance.choice("ab01:-,[]{}'\" \n/.%") + text[at:]
        elif what == "x":
            text = text[:at] + text[at + 1 : at + 2] + text[at : at + 1] + text[at + 2 :]
        elif what == "t":
            text = text[:at] + "  " + text[at:]
        else:
            lines = text.split("\n")
            del lines[chance.randrange(len(lines))]
            text = "\n".join(lines)
    judged(text)


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(allow_nan=True), st.text(max_size=12),
    st.sampled_from(["lb01", "10.0.0.3/24", "web01:80", "yield", "source", "100ms", "nginx", "fd00::1", "[::1]:80",
                     "www:80-90", "gate.vip:80", "web01", "tun", "gue", "127.0.0.1:80", "10.0.0.3:80"]),
)  # fmt: skip
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["address", "to", "http", "cookie", "x", "0", "host", "nodes", "on", "mark", "kind", "port", "keeps"]
            ),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=6,
)


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


@settings(FAST, max_examples=150)
@given(st.sampled_from(SEEDS), st.data())
def test_any_tree_at_any_place_of_a_sound_spec(text: str, data: st.DataObject) -> None:
    """Not the text is broken, but what it says."""
    tree, _ = read_yaml(text, "seed")
    path = data.draw(st.sampled_from(places(tree)[1:]))
    inner = tree
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = data.draw(TREES)
    judged(json.dumps(tree))  # JSON is YAML


@FAST
@given(st.integers(0, LONGEST))
def test_durations_round_trip(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds)) == milliseconds


@FAST
@given(st.one_of(st.text(max_size=12), st.from_regex(r"\A[0-9]{1,10}(\.[0-9]{1,4})?(ms|s|m|h|d)\Z"), SCALARS))
def test_any_duration_is_whole_milliseconds_within_a_day_or_refused(value: object) -> None:
    hint = ""
    try:
        milliseconds = parse_duration(value)
    except WrongError as wrong:
        milliseconds, hint = -1, wrong.hint
    assert 0 <= milliseconds <= LONGEST or hint
