"""What was read prints back as it stood: every byte."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.keepalived.corpus import corpus, needs_corpus, samples

from holdfast.keepalived import syntax
from holdfast.keepalived.source import Source, decode, encode, width

SIGNS = st.text(alphabet='ab \t\r\n{}"#!$\\@~(,)', max_size=200)


@pytest.mark.parametrize("path", samples(), ids=lambda path: path.name)
def test_samples_print_back(path: Path) -> None:
    data = path.read_bytes()
    assert encode(syntax.write(syntax.read(decode(data)))) == data


@needs_corpus
def test_the_corpus_prints_back() -> None:
    wrong = [
        path.name
        for path in corpus()
        if encode(syntax.write(syntax.read(decode(path.read_bytes())))) != path.read_bytes()
    ]
    assert not wrong


@given(st.binary(max_size=400))
def test_any_bytes_print_back(data: bytes) -> None:
    assert encode(syntax.write(syntax.read(decode(data)))) == data


@given(st.text(max_size=300) | SIGNS)
def test_any_text_prints_back(text: str) -> None:
    assert syntax.write(syntax.read(text)) == text


def test_blocks_hold_what_stands_between_their_braces() -> None:
    items = syntax.read("a b {\n c # d\n}\n}")
    words, braces = items[0], items[1]
    assert isinstance(words, syntax.Words)
    assert [token.text for token in words.tokens] == ["a", "b"]
    assert isinstance(braces, syntax.Braces)
    assert braces.close is not None
    assert any(isinstance(item, syntax.Words) for item in braces.items)
    assert isinstance(items[-2], syntax.Trivia)  # the brace that closes nothing


def test_deep_nesting_is_no_deep_recursion() -> None:
    text = "{" * 50_000
    assert syntax.write(syntax.read(text)) == text


@given(st.text(max_size=200) | SIGNS)
def test_lines_are_those_between_line_feeds(text: str) -> None:
    source = Source("x", text)
    lines = text.split("\n")
    assert [source.line(number) for number in range(1, len(lines) + 1)] == [line.rstrip("\r") for line in lines]
    assert source.line(0) == source.line(len(lines) + 1) == ""


def test_many_lines_are_found_again() -> None:
    text = "".join(f"line {number}\n" for number in range(1, 300_001))
    assert Source("x", text).line(299_999) == "line 299999"


def test_width_counts_bytes() -> None:
    assert width("ab") == 2
    assert width(decode(b"\xff\xc3\xa9")) == 3
    assert width("\ud800") == 3  # a lone surrogate, which no file holds
