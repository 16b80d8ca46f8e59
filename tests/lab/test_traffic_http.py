"""Reading an answer: the same result however its bytes are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.lab.traffic_http import Answer, MalformedError

HEAD = b"HTTP/1.1 200 OK\r\nX-Origin: web01:80\r\n"
ANSWERS = {
    "length": HEAD + b"Content-Length: 5\r\n\r\nhello",
    "empty": HEAD + b"Content-Length: 0\r\n\r\n",
    "chunked": HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\nyou\r\n0\r\n\r\n",
    "trailers": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nA: b\r\n\r\n",
    "no content": b"HTTP/1.1 204 No Content\r\nX-Origin: web01:80\r\n\r\n",
    "after 103": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + HEAD + b"Content-Length: 1\r\n\r\n!",
}


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted({p % (len(data) + 1) for p in places}), len(data)]
    return [data[a:b] for a, b in pairwise(edges) if b > a]


@given(st.sampled_from(sorted(ANSWERS)), st.lists(st.integers(0, 500), max_size=12))
def test_any_cut_gives_the_same_answer_and_only_the_last_piece_completes_it(name: str, places: list[int]) -> None:
    answer = Answer()
    pieces = cut(ANSWERS[name], places)
    done = [answer.feed(piece) for piece in pieces]
    assert done == [False] * (len(pieces) - 1) + [True]
    assert (answer.status, answer.origin, answer.keep_alive) == (204 if name == "no content" else 200, "web01:80", True)


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    answer = Answer()
    assert not answer.feed(HEAD + b"\r\nsome")
    assert answer.end()
    assert not answer.keep_alive


@pytest.mark.parametrize("name", ["length", "chunked", "trailers"])
def test_an_answer_that_breaks_off_is_not_whole(name: str) -> None:
    answer = Answer()
    assert not answer.feed(ANSWERS[name][:-1])
    assert not answer.end()


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"x" * 70_000,
    ],
)
def test_what_is_no_answer_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        Answer().feed(data)


def test_connection_close_is_heard() -> None:
    answer = Answer()
    assert answer.feed(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    assert not answer.keep_alive
