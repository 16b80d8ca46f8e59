"""The JSON Schema that editors use agrees with the loader, where a schema can."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from holdfast.errors import SpecError
from holdfast.spec import parse_spec
from holdfast.spec.positions import read_yaml
from holdfast.spec.schema import json_schema

EXAMPLES = sorted(Path(__file__).parents[2].glob("examples/*/cluster.yaml"))
MISTAKES = Path(__file__).parent / "mistakes"
CHECKER = Draft202012Validator(json_schema())

UNUSUAL = {
    "node-in-short-form": "nodes: {a: 10.0.0.1}",
    "node-with-several-addresses": "nodes: {a: [10.0.0.1, 'fd00::1']}",
    "node-in-long-form": "nodes: {a: {interfaces: {eth0: {addresses: 10.0.0.1}, eth1: 10.1.0.1}, labels: {room: a}}}",
    "network-with-two-families": "networks: {n: {cidr: [10.0.0.0/24, 'fd00::/64'], gateway: [10.0.0.1]}}",
    "group-with-named-addresses": "vrrp: {g: {addresses: {vip: 10.0.0.3, six: {address: 'fd00::3'}}, nodes: [a, b]}}",
    "group-with-a-list-of-addresses": "vrrp: {g: {addresses: [10.0.0.3, {address: 10.0.0.4}], nodes: [a, b]}}",
    "group-with-priorities": "vrrp: {g: {addresses: [10.0.0.3], nodes: {a: 150, b: 100}}}",
    "group-with-delay": "vrrp: {g: {addresses: [10.0.0.3], nodes: [a, b], preempt: {after: 30s}, vrid: 5}}",
    "trackers": "vrrp: {g: {addresses: [10.0.0.3], nodes: [a, b], keeps_while: [{http: '[::1]:80/'}, {process: x}]}}",
    "servers-in-both-forms": "pools: {p: {servers: ['a:80', {address: 'b:80', weight: 2}]}}",
    "route-with-single-values": "sites: {s: {routes: [{user_agent: x, method: GET, source: 10.0.0.0/8, to: p}]}}",
    "route-with-lists": "sites: {s: {routes: [{user_agent: [x], method: [GET], source: [10.0.0.0/8], to: p}]}}",
    "route-with-split": "sites: {s: {routes: [{to: {p: 95, q: 5}, sticky: {cookie: c, keeps: [variant, server]}}]}}",
    "route-that-sticks-by-address": "sites: {s: {routes: [{to: p, sticky: source}]}}",
    "route-with-matches": "sites: {s: {routes: [{header: {X-A: b}, cookie: {c: {regex: d}}, respond: 403}]}}",
    "route-with-long-answers": "sites: {s: {routes: [{respond: {status: 200, body: ok}}, {redirect: {to: /x}}]}}",
    "route-with-redirect": "sites: {s: {routes: [{redirect: 'https://{host}{uri}'}]}}",
    "proxy": "proxies: {e: {engine: haproxy, nodes: [a], listeners: [{on: 'g:80', sites: [s]}], health: false}}",
    "health": "proxies: {e: {engine: nginx, nodes: [a], listeners: [{on: 'g:1', sites: [s]}], health: '[::1]:1'}}",
    "notify": "notify: {email: {smtp: '127.0.0.1:25', from: a@b.c, to: [d@e.f]}, on: [vip_moved]}",
    "directors": "directors: {sync: {network: n, id: 3}, sessions_of_drained: stay}",
    "directors-without-sync": "directors: {sync: false}",
    "objectives": "objectives: {node_lost: {failover_within: 500ms, lost_requests: 0}}",
}  # fmt: skip
VIRTUAL = {
    "servers-in-all-forms": "on: 'g:80', forward: dr, servers: ['a:80', b, {address: '[fd00::1]'}]",
    "on-several": "on: ['g:80', 'g.vip:8000-8100'], forward: nat, servers: [a]",
    "by-mark": "mark: 7, group: g, forward: tun, tunnel: gre, servers: [a]",
    "tunnel-of-gue": "on: 'g:80', forward: tun, tunnel: {kind: gue, port: 6080, checksum: true}, servers: [a]",
    "thresholds": "on: 'g:80', forward: dr, servers: [{address: a, max_connections: 9, resume_below: 5}]",
    "scheduler": "on: 'g:80', forward: dr, servers: [a], scheduler: {name: sh, flags: [port]}",
    "persistence": "on: 'g:80', forward: dr, servers: [a], persistence: 10m",
    "persistence-of-networks": (
        "on: 'g:80', forward: dr, servers: [a], persistence: {keeps: 1h, prefix: 24, prefix6: 64}"
    ),
    "quorum-and-sorry": "on: 'g:80', forward: dr, servers: [a], quorum: 2, sorry: 'b:80'",
    "quorum-and-sorry-in-long-form": (
        "on: 'g:80', forward: dr, servers: [a],"
        " quorum: {weight: 2, hysteresis: 1, lost: x}, sorry: {address: b, forward: nat}"
    ),
    "check-of-status-and-body": (
        "on: 'g:80', forward: dr, servers: [a], check: {https: /, expect: [200, 300-399], body: {matches: o+k}}"
    ),
    "check-of-a-text": (
        "on: 'g:80', forward: dr, servers: [a], check: {http: /, body: ok, delay: 0s, retry_every: 1s}"
    ),
    "check-of-dns": "on: 'g:53', forward: dr, protocol: udp, servers: [a], check: {dns: ., type: NS}",
    "check-of-udp": "on: 'g:53', forward: dr, protocol: udp, servers: [a], check: {udp: true, payload: 0a, answer: fX}",
    "check-of-any-answer": "on: 'g:53', forward: dr, protocol: udp, servers: [a], check: {udp: true, answer: any}",
    "check-by-script": "on: 'g:80', forward: dr, servers: [a], check: {script: ok, timeout: 2s}",
}
UNUSUAL |= {f"virtual-server-{name}": f"virtual_servers: {{s: {{{fields}}}}}" for name, fields in VIRTUAL.items()}
# That an address has a port is not said by the schema: to it a text is a text.
MISSING = sorted(path for path in MISTAKES.glob("missing-*.yaml") if "port" not in path.stem)
HEAD = "holdfast: 1\ncluster: c\n"


def complaints(tree: Any) -> list[str]:
    return [f"{'/'.join(map(str, e.absolute_path))}: {e.message}" for e in CHECKER.iter_errors(tree)]


def tree_of(text: str) -> Any:
    return read_yaml(text, "spec")[0]


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(json_schema())
    assert json_schema() == json_schema()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_it_accepts_every_example(path: Path) -> None:
    assert complaints(tree_of(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("text", UNUSUAL.values(), ids=UNUSUAL.keys())
def test_it_accepts_short_and_long_forms(text: str) -> None:
    nodes = "" if text.startswith("nodes") else "nodes: {a: 10.0.0.1, b: 10.0.0.2}\n"
    tree = tree_of(HEAD + nodes + text)
    assert complaints(tree) == []
    try:
        parse_spec(HEAD + nodes + text)
    except SpecError as error:  # references may lead nowhere here, but each form has to be one that the loader reads
        codes = {finding.code for finding in error.findings}
    else:
        codes = set()
    assert not {code for code in codes if code.startswith(("SPEC", "YAML"))}


@pytest.mark.parametrize("path", sorted(MISTAKES.glob("unknown-*.yaml")), ids=lambda path: path.stem)
def test_it_refuses_unknown_fields_at_every_level(path: Path) -> None:
    assert complaints(tree_of(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", MISSING, ids=lambda path: path.stem)
def test_it_refuses_missing_fields(path: Path) -> None:
    assert complaints(tree_of(path.read_text(encoding="utf-8")))


def test_it_never_refuses_what_the_loader_takes() -> None:
    """Over all mistaken specs: those with warnings only are sound for editors too."""
    for path in MISTAKES.glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        try:
            parse_spec(text)
        except SpecError:
            continue
        assert complaints(tree_of(text)) == [], path.name


def test_choices_and_descriptions_are_there_for_completion() -> None:
    text = str(json_schema())
    for word in (
        "round_robin",
        "release",
        "yield",
        "haproxy",
        "in order of preference",
        "http_502",
        "100ms",
        "lblcr",
        "one or a list",
    ):
        assert word in text
