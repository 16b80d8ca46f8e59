"""What an import carries over comes out of the compiler again, keyword by keyword."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.golden.cases import Case, all_cases
from tests.keepalived.corpus import samples
from tests.keepalived.to_spec.meaning import PATH, imported, meaning, texts

from holdfast.keepalived.keywords import Argument, Keyword, tables
from holdfast.keepalived.source import decode
from holdfast.keepalived.to_spec.nodes import NAMED
from holdfast.spec.origin import Block
from holdfast.spec.origin.checks import Check, SmtpHost, Url
from holdfast.spec.origin.instances import Authentication
from holdfast.spec.origin.node_settings import GlobalDefs, Ssl, TopLevel
from holdfast.spec.origin.servers import RealServer, VirtualServer
from holdfast.spec.origin.trackers import GarpGroup


def _check_model(name: str) -> type[Block]:
    found: type[Block] = next(one for one in get_args(Check.model_fields[name].annotation) if one is not type(None))
    return found


CASES = [case for case in all_cases() if not (case.folder / "refused.txt").exists()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_was_compiled_is_imported_and_compiled_to_the_same(case: Case) -> None:
    files = {node: bundle.file(PATH) for node, bundle in case.bundles().items()}
    before = {node: file.content for node, file in files.items() if file is not None}
    if not before:
        assert not any(bundle.expected.vrrp for bundle in case.bundles().values())
        return
    found = imported(**before)
    assert found.complete, found.not_carried
    assert not found.declared_differences
    after = texts(found)
    assert {node: meaning(text) for node, text in after.items()} == {n: meaning(text) for n, text in before.items()}
    again = imported(**after)
    assert (again.data, again.secrets) == (found.data, found.secrets)


@pytest.mark.parametrize("path", samples(), ids=lambda path: path.name)
def test_hard_files_survive_or_say_what_does_not(path: Path) -> None:
    text = decode(path.read_bytes())
    found = imported(lb1=text)
    after = texts(found)["lb1"]
    again = imported(lb1=after)
    assert again.complete
    assert meaning(texts(again)["lb1"]) == meaning(after)


_MODELS: dict[str, type[Block]] = {
    **NAMED,
    "root": TopLevel,
    "global_defs": GlobalDefs,
    "SSL": Ssl,
    "authentication": Authentication,
    "garp_group": GarpGroup,
    "virtual_server": VirtualServer,
    "real_server": RealServer,
    "url": Url,
    "host": SmtpHost,
    **{name: _check_model(name) for name in Check.model_fields},
}
_PARTS = frozenset({"checker", "connection"})  # of other tables


def test_every_keyword_has_a_field() -> None:
    """What has none would be lost; it is told where it is met, but nothing that keepalived reads should be."""
    lacking = {
        f"{block}.{name}"
        for block, table in tables().items()
        if block not in _PARTS
        for name, keyword in table.items()
        if not keyword.block
        and keyword.name not in NAMED
        and name not in {info.alias or n for n, info in _MODELS[block].model_fields.items()}
    }
    assert not lacking


# One word for each kind of argument that a generated statement may hold.
_SAMPLE = {
    "name": "any-name", "text": "some text", "file": "/etc/some.file", "user": "nobody", "bool": "false",
    "ip": "10.1.2.3", "ipx": "10.1.2.255", "prefix": "10.1.2.3/24", "route": "10.9.0.0/16", "iface": "eth7",
    "script": "/usr/bin/some-check", "range": "10.1.2.3-9", "mcast": "224.0.0.19", "mcast4": "224.0.0.19",
    "mcast6": "ff02::13", "password": "pa#s!w", "granularity": "255.255.255.0", "hex": "0a1b", "status": "200-299",
    "label": "some-name", "port": "8080", "port0": "0", "digest": "640205b7b0fc66c1ea91c463fac6334d",
    "umask": "027", "buffers": "ADVERT",
}  # fmt: skip


def _word(argument: Argument) -> st.SearchStrategy[str]:
    low, _, high = argument.note.partition("..")
    if argument.kind in ("one", "any"):
        return st.sampled_from(argument.note.split("|"))
    if argument.kind in ("int", "uint"):
        least = int(low) if low else 0
        return st.integers(least, min(int(high) if high else 4294967295, 4294967295)).map(str)
    if argument.kind == "num":
        return st.integers(int(float(low or 0)) + 1, int(float(high)) if high else 1_000_000).map(str)
    return st.just(_SAMPLE[argument.kind])


def test_any_kind_of_argument_can_be_generated() -> None:
    """What only chance would meet: a kind that came in with a keyword has a word here, too."""
    kinds = {
        argument.kind
        for block in _DRAWN
        for keyword in tables()[block].values()
        if _is_simple(keyword)
        for argument in keyword.arguments
        if not argument.optional
    }
    assert kinds <= {*_SAMPLE, "one", "any", "int", "uint", "num"}


# The blocks that test_any_sound_statement_is_carried fills.
_DRAWN = (
    "global_defs", "vrrp_script", "vrrp_instance", "virtual_server", "real_server", "HTTP_GET", "url", "MISC_CHECK",
)  # fmt: skip


def _quoted(word: str) -> str:
    return f'"{word}"' if set(word) & set(" #!") else word


@st.composite
def _statements(draw: st.DrawFn, block: str) -> str:
    """Some statements of a block, each once, with arguments that keepalived would take."""
    simple = [keyword for keyword in tables()[block].values() if _is_simple(keyword)]
    chosen = draw(st.lists(st.sampled_from(simple), unique_by=lambda keyword: keyword.name, min_size=1, max_size=12))
    lines = []
    for keyword in chosen:
        words = [draw(_word(argument)) for argument in keyword.arguments if not argument.optional]
        lines.append(" ".join([keyword.name, *map(_quoted, words)]))
    return "\n".join(lines)


# Left out for where they stand, or for what stands beside them: tested apart.
_PLACED = frozenset({
    "sh-port", "sh-fallback", "mh-port", "mh-fallback", "sorry_server_inhibit", "sorry_server_lvs_method",
    "lb_algo", "lb_kind", "preempt", "no_accept", "unicast_src_ip", "script_user", "native_ipv6", "ip_family", "vrf",
    "nb_get_retry", "process_names", "lvs_process_name", "vrrp_rlimit_rtime", "checker_rlimit_rtime",
    "bfd_rlimit_rtime", "nftables", "nftables_ipvs", "vrrp_iptables", "vrrp_min_garp",
})  # fmt: skip


def _is_simple(keyword: Keyword) -> bool:
    simple = not keyword.block and keyword.listed is None and keyword.options is None and keyword.repeat != "many"
    return simple and keyword.name != "script" and keyword.name not in _PLACED  # the text has one already


# Shrinking takes minutes, since every try compiles; the statements that fail are told apart well enough without it.
@settings(
    max_examples=40,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.data())
def test_any_sound_statement_is_carried(data: st.DataObject) -> None:
    """All keywords of the tables have a field, and every value that keepalived takes fits it."""
    draw = data.draw
    text = (
        f"global_defs {{\n{draw(_statements('global_defs'))}\n}}\n"
        f"vrrp_script chk {{\nscript /bin/true\n{draw(_statements('vrrp_script'))}\n}}\n"
        f"vrrp_instance VI {{\nvirtual_ipaddress {{\n10.1.2.3/24\n}}\n{draw(_statements('vrrp_instance'))}\n}}\n"
        f"virtual_server 10.0.0.1 80 {{\n{draw(_statements('virtual_server'))}\n"
        f"real_server 10.0.0.7 80 {{\n{draw(_statements('real_server'))}\n"
        f"HTTP_GET {{\n{draw(_statements('HTTP_GET'))}\nurl {{\n{draw(_statements('url'))}\n}}\n}}\n"
        f"MISC_CHECK {{\n{draw(_statements('MISC_CHECK'))}\n}}\n}}\n}}\n"
    )
    found = imported(lb1=text)
    assert found.complete, found.not_carried
    assert meaning(texts(found)["lb1"]) == meaning(text)
