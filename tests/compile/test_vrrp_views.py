"""What keepalived is told to count is what the failover model counted."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest

from holdfast.compile.compiler import CompileInput, compile_cluster, node_view
from holdfast.compile.lock import Lock, Secrets
from holdfast.compile.node_view import VrrpView
from holdfast.failover.from_spec import cluster_from_spec
from holdfast.failover.model import Watched, World
from holdfast.failover.standing import standing
from holdfast.spec import parse_spec

WATCHED = {
    "nginx": {"process": "nginx"},
    "named": {"process": "named"},
    "127.0.0.1:9/": {"http": "127.0.0.1:9/"},
    "uplink": {"script": "uplink"},
    "disk": {"file": "disk"},
    "eth1": {"interface": "eth1"},
}
MEANINGS: list[dict[str, Any]] = [{"on_loss": "yield"}, {"weight": -7}]


def source_of(trackers: list[dict[str, Any]], process_events: bool) -> CompileInput:
    nodes = {f"lb0{n}": {"interfaces": {"eth0": f"10.0.0.{n}", "eth1": f"10.1.0.{n}"}} for n in (1, 2)}
    www = {"addresses": ["10.0.0.9"], "nodes": ["lb01", "lb02"], "vrid": 51, "keeps_while": trackers}
    networks = {"front": {"cidr": "10.0.0.0/24"}, "back": {"cidr": "10.1.0.0/24"}}
    spec = {"holdfast": 1, "cluster": "c", "networks": networks, "nodes": nodes, "vrrp": {"www": www}}
    return CompileInput(parse_spec(json.dumps(spec)), Lock(cluster="c"), Secrets(cluster="c"), process_events)


def counted(view: VrrpView, lost: set[str]) -> int | None:
    """The priority that keepalived arrives at (man keepalived.conf, measured on 2.2.7), or None for FAULT.

    A script or an interface without a weight, a process of weight 0, and a track file at −254 put the instance into
    FAULT; positive weights are added while all is well, negative ones when something is lost; a track file adds its
    value times its weight.
    """
    priority = view.priority
    weights = [(script.command, script.weight) for script in view.scripts]
    weights += [((interface.interface,), interface.weight) for interface in view.interfaces]
    weights += [((process.process,), process.weight or None) for process in view.processes]
    for words, weight in weights:
        failed = any(what.replace("/", " /") in " ".join(words) or what in words for what in lost)
        if weight is None and failed:
            return None
        if weight is not None and ((weight > 0 and not failed) or (weight < 0 and failed)):
            priority += weight
    for file in view.files:
        value = -1 if any(file.path.endswith(f"/{what}") for what in lost) else 0
        if value * file.weight <= -254:
            return None
        priority += value * file.weight
    return priority


def modelled(source: CompileInput, lost: set[str]) -> int | None:
    """The priority of lb01 in the failover model, or None for FAULT."""
    cluster = cluster_from_spec(source.loaded.spec)
    watched = cluster.nodes["lb01"].watched
    failed = frozenset(("lb01", kind, what) for kind in Watched for what in lost if (kind, what) in watched)
    links = frozenset(("lb01", what) for what in lost if what in cluster.nodes["lb01"].links)
    assert len(failed) + len(links) == len(lost), "the model watches what the spec says"
    world = World(failed=failed, links=links)
    found = standing(cluster.nodes["lb01"], cluster.instance(("lb01", "www")), world)
    return None if found.faults else found.priority


@pytest.mark.parametrize("process_events", [True, False])
@pytest.mark.parametrize("meaning", [{}, *MEANINGS], ids=str)
def test_a_loss_counts_once_and_as_much_as_the_model_says(meaning: dict[str, Any], process_events: bool) -> None:
    """Also where a process is watched by a script and by the supervisor's word at once."""
    source = source_of([{**tracker, **meaning} for tracker in WATCHED.values()], process_events)
    (view,) = node_view(source, "lb01").vrrp
    assert counted(view, set()) == modelled(source, set())
    for one, other in product(WATCHED, WATCHED):
        assert counted(view, {one, other}) == modelled(source, {one, other}), (one, other)


@pytest.mark.parametrize("process_events", [True, False])
def test_a_release_beside_a_yield_on_the_same_thing_releases(process_events: bool) -> None:
    source = source_of([{"process": "nginx"}, {"process": "nginx", "on_loss": "yield"}], process_events)
    (view,) = node_view(source, "lb01").vrrp
    assert counted(view, {"nginx"}) is None


def test_every_group_has_its_hold_file_and_the_bundle_creates_it() -> None:
    source = source_of([], True)
    bundle = compile_cluster(source)["lb01"]
    assert bundle.state_files == ("/var/lib/holdfast/hold/www",)
    assert bundle.expected.vrrp[0].hold_file in bundle.state_files


def test_peers_anchor_and_priorities_agree_on_all_members() -> None:
    bundles = compile_cluster(source_of([], True))
    one, other = bundles["lb01"].expected.vrrp[0], bundles["lb02"].expected.vrrp[0]
    assert one.anchor.address == other.anchor.address == "169.254.255.51/32"
    assert one.priority > other.priority
    assert (one.peers, other.peers) == (("lb02",), ("lb01",))
    assert (one.vrid, one.advert_interval_ms) == (other.vrid, other.advert_interval_ms)
