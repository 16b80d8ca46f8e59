"""What is chosen once stays chosen, and no two groups of a segment share a VRID."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.compile.compiler import CompileInput, compile_cluster
from holdfast.compile.lock import Lock, Secrets, clashes, complete_lock, complete_secrets, vrids, write_yaml
from holdfast.errors import CompileError, SpecError, UsageError
from holdfast.spec import ClusterSpec, parse_spec
from holdfast.spec.load import parse_model

FAST = settings(max_examples=80, deadline=None)
NETWORKS = ("front", "back")
FAMILIES = (4, 6)

NAMES = st.from_regex(r"\A[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?\Z")


def spec_of(groups: dict[str, tuple[int, int, int | None]], cluster: str = "shop") -> ClusterSpec:
    """A pair on two networks; each group is (network, family, VRID or None)."""
    vrrp: dict[str, Any] = {}
    for number, (name, (network, family, vrid)) in enumerate(groups.items()):
        address = (
            f"10.{network}.{1 + number // 200}.{1 + number % 200}" if family == 4 else f"fd00:{network}::1:{number:x}"
        )
        vrrp[name] = {"addresses": [address], "nodes": ["lb01", "lb02"]} | ({"vrid": vrid} if vrid else {})
    return ClusterSpec.model_validate(
        {
            "holdfast": 1,
            "cluster": cluster,
            "networks": {name: {"cidr": [f"10.{n}.0.0/16", f"fd00:{n}::/64"]} for n, name in enumerate(NETWORKS)},
            "nodes": {
                f"lb0{node}": {"interfaces": {f"eth{n}": [f"10.{n}.0.{node}", f"fd00:{n}::{node}"] for n in (0, 1)}}
                for node in (1, 2)
            },
            "vrrp": vrrp,
        }
    )


GROUPS = st.dictionaries(
    NAMES, st.tuples(st.sampled_from([0, 1]), st.sampled_from(FAMILIES), st.none() | st.integers(1, 255)), max_size=12
).filter(
    lambda groups: max(Counter(group for group in groups.values() if group[2]).values(), default=0) < 2  # a sound spec
)


@FAST
@given(GROUPS)
def test_every_group_gets_a_vrid_and_none_clash(groups: dict[str, tuple[int, int, int | None]]) -> None:
    spec = spec_of(groups)
    lock = complete_lock(spec, Lock(cluster="shop"))
    assert vrids(spec, lock).keys() == groups.keys()
    assert clashes(spec, lock) == []
    for name, (_, _, vrid) in groups.items():
        assert vrids(spec, lock)[name] == (vrid or lock.vrids[name])
        assert (name in lock.vrids) is (vrid is None), "what the spec says is not kept twice"


@FAST
@given(GROUPS, GROUPS)
def test_what_was_chosen_stays(before: dict[str, Any], added: dict[str, Any]) -> None:
    lock = complete_lock(spec_of(before), Lock(cluster="shop"))
    both = {**added, **before}
    later = complete_lock(spec_of(both), lock)
    for name, vrid in lock.vrids.items():
        assert later.vrids[name] == vrid
    assert complete_lock(spec_of(both), later) == later
    assert complete_lock(spec_of(dict(reversed(both.items()))), later) == later, "their order means nothing"


@FAST
@given(GROUPS, NAMES)
def test_a_lock_is_read_as_it_was_written(groups: dict[str, Any], cluster: str) -> None:
    lock = complete_lock(spec_of(groups, cluster), Lock(cluster=cluster))
    assert parse_model(Lock, write_yaml(lock), "shop.lock")[0] == lock


@FAST
@given(st.dictionaries(NAMES, st.from_regex(r"\A[A-Za-z0-9]{8}\Z")), NAMES)
def test_secrets_are_read_as_they_were_written(vrrp: dict[str, str], cluster: str) -> None:
    """Also those that look like numbers (12345678, 1e000000) or words of YAML."""
    secrets = Secrets(cluster=cluster, vrrp=vrrp)
    assert parse_model(Secrets, write_yaml(secrets), "shop.secrets")[0] == secrets


def test_the_same_spec_gets_the_same_vrids_everywhere() -> None:
    spec = spec_of({"www": (0, 4, None), "bbs": (0, 4, None)})
    assert complete_lock(spec, Lock(cluster="shop")) == complete_lock(spec, Lock(cluster="shop"))
    other = complete_lock(spec_of({"www": (0, 4, None)}, "forum"), Lock(cluster="forum"))
    assert other.vrids["www"] != complete_lock(spec, Lock(cluster="shop")).vrids["www"], "clusters share segments"


def test_the_same_number_may_serve_on_another_network_or_family() -> None:
    spec = spec_of({"a": (0, 4, 7), "b": (1, 4, 7), "c": (0, 6, 7)})
    assert clashes(spec, Lock(cluster="shop")) == []


def test_a_segment_has_255_vrids() -> None:
    full = {f"g{number}": (0, 4, None) for number in range(255)}
    lock = complete_lock(spec_of(full), Lock(cluster="shop"))
    assert sorted(lock.vrids.values()) == list(range(1, 256))
    with pytest.raises(UsageError, match="no VRID is left for 'more'") as caught:
        complete_lock(spec_of({**full, "more": (0, 4, None)}), lock)
    assert caught.value.hint


PAIR = """\
holdfast: 1
cluster: shop
networks: {front: {cidr: 10.0.0.0/24}}
nodes: {lb01: 10.0.0.5, lb02: 10.0.0.6}
vrrp:
  www: {addresses: [10.0.0.3], nodes: [lb01, lb02]}
  bbs: {addresses: [10.0.0.4], nodes: [lb02, lb01], vrid: 51}
  old: {addresses: [10.0.0.7], nodes: [lb02, lb01], vrid: 52, version: 2}
