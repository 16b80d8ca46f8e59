"""Parts of a spec put, appended and removed in its text: everything else, comments included, stays byte for byte."""

from __future__ import annotations

import pytest

from holdfast.errors import UsageError
from holdfast.spec import composing
from holdfast.spec.load import parse_spec
from holdfast.spec.rewrite import Append, Put, Remove, Rewriting, rewrite

SPEC = """\
holdfast: 1
cluster: shop   # ours
networks:
  front: {cidr: 10.0.0.0/24}
nodes: {lb01: 10.0.0.5, lb02: 10.0.0.6, rs01: 10.0.0.7, rs02: 10.0.0.8}

# who may hold it
vrrp:
  www: {addresses: [10.0.0.3/24], nodes: [lb01, lb02]}
virtual_servers:
  shop:   # the shop
    on: www:80
    forward: dr
    check:
      http: /healthz   # cheap
      every: 2s
    servers:
      - rs01:80   # the old one
      # it is weak
      - address: rs02:80
        weight: 2   # for now
      - {address: 'rs03:80', weight: 3}   # lent
  # for programs
  api: {on: 'www:443', forward: dr, servers: ['rs01:443', rs02:443], check: {tcp: true}}
# the end
"""
BOTH = ["of small texts", "of large texts"]
SHOP, API = ("virtual_servers", "shop"), ("virtual_servers", "api")


