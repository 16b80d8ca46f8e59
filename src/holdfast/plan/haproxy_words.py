"""Splits a line of haproxy.cfg into words, as HAProxy does: quotes, backslashes, comments."""

from __future__ import annotations


def split_words(line: str) -> list[str]:
    """The words of a line, without quotes; what stands behind a `#` outside quotes is a comment."""
    words: list[str] = []
    word: str | None = None
    quote, escaped = "", False
    for sign in line:
        if escaped:
            word, escaped = (word or "") + sign, False
        elif sign == "\\" and quote != "'":
            word, escaped = word or "", True
        elif quote:
            word, quote = (word or "") + ("" if sign == quote else sign), "" if sign == quote else quote
        elif sign in "\"'":
            word, quote = word or "", sign
        elif sign == "#" and word is None:
            break
        elif sign.isspace():
            if word is not None:
                words.append(word)
            word = None
        else:
            word = (word or "") + sign
    if word is not None:
        words.append(word)
    return words
