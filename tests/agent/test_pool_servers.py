"""Servers of pools as bundles have them, what overrides make of them, and what HAProxy is told: pure."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.agent.test_pool_overrides_live import bundle

from holdfast.agent import haproxy_state, pool_overrides
from holdfast.agent.haproxy_state import Runs, State
from holdfast.agent.pool_servers import name_of, pooled, servers_of, spoken_at, unknown
from holdfast.agent.server_lists import down_in, list_path, listed, marked, taken_out, unmarked
from holdfast.bundle import HAPROXY_STATE, Bundle, Service
from holdfast.protocol import OverrideKind, Overrides, PoolOverride

NOW = datetime(2026, 11, 21, 5, 0, tzinfo=UTC)
WRITTEN = ("10.9.0.5:9001", "10.9.0.5:9002", "10.9.0.5:9003")
BUNDLES = {engine: bundle(engine) for engine in ("nginx", "haproxy")}


@st.composite
def several(draw: st.DrawFn) -> Overrides:
    found = []
    for server in draw(st.lists(st.sampled_from(WRITTEN), unique=True)):
        kind = draw(st.sampled_from(OverrideKind))
        weight = draw(st.integers(1, 256)) if kind is OverrideKind.WEIGHT else None
        found.append(PoolOverride(pool="web", server=server, kind=kind, weight=weight))
    return Overrides(pools=tuple(found))


@pytest.mark.parametrize("engine", BUNDLES)
def test_the_servers_of_each_backend_are_found(engine: str) -> None:
    found = servers_of(BUNDLES[engine])
    assert {(one.engine.value, one.backend, one.pool) for one in found} == {
        (engine, "web", "web"),
        (engine, "web.source", "web"),
    }
    assert {one.endpoint for one in found} == set(WRITTEN)
    assert {one.name for one in found} == set(map(name_of, WRITTEN))


def test_a_bundle_from_before_has_none_that_can_be_overridden() -> None:
    old = BUNDLES["haproxy"]
    files = [file.model_copy(update={"content": file.content.replace(HAPROXY_STATE, "/x")}) for file in old.files]
    assert servers_of(old.model_copy(update={"files": tuple(files)})) == ()


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("web01:80", "web01-80"),
        ("10.0.0.7:80", "10-0-0-7-80"),
        ("[fd00::1]:80", "fd00--1-80"),
        ("[FD00:0::1]:8", "fd00--1-8"),
    ],
)
def test_names_are_those_of_the_engines(written: str, name: str) -> None:
    assert name_of(written) == name


def test_one_whose_time_is_over_does_nothing_and_one_that_nobody_has_is_named() -> None:
    over = PoolOverride(pool="web", server=WRITTEN[0], kind=OverrideKind.DRAINED, until="2026-11-21T04:59:59Z")
    stray = PoolOverride(pool="web", server="10.9.0.5:9009", kind=OverrideKind.DRAINED)
    known = Overrides(pools=(over, stray))
    assert all(one.override is None for one in pooled(BUNDLES["nginx"], known, NOW))
    assert unknown(BUNDLES["nginx"], known) == ("web/10.9.0.5:9009",)


def nginx_lists(bundle: Bundle, known: Overrides, texts: dict[str, str]) -> dict[str, str]:
    changes = pool_overrides.list_changes(bundle, pool_overrides.wanted(bundle, known, NOW, Service.NGINX))
    return {upstream: changes[upstream](text) for upstream, text in texts.items()}


@given(several(), several(), st.sets(st.sampled_from(WRITTEN)))
def test_nginxs_lists_say_what_was_wanted_last_beside_the_probers_marks(
    first: Overrides, second: Overrides, down: set[str]
) -> None:
    found = BUNDLES["nginx"]
    base = {name: found.file(list_path(name)) for name in ("web", "web.source")}
    brought = {name: file.content for name, file in base.items() if file is not None}
    texts = {name: marked(text, down) for name, text in nginx_lists(found, first, brought).items()}
    texts = nginx_lists(found, second, texts)
    for name, text in texts.items():
        wishes = {one.server: one for one in second.pools}
        assert down_in(text) == down
        assert taken_out(text) == {s for s, one in wishes.items() if one.kind is not OverrideKind.WEIGHT}
        weights = {s: one.weight for s, one in wishes.items() if one.weight is not None}
        assert {one.endpoint: one.weight for one in listed(text)} == {**dict.fromkeys(WRITTEN, 1), **weights}
        assert unmarked(text, brought[name]) == brought[name]
        assert nginx_lists(found, Overrides(), {name: marked(text, ())}) == {name: brought[name]}


def test_a_weight_that_was_changed_by_hand_is_no_override() -> None:
    file = BUNDLES["nginx"].file(list_path("web"))
    assert file is not None
    by_hand = file.content.replace("weight=1", "weight=7", 1)
    assert unmarked(by_hand, file.content) == by_hand != file.content


STATES = st.builds(Runs, st.sampled_from(State), st.integers(0, 256), st.just(1))


@given(several(), st.lists(STATES, min_size=6, max_size=6))
def test_after_the_orders_haproxy_has_all_of_it_and_is_told_nothing_twice(known: Overrides, there: list[Runs]) -> None:
    wanted = pool_overrides.wanted(BUNDLES["haproxy"], known, NOW, Service.HAPROXY)
    runs = {(one.server.backend, one.server.name): now for one, now in zip(wanted, there, strict=True)}
    for order in haproxy_state.orders(wanted, runs):
        _, _, name, word, value = order.split()
        backend, _, server = name.partition("/")
        before = runs[backend, server]
        state, weight = (State(value), before.weight) if word == "state" else (before.state, int(value))
        assert (state, weight) != (before.state, before.weight)
        runs[backend, server] = Runs(state, weight, before.own)
    assert list(haproxy_state.orders(wanted, runs)) == []
    out = {server for (_, server), now in runs.items() if now.state is not State.READY}
    assert out == {name_of(one.server) for one in known.pools if one.kind is not OverrideKind.WEIGHT}


@given(several())
def test_the_file_of_states_is_what_haproxy_itself_would_say(known: Overrides) -> None:
    wanted = pool_overrides.wanted(BUNDLES["haproxy"], known, NOW, Service.HAPROXY)
    read = haproxy_state.read(haproxy_state.written(wanted))
    assert set(read) == {(one.server.backend, one.server.name) for one in wanted if one.override}
    for one in wanted:
        if one.override is not None:
            found = read[one.server.backend, one.server.name]
            assert (found.state, found.weight) == (haproxy_state.state_of(one), haproxy_state.weight_of(one))


def test_lines_that_are_none_of_haproxys_are_passed_over() -> None:
    assert haproxy_state.read("1\n# be_id\nnonsense\n" + " ".join(["x"] * 25)) == {}


@pytest.mark.parametrize(
    ("written", "endpoint"),
    [
        ("web01:80", "10.0.0.7:80"),
        ("web-1:80", "[fd00::1]:80"),
        ("10.0.0.7:80", "10.0.0.7:80"),
        ("[fd00::1]:80", "[fd00::1]:80"),
    ],
)
def test_they_are_spoken_of_as_a_spec_writes_them(written: str, endpoint: str) -> None:
    assert spoken_at(name_of(written), endpoint) == written
    assert spoken_at("by-hand", "localhost") == "by-hand"
