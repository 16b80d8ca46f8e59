"""Large texts are read by libyaml, and mean what they mean to the parser that reads small ones."""

from __future__ import annotations

import time
from typing import Any

import pytest
from tests.project.source import ROOT

from holdfast.errors import SpecError
from holdfast.spec import composing
from holdfast.spec.positions import MAX_DEPTH, read_yaml

TRICKY = """\
a: &x [1, yes, on, 0x1f, ~, 'q', 1.5, 2026-01-01, 1_000, .inf, +5, 1e3, 1., off, NULL, True, false]
b: *x
c: |
  text
    more

'd': "x\\ty\\u00e9"
f: 0o17
g: 017
h: ünï
i: 'it''s'
k: 1:30
l: y
n:
- a
-   {b: c, d: [e, {f: g}]}
- - nested
  - twice
p: >-
  folded
  text

  and more
empty:
q: 0b11
last: plain text # with a comment
"""
TEXTS = [TRICKY, *(path.read_text() for path in sorted((ROOT / "examples").glob("*/cluster.yaml")))]


def read(text: str) -> Any:
    data, positions = read_yaml(text, "spec")
    # Nothing is written behind a key without a value: where that nothing stands is not the same to both.
    values = {path: at for path, at in positions.values.items() if path != ("empty",)}
    return data, positions.keys, values


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_both_ways_read_the_same(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    small = read(text)
    monkeypatch.setattr(composing, "_LARGE", 0)
    if text == TRICKY:
        assert composing._Composer().documents(text), "it is not read a second time"
    assert read(text) == small


@pytest.mark.parametrize(("wrong", "line"), [("x: [1, 2\n", 3), ("x: *nobody\n", 3), ("x: " + "[" * 500 + "\n", 3)])
def test_a_mistake_in_a_very_large_text_is_found_at_once(wrong: str, line: int) -> None:
    text = "a: 1\nb: 2\n" + wrong + "".join(f"k{number}: {'v' * 90}\n" for number in range(40_000))
    began = time.process_time()
    with pytest.raises(SpecError) as refused:
        read_yaml(text, "spec")
    found = refused.value.findings[0].location
    assert found is not None
    assert found.line >= line
    assert time.process_time() - began < 10


def test_folded_text_has_no_marks_of_the_reader() -> None:
    assert read(TRICKY)[0]["p"] == "folded text\nand more"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1:30, {b: c}]\n", ""),  # libyaml refuses it, YAML 1.2 does not
        ("a: {b: c\n", ""),
        ("a: *nobody\n", ""),
        ("a: 1\n---\nb: 2\n", "a second YAML document"),
        ("a: 1\na: 2\n", "given twice"),
        ("a: !tag x\n", "the tag"),
        ("&a a: *a\nb: &b [*b]\n", "contains itself"),
        ("a: \x01\n", ""),
        ("", "the file is empty"),
        ("[" * 50_000, ""),
        ("- " * 50_000, ""),
        ("a: " + "[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2), "nested too deeply"),
    ],
)
def test_what_is_refused_is_refused_in_the_same_words(text: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def said() -> str:
        try:
            return str(read_yaml(text, "spec")[0])
        except SpecError as error:
            return f"{error.findings[0].message} {error.findings[0].location}"

    small = said()
    assert message in small
    monkeypatch.setattr(composing, "_LARGE", -1)
    assert said() == small


def test_a_very_large_text_whose_values_need_quotes_says_so() -> None:
    """Below the bound the same is read by the other parser, which does not need them."""
    line = "  - {servers: [10.0.0.1:80]}\n"
    assert read_yaml(f"a:\n{line}", "x")[0] == {"a": [{"servers": ["10.0.0.1:80"]}]}
    with pytest.raises(SpecError) as raised:
        read_yaml("a:\n" + line * (1_000_000 // len(line) + 1), "x")
    (finding,) = raised.value.findings
    assert "in quotes" in finding.hint
    assert finding.location is not None
    assert finding.location.line == 2
