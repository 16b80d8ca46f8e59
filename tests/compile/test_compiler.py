"""The compiler as a function: what means nothing changes nothing; every sound spec is compiled, or refused by name."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.golden.cases import Case, all_cases, all_examples

from holdfast.bundle import LARGEST_BUNDLE, Bundle, BundleFile, Service
from holdfast.compile import compiler
from holdfast.compile.compiler import CompileInput, compile_cluster, parse_field
from holdfast.compile.lock import Lock, Secrets, complete_lock, complete_secrets
from holdfast.compile.node_view import NodeView
from holdfast.compile.rendering import Rendering
from holdfast.errors import CompileError, SpecError
from holdfast.spec import parse_spec
from holdfast.spec.positions import dotted, read_yaml

SOUND = [case for case in [*all_cases(), *all_examples()] if not case.name.startswith("refused-")]

# Lists are ordered, and so are these mappings: which address comes first, which share is drawn first.
ORDERED = ("addresses", "to", "interfaces")


def digests(bundles: dict[str, Bundle]) -> dict[str, str]:
    return {node: bundle.digest for node, bundle in bundles.items()}


def shuffled(tree: Any, chance: random.Random, key: str = "") -> Any:
    if isinstance(tree, list):
        return [shuffled(item, chance) for item in tree]
    if not isinstance(tree, dict):
        return tree
    items = list(tree.items())
    if key not in ORDERED:
        chance.shuffle(items)
    return {name: shuffled(value, chance, name) for name, value in items}


@pytest.mark.parametrize("seeds", [range(1), pytest.param(range(1, 6), marks=pytest.mark.soak)])
@pytest.mark.parametrize("case", SOUND, ids=lambda case: case.name)
def test_the_order_of_names_and_the_style_of_writing_mean_nothing(case: Case, seeds: range) -> None:
    """One order of names for each case; more of them in a soak."""
    text = (case.folder / "cluster.yaml").read_text(encoding="utf-8")
    before = digests(case.bundles())
    tree, _ = read_yaml(text, "cluster.yaml")
    for seed in seeds:
        other = json.dumps(shuffled(tree, random.Random(seed)), indent=seed)  # JSON is YAML, all quoted, in flow style
        assert digests(compile_cluster(case.source(other))) == before


@pytest.mark.parametrize("case", SOUND, ids=lambda case: case.name)
def test_comments_mean_nothing(case: Case) -> None:
    text = (case.folder / "cluster.yaml").read_text(encoding="utf-8")
    commented = "# 说明\n\n" + text.replace("\n\n", "\n\n# more\n\n") + "\n# end\n"
    assert digests(compile_cluster(case.source(commented))) == digests(case.bundles())


@pytest.mark.parametrize("case", SOUND, ids=lambda case: case.name)
def test_compiling_changes_nothing_of_its_input(case: Case) -> None:
    source = case.source()
    before = source.loaded.spec.model_dump_json()
    first = digests(compile_cluster(source))
    assert digests(compile_cluster(source)) == first
    assert source.loaded.spec.model_dump_json() == before


@pytest.mark.parametrize("case", SOUND, ids=lambda case: case.name)
def test_a_bundle_survives_the_wire(case: Case) -> None:
    for bundle in case.bundles().values():
        assert Bundle.from_json(bundle.to_json()) == bundle


def test_nodes_that_do_nothing_get_no_bundle() -> None:
    (case,) = (case for case in SOUND if case.name == "dual-master-nginx")
    assert sorted(case.bundles()) == ["lb01", "lb02"]


def test_a_refused_field_is_found_in_the_spec() -> None:
    for path in (("pools", "a", "servers", 0, "backup"), ("sites", "s", "routes", 12), ("vrrp", "x", "nodes")):
        assert parse_field(dotted(path)) == path


def test_a_configuration_beyond_all_bounds_is_refused_in_words() -> None:
    spec = whole("nginx", [{"path": f"/{n}", "redirect": f"/{'x' * 480}"} for n in range(1000)], [], {})
    spec["proxies"]["edge"]["listeners"] = [{"on": f"www:{1 + port}", "sites": ["s"]} for port in range(30)]
    loaded = parse_spec(json.dumps(spec))
    source = CompileInput(loaded, complete_lock(loaded.spec, Lock(cluster="any")), Secrets(cluster="any"))
    with pytest.raises(CompileError, match="the nginx configuration of 'lb01' is too large") as caught:
        compile_cluster(source)
    assert caught.value.hint


# --- any sound spec

WORD = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
SAFE = st.text("abcXYZ019-_.~é中$@:!*()+,=&|^[]<> ", min_size=1, max_size=10)
REGEX = st.one_of(
    st.sampled_from(
        ["^/a$", "(?i)\\.png$", "^/v[0-9]{1,3}/", "a|b", "^$", "\\$x", "中+", "[^/]+;x", "a#b", "{2}x", "^/\\{a\\}$"]
    ),
    SAFE,
)
MATCH = st.one_of(
    SAFE,
    SAFE.map(lambda value: {"contains": value}),
    REGEX.map(lambda value: {"regex": value}),
    st.booleans().map(lambda value: {"present": value}),
)
TOKEN = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9-]{0,6}\Z")
CONDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "path": st.text("abc/.-_~é中$@:!*()+,=&|^[]<>", max_size=10).map(lambda text: "/" + text),
        "path_regex": REGEX,
        "user_agent": st.one_of(SAFE, st.lists(SAFE, min_size=1, max_size=2)),
        "header": st.dictionaries(TOKEN, MATCH, min_size=1, max_size=2),
        "cookie": st.dictionaries(TOKEN, MATCH, min_size=1, max_size=2),
        "method": st.sampled_from(["GET", ["POST", "PUT"], "PROPFIND"]),
        "source": st.sampled_from(["10.0.0.0/8", ["192.0.2.1", "fd00::/8"], "::/0"]),
    },
)
STICKY = st.sampled_from(["source", {"cookie": "a-b_1"}, {"cookie": "v", "keeps": ["variant"]}, None])
ACTIONS = st.one_of(
    st.tuples(st.sampled_from(["p", {"p": 100}, {"p": 95, "q": 5}, {"p": 0, "q": 100}]), STICKY).map(
        lambda both: {"to": both[0]} | ({"sticky": both[1]} if both[1] else {})
    ),
    st.sampled_from(["/x", "https://{host}{uri}", "http://a.example/%20?x={uri}", "/{uri}"]).map(
        lambda to: {"redirect": to}
    ),
    st.one_of(st.sampled_from([200, 204, 403, 444, 599]), SAFE.map(lambda body: {"status": 200, "body": body})).map(
        lambda answer: {"respond": answer}
    ),
)
ROUTES = st.lists(st.builds(lambda when, what: {**when, **what}, CONDITIONS, ACTIONS), min_size=1, max_size=5)
TRACKERS = st.lists(
    st.one_of(
        st.sampled_from(["nginx", "haproxy", "named", "php-fpm8.2"]).map(lambda name: {"process": name}),
        st.text("abc/._~&()*+,=@%?-;:", max_size=12).map(lambda path: {"http": f"[::1]:8080/{path}"}),
        st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,9}\Z").map(lambda name: {"script": name}),
        st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,9}\Z").map(lambda name: {"file": name}),
        st.just({"interface": "eth1"}),
    ).flatmap(lambda one: st.sampled_from([one, {**one, "on_loss": "yield"}, {**one, "weight": -30}])),
    max_size=3,
)


def whole(engine: str, routes: Any, trackers: Any, more: dict[str, Any]) -> dict[str, Any]:
    nodes = {f"lb0{n}": {"interfaces": {"eth0": f"10.0.0.{n}", "eth1": f"10.1.0.{n}"}} for n in (1, 2)}
    listener = {"on": "www:80", "sites": ["s"]}
    return {
        "holdfast": 1,
        "cluster": "any",
        "networks": {"front": {"cidr": "10.0.0.0/24"}, "back": {"cidr": "10.1.0.0/24"}},
        "nodes": nodes,
        "vrrp": {"www": {"addresses": ["10.0.0.9"], "nodes": ["lb01", "lb02"], "keeps_while": trackers}},
        "pools": {
            "p": {"servers": ["10.1.0.20:80", "10.1.0.21:80"], **more},
            "q": {"servers": ["10.1.0.22:80"]},
        },
        "sites": {"s": {"routes": routes}},
        "proxies": {"edge": {"engine": engine, "nodes": ["lb01", "lb02"], "listeners": [listener]}},
    }


SPECS = st.tuples(
    st.sampled_from(["nginx", "haproxy"]),
    ROUTES,
    TRACKERS,
    st.sampled_from(
        [
            {},
            {"balance": "source"},
            {"servers": ["10.1.0.20:80", {"address": "10.1.0.21:80", "backup": True}]},
            {"check": {"http": "/a?b=c&d"}},
            {"check": {"tcp": True}, "retry_on": []},
        ]
    ),
    st.booleans(),
)


@pytest.mark.parametrize("examples", [40, pytest.param(400, marks=pytest.mark.soak)])
def test_every_sound_spec_is_compiled_or_refused_by_name(examples: int) -> None:
    """Nothing that the loader accepts may surprise a renderer: its filters are the last line, not the first.

    Forty specs; ten times as many in a soak.
    """

    @settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    @given(SPECS)
    def holds(drawn: tuple[str, Any, Any, dict[str, Any], bool]) -> None:
        *spec, process_events = drawn
        compiled_or_refused(whole(*spec), process_events)

    holds()


def compiled_or_refused(spec: dict[str, Any], process_events: bool) -> None:
    try:
        loaded = parse_spec(json.dumps(spec), "any.yaml")
    except SpecError:
        return
    lock = complete_lock(loaded.spec, Lock(cluster="any"))
    secrets = complete_secrets(loaded.spec, Secrets(cluster="any"))
    try:
        bundles = compile_cluster(CompileInput(loaded, lock, secrets, process_events))
    except CompileError as error:
        for finding in error.findings:
            assert finding.hint
            assert finding.location is not None
    else:
        assert sorted(bundles) == ["lb01", "lb02"]


def test_a_bundle_that_its_node_would_refuse_is_refused_before_any_node_is_touched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = next(one for one in SOUND if one.name == "lvs-dr")
    largest = max(sum(len(file.content) for file in bundle.files) for bundle in case.bundles().values())
    monkeypatch.setattr(compiler, "LARGEST_BUNDLE", largest)
    assert digests(compile_cluster(case.source())) == digests(case.bundles())
    monkeypatch.setattr(compiler, "LARGEST_BUNDLE", largest - 1)
    with pytest.raises(CompileError, match=r"the bundle of 'lb0\d' is too large: all its files together") as refused:
        compile_cluster(case.source())
    assert "another pair of directors" in (refused.value.hint or ""), "its virtual servers are what is large"


def test_one_file_that_is_too_large_is_refused_with_what_makes_it_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    case = next(one for one in SOUND if one.name == "lvs-dr")

    def large(view: NodeView) -> Rendering:
        text = "#" * (LARGEST_BUNDLE + 1)
        return Rendering((BundleFile(path="/etc/holdfast/keepalived/keepalived.conf", content=text),))

    monkeypatch.setattr(compiler, "RENDERERS", {**compiler.RENDERERS, Service.KEEPALIVED: large})
    with pytest.raises(CompileError, match="one file has 16 MB at most") as refused:
        compile_cluster(case.source())
    assert "another pair of directors" in (refused.value.hint or "")
    assert "listener" not in (refused.value.hint or "")
