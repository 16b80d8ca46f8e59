"""What stands in a file, sign by sign: a tree of its tokens that prints back as the very same text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from .lexer import Kind, Token, lex

_WORDS = (Kind.WORD, Kind.QUOTED, Kind.UNTERMINATED)


@dataclass(slots=True)
class Words:
    """The words of one statement, up to a brace, a comment or the end of the line."""

    tokens: list[Token]


@dataclass(slots=True)
class Trivia:
    """A comment, the end of a line, the end of the file, or a brace that closes nothing."""

    token: Token


@dataclass(slots=True)
class Braces:
    """What stands between two braces, as the signs alone say; `close` is None where it is missing."""

    open: Token
    items: list[Item] = field(default_factory=list)
    close: Token | None = None


Item: TypeAlias = Words | Trivia | Braces


def read(text: str) -> list[Item]:
    """The items of `text`; `write(read(text)) == text`, whatever it holds."""
    items: list[Item] = []
    stack: list[list[Item]] = [items]
    blocks: list[Braces] = []
    for token in lex(text):
        here = stack[-1]
        if token.kind in _WORDS:
            last = here[-1] if here else None
            if isinstance(last, Words):
                last.tokens.append(token)
            else:
                here.append(Words([token]))
        elif token.kind is Kind.OPEN:
            block = Braces(token)
            here.append(block)
            blocks.append(block)
            stack.append(block.items)
        elif token.kind is Kind.CLOSE and blocks:
            blocks.pop().close = token
            stack.pop()
        else:
            here.append(Trivia(token))
    return items


def tokens(items: list[Item]) -> Iterator[Token]:
    """All tokens in their order, however deep they stand."""
    waiting: list[Item | Token] = list(reversed(items))
    while waiting:
        item = waiting.pop()
        if isinstance(item, Token):
            yield item
        elif isinstance(item, Trivia):
            yield item.token
        elif isinstance(item, Words):
            yield from item.tokens
        else:
            yield item.open
            if item.close is not None:
                waiting.append(item.close)
            waiting.extend(reversed(item.items))


def write(items: list[Item]) -> str:
    """The text that the items stand for."""
    return "".join(token.gap + token.raw for token in tokens(items))
