"""The overrides file: what is refused and where, what is over when, and edits that leave everything else alone."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import SpecError
from holdfast.findings import Finding
from holdfast.spec import load_spec, parse_spec
from holdfast.spec.overrides import (
    LoadedOverrides,
    Override,
    format_moment,
    known_servers,
    load_overrides,
    message_of,
    overrides_path,
    parse_overrides,
    servers_meant,
)
from holdfast.spec.overrides_text import new_text, with_override, without_override

SPEC = """\
holdfast: 1
cluster: shop
networks: {front: {cidr: [10.0.0.0/24, 'fd00::/64']}}
nodes:
  lb01: [10.0.0.5, 'fd00::5']
  lb02: [10.0.0.6, 'fd00::6']
  web01: [10.0.0.7, 'fd00::7']
  web02: [10.0.0.8, 'fd00::8']
vrrp:
  www: {addresses: {vip: 10.0.0.3, six: 'fd00::3'}, nodes: [lb01, lb02]}
pools:
  app: {servers: ['web02:8080']}
virtual_servers:
  shop: {on: 'www.vip:80', forward: dr, servers: ['web01:80', 'web02:80'], check: {tcp: true}}
  safe: {on: 'www.vip:443', forward: dr, servers: ['web01:443', 'web02:443'], check: {tcp: true}}
  six: {on: 'www.six:80', forward: dr, servers: ['web01:80', '[fd00::99]:80'], check: {tcp: true}}
"""
LOADED = parse_spec(SPEC)
NOW = datetime(2026, 11, 21, 5, 0, 0, tzinfo=UTC)
BY_HAND = """\
# What we agreed on Monday.
holdfast_overrides: 1   # the language

cluster: shop
servers:   # one a line
  # The kernel of web01 is old.
  - server: web01:80
    kind: drained
    who: wang   # ask him first
    why: 'kernel: 6.1.50'
    since: 2026-11-21T03:20:00Z

  # And this one is new; careful.
  - kind: weight
    server: "[fd00::99]:80"
    virtual_server: six
    weight: 3
    until: 2026-11-21T06:00:00+01:00
