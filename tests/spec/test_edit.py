"""Single values changed in a spec's text: everything else, comments included, stays byte for byte."""

from __future__ import annotations

import time

import pytest

from holdfast.errors import UsageError
from holdfast.spec.edit import edit
from holdfast.spec.load import parse_spec

SPEC = """\
holdfast: 1
cluster: shop   # ours
networks:
  front: {cidr: 10.0.0.0/24}
nodes: {lb01: 10.0.0.5, lb02: 10.0.0.6, web01: 10.0.0.7, web02: 10.0.0.8}

# who may hold it
vrrp:
  www: {addresses: [10.0.0.3/24], nodes: [lb01, lb02], keeps_while: [{process: nginx}]}
pools:
  app:
    balance: round_robin   # for now
    servers:
      - web01:80   # the old one
      - {address: 'web02:80', weight: 2}   # the new one
      - address: 10.0.0.9:80
        # it is weak
        weight: 1
sites:
  shop: {hosts: [www.example.com], routes: [{to: app}]}
proxies:
  edge: {engine: nginx, nodes: [lb01, lb02], listeners: [{on: 'www:80', sites: [shop]}]}
"""


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        ("pools.app.servers[web02:80].weight", "5", "weight: 2}", "weight: 5}"),
        ("pool.app.servers[web02].weight", "5", "weight: 2}", "weight: 5}"),
        ("pools.app.servers[1].weight", "5", "weight: 2}", "weight: 5}"),
        ("pools.app.servers[10.0.0.9].weight", "7", "        weight: 1\n", "        weight: 7\n"),
        ("pools.app.servers[web01].weight", "3", "- web01:80   #", "- {address: web01:80, weight: 3}   #"),
        ("pools.app.servers[web02].backup", "true", "weight: 2}", "weight: 2, backup: true}"),
        ("pools.app.balance", "source", "balance: round_robin   #", "balance: source   #"),
        ("pools.app.tries", "2", "        weight: 1\n", "        weight: 1\n    tries: 2\n"),
        (
            "pools.app.servers[10.0.0.9].max_connections", "100",
            "        weight: 1\n", "        weight: 1\n        max_connections: 100\n",
        ),
        ("vrrp.www.preempt", "false", "[{process: nginx}]}", "[{process: nginx}], preempt: false}"),
        ("vrrp.www.nodes", "[lb02, lb01]", "nodes: [lb01, lb02], keeps", "nodes: [lb02, lb01], keeps"),
        ("cluster", "'007'", "cluster: shop ", "cluster: '007' "),
    ],
)  # fmt: skip
def test_one_value_changes_and_nothing_else(path: str, value: str, old: str, new: str) -> None:
    found = edit(SPEC, [(path, value)])
    assert old in SPEC
    assert found == SPEC.replace(old, new)
    parse_spec(found)


@pytest.mark.parametrize(
    ("path", "said", "hint"),
    [
        ("pools.web.servers[0].weight", "there is no 'web' in pools", "there is: app"),
        ("pools.ap.tries", "there is no 'ap' in pools", "did you mean 'app'"),
        ("pools.app.servers[web09].weight", "there is no 'web09' in pools.app.servers", "web01:80"),
        ("pools.app.servers", "a whole section", ""),
        ("pools..app", "is no path", ""),
        ("", "the path is empty", ""),
        ("cluster[0]", "is no list", ""),
        ("pools.app.servers[0][1]", "is no list", ""),
        ("pools.app.check.every", "there is no 'check' in pools.app", ""),
    ],
)
def test_a_path_that_leads_nowhere_is_told_with_what_there_is(path: str, said: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        edit(SPEC, [(path, "1")])
    assert said in refused.value.message
    assert hint in refused.value.hint


@pytest.mark.parametrize(
    ("around", "path", "new"),
    [
        (
            "    balance: round_robin   # for now\n    check: {http: /, every: 1s}\n",
            "pools.app.tries",
            "    tries: 2\n",
        ),
        ("    check: {http: {path: /}}\n", "pools.app.check.every", "    check: {http: {path: /}, every: 2}\n"),
    ],
)
def test_a_field_that_is_not_there_yet_is_added_whatever_else_is_there(around: str, path: str, new: str) -> None:
    spec = SPEC.replace("    balance: round_robin   # for now\n", around)
    assert new in edit(spec, [(path, "2")])


@pytest.mark.parametrize(
    "path", ["pools.app.servers[0].weight", "pools.app.servers[2].max_connections", "pools.app.retries"]
)
def test_new_lines_end_as_their_authors_do(path: str) -> None:
    assert edit(SPEC.replace("\n", "\r\n"), [(path, "3")]) == edit(SPEC, [(path, "3")]).replace("\n", "\r\n")


def test_a_host_with_several_ports_has_to_be_named_with_one() -> None:
    spec = SPEC.replace("      - web01:80   # the old one\n", "      - web01:80\n      - web01:81\n")
    with pytest.raises(UsageError, match="means 2 entries"):
        edit(spec, [("pools.app.servers[web01].weight", "2")])
    assert "- {address: web01:81, weight: 2}" in edit(spec, [("pools.app.servers[web01:81].weight", "2")])


@pytest.mark.whole
def test_a_very_large_spec_takes_a_few_seconds() -> None:
    servers = [f"      - {{address: 'web{at:02d}.example.com:80', weight: {at}}}   # the ünï one\n" for at in range(10)]
    spec = "pools:\n" + "".join(f"  p{at}:\n    servers:\n{''.join(servers)}" for at in range(2500))
    assert len(spec) > 1_700_000
    begun = time.process_time()
    found = edit(spec, [("pool.p2000.servers[web03.example.com].weight", "77")])
    assert time.process_time() - begun < 15
    changed = [new for old, new in zip(spec.splitlines(), found.splitlines(), strict=True) if old != new]
    assert changed == ["      - {address: 'web03.example.com:80', weight: 77}   # the ünï one"]


def test_values_are_yaml_and_stay_one_line() -> None:
    assert "balance: [1, 2]" in edit(SPEC, [("pools.app.balance", "[1, 2]")])
    assert "balance: 'a: b'" in edit(SPEC, [("pools.app.balance", "'a: b'")])
    assert 'balance: "a\\nb"' in edit(SPEC, [("pools.app.balance", '"a\\nb"')])