"""


def refusal(lock: Lock, secrets: Secrets) -> dict[str, str]:
    with pytest.raises(CompileError) as caught:
        compile_cluster(CompileInput(parse_spec(PAIR), lock, secrets))
    return {
        finding.code: f"{finding.location}: {finding.message} — {finding.hint}" for finding in caught.value.findings
    }


def test_what_was_never_chosen_is_not_chosen_by_a_compilation() -> None:
    said = refusal(Lock(cluster="shop"), Secrets(cluster="shop"))
    assert said.keys() == {"LOCK001", "LOCK002"}
    assert said["LOCK001"].startswith("spec:6:")
    assert "no VRID has been chosen for 'www'" in said["LOCK001"]
    assert "holdfast lock" in said["LOCK002"]


def test_a_spec_that_names_what_the_lock_chose_before_is_refused() -> None:
    """Otherwise two groups of a segment would take each other's adverts for their own."""
    said = refusal(Lock(cluster="shop", vrids={"www": 51}), Secrets(cluster="shop", vrrp={"old": "abcdefgh"}))
    assert said.keys() == {"LOCK004"}
    assert "VRID 51 of 'bbs' is taken by 'www'" in said["LOCK004"]


def test_secrets_are_made_once_for_those_that_want_one() -> None:
    spec = parse_spec(PAIR).spec
    first = complete_secrets(spec, Secrets(cluster="shop"))
    assert first.vrrp.keys() == {"old"}
    assert len(first.vrrp["old"]) == 8
    assert complete_secrets(spec, first) == first
    assert complete_secrets(spec, Secrets(cluster="shop")) != first, "not twice the same"


@pytest.mark.parametrize("value", ["hunter2", "12345678", "'with blank'", "[hunter2]", "hunter2!"])
def test_a_secret_never_shows_in_a_message(tmp_path: Path, value: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_model(Secrets, f"holdfast_secrets: 1\ncluster: shop\nvrrp:\n  old: {value}\n", "shop.secrets")
    (finding,) = caught.value.findings
    assert (finding.location.line, finding.location.column) == (4, 8) if finding.location else False
    assert finding.hint
    assert value.strip("'[]!") not in str(finding)
    assert "hunter2" not in str(finding)


MARKED = """\
holdfast: 1
cluster: shop
networks: {front: {cidr: 10.0.0.0/24}}
nodes: {lb01: 10.0.0.5, lb02: 10.0.0.6, web01: 10.0.0.7}
vrrp: {www: {addresses: [10.0.0.3], nodes: [lb01, lb02], vrid: 51}}
virtual_servers:
"""


def marked(*entries: str) -> ClusterSpec:
    """Virtual servers: `NAME=FIRST` takes ten ports, `NAME=mark N` has a mark of the operator's own."""
    lines = []
    for entry in entries:
        name, _, what = entry.partition("=")
        on = what.replace("mark ", "mark: ") if what.startswith("mark") else f"on: 'www:{what}-{int(what) + 9}'"
        lines.append(f"  {name}: {{{on}, forward: dr, servers: ['web01'], check: {{ping: true}}}}\n")
    return parse_spec(MARKED + "".join(lines)).spec


def test_marks_are_chosen_once_and_never_twice() -> None:
    first = complete_lock(marked("b=8000", "c=9000"), Lock(cluster="shop"))
    later = complete_lock(marked("a=7000", "b=8000", "c=9000"), first)
    assert {name: later.marks[name] for name in first.marks} == first.marks
    assert len(set(later.marks.values())) == 3
    assert complete_lock(marked("c=9000", "a=7000", "b=8000"), later) == later, "their order means nothing"
    assert complete_lock(marked("a=7000"), later).marks == {"a": later.marks["a"]}, "what is gone is not kept"


def test_marks_of_the_operators_own_are_left_alone() -> None:
    chosen = complete_lock(marked("b=8000"), Lock(cluster="shop")).marks["b"]
    beside = complete_lock(marked(f"a=mark {chosen}", "b=8000"), Lock(cluster="shop"))
    assert beside.marks.keys() == {"b"}
    assert beside.marks["b"] != chosen


def test_a_lock_with_marks_is_read_as_it_was_written() -> None:
    lock = complete_lock(marked("b=8000", "c=9000"), Lock(cluster="shop"))
    assert lock.sync_id
    assert parse_model(Lock, write_yaml(lock), "shop.lock")[0] == lock
    assert complete_lock(marked("b=8000"), lock).sync_id == lock.sync_id


def test_clusters_that_share_a_segment_tell_connections_under_their_own_numbers() -> None:
    one, other = (
        complete_lock(marked("b=8000").model_copy(update={"cluster": name}), Lock(cluster=name)).sync_id
        for name in ("shop", "forum")
    )
    assert one != other
