"""The lexer loses nothing and raises nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from holdfast.keepalived.lexer import Kind, lex

SIGNS = st.text(alphabet='ab \t\r\n{}"#!$\\@~', max_size=200)


def test_words_quotes_comments_and_braces() -> None:
    tokens = lex('! top\nvrrp_script x {\n  script "/bin/true  a" # why\n}\n')
    assert [(token.kind, token.text) for token in tokens if token.kind is not Kind.NEWLINE] == [
        (Kind.COMMENT, "! top"),
        (Kind.WORD, "vrrp_script"),
        (Kind.WORD, "x"),
        (Kind.OPEN, "{"),
        (Kind.WORD, "script"),
        (Kind.QUOTED, "/bin/true  a"),
        (Kind.COMMENT, "# why"),
        (Kind.CLOSE, "}"),
        (Kind.END, ""),
    ]


def test_positions_count_from_one() -> None:
    tokens = lex("a\n  b {")
    assert [(token.raw, token.line, token.column) for token in tokens] == [
        ("a", 1, 1),
        ("\n", 1, 2),
        ("b", 2, 3),
        ("{", 2, 5),
        ("", 2, 6),
    ]


def test_a_quote_ends_with_its_line() -> None:
    tokens = lex('a "b # c\nd')
    assert [token.kind for token in tokens] == [Kind.WORD, Kind.UNTERMINATED, Kind.NEWLINE, Kind.WORD, Kind.END]
    assert tokens[1].text == "b # c"


@given(st.text(max_size=300) | SIGNS)
def test_nothing_is_lost(text: str) -> None:
    assert "".join(token.gap + token.raw for token in lex(text)) == text


@given(SIGNS)
def test_each_token_is_where_it_says(text: str) -> None:
    lines = text.split("\n")
    for token in lex(text):
        line = lines[token.line - 1] + ("\n" if token.line < len(lines) else "")
        assert line[token.column - 1 :].startswith(token.raw)