@pytest.fixture
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where what is written ends has to be the same to both."""
    if request.param == BOTH[1]:
        monkeypatch.setattr(composing, "_LARGE", -1)


@pytest.mark.parametrize(
    ("change", "old", "new"),
    [
        (Append((*SHOP, "servers"), "rs04:80"), "# lent\n", "# lent\n      - rs04:80\n"),
        (Append((*API, "servers"), {"address": "rs04:443", "weight": 2}),
         "rs02:443]", "rs02:443, {address: rs04:443, weight: 2}]"),
        (Remove((*SHOP, "servers", 0)), "      - rs01:80   # the old one\n", ""),
        (Remove((*SHOP, "servers", 1)), "      - address: rs02:80\n        weight: 2   # for now\n", ""),
        (Remove((*SHOP, "servers", 2)), "      - {address: 'rs03:80', weight: 3}   # lent\n", ""),
        (Remove((*API, "servers", 0)), "['rs01:443', rs02:443]", "[rs02:443]"),
        (Remove((*API, "servers", 1)), "['rs01:443', rs02:443]", "['rs01:443']"),
        (Remove((*SHOP, "servers", 1, "address")), "address: rs02:80\n        weight: 2", "weight: 2"),
        (Put((*SHOP, "servers", 0), {"address": "rs01:80", "weight": 5}),
         "- rs01:80 ", "- {address: rs01:80, weight: 5} "),
        (Put((*SHOP, "servers", 1, "weight"), 4), "weight: 2 ", "weight: 4 "),
        (Put((*SHOP, "scheduler"), "wrr"), "# lent\n", "# lent\n    scheduler: wrr\n"),
        (Put((*API, "scheduler"), "wrr"), "{tcp: true}}", "{tcp: true}, scheduler: wrr}"),
        (Put((*SHOP, "check"), {"tcp": True, "every": "2s"}),
         "      http: /healthz   # cheap\n      every: 2s\n", "      every: 2s\n      tcp: true\n"),
        (Put((*API, "check"), {"http": "/"}), "{tcp: true}", "{http: /}"),
        (Put((*SHOP, "on"), ["www:80", "www:81"]), "on: www:80", "on: [www:80, www:81]"),
        (Put((*API, "servers"), ["rs01:443"]), "['rs01:443', rs02:443]", "['rs01:443']"),
        (Remove((*SHOP, "check")), "    check:\n      http: /healthz   # cheap\n      every: 2s\n", ""),
        (Remove(API), "  api: {on: 'www:443', forward: dr, servers: ['rs01:443', rs02:443], check: {tcp: true}}\n", ""),
        (Put(("virtual_servers", "dns"), {"on": "www:53", "protocol": "udp", "forward": "dr", "servers": ["rs01:53"]}),
         "{tcp: true}}\n", "{tcp: true}}\n  dns: {on: www:53, protocol: udp, forward: dr, servers: [rs01:53]}\n"),
        (Put(("notify", "on"), ["server_down"]), "# the end\n", "# the end\n"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("parser", BOTH, indirect=True)
def test_one_part_changes_and_nothing_else(parser: None, change: Rewriting, old: str, new: str) -> None:
    assert SPEC.count(old) == 1
    found = rewrite(SPEC, [change])
    if change.path[0] == "notify":
        new = "\nnotify:\n  on: [server_down]\n" + old
    assert found == SPEC.replace(old, new)


def test_a_long_entry_is_written_over_several_lines_and_read_as_what_it_was() -> None:
    servers = [{"address": f"10.0.0.{number}:8080", "weight": number} for number in range(11, 15)]
    value = {"on": "www:8080", "forward": "nat", "servers": servers, "check": {"http": "/healthz", "every": "2s"}}
    found = rewrite(SPEC, [Put(("virtual_servers", "apps"), value)])
    assert "\n  apps:\n    on: www:8080\n    forward: nat\n    servers:\n      - {address: 10.0.0.11:8080" in found
    assert found.replace("rs03", "rs02", 1).count("# ") == SPEC.count("# ")


def test_changes_follow_each_other_and_the_last_entry_takes_its_section_with_it() -> None:
    found = rewrite(SPEC, [Remove(SHOP), Remove(API)])
    assert "virtual_servers" not in found
    again = rewrite(found, [Put(API, {"on": "www:443", "forward": "dr", "servers": ["rs01:443"]})])
    assert parse_spec(again).spec.virtual_servers["api"].servers[0].written == "rs01:443"


@pytest.mark.parametrize(
    ("text", "change"),
    [
        (SPEC, Remove(("virtual_servers", "other"))),
        (SPEC, Append(("cluster",), 1)),
        (SPEC, Put((*SHOP, "servers", 9), "x")),
        (SPEC, Put(("cluster", "name"), "x")),
        ("a: {b: &x [1, 2]}\nc: *x\n", Append(("c",), 3)),  # it would change both
        ("a: 1\n", Remove(("a",))),
        ("a:\n  - - 1\n    - 2\n", Remove(("a", 0, 0))),
        ("a: |\n  text\n", Put(("a",), 1)),
    ],
)
def test_what_cannot_be_written_is_refused(text: str, change: Rewriting) -> None:
    with pytest.raises(UsageError):
        rewrite(text, [change])


@pytest.mark.parametrize(
    ("text", "change", "new"),
    [
        ("a: [1, 2,]", Append(("a",), 3), "a: [1, 2, 3,]"),
        ("a: [\n  1, # one\n  2 # two\n]\n", Append(("a",), 3), "a: [\n  1, # one\n  2, 3 # two\n]\n"),
        ("a: []\nb: 1", Append(("a",), 3), "a: [3]\nb: 1"),
        ("a:\nb: 1\n", Put(("a", "c"), 3), "a: {c: 3}\nb: 1\n"),
        ("a:  # one\n  - b:\n", Put(("a", 0, "b"), 3), "a:  # one\n  - b: 3\n"),
        ("a:\n- 1\n- 2", Append(("a",), 3), "a:\n- 1\n- 2\n- 3\n"),
        ("a: {}\n", Put(("a", "c"), "x: y"), "a: {c: 'x: y'}\n"),
        ("a: 1  # one", Put(("b",), True), "a: 1  # one\n\nb: true\n"),
        ("a:\n  b: |\n    text\n\n  c: 1\n", Remove(("a", "b")), "a:\n  c: 1\n"),
        ("a: {b: 1}\nc: 2\n", Remove(("a", "b")), "c: 2\n"),
        ("a: 1\nb: 2\n", Put(("b",), 2), "a: 1\nb: 2\n"),
        ("a:\n  b: 1\nc: 1\n", Put(("a",), "x"), "c: 1\n\na: x\n"),
    ],
)
@pytest.mark.parametrize("parser", BOTH, indirect=True)
def test_the_odd_ways_in_which_people_write(parser: None, text: str, change: Rewriting, new: str) -> None:
    assert rewrite(text, [change]) == new
