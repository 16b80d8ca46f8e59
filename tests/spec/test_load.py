"""The loader on files: encodings, line ends, sizes, things that are no files, and what is right in an unusual way."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from holdfast.errors import SpecError, UsageError
from holdfast.spec import load_spec, parse_spec
from holdfast.spec.positions import MAX_BYTES
from holdfast.spec.values import format_duration, parse_duration

SMALL = """\
holdfast: 1
cluster: shop
networks:
  front: {cidr: 10.0.0.0/24}
nodes:
  lb01: 10.0.0.5
  lb02: 10.0.0.6
"""


def test_the_smallest_spec_loads() -> None:
    assert parse_spec(SMALL).spec.cluster == "shop"


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_system(tmp_path: Path, ends: str) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_bytes((SMALL + "clutser: x\n").replace("\n", ends).encode())
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    (finding,) = caught.value.findings
    assert str(finding.location) == f"{path}:8:1"


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + SMALL.encode())
    assert load_spec(path).positions.at(("holdfast",), key=True).column == 1


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_other_encodings_are_named(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_bytes(("# Bücher\n" + SMALL).encode(encoding))
    with pytest.raises(UsageError, match="is not UTF-8 text") as caught:
        load_spec(path)
    assert caught.value.hint == "save it as UTF-8"
    assert caught.value.exit_status == 2


def test_chinese_comments_do_not_move_columns() -> None:
    text = SMALL + "vrrp: {www: {addresses: [10.0.0.3], nodes: [lb01, lb02], hooks: {active: '通知'}}}\n"
    with pytest.raises(SpecError) as caught:
        parse_spec("# 两台负载均衡\n" + text)
    location = caught.value.findings[0].location
    assert location is not None
    assert (location.line, location.column) == (9, 1 + text.splitlines()[-1].index("'通知'"))


@pytest.mark.parametrize("name", ["missing.yaml", ".", "/proc/self/mem", "a\0b"])
def test_what_cannot_be_read_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be read") as caught:
        load_spec(f"{tmp_path}/{name}" if not name.startswith("/") else name)
    assert caught.value.hint


def test_a_file_without_end_is_not_read_to_its_end() -> None:
    before = time.process_time()
    with pytest.raises(UsageError, match="larger than 8 MB"):
        load_spec("/dev/zero")
    assert time.process_time() - before < 5


def test_a_pipe_is_a_file_too(tmp_path: Path) -> None:
    """`holdfast validate <(generate-spec)`."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_text(SMALL), daemon=True)
    writer.start()
    assert load_spec(path).spec.cluster == "shop"
    writer.join(60)


def one_finding(text: str) -> str:
    with pytest.raises(SpecError) as caught:
        parse_spec(text)
    (finding,) = caught.value.findings
    assert finding.hint
    return finding.message


def test_empty_files() -> None:
    for text in ("", "\n\n", "# nothing yet\n"):
        assert one_finding(text) == "the file is empty"


def test_a_text_beyond_the_bound_is_refused_at_once() -> None:
    assert f"larger than {MAX_BYTES // 1_000_000} MB" in one_finding(SMALL + "#" * MAX_BYTES)


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_deep_nesting_is_refused(opening: str) -> None:
    before = time.process_time()
    assert one_finding(SMALL + "notify: " + opening * 1500 if opening != "- " else opening * 1500)
    assert time.process_time() - before < 20


def test_sane_nesting_beyond_the_language_is_refused() -> None:
    assert "nested too deeply" in one_finding(SMALL + "notify: " + "[" * 60 + "]" * 60)


def test_aliases_cannot_explode() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
    before = time.process_time()
    assert "the document is too large" in one_finding(bomb)
    assert time.process_time() - before < 20


def test_an_alias_stands_for_a_whole_value() -> None:
    text = SMALL + (
        "vrrp:\n  www: {addresses: [10.0.0.3], nodes: &both [lb01, lb02]}\n"
        "  bbs: {addresses: [10.0.0.4], nodes: *both}\n"
    )
    assert parse_spec(text).spec.vrrp["bbs"].members == ("lb01", "lb02")


def test_a_mistake_in_an_aliased_value_is_named_where_it_is_written() -> None:
    text = SMALL + (
        "vrrp:\n  www: {addresses: [10.0.0.3], nodes: &both [lb01, lb09]}\n"
        "  bbs: {addresses: [10.0.0.4], nodes: *both}\n"
    )
    with pytest.raises(SpecError) as caught:
        parse_spec(text)
    assert {f.location.line for f in caught.value.findings if f.location} == {9}


def test_words_that_yaml_1_1_took_for_something_else() -> None:
    """`on` as a key, `no` as a name, and a time-like number stay what they look like."""
    text = SMALL + "  no: 10.0.0.7\nnotify: {email: {from: a@b.c, to: [d@e.f]}, on: [vip_moved]}\n"
    spec = parse_spec(text).spec
    assert "no" in spec.nodes
    assert spec.notify.on == ("vip_moved",)


@pytest.mark.parametrize(("word", "meant"), [("true", True), ("yes", True), ("false", False), ("no", False)])
def test_yes_and_no_are_understood(word: str, meant: bool) -> None:
    text = SMALL + f"vrrp:\n  www: {{addresses: [10.0.0.3], nodes: [lb01, lb02], preempt: {word}}}\n"
    assert parse_spec(text).spec.vrrp["www"].preempts is meant


def test_short_and_long_forms_mean_the_same() -> None:
    short = SMALL + (
        "  web: [10.0.0.7]\nvrrp:\n  www: {addresses: [10.0.0.3/24], nodes: [lb01, lb02]}\n"
        "pools:\n  app: {servers: [web:80]}\nsites:\n  s: {routes: [{to: app, sticky: source}, {redirect: /x}]}\n"
        "proxies:\n  e: {engine: nginx, nodes: [lb01], listeners: [{on: 'www:80', sites: [s]}], max_body: 1000}\n"
    )
    long = SMALL + (
        "  web: {interfaces: {eth0: {addresses: [10.0.0.7]}}}\n"
        "vrrp:\n  www: {addresses: {'0': {address: 10.0.0.3/24}}, nodes: [lb01, lb02]}\n"
        "pools:\n  app: {servers: [{address: 'web:80', weight: 1}]}\n"
        "sites:\n  s: {routes: [{to: app, sticky: {source: true}}, {redirect: {to: /x, status: 302}}]}\n"
        "proxies:\n  e: {engine: nginx, nodes: [lb01], max_body: '1000', "
        "listeners: [{on: {target: www, port: 80}, sites: [s]}]}\n"
    )
    assert parse_spec(short).spec == parse_spec(long).spec


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("100ms", 100), ("2s", 2000), ("10m", 600_000), ("1h", 3_600_000), ("1.5s", 1500), ("0.25s", 250),
     ("24h", 86_400_000), ("40.95s", 40_950), ("0s", 0), (" 5s ", 5000)],
)  # fmt: skip
def test_durations(text: str, milliseconds: int) -> None:
    assert parse_duration(text) == milliseconds
    assert parse_duration(format_duration(milliseconds)) == milliseconds
