"""`fmt`: laid out once is laid out, and means the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.keepalived.corpus import SAMPLES, corpus, needs_corpus, samples
from tests.keepalived.test_parse import PIECES
from tests.keepalived.trees import shape, statements_of

from holdfast.keepalived.files import InMemory, OnDisk
from holdfast.keepalived.layout import lay_out
from holdfast.keepalived.parse import parse
from holdfast.keepalived.source import decode
from holdfast.keepalived.writer import write


def same(text: str, path: Path | None = None) -> bool:
    """Whether a text and its laid-out form are read as the same tree."""
    name, files = (str(path), OnDisk()) if path else ("x.conf", None)
    before = parse(text, name, files=files, config_id="a").root
    if any(statements_of(text, None, host) != statements_of(lay_out(text), None, host) for host in ("x", "y")):
        return False
    return shape(before) == shape(parse(lay_out(text), name, files=files, config_id="a").root)


def test_a_file_laid_out() -> None:
    text = (
        "! top\n\n\n\nvrrp_instance a{state BACKUP # why\n   priority   10\n"
        "virtual_ipaddress\n\n{\n10.0.0.1   dev  eth0\n}}\n@x  nopreempt { a b }\n# end"
    )
    assert lay_out(text) == (
        "! top\n\nvrrp_instance a {\n    state BACKUP # why\n    priority 10\n"
        "    virtual_ipaddress {\n        10.0.0.1 dev eth0\n    }\n}\n@x  nopreempt { a b }\n# end\n"
    )


def test_bodies_of_variables_keep_their_lines() -> None:
    text = "$V= \\\nvrrp_instance a { \\\n# why \\\npriority 10 \\\n}\n\n$V\nglobal_defs {\n  router_id x\n}\n"
    assert lay_out(text) == (
        "$V= \\\n    vrrp_instance a { \\\n        # why \\\n        priority 10 \\\n    }\n\n$V\n"
        "global_defs {\n    router_id x\n}\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "name\\!})",  # an escaped comment sign is a comment after all
        'a \\"}}',  # no quote to one reading, and one to the other
        "$A=!\\ \n{",  # a comment that ends in a backslash and a blank
        "$A= \\\nx \\\t\ny{z",
        "{$A=\\\n{{",  # a variable begins behind a brace
        "$A= \\\nx \\\\\ny\\\nz{z",  # two backslashes end a line of a variable, too
        "$A= \\\nx \\\n# why\n\n}}",  # a comment without a backslash ends no variable
        "$A= \\\n" + "x" * 1_023 + "\n{ y }\n",  # a line that fills the buffer leaves its end alone in the next one
        "$A=${_PWD}$A= \\\nx{y",
        "include{i",  # a word, and its brace
        "includer\n{\n}",
        "a { include",
        "a\n{ # " + "b" * 940 + "\n",
        "a # " + "b" * 900 + "\n{ # " + "c" * 900 + "\nd { e",
        "\n\ufeffa{b",
        "$A= \\\nx\0 \\\n{ y }\n",
        "$A= \\\n\0x \\\ny {\n",
        "a\0\\\n{ y }\n",
        "\udcff" * 1_030 + "{a",
    ],
)
def test_what_fuzzing_found(text: str) -> None:
    once = lay_out(text)
    assert lay_out(once) == once
    assert same(text)


def test_the_blank_line_behind_a_variable_stays_even_before_a_brace() -> None:
    text = "a {\n$V= \\\nb \\\n# why\n\n}\n"
    assert lay_out(text) == "a {\n    $V= \\\n        b \\\n        # why\n\n}\n"


@pytest.mark.parametrize(
    "text",
    [
        "include b.conf\nx y } z {\n}\n$W\n",
        "include b.conf\nx y\n{\nz\n}\n$W\n",
        "a {\ninclude b.conf\n\n}\n$W\n",
        "include b.conf\n# why\nx y { z }\n$W\n",
        "include b.conf\nx y { z } \\\nx { y }\nx { z }\n$W\n",
        "@^a include b.conf\nx y { z }\n$W\n",
        "a { include b.conf\nx y { z }\n}\n$W\n",
        "$I=include b.conf\n$I\nx y { z }\n$W\n",
        "$I= \\\ninclude b.conf\n\n$I\nx y { z }\n$W\n",
        "x $N \\\ninclude b.conf\nx y { z }\n$W\n",
        "include b.conf\ninclude c.conf\nx y { z }\n$W\n",
    ],
)
@pytest.mark.parametrize("included", ["$W= \\\nb \\\n", "$W= \\\nb \\", "$W= \\\nb \\\n\n", "$W=b\n"])
def test_the_line_behind_an_include_may_be_one_of_a_variable_that_it_begins(text: str, included: str) -> None:
    files = InMemory({"b.conf": included.encode(), "c.conf": b"c {\n}\n"})
    once = lay_out(text)
    assert lay_out(once) == once
    for host in ("a", "b"):
        assert statements_of(once, files, host) == statements_of(text, files, host)


def test_behind_a_line_that_an_include_cannot_reach_all_is_laid_out() -> None:
    assert lay_out("include b.conf\n\na{b\n}\ninclude b.conf\nc\nd{e\n}\n") == (
        "include b.conf\n\na {\n    b\n}\ninclude b.conf\nc\nd {\n    e\n}\n"
    )


@pytest.mark.parametrize("path", samples(), ids=lambda path: path.name)
def test_samples(path: Path) -> None:
    text = decode(path.read_bytes())
    once = lay_out(text)
    assert lay_out(once) == once
    assert same(text, path)


@settings(deadline=None)
@given(st.lists(PIECES, max_size=60).map("".join))
def test_any_heap_of_pieces(text: str) -> None:
    once = lay_out(text)
    assert lay_out(once) == once
    assert same(text)


@settings(deadline=None)
@given(st.lists(PIECES, max_size=60).map("".join), st.lists(PIECES, max_size=8).map("".join))
def test_any_heap_of_pieces_that_includes_another(text: str, included: str) -> None:
    files = InMemory({"b.conf": included.encode("utf-8", "surrogatepass")})
    for host in ("x", "y"):
        before = statements_of(text, files, host)
        assert before is None or before == statements_of(lay_out(text), files, host)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    once = lay_out(decode(data))
    assert lay_out(once) == once
    assert same(decode(data))


@needs_corpus
def test_the_corpus() -> None:
    wrong = []
    for path in corpus("wild", "mistakes"):
        text = decode(path.read_bytes())
        once = lay_out(text)
        if lay_out(once) != once or not same(text, path):
            wrong.append(path.name)
    assert not wrong


@pytest.mark.parametrize("path", samples(), ids=lambda path: path.name)
def test_what_was_understood_prints_as_a_configuration(path: Path) -> None:
    found = parse(path.read_bytes(), str(path), files=OnDisk(), config_id="a").root
    assert shape(parse(write(found), "written.conf").root) == shape(found)


def test_words_are_quoted_where_they_must_be() -> None:
    found = parse((SAMPLES / "pair.conf").read_bytes()).root
    printed = write(found)
    assert 'auth_pass "a#b!c"' in printed
    assert 'script "/usr/bin/pidof nginx"\n' in printed
    assert "notify_master \"/usr/local/bin/notify 'the master' www\"\n" in printed