# The end.
"""
MISTAKES = sorted((Path(__file__).parent / "overrides_mistakes").glob("*.yaml"))
MARK = "# expected:\n"


def parsed(text: str) -> LoadedOverrides:
    return parse_overrides(text, LOADED.spec, "shop.overrides.yaml")


def told(findings: tuple[Finding, ...]) -> str:
    lines = []
    for one in findings:
        assert one.location is not None
        assert one.hint
        where = f" at {one.location.field}" if one.location.field else ""
        place = f"{one.location.line}:{one.location.column}"
        lines += [f"#   {place} {one.severity} {one.code}{where}", f"#     {one.message}", f"#     -> {one.hint}"]
    return "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize("path", MISTAKES, ids=lambda path: path.stem)
def test_each_mistake_is_named_at_its_place(path: Path) -> None:
    text, mark, expected = path.read_text(encoding="utf-8").partition(MARK)
    with pytest.raises(SpecError) as caught:
        parsed(text)
    found = told(caught.value.findings)
    if os.environ.get("HOLDFAST_UPDATE_GOLDEN"):
        path.write_text(text + MARK + found, encoding="utf-8")
        return
    assert mark
    assert found == expected


def test_a_file_by_hand_is_read() -> None:
    first, second = parsed(BY_HAND).overrides
    assert (first.server, first.kind, first.virtual_server, first.why) == (
        "web01:80",
        "drained",
        None,
        "kernel: 6.1.50",
    )
    assert message_of(second) == {
        "server": "[fd00::99]:80", "virtual_server": "six", "kind": "weight", "weight": 3,
        "until": "2026-11-21T05:00:00Z",
    }  # fmt: skip


def test_no_file_means_nothing_is_overridden(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(SPEC)
    assert overrides_path(path) == tmp_path / "cluster.overrides.yaml"
    assert load_overrides(path, load_spec(path)).overrides == ()
    overrides_path(path).write_text(BY_HAND)
    assert len(load_overrides(path, load_spec(path)).overrides) == 2


def test_an_override_ends_at_its_moment() -> None:
    loaded = parsed(BY_HAND)
    before = NOW - timedelta(seconds=1)
    assert len(loaded.in_force(before)) == 2
    assert not loaded.expired(before)
    assert [override.server for override in loaded.in_force(NOW)] == ["web01:80"]
    assert [override.server for override in loaded.expired(NOW)] == ["[fd00::99]:80"]


def test_what_an_operator_means() -> None:
    assert known_servers(LOADED.spec)["web01:80"] == ("shop", "six")
    assert servers_meant(LOADED.spec, "web01:80") == ("web01:80",)
    assert servers_meant(LOADED.spec, "web01") == ("web01:80", "web01:443")
    assert servers_meant(LOADED.spec, "web01", "safe") == ("web01:443",)
    assert servers_meant(LOADED.spec, "web01:443", "shop") == ()
    assert servers_meant(LOADED.spec, "web03") == ()


def test_a_new_file_says_what_it_is() -> None:
    text = with_override("", "shop", Override(server="web01:80", kind="drained", who="wang", why="it's old", since=NOW))
    assert text.startswith("# What was decided about servers of cluster shop")
    assert text.endswith(
        "cluster: 'shop'\nservers:\n  - server: 'web01:80'\n    kind: drained\n    who: 'wang'\n"
        "    why: 'it''s old'\n    since: 2026-11-21T05:00:00Z\n"
    )
    assert parsed(text).overrides[0].why == "it's old"
    assert without_override(text, ("web01:80", None, None)) == new_text("shop")


@pytest.mark.parametrize("text", ["", "\n", "# Nothing is overridden.\n\n"])
def test_a_file_of_comments_overrides_nothing(text: str) -> None:
    assert parsed(text).overrides == ()
    written = with_override(text, "shop", Override(server="web01:80", kind="drained"))
    assert written.startswith(text)
    assert len(parsed(written).overrides) == 1
    assert without_override(text, ("web01:80", None, None)) == text


def test_an_edit_leaves_every_other_line_alone() -> None:
    added = with_override(BY_HAND, "shop", Override(server="web02:443", kind="suspended"))
    assert added == BY_HAND.replace("# The end.", "  - server: 'web02:443'\n    kind: suspended\n# The end.")
    assert without_override(added, ("web02:443", None, None)) == BY_HAND
    removed = without_override(BY_HAND, ("web01:80", None, None))
    gone = BY_HAND[BY_HAND.index("  - server: web01") : BY_HAND.index("\n  # And this")]
    assert removed == BY_HAND.replace(gone, "")


def test_what_is_overridden_again_is_said_once() -> None:
    text = with_override(BY_HAND, "shop", Override(server="web01:80", kind="suspended"))
    assert [(o.server, o.kind) for o in parsed(text).overrides] == [
        ("[fd00::99]:80", "weight"), ("web01:80", "suspended")
    ]  # fmt: skip
    for comment in ("# What we agreed", "# The kernel of web01", "# And this one", "# The end.", "# one a line"):
        assert comment in text


@pytest.mark.parametrize(
    "text",
    [
        "holdfast_overrides: 1\ncluster: shop\nservers: [{server: 'web01:80', kind: drained}]  # brief\n",
        "holdfast_overrides: 1\ncluster: shop\nservers:\n  [{server: 'web01:80', kind: drained}]\n",
        "{holdfast_overrides: 1, cluster: shop, servers: [{server: 'web01:80', kind: drained}]}\n",
        "holdfast_overrides: 1\ncluster: shop\nservers:\n- &one {server: 'web01:80', kind: drained}\n",
        "holdfast_overrides: 1\ncluster: shop\nservers:\n- {server: 'web01:80', kind: drained}",
        "holdfast_overrides: 1\r\ncluster: shop\r\nservers:\r\n- server: 'web01:80'\r\n  kind: drained\r\n",
        "holdfast_overrides: 1\ncluster: shop\nservers:\n- server: 'web01:80'\n  kind: drained\n  why: >-\n    old\n\n",
        "holdfast_overrides: 1\ncluster: shop\nservers:\n- server: 'web01:80'\n  kind: drained\n  why: \"a\u2028b\"\n",
    ],
)  # fmt: skip
def test_lists_in_any_writing_can_be_edited(text: str) -> None:
    assert [override.server for override in parsed(text).overrides] == ["web01:80"]
    added = parsed(with_override(text, "shop", Override(server="web02:80", kind="drained")))
    assert [override.server for override in added.overrides] == ["web01:80", "web02:80"]
    assert parsed(without_override(text, ("web01:80", None, None))).overrides == ()


MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(lambda m: m.replace(microsecond=0, tzinfo=UTC))
WORDS = st.text(
    st.characters(min_codepoint=32, exclude_characters="\x7f", exclude_categories=["Cs"]), min_size=1, max_size=40
)
SERVERS = known_servers(LOADED.spec)


@st.composite
def overrides(draw: st.DrawFn) -> Override:
    pool = draw(st.none() | st.just("app"))
    server = "web02:8080" if pool else draw(st.sampled_from(sorted(SERVERS)))
    kind = draw(st.sampled_from(["drained", "suspended", "weight"]))
    since = draw(st.none() | MOMENTS)
    lasts = draw(st.none() | st.integers(1, 10**8))
    return Override(
        server=server,
        pool=pool,
        virtual_server=None if pool else draw(st.none() | st.sampled_from(SERVERS[server])),
        kind=kind,
        weight=draw(st.integers(1, 256 if pool else 65535)) if kind == "weight" else None,
        who=draw(st.none() | WORDS),
        why=draw(st.none() | WORDS),
        since=since,
        until=(since or NOW) + timedelta(seconds=lasts) if lasts else None,
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(overrides(), max_size=6), st.data(), st.sampled_from(["", BY_HAND]))
def test_any_edits_say_in_the_end_what_was_said_last(all_of: list[Override], data: st.DataObject, text: str) -> None:
    wanted = {override.key: override for override in parsed(text).overrides} if text else {}
    for override in all_of:
        text = with_override(text, "shop", override)
        wanted.pop(override.key, None)
        wanted[override.key] = override
    if wanted:
        gone = data.draw(st.sampled_from(sorted(wanted, key=str)))
        text = without_override(text, gone)
        wanted.pop(gone)
    if text:
        assert list(parsed(text).overrides) == list(wanted.values())


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80) | st.text(alphabet="servkind:-[]{}'\"&* \n01", max_size=80))
def test_any_text_is_answered_with_findings(text: str) -> None:
    for tried in (text, "holdfast_overrides: 1\ncluster: shop\nservers:\n" + text):
        for one in findings_of(tried):
            assert one.message.isprintable()
            assert one.location is not None


def findings_of(text: str) -> tuple[Finding, ...]:
    try:
        parsed(text)
    except SpecError as error:
        return error.findings
    return ()


@given(MOMENTS)
def test_moments_round_trip(moment: datetime) -> None:
    override = Override.model_validate({"server": "web01:80", "kind": "drained", "until": format_moment(moment)})
    assert override.until == moment
